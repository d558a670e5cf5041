"""What kind of numbers a matrix holds: raw counts, or what else, with an example to look up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from splicedvae.io._sparse import LARGEST_COUNT

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
    #: Sum of the values where some are fractional, and of the values rounded.
    sums: tuple[float, float] = (0.0, 0.0)

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


class Look:
    """What kind of numbers stand in an array, found a block at a time.

    Blocks are stored values of canonical sparse matrices, so without zeros.
    """

    def __init__(self) -> None:
        self._decided: Values | None = None
        self._size = self._whole = 0
        self._inexact = False
        self._fraction: float | None = None
        self._before = self._after = 0.0

    @property
    def is_decided(self) -> bool:
        """Whether more blocks cannot change what was found."""
        return self._decided is not None

    def add(self, data: np.ndarray) -> None:
        """Look at the next values."""
        for start in range(0, data.size, _BLOCK):
            if self._decided is None:
                self._add(data[start : start + _BLOCK])

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
            whole = np.rint(block)
            off = np.abs(block - whole)
            wrong = off > TOLERANCE
            self._whole += int(block.size - np.count_nonzero(wrong))
            self._inexact = self._inexact or bool(off.max() > 0)
            if self._fraction is None and wrong.any():
                self._fraction = float(block[np.argmax(wrong)])
            self._before += float(block.sum(dtype=np.float64))
            self._after += float(whole.sum(dtype=np.float64))

    @property
    def values(self) -> Values:
        """What was found."""
        if self._decided is not None:
            return self._decided
        if self._size == 0:
            return Values("empty")
        if self._fraction is None:
            return Values("counts", inexact=self._inexact)
        share = self._whole / self._size
        return Values(
            "estimated" if share >= _INTEGER_SHARE else "fractional",
            self._fraction,
            share,
            sums=(self._before, self._after),
        )


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
    look = Look()
    look.add(data)
    return look.values
