"""Colors of cells as bytes, for drawings that are not plotly's, with what a legend needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from plotly.colors import get_colorscale, hex_to_rgb, sample_colorscale, unlabel_rgb

from splicedvae.plotting._theme import DIVERGING, MISSING, SEQUENTIAL, category_colors
from splicedvae.plotting._types import Categories, CellColors

_STEPS = 256


@dataclass(frozen=True)
class PaintedCells:
    """Colors of cells, and their legend.

    Attributes
    ----------
    rgb
        Red, green and blue from 0 to 255, shape (n_cells, 3).
    title
        What they mean.
    names
        Name and color of each category there is; None for numbers.
    scale
        Colors from low to high; empty for categories.
    limits
        Numbers at its ends.
    """

    rgb: NDArray[np.uint8]
    title: str
    names: tuple[tuple[str, str], ...] | None
    scale: tuple[str, ...] = ()
    limits: tuple[float, float] = (0.0, 1.0)


def painted(colors: CellColors, limits: tuple[float, float] | None = None) -> PaintedCells:
    """Give each cell the color that plotly's figures give it.

    Parameters
    ----------
    colors
        One for each cell.
    limits
        Numbers at the ends of the scale; the coloring's own, or the data's, if None.
    """
    missing = np.array(hex_to_rgb(MISSING), dtype=np.uint8)
    if isinstance(colors, Categories):
        palette = category_colors(colors.names, colors.colors)
        table = np.array([hex_to_rgb(palette[name]) for name in colors.names] + [missing])
        there = [code for code in range(len(colors.names)) if (colors.codes == code).any()]
        names = tuple((colors.names[code], palette[colors.names[code]]) for code in there)
        return PaintedCells(table[colors.codes].astype(np.uint8), colors.title, names)
    known = np.isfinite(colors.values)
    low, high = limits or colors.limits or (0.0, 1.0)
    if limits is None and colors.limits is None and known.any():
        low, high = float(colors.values[known].min()), float(colors.values[known].max())
    scale = (
        get_colorscale(SEQUENTIAL)
        if colors.scale == "sequential"
        else [[i / (len(DIVERGING) - 1), color] for i, color in enumerate(DIVERGING)]
    )
    steps = sample_colorscale(scale, _STEPS)
    table = np.array([unlabel_rgb(step) for step in steps]).round().astype(np.uint8)
    share = (colors.values[known] - low) / (high - low if high > low else 1)
    rgb = np.tile(missing, (len(colors), 1))
    rgb[known] = table[np.clip(share * (_STEPS - 1), 0, _STEPS - 1).astype(int)]
    shown = (*tuple(str(step) for step in steps[:: _STEPS // 8]), str(steps[-1]))
    return PaintedCells(rgb, colors.title, None, shown, (low, high))
