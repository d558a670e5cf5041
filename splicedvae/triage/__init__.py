"""What is in a file, and what can be done with it: facts, findings, a verdict."""

from splicedvae._core.species import SpeciesGuess, guess_species
from splicedvae.triage._columns import batch_candidates, cluster_candidates, time_candidates
from splicedvae.triage._findings import NOT_LOOKED_FOR
from splicedvae.triage._summary import ClusterRow, DataSummary, Histogram, Quartiles, inspect
from splicedvae.triage._verdict import (
    FEW_GENES,
    Answer,
    ModelFit,
    Verdict,
    judge_counts,
    judge_models,
    judge_with_model,
)

__all__ = [
    "FEW_GENES",
    "NOT_LOOKED_FOR",
    "Answer",
    "ClusterRow",
    "DataSummary",
    "Histogram",
    "ModelFit",
    "Quartiles",
    "SpeciesGuess",
    "Verdict",
    "batch_candidates",
    "cluster_candidates",
    "guess_species",
    "inspect",
    "judge_counts",
    "judge_models",
    "judge_with_model",
    "time_candidates",
]
