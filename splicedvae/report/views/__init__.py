"""From a run to its figures and tables: written once, for the report and the pages.

Each function reads a run, takes from it what one picture needs and hands it to
`splicedvae.plotting`. What takes time is apart (`stream_lines`), so that a page can keep it
while the colours change. A file a subject: what cells are coloured by, velocities, latent spaces,
ratios, tables, data.
"""

from splicedvae.report.views._calibration import (
    PUBLISHED,
    calibration_table,
    cell_figure,
    cell_table,
    interval_figure,
    published_table,
    reliability_figure,
    training_sentences,
    worst_cells,
)
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
from splicedvae.report.views._genes import (
    CEILING_COLUMN,
    MAX_CELLS_DRAWN,
    MIN_DRAWN,
    USED_COLUMN,
    CellTime,
    GeneFacts,
    cell_time,
    drawn_cells,
    gene_cluster_figure,
    gene_facts,
    gene_table,
    gene_time_figure,
    phase_figure,
    share_inside,
)
from splicedvae.report.views._latents import latent_figure
from splicedvae.report.views._parts import BEST_POSSIBLE, MEASURED_HALVES, N_VALUES, judged_cells
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
    DENSITY,
    sources,
    stream_figure,
    stream_lines,
    velocity_table,
)
from splicedvae.report.views._tables import metrics_table
from splicedvae.report.views._training import WATCHED_WORDS, watched_figure
from splicedvae.report.views._two_runs import (
    LEFT,
    RIGHT,
    compared_cautions,
    compared_metrics,
    compared_settings,
)

__all__ = [
    "BEST_POSSIBLE",
    "CEILING_COLUMN",
    "CELL_DEPTH",
    "DENSITY",
    "LEFT",
    "MAX_CELLS_DRAWN",
    "MEASURED_HALVES",
    "MIN_DRAWN",
    "N_VALUES",
    "PUBLISHED",
    "RIGHT",
    "USED_COLUMN",
    "WATCHED_WORDS",
    "CellTime",
    "GeneFacts",
    "calibration_table",
    "cell_colors",
    "cell_figure",
    "cell_table",
    "cell_time",
    "cluster_table",
    "color_choices",
    "compared_cautions",
    "compared_metrics",
    "compared_settings",
    "coverage_figure",
    "data_depth_figure",
    "data_fraction_figure",
    "data_unspliced_figure",
    "default_color",
    "depth_figure",
    "drawn_cells",
    "gain_figure",
    "gain_table",
    "gene_cluster_figure",
    "gene_facts",
    "gene_table",
    "gene_time_figure",
    "interval_figure",
    "judged_cells",
    "latent_figure",
    "metrics_table",
    "phase_figure",
    "predictors",
    "published_table",
    "ratio_density",
    "ratio_figure",
    "reliability_figure",
    "share_inside",
    "sources",
    "stream_figure",
    "stream_lines",
    "training_figure",
    "training_sentences",
    "unspliced_figure",
    "velocity_table",
    "watched_figure",
    "within_gene_figure",
    "worst_cells",
]
