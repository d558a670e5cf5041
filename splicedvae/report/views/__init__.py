"""From a run to its figures and tables: written once, for the report and the pages.

Each function reads a run, takes from it what one picture needs and hands it to
`splicedvae.plotting`. What takes time is apart (`stream_lines`), so that a page can keep it
while the colours change. A file a subject: what cells are coloured by, velocities, latent spaces,
ratios, tables, data.
"""

from splicedvae.report.views._colors import (
    CELL_DEPTH,
    cell_colors,
    color_choices,
    default_color,
)
from splicedvae.report.views._data import (
    cluster_table,
    data_depth_figure,
    data_fraction_figure,
    data_unspliced_figure,
    depth_figure,
    unspliced_figure,
)
from splicedvae.report.views._drivers import (
    ALL_CELLS,
    SKILL,
    agreement_sentence,
    driver_groups,
    driver_table,
    time_sentences,
    time_table,
)
from splicedvae.report.views._latents import latent_figure
from splicedvae.report.views._parts import BEST_POSSIBLE, MEASURED_HALVES, N_VALUES
from splicedvae.report.views._ratios import (
    coverage_figure,
    gain_figure,
    gain_table,
    predictors,
    ratio_density,
    ratio_figure,
    training_figure,
    within_gene_figure,
)
from splicedvae.report.views._streams import (
    ARROWS,
    COMMON,
    DENSITY,
    GRID,
    OWN,
    STREAM,
    map_choices,
    map_points,
    sources,
    stream_figure,
    stream_lines,
    velocity_drawn,
    velocity_flow,
    velocity_table,
)
from splicedvae.report.views._tables import metrics_table
from splicedvae.report.views._verdicts import Verdict, verdict

__all__ = [
    "ALL_CELLS",
    "ARROWS",
    "BEST_POSSIBLE",
    "CELL_DEPTH",
    "COMMON",
    "DENSITY",
    "GRID",
    "MEASURED_HALVES",
    "N_VALUES",
    "OWN",
    "SKILL",
    "STREAM",
    "Verdict",
    "agreement_sentence",
    "cell_colors",
    "cluster_table",
    "color_choices",
    "coverage_figure",
    "data_depth_figure",
    "data_fraction_figure",
    "data_unspliced_figure",
    "default_color",
    "depth_figure",
    "driver_groups",
    "driver_table",
    "gain_figure",
    "gain_table",
    "latent_figure",
    "map_choices",
    "map_points",
    "metrics_table",
    "predictors",
    "ratio_density",
    "ratio_figure",
    "sources",
    "stream_figure",
    "stream_lines",
    "time_sentences",
    "time_table",
    "training_figure",
    "unspliced_figure",
    "velocity_drawn",
    "velocity_flow",
    "velocity_table",
    "verdict",
    "within_gene_figure",
]
