"""Results in, plotly figures out.

Functions here compute nothing: embeddings, stream lines, histograms and tables come
prepared, so that a figure is the same on a page, in a report and in a notebook. Each figure
says what it shows (`alt_text`), has a transparent background, and is drawn for a light or a
dark page (``dark``).
"""

from splicedvae.plotting._benchmark import BENCHMARK_LABELS, benchmark_overview
from splicedvae.plotting._calibration import interval_coverage, reliability_curves, skill_boxes
from splicedvae.plotting._cells import picture_note
from splicedvae.plotting._data import depth_histogram, unspliced_fraction_by_cluster
from splicedvae.plotting._genes import (
    PhasePanel,
    TimedRatios,
    phase_portraits,
    ratio_by_group,
    ratio_over_time,
)
from splicedvae.plotting._latents import latents
from splicedvae.plotting._metrics import (
    HISTORY_LABELS,
    METRIC_LABELS,
    coverage_curves,
    training_curves,
)
from splicedvae.plotting._print import (
    PRINT_SIZES,
    PrintForm,
    PrintSize,
    print_figure,
)
from splicedvae.plotting._print_layout import MOST_VECTOR_POINTS
from splicedvae.plotting._raster import MOST_POINTS
from splicedvae.plotting._ratios import predicted_against_measured, within_gene_correlation
from splicedvae.plotting._rgb import PaintedCells, painted
from splicedvae.plotting._streams import streams
from splicedvae.plotting._text import escape, shorten
from splicedvae.plotting._theme import (
    CATEGORICAL,
    CONFIG,
    DIVERGING,
    MISSING,
    PREDICTOR_COLORS,
    SAFE_COLORS,
    SEQUENTIAL,
    alt_text,
    category_colors,
    predictors_in_order,
    template,
)
from splicedvae.plotting._types import (
    ArrowsLike,
    Categories,
    CellColors,
    Density,
    Histogram,
    LatentPanel,
    Outline,
    StreamLinesLike,
    StreamPanel,
    Values,
)
from splicedvae.plotting._watched import WATCHED_LABELS, watched_curves

__all__ = [
    "BENCHMARK_LABELS",
    "CATEGORICAL",
    "CONFIG",
    "DIVERGING",
    "HISTORY_LABELS",
    "METRIC_LABELS",
    "MISSING",
    "MOST_POINTS",
    "MOST_VECTOR_POINTS",
    "PREDICTOR_COLORS",
    "PRINT_SIZES",
    "SAFE_COLORS",
    "SEQUENTIAL",
    "WATCHED_LABELS",
    "ArrowsLike",
    "Categories",
    "CellColors",
    "Density",
    "Histogram",
    "LatentPanel",
    "Outline",
    "PaintedCells",
    "PhasePanel",
    "PrintForm",
    "PrintSize",
    "StreamLinesLike",
    "StreamPanel",
    "TimedRatios",
    "Values",
    "alt_text",
    "benchmark_overview",
    "category_colors",
    "coverage_curves",
    "depth_histogram",
    "escape",
    "interval_coverage",
    "latents",
    "painted",
    "phase_portraits",
    "picture_note",
    "predicted_against_measured",
    "predictors_in_order",
    "print_figure",
    "ratio_by_group",
    "ratio_over_time",
    "reliability_curves",
    "shorten",
    "skill_boxes",
    "streams",
    "template",
    "training_curves",
    "unspliced_fraction_by_cluster",
    "watched_curves",
    "within_gene_correlation",
]
