"""Where numbers with decimals come from: normalization, or counting with corrections.

Normalized values of a cell are functions of whole counts: multiples of one number, or logarithms of
such, or all cells have one depth. What ambient removal (SoupX, DecontX, CellBender) or
expectation maximization leaves follows no such rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

#: Counts that went through floating point may be off by this much and are still counts.
TOLERANCE: Final = 1e-3

Origin = Literal["normalised", "estimated", "corrected", "unclear"]
Values = NDArray[np.float64]

#: Cells that are looked at, of at least so many entries.
_CELLS, _ENTRIES = 300, 4
#: How a value becomes what was scaled before it was transformed.
_BACK: Final[tuple[Callable[[Values], Values], ...]] = (
    lambda values: values,
    np.expm1,
    lambda values: np.exp2(values) - 1,
    lambda values: np.power(10.0, values) - 1,
    np.square,
)
#: Estimated counts are whole for most entries; normalized ones almost nowhere.
_WHOLE: Final = 0.5
_SELDOM: Final = 0.2
#: Multiples up to this are looked at, and may be off by so much (values may have been rounded).
_MOST, _OFF = 10.5, 0.05
#: Share of the entries of a cell, and of the cells, that a rule must hold for.
_ENTRIES_HOLD, _CELLS_HOLD = 0.95, 0.8
#: Variation of depth below which cells were brought to one depth.
_EVEN: Final = 0.01
#: Own conventions, on what is left: what takes a little off a count leaves it just below a whole
#: number, and logarithms of counts stay below 20.
_BELOW, _LARGE = 0.6, 20.0


class Sample:
    """Some cells with decimals, found block by block."""

    def __init__(self) -> None:
        self.cells: list[Values] = []

    def add(self, block: sparse.csr_matrix) -> None:
        """Take cells of the next block until there are enough."""
        for start, stop in zip(block.indptr[:-1], block.indptr[1:], strict=True):
            if len(self.cells) == _CELLS:
                return
            if stop - start >= _ENTRIES:
                values = block.data[start:stop].astype(np.float64)
                if not _whole(values, TOLERANCE).all():
                    self.cells.append(values)

    def origin(self, whole: float) -> Origin:
        """Say where the decimals come from.

        Parameters
        ----------
        whole
            Share of whole numbers among all entries.
        """
        if self.cells and _is_normalised(self.cells):
            return "normalised"
        if whole >= _WHOLE:
            return "estimated"
        if not self.cells:
            return "unclear"
        values = np.concatenate(self.cells)
        decimals = values[~_whole(values, TOLERANCE)] % 1
        is_below = float(np.mean(decimals > 0.5)) >= _BELOW
        return "corrected" if is_below and values.max() > _LARGE else "unclear"


def _whole(values: Values, off: float) -> NDArray[np.bool_]:
    return np.abs(values - np.rint(values)) <= off


def _is_normalised(cells: Sequence[Values]) -> bool:
    values = np.concatenate(cells)
    is_whole = _whole(values, TOLERANCE)
    with np.errstate(over="ignore", invalid="ignore"):
        if any(_are_whole(back(values[~is_whole])) for back in _BACK[1:]):
            return True
        if is_whole.mean() > _SELDOM:
            return False
        return any(_one_depth(cells, back) or _multiples(cells, back) for back in _BACK)


def _are_whole(values: Values) -> bool:
    """Whether values, of which most are small, are whole numbers above 0."""
    small = values[values <= _MOST]
    if small.size < values.size / 2 or not small.size:
        return False
    return bool(np.mean(_whole(small, _OFF) & (small > 0.5)) >= _ENTRIES_HOLD)


def _one_depth(cells: Sequence[Values], back: Callable[[Values], Values]) -> bool:
    depths = np.array([back(values).sum() for values in cells])
    return len(cells) >= 10 and bool(depths.std() < _EVEN * depths.mean())


def _multiples(cells: Sequence[Values], back: Callable[[Values], Values]) -> bool:
    """Whether each cell's values are multiples of its least one, which differs between cells."""
    scaled = [back(values) for values in cells]
    units = np.array([values.min() for values in scaled])
    holds = [_are_whole(values / unit) for values, unit in zip(scaled, units, strict=True)]
    differ = len({f"{unit:.4g}" for unit in units}) >= len(units) / 2
    return differ and float(np.mean(holds)) >= _CELLS_HOLD
