"""The torch side: scVI's module with a decoder for the splicing ratio."""

from __future__ import annotations

from splicedvae.module._components import PrincipalComponents
from splicedvae.module._dispersion import DispersionFit
from splicedvae.module._entries import CountedEntries, Entries
from splicedvae.module._expression import SparseNegativeBinomial
from splicedvae.module._head import RatioHead, SlopesDraw
from splicedvae.module._likelihoods import (
    beta_binomial_log_prob,
    binomial_log_prob,
    weighted_squared_error,
)
from splicedvae.module._module import SPLICED_KEY, UNSPLICED_KEY, SplicedVAEModule
from splicedvae.module._slopes import ExpressionSlopes, Slopes
from splicedvae.module._step import SparseMinibatch, StepLosses, has_step, training_step

__all__ = [
    "SPLICED_KEY",
    "UNSPLICED_KEY",
    "CountedEntries",
    "DispersionFit",
    "Entries",
    "ExpressionSlopes",
    "PrincipalComponents",
    "RatioHead",
    "Slopes",
    "SlopesDraw",
    "SparseMinibatch",
    "SparseNegativeBinomial",
    "SplicedVAEModule",
    "StepLosses",
    "beta_binomial_log_prob",
    "binomial_log_prob",
    "has_step",
    "training_step",
    "weighted_squared_error",
]
