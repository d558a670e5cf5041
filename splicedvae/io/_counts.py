"""Are these numbers raw counts? If not, what are they, with an example a person can look up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from splicedvae._errors import DataError
from splicedvae.io._sparse import to_csr
from splicedvae.io._stored import StoredMatrix
from splicedvae.io._values import Values, look_at


@dataclass(frozen=True)
class Candidate:
    """A matrix of the file together with what it holds."""

    #: "X", "raw.X" or "layers/<name>".
    source: str
    #: CSR, or a matrix that stays in its file.
    matrix: Any
    values: Values
    #: Entries that were stored more than once and summed.
    repeated: int


def candidate(matrix: Any, source: str, *, copy: bool) -> Candidate:
    """Bring a matrix into canonical form and look at its values.

    Parameters
    ----------
    matrix
        Dense or sparse, cells x genes; a stored one stays where it is.
    source
        Where it stands in the file.
    copy
        Whether the given matrix must stay untouched.

    Returns
    -------
    The matrix and what it holds.

    Raises
    ------
    DataError
        It holds no numbers, or its structure is damaged.
    """
    if isinstance(matrix, StoredMatrix):
        return Candidate(source, matrix, matrix.seen.values, matrix.seen.repeated)
    csr, repeated = to_csr(matrix, where=source, copy=copy)
    return Candidate(source, csr, look_at(csr.data), repeated)


def as_counts(found: Candidate, notes: list[str], *, named: bool = False) -> Any:
    """Turn a candidate into raw counts in float32.

    Parameters
    ----------
    found
        Matrix and what it holds.
    notes
        Gets a sentence for whatever was changed.
    named
        Whether a person asked for this very matrix: then estimated counts, such as alevin's
        or STARsolo's expectation maximisation gives, are rounded.

    Returns
    -------
    CSR matrix of float32; a stored matrix gives its blocks as such.

    Raises
    ------
    DataError
        The numbers are no raw counts.
    """
    kind = found.values.kind
    if kind not in ("counts", "empty") and not (kind == "estimated" and named):
        hint = (
            "name it explicitly to have it rounded, or give the unique counts"
            if kind == "estimated"
            else "give the counts from before normalisation"
        )
        raise DataError(
            f"{found.source} {found.values.words}, raw integer counts were expected; {hint}."
        )
    matrix = found.matrix
    rounded = kind == "estimated" or found.values.inexact
    if kind == "estimated":
        before, after = found.values.sums
        notes.append(
            f"{found.source} held estimated counts such as {found.values.example:.4g}; they were "
            f"rounded to whole numbers, which changed their sum from {before:,.1f} to {after:,.0f}."
        )
    elif rounded:
        notes.append(
            f"{found.source} was off from whole numbers by rounding error and was rounded."
        )
    if found.repeated:
        notes.append(
            f"{found.source} stored {found.repeated:,} entries more than once; they were summed."
        )
    if isinstance(matrix, StoredMatrix):
        matrix.rounded = rounded
        return matrix
    if rounded:
        matrix.data = np.rint(matrix.data)
        matrix.eliminate_zeros()
    out = sparse.csr_matrix(matrix.astype(np.float32, copy=False))
    out.has_sorted_indices = True
    out.has_canonical_format = True
    return out
