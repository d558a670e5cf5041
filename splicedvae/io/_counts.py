"""Are these numbers raw counts? If not, what are they, with an example a person can look up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.sparse import to_csr
from splicedvae.io._gaps import Gaps, filled, gaps_of, of_a_join
from splicedvae.io._rounding import Rounder
from splicedvae.io._stored import NotInBlocksError, StoredMatrix
from splicedvae.io._values import WITH_DECIMALS, Values, look_at


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
    rounder: Rounder
    #: Missing values that became 0.
    gaps: Gaps | None = None

    @property
    def has_decimals(self) -> bool:
        """Whether it holds counts that are not whole."""
        return self.values.kind in WITH_DECIMALS


def candidate(
    matrix: Any, source: str, names: tuple[pd.Index, pd.DataFrame], *, copy: bool
) -> Candidate:
    """Bring a matrix into canonical form and look at its values.

    Parameters
    ----------
    matrix
        Dense or sparse, cells x genes; a stored one stays where it is.
    source
        Its place in the file.
    names
        Names of its cells, and ``var``.
    copy
        Whether the given matrix must stay untouched.

    Returns
    -------
    The matrix and what it holds; missing values of a join are 0.

    Raises
    ------
    DataError
        It holds no numbers, or its structure is damaged.
    NotInBlocksError
        It is a stored one with missing values, which have to be looked at as a whole.
    """
    rounder = Rounder(*names)
    if isinstance(matrix, StoredMatrix):
        seen = matrix.seen
        if seen.values.kind == "nan":
            raise NotInBlocksError
        return Candidate(source, matrix, seen.values, seen.repeated, rounder)
    csr, repeated = to_csr(matrix, where=source, copy=copy)
    values, gaps = look_at(csr), None
    if values.kind == "nan" and of_a_join(csr):
        gaps, csr = gaps_of(csr), filled(csr)
        values = look_at(csr)
    return Candidate(source, csr, values, repeated, rounder, gaps)


def as_counts(found: Candidate, notes: list[str], *, named: bool = False) -> Any:
    """Turn a candidate into raw counts in float32.

    Parameters
    ----------
    found
        Matrix and what it holds.
    notes
        Gets a sentence for whatever was changed.
    named
        Whether a person asked for this very matrix: then decimals of unclear origin are rounded.

    Returns
    -------
    CSR matrix of float32; a stored matrix gives its blocks as such.

    Raises
    ------
    DataError
        The numbers are not raw counts.
    """
    kind = found.values.kind
    decimals = found.has_decimals or (kind == "fractional" and named)
    if kind not in ("counts", "empty") and not decimals:
        raise DataError(
            f"{found.source} {found.values.words}, expected raw integer counts; "
            f"{found.values.advice}."
        )
    matrix = found.matrix
    if found.gaps is not None:
        notes.append(
            f"{found.source} had missing values (NaN) for {found.gaps.n_genes:,} genes in "
            f"{found.gaps.n_cells:,} cells, as after an outer join of samples; they were "
            "read as 0 (join='inner' would leave these genes out)."
        )
    if decimals:
        notes.append(
            f"{found.source} held counts with decimals such as {found.values.example:.4g}, "
            "as after ambient removal or estimation; each was rounded up or down at random "
            "in proportion to its decimals, the same way each time."
        )
    elif found.values.inexact:
        notes.append(
            f"{found.source} was off from whole numbers by rounding error and was rounded."
        )
    if found.repeated:
        notes.append(
            f"{found.source} stored {found.repeated:,} entries more than once; they were summed."
        )
    rounder = found.rounder if decimals or found.values.inexact else None
    if isinstance(matrix, StoredMatrix):
        matrix.rounder = rounder
        return matrix
    if rounder is not None:
        rounder.round(matrix)
    out = sparse.csr_matrix(matrix.astype("float32", copy=False))
    out.has_sorted_indices = True
    out.has_canonical_format = True
    return out
