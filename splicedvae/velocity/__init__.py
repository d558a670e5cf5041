"""RNA velocity on any pair of layers: scVelo with a common ground, refusals and stream lines."""

from __future__ import annotations

from splicedvae.velocity._account import VelocityAccount
from splicedvae.velocity._chance import shuffled_velocities
from splicedvae.velocity._compare import VelocityComparison, compare_velocities
from splicedvae.velocity._compute import compute_velocity, true_velocity
from splicedvae.velocity._drivers import driver_genes
from splicedvae.velocity._evidence import VelocityEvidence, velocity_evidence
from splicedvae.velocity._flow import FlowField, cell_arrows, flow_field
from splicedvae.velocity._graph import project_onto
from splicedvae.velocity._prepared import is_prepared, prepare
from splicedvae.velocity._settings import VelocitySettings
from splicedvae.velocity._streamlines import GridArrows, StreamLines, arrows_grid, streamlines
from splicedvae.velocity._time import velocity_time
from splicedvae.velocity._uncertainty import velocity_uncertainty
from splicedvae.velocity._variation import RatioVariation, ratio_variation
from splicedvae.velocity._without import carrying_genes, without_genes

__all__ = [
    "FlowField",
    "GridArrows",
    "RatioVariation",
    "StreamLines",
    "VelocityAccount",
    "VelocityComparison",
    "VelocityEvidence",
    "VelocitySettings",
    "arrows_grid",
    "carrying_genes",
    "cell_arrows",
    "compare_velocities",
    "compute_velocity",
    "driver_genes",
    "flow_field",
    "is_prepared",
    "prepare",
    "project_onto",
    "ratio_variation",
    "shuffled_velocities",
    "streamlines",
    "true_velocity",
    "velocity_evidence",
    "velocity_time",
    "velocity_uncertainty",
    "without_genes",
]
