"""What kind of numbers a matrix holds: raw counts, or what else, with an example to look up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from splicedvae._core.sparse import LARGEST_COUNT
from splicedvae.io._decimals import TOLERANCE, Sample

#: Numbers with decimals are ``"normalised"``, ``"estimated"`` where most are whole, ``"corrected"``
#: where they look like counts of which something was taken, and ``"fractional"`` where that is not
#: clear.
Kind = Literal[
    "counts",
    "estimated",
    "corrected",
    "fractional",
    "normalised",
    "negative",
    "nan",
    "infinite",
    "huge",
    "empty",
]
#: Counts with decimals, which become counts by rounding.
WITH_DECIMALS: frozenset[Kind] = frozenset({"estimated", "corrected"})

_BLOCK = 1 << 22


@dataclass(frozen=True)
class Values:
    """What kind of numbers a matrix holds."""

    kind: Kind
    #: A value that shows why.
    example: float = 0.0
    #: Whether some are off from whole numbers by less than `TOLERANCE`.
    inexact: bool = False

    @property
    def words(self) -> str:
        """Why these are not counts, as the rest of a sentence that names the matrix."""
        value = f"{self.example:.4g}"
        if self.kind == "counts":
            return "holds whole numbers"
        if self.kind == "empty":
            return "holds only zeros"
        if self.kind == "estimated":
            return f"holds estimated counts such as {value}"
        if self.kind == "corrected":
            return f"holds counts with decimals such as {value} (ambient RNA removed?)"
        if self.kind == "fractional":
            return f"holds fractional values such as {value} (ambient RNA removed, or normalized?)"
        if self.kind == "normalised":
            guess = "log-normalized?" if self.example < 15 else "normalized?"
            return f"holds fractional values such as {value} ({guess})"
        if self.kind == "negative":
            return f"holds negative values such as {value} (scaled?)"
        if self.kind == "nan":
            return "holds NaN (missing values)"
        if self.kind == "infinite":
            return "holds infinite values"
        return f"holds {value}, more than a molecule count can be"

    @property
    def advice(self) -> str:
        """What to do where these are not taken for counts."""
        if self.kind == "fractional":
            return (
                "name it if these are counts from ambient removal (SoupX, DecontX) or "
                "estimation, to have them rounded, else give the counts from before "
                "normalization"
            )
        if self.kind == "nan":
            return "join samples with fill_value=0 or join='inner', and give 0 for missing counts"
        return "give the counts from before normalization"


class Look:
    """The kind of numbers in a matrix, found a block at a time."""

    def __init__(self) -> None:
        self._decided: Values | None = None
        self._size = self._whole = 0
        self._inexact = False
        self._fraction: float | None = None
        self._sample = Sample()

    @property
    def is_decided(self) -> bool:
        """Whether more blocks cannot change what was found."""
        return self._decided is not None

    def add(self, matrix: sparse.csr_matrix) -> None:
        """Check the next cells, canonical and so without zeros."""
        for start in range(0, matrix.data.size, _BLOCK):
            if self._decided is None:
                self._add(matrix.data[start : start + _BLOCK])
        if self._decided is None and self._fraction is not None:
            self._sample.add(matrix)

    def _add(self, block: np.ndarray) -> None:
        self._size += block.size
        if block.dtype.kind == "b":
            self._whole += block.size
            return
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            self._decided = Values("nan") if np.isnan(block).any() else Values("infinite")
            return
        lowest, highest = block.min(), block.max()
        if lowest < 0:
            self._decided = Values("negative", float(lowest))
        elif highest > LARGEST_COUNT:
            self._decided = Values("huge", float(highest))
        elif block.dtype.kind != "f":
            self._whole += block.size
        else:
            off = np.abs(block - np.rint(block))
            wrong = off > TOLERANCE
            self._whole += int(block.size - np.count_nonzero(wrong))
            self._inexact = self._inexact or bool(off.max() > 0)
            if self._fraction is None and wrong.any():
                self._fraction = float(block[np.argmax(wrong)])

    @property
    def values(self) -> Values:
        """What was found."""
        if self._decided is not None:
            return self._decided
        if self._size == 0:
            return Values("empty")
        if self._fraction is None:
            return Values("counts", inexact=self._inexact)
        origin = self._sample.origin(self._whole / self._size)
        return Values("fractional" if origin == "unclear" else origin, self._fraction)


def look_at(matrix: sparse.csr_matrix) -> Values:
    """Return the kind of numbers in a matrix.

    Parameters
    ----------
    matrix
        Canonical CSR, so without stored zeros.

    Returns
    -------
    The kind, and a value that shows it.
    """
    look = Look()
    look.add(matrix)
    return look.values
