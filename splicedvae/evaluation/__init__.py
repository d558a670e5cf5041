"""How well a ratio or a velocity is predicted, with baselines and noise ceilings beside it."""

from __future__ import annotations

from splicedvae.evaluation._baselines import (
    GeneMean,
    GroupMean,
    NearestNeighbours,
    RidgeOnPCA,
)
from splicedvae.evaluation._calibration import predictive_coverage, reliability
from splicedvae.evaluation._ratio import (
    RatioDensity,
    cell_metrics,
    gene_metrics,
    ratio_density,
    ratio_metrics,
)
from splicedvae.evaluation._splits import (
    ceiling_from_halves,
    select_genes,
    shuffle_within_genes,
    split_cells,
    split_groups,
    thin_counts,
)
from splicedvae.evaluation._velocity import cell_cosines, velocity_cautions, velocity_metrics

__all__ = [
    "GeneMean",
    "GroupMean",
    "NearestNeighbours",
    "RatioDensity",
    "RidgeOnPCA",
    "ceiling_from_halves",
    "cell_cosines",
    "cell_metrics",
    "gene_metrics",
    "predictive_coverage",
    "ratio_density",
    "ratio_metrics",
    "reliability",
    "select_genes",
    "shuffle_within_genes",
    "split_cells",
    "split_groups",
    "thin_counts",
    "velocity_cautions",
    "velocity_metrics",
]
