"""SplicedVAE as a scvi-tools model."""

from __future__ import annotations

from splicedvae.model._adaptation import Adaptation
from splicedvae.model._alignment import GeneAlignment, align_genes
from splicedvae.model._model import RatioInterval, SplicedVAE
from splicedvae.model._plan import RatioTrainingPlan

__all__ = [
    "Adaptation",
    "GeneAlignment",
    "RatioInterval",
    "RatioTrainingPlan",
    "SplicedVAE",
    "align_genes",
]
