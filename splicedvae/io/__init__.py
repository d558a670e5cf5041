"""The one way in for counts from outside, and what was found in them.

Command line and pages alike call `read`; nothing else in the package opens a file that came from
someone else.
"""

from splicedvae._core.species import SpeciesGuess, guess_species
from splicedvae.io._backed import BackedCounts, read_backed
from splicedvae.io._digest import sha256
from splicedvae.io._gate import open_checked
from splicedvae.io._layers import SUMS
from splicedvae.io._memory import CountsSeen, is_in_memory, see_counts
from splicedvae.io._read import from_anndata, read
from splicedvae.io._result import Counts, ReadResult
from splicedvae.triage._columns import batch_candidates, cluster_candidates
from splicedvae.triage._findings import NOT_LOOKED_FOR
from splicedvae.triage._summary import ClusterRow, DataSummary, Histogram, Quartiles, inspect
from splicedvae.triage._verdict import FEW_GENES, Answer, ModelFit, Verdict, judge_with_model

__all__ = [
    "FEW_GENES",
    "NOT_LOOKED_FOR",
    "SUMS",
    "Answer",
    "BackedCounts",
    "ClusterRow",
    "Counts",
    "CountsSeen",
    "DataSummary",
    "Histogram",
    "ModelFit",
    "Quartiles",
    "ReadResult",
    "SpeciesGuess",
    "Verdict",
    "batch_candidates",
    "cluster_candidates",
    "from_anndata",
    "guess_species",
    "inspect",
    "is_in_memory",
    "judge_with_model",
    "open_checked",
    "read",
    "read_backed",
    "see_counts",
    "sha256",
]
