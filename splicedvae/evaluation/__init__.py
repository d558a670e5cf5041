"""Evaluate predicted ratios and velocities against baselines and noise ceilings."""

from __future__ import annotations

from splicedvae.evaluation._agreement import cell_agreement
from splicedvae.evaluation._baselines import (
    BASELINES,
    Baseline,
    GeneMean,
    GroupMean,
    NearestNeighbours,
    RidgeOnPCA,
)
from splicedvae.evaluation._calibration import (
    predictive_coverage,
    reliability,
    reliability_within_genes,
)
from splicedvae.evaluation._chance import agreement_tests
from splicedvae.evaluation._consistency import (
    cell_cosines,
    cross_boundary_direction,
    in_cluster_coherence,
    time_order,
)
from splicedvae.evaluation._latent import latent_metrics
from splicedvae.evaluation._one_gene import (
    gene_ceilings,
    pooled_by_bin,
    predictive_interval,
    share_interval,
    skill_with_error,
)
from splicedvae.evaluation._ratio import (
    RatioDensity,
    cell_metrics,
    gene_metrics,
    ratio_density,
    ratio_metrics,
)
from splicedvae.evaluation._selection import SelectionScores, fold_changes
from splicedvae.evaluation._splits import (
    ceiling_from_halves,
    select_genes,
    shuffle_within_genes,
    split_cells,
    split_groups,
    thin_counts,
)
from splicedvae.evaluation._velocity import summarise_control, velocity_metrics
from splicedvae.evaluation._verdict import (
    Answer,
    Reason,
    VelocityFacts,
    VelocityVerdict,
    judge_velocity,
)
from splicedvae.evaluation._watched import WatchedRatio

__all__ = [
    "BASELINES",
    "Answer",
    "Baseline",
    "GeneMean",
    "GroupMean",
    "NearestNeighbours",
    "RatioDensity",
    "Reason",
    "RidgeOnPCA",
    "SelectionScores",
    "VelocityFacts",
    "VelocityVerdict",
    "WatchedRatio",
    "agreement_tests",
    "ceiling_from_halves",
    "cell_agreement",
    "cell_cosines",
    "cell_metrics",
    "cross_boundary_direction",
    "fold_changes",
    "gene_ceilings",
    "gene_metrics",
    "in_cluster_coherence",
    "judge_velocity",
    "latent_metrics",
    "pooled_by_bin",
    "predictive_coverage",
    "predictive_interval",
    "ratio_density",
    "ratio_metrics",
    "reliability",
    "reliability_within_genes",
    "select_genes",
    "share_interval",
    "shuffle_within_genes",
    "skill_with_error",
    "split_cells",
    "split_groups",
    "summarise_control",
    "thin_counts",
    "time_order",
    "velocity_metrics",
]
