"""Rows and columns of panels: by their number on paper, by the window on a page.

A browser reports how wide and high its window is (`Window`); the panels are then as large as
fits, stacked where the window is narrow. Without a window the figure is for a usual page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from splicedvae.plotting._types import FloatArray, placed

#: Characters that fit on a line of a panel of a usual page, by the number of panels in a row.
_LINE_WIDTH: Final = {1: 90, 2: 48, 3: 32}
#: A usual page in pixels, to which plotly's sizes of lines and points belong and from which the
#: height of a row follows, and that height's bounds.
PAGE_WIDTH: Final = 1150
_ROW_HEIGHTS: Final = (250, 430)
#: Pixels of title and caption of a row, and of the legend below all.
TITLE_HEIGHT: Final = 50
LEGEND_HEIGHT: Final = 80
#: Width in pixels below which a panel is unreadable, and bounds of its height: the upper one as a
#: share of the window's.
_NARROWEST: Final = 300
_LOWEST, _HIGHEST_SHARE = 150, 0.8
#: Pixels of a window that the page's head and its controls take above the panels.
_HEAD: Final = 240
#: Pixels of a character of a caption, of a title and of a legend, of what stands before a legend's
#: entry, and of one line of the legend.
_CAPTION_PIXELS, _TITLE_PIXELS = 6.4, 9.0
_LEGEND_PIXELS, _LEGEND_SYMBOL, _LEGEND_LINE = 6.6, 44, 19
#: Space between two panels, as a share of the figure's width.
GAP: Final = 0.02


class Window(NamedTuple):
    """What a browser offers to a figure, in CSS pixels."""

    #: Of the column that the figure fills.
    width: int
    #: Of the whole window.
    height: int


@dataclass(frozen=True)
class Grid:
    """How panels are arranged."""

    rows: int
    columns: int
    #: Of the panel itself, without its title, in pixels.
    row_height: float
    #: Characters that fit on a line of a caption, and of a title.
    caption_length: int
    title_length: int = 40

    @property
    def height(self) -> float:
        """Pixels of all rows and the titles between them."""
        return self.row_height * self.rows + TITLE_HEIGHT * (self.rows - 1)


def line_width(columns: int) -> int:
    """Return how many characters fit on a line of one of ``columns`` panels of a usual page."""
    return _LINE_WIDTH.get(columns, 24)


def grid_of(n_panels: int, columns: int | None) -> tuple[int, int]:
    """Arrange panels: up to three in a row, four as two by two, by default."""
    if columns is None:
        columns = n_panels if n_panels <= 3 else 2 if n_panels == 4 else 3
    return math.ceil(n_panels / columns), columns


def arrange(
    embeddings: Sequence[FloatArray], *, columns: int | None = None, window: Window | None = None
) -> Grid:
    """Arrange panels of equal aspect by their number, their shape and the window.

    Parameters
    ----------
    embeddings
        One for each panel, shape (n_cells, 2).
    columns
        Panels in a row; chosen if None.
    window
        The browser's; a usual page if None.
    """
    ratio = aspect(embeddings)
    if window is None:
        rows, columns = grid_of(len(embeddings), columns)
        height = float(np.clip(PAGE_WIDTH / columns * ratio, *_ROW_HEIGHTS))
        return Grid(rows, columns, height, line_width(columns) + 8)
    columns = columns or columns_in(len(embeddings), ratio, window)
    width = window.width * (1 - GAP * (columns - 1)) / columns
    return Grid(
        math.ceil(len(embeddings) / columns),
        columns,
        panel_height(width, ratio, window),
        max(int(width / _CAPTION_PIXELS), 8),
        min(max(int(width / _TITLE_PIXELS), 8), 40),
    )


def most_columns(window: Window) -> int:
    """Return how many panels are readable side by side, at least one."""
    return max(int(window.width // _NARROWEST), 1)


def columns_in(n_panels: int, ratio: float, window: Window) -> int:
    """Choose the panels in a row with which each is drawn largest when all are in the window.

    Parameters
    ----------
    n_panels
        At least one.
    ratio
        Height of an embedding over its width.
    window
        The browser's.

    Returns
    -------
    From 1 to ``n_panels``; no panel is narrower than is readable, so they are stacked where the
    window is narrow.
    """
    most = min(n_panels, most_columns(window))

    def scale(columns: int) -> float:
        rows = math.ceil(n_panels / columns)
        height = max((window.height - _HEAD) / rows - TITLE_HEIGHT, 1.0)
        return min(window.width / columns, height / max(ratio, 1e-3))

    # Of equally large ones the fewest rows, so that more of them are above the fold.
    return max(range(1, most + 1), key=lambda columns: (round(scale(columns)), columns))


def panel_height(width: float, ratio: float, window: Window) -> float:
    """Return the height of a panel that its embedding fills, no higher than a window shows.

    Parameters
    ----------
    width
        Of the panel, in pixels.
    ratio
        Height of its embedding over its width.
    window
        The browser's.

    Returns
    -------
    Pixels.
    """
    highest = max(_HIGHEST_SHARE * window.height - TITLE_HEIGHT, _LOWEST)
    return float(np.clip(width * ratio, _LOWEST, highest))


def aspect(embeddings: Sequence[FloatArray]) -> float:
    """Return height over width of the tallest of the embeddings; 1 where none has an extent.

    Parameters
    ----------
    embeddings
        Shape (n_cells, 2) each; cells without a place are left out.
    """
    ratios = []
    for embedding in embeddings:
        known = placed(embedding)
        if known.any():
            width, height = (float(np.ptp(embedding[known, axis])) for axis in (0, 1))
            ratios.append(height / width if width > 0 else 1.0)
    return max(ratios, default=1.0)


def legend_height(names: Sequence[str], width: float) -> float:
    """Estimate the pixels of a horizontal legend with its title, as plotly lays it out."""
    widths = [_LEGEND_SYMBOL + _LEGEND_PIXELS * len(name) for name in names]
    if not widths:
        return LEGEND_HEIGHT
    per_row = len(widths) if sum(widths) <= width else max(int(width // max(widths)), 1)
    return _LEGEND_LINE * (math.ceil(len(widths) / per_row) + 1) + 16.0
