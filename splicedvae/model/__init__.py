"""SplicedVAE as a scvi-tools model."""

from __future__ import annotations

from splicedvae._core.epochs import default_epochs
from splicedvae.model._adaptation import Adaptation
from splicedvae.model._alignment import GeneAlignment, align_genes
from splicedvae.model._gene_prior import GenePrior
from splicedvae.model._minibatches import whole_batches
from splicedvae.model._model import SplicedVAE
from splicedvae.model._plan import RatioTrainingPlan
from splicedvae.model._ratio import RatioInterval
from splicedvae.model._schedule import (
    LEARNING_RATE,
    LearningRateDecay,
    plan_options,
    rate_left,
)
from splicedvae.model._streaming import ReconstructedFile

__all__ = [
    "LEARNING_RATE",
    "Adaptation",
    "GeneAlignment",
    "GenePrior",
    "LearningRateDecay",
    "RatioInterval",
    "RatioTrainingPlan",
    "ReconstructedFile",
    "SplicedVAE",
    "align_genes",
    "default_epochs",
    "plan_options",
    "rate_left",
    "whole_batches",
]
