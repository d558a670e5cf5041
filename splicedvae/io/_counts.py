"""Are these numbers raw counts? If not, what are they, with an example a person can look up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse

from splicedvae._errors import DataError
from splicedvae.io._sparse import LARGEST_COUNT, to_csr

Kind = Literal["counts", "estimated", "fractional", "negative", "nan", "infinite", "huge", "empty"]

#: Counts that went through floating point may be off by this much and are still counts.
TOLERANCE = 1e-3
#: Estimated counts (from expectation maximisation) are integers for most entries;
#: normalised or log-transformed values almost nowhere.
_INTEGER_SHARE = 0.5
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Values:
    """What kind of numbers a matrix holds."""

    kind: Kind
    #: A value that shows why.
    example: float = 0.0
    #: Share of the non-zero entries that are whole numbers.
    integer_share: float = 1.0
    #: Whether some are off from whole numbers by less than `TOLERANCE`.
    inexact: bool = False

    @property
    def words(self) -> str:
        """Why these are no counts, to stand after the name of the matrix."""
        value = f"{self.example:.4g}"
        if self.kind == "counts":
            return "holds whole numbers"
        if self.kind == "empty":
            return "holds nothing but zeros"
        if self.kind == "estimated":
            return f"holds estimated counts such as {value}"
        if self.kind == "fractional":
            guess = "log-normalised?" if self.example < 15 else "normalised?"
            return f"holds fractional values such as {value} ({guess})"
        if self.kind == "negative":
            return f"holds negative values such as {value} (scaled?)"
        if self.kind == "nan":
            return "holds NaN (missing values)"
        if self.kind == "infinite":
            return "holds infinite values"
        return f"holds {value}, more than one molecule count can be"


def look_at(data: np.ndarray) -> Values:
    """Say what kind of numbers stand in an array.

    Parameters
    ----------
    data
        Stored values of a canonical sparse matrix, so without zeros.

    Returns
    -------
    The kind, and a value that shows it.
    """
    if data.size == 0:
        return Values("empty")
    if data.dtype.kind == "b":
        return Values("counts")
    whole, inexact, fraction = 0, False, None
    for start in range(0, data.size, _BLOCK):
        block = data[start : start + _BLOCK]
        if block.dtype.kind == "f":
            finite = np.isfinite(block)
            if not finite.all():
                return Values("nan") if np.isnan(block).any() else Values("infinite")
        lowest, highest = block.min(), block.max()
        if lowest < 0:
            return Values("negative", float(lowest))
        if highest > LARGEST_COUNT:
            return Values("huge", float(highest))
        if block.dtype.kind == "f":
            off = np.abs(block - np.rint(block))
            wrong = off > TOLERANCE
            whole += int(block.size - np.count_nonzero(wrong))
            inexact = inexact or bool(off.max() > 0)
            if fraction is None and wrong.any():
                fraction = float(block[np.argmax(wrong)])
        else:
            whole += block.size
    if fraction is None:
        return Values("counts", inexact=inexact)
    share = whole / data.size
    return Values("estimated" if share >= _INTEGER_SHARE else "fractional", fraction, share)


@dataclass(frozen=True)
class Candidate:
    """A matrix of the file together with what it holds."""

    #: "X", "raw.X" or "layers/<name>".
    source: str
    matrix: sparse.csr_matrix
    values: Values
    #: Entries that were stored more than once and summed.
    repeated: int


def candidate(matrix: Any, source: str, *, copy: bool) -> Candidate:
    """Bring a matrix into canonical form and look at its values.

    Parameters
    ----------
    matrix
        Dense or sparse, cells x genes.
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
    csr, repeated = to_csr(matrix, where=source, copy=copy)
    return Candidate(source, csr, look_at(csr.data), repeated)


def as_counts(found: Candidate, notes: list[str], *, named: bool = False) -> sparse.csr_matrix:
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
    CSR matrix of float32.

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
    if kind == "estimated":
        before = float(matrix.data.sum(dtype=np.float64))
        matrix.data = np.rint(matrix.data)
        matrix.eliminate_zeros()
        after = float(matrix.data.sum(dtype=np.float64))
        notes.append(
            f"{found.source} held estimated counts such as {found.values.example:.4g}; they were "
            f"rounded to whole numbers, which changed their sum from {before:,.1f} to {after:,.0f}."
        )
    elif found.values.inexact:
        matrix.data = np.rint(matrix.data)
        matrix.eliminate_zeros()
        notes.append(
            f"{found.source} was off from whole numbers by rounding error and was rounded."
        )
    if found.repeated:
        notes.append(
            f"{found.source} stored {found.repeated:,} entries more than once; they were summed."
        )
    out = sparse.csr_matrix(matrix.astype(np.float32, copy=False))
    out.has_sorted_indices = True
    out.has_canonical_format = True
    return out
