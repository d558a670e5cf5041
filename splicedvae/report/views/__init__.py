"""From a run to its figures and tables: written once, for the report and the pages.

Each function reads a run, takes from it what one picture needs and hands it to
`splicedvae.plotting`. What takes time is apart (`stream_lines`), so that a page can keep it
while the colours change. A file a subject: what cells are coloured by, velocities, latent spaces,
ratios, tables, data.
"""

from splicedvae.report.views._colors import (
    CELL_DEPTH,
    RATIO_PREFIX,
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
from splicedvae.report.views._latents import latent_figure, latent_maps
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
from splicedvae.report.views._selection import (
    SELECTION_COVERAGE,
    SELECTION_MOLECULES,
    SelectionSummary,
    cells_of_clusters,
    cells_within,
    cluster_names,
    outlines_of,
    selected_cells,
    selection_scores,
    summarise_selection,
)
from splicedvae.report.views._streams import (
    DENSITY,
    sources,
    stream_figure,
    stream_lines,
    velocity_table,
)
from splicedvae.report.views._tables import metrics_table

__all__ = [
    "BEST_POSSIBLE",
    "CELL_DEPTH",
    "DENSITY",
    "MEASURED_HALVES",
    "N_VALUES",
    "RATIO_PREFIX",
    "SELECTION_COVERAGE",
    "SELECTION_MOLECULES",
    "SelectionSummary",
    "cell_colors",
    "cells_of_clusters",
    "cells_within",
    "cluster_names",
    "cluster_table",
    "color_choices",
    "coverage_figure",
    "data_depth_figure",
    "data_fraction_figure",
    "data_unspliced_figure",
    "default_color",
    "depth_figure",
    "gain_figure",
    "gain_table",
    "latent_figure",
    "latent_maps",
    "metrics_table",
    "outlines_of",
    "predictors",
    "ratio_density",
    "ratio_figure",
    "selected_cells",
    "selection_scores",
    "sources",
    "stream_figure",
    "stream_lines",
    "summarise_selection",
    "training_figure",
    "unspliced_figure",
    "velocity_table",
    "within_gene_figure",
]
