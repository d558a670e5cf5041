"""How well a ratio or a velocity is predicted, with baselines and noise ceilings beside it."""

from __future__ import annotations

from splicedvae.evaluation._agreement import cell_agreement
from splicedvae.evaluation._baselines import (
    GeneMean,
    GroupMean,
    NearestNeighbours,
    RidgeOnPCA,
)
from splicedvae.evaluation._calibration import predictive_coverage, reliability
from splicedvae.evaluation._field import (
    cell_cosines,
    cross_boundary_direction,
    in_cluster_coherence,
    time_order,
)
from splicedvae.evaluation._latent import latent_metrics
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
from splicedvae.evaluation._velocity import (
    summarise_control,
    velocity_cautions,
    velocity_metrics,
)

__all__ = [
    "GeneMean",
    "GroupMean",
    "NearestNeighbours",
    "RatioDensity",
    "RidgeOnPCA",
    "ceiling_from_halves",
    "cell_agreement",
    "cell_cosines",
    "cell_metrics",
    "cross_boundary_direction",
    "gene_metrics",
    "in_cluster_coherence",
    "latent_metrics",
    "predictive_coverage",
    "ratio_density",
    "ratio_metrics",
    "reliability",
    "select_genes",
    "shuffle_within_genes",
    "split_cells",
    "split_groups",
    "summarise_control",
    "thin_counts",
    "time_order",
    "velocity_cautions",
    "velocity_metrics",
]
