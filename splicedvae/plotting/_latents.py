"""Latent spaces side by side, each with its own axes or under one camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from splicedvae._core.errors import DataError
from splicedvae.plotting._cells import (
    add_cells,
    add_color_bar,
    add_outline,
    check_colors,
    fit_legend,
    panels_figure,
)
from splicedvae.plotting._grid import Window, arrange, most_columns
from splicedvae.plotting._theme import describe
from splicedvae.plotting._types import CellColors, LatentPanel, Outline


def latents(
    panels: Sequence[LatentPanel],
    *,
    colors: CellColors | Sequence[CellColors],
    columns: int | None = None,
    dark: bool = False,
    linked: bool = False,
    selected: NDArray[np.bool_] | None = None,
    outlines: Sequence[Outline] = (),
    window: Window | None = None,
) -> go.Figure:
    """Draw embeddings of the same cells side by side, with the same colors and one legend.

    Parameters
    ----------
    panels
        One for each latent space. Their axes are their own unless they are linked: positions in
        two embeddings cannot be compared, neighborhoods can.
    colors
        One coloring of the cells for all panels, or one for each.
    columns
        Panels in a row; chosen by the window if None, without one up to three, and four as two
        by two.
    dark
        Whether the page behind the figure is dark.
    linked
        Whether zoom and pan are linked, which makes sense if one was rotated onto
        the other.
    selected
        Which cells keep their colors in all embeddings, shape (n_cells,); the others are gray. All
        if None.
    outlines
        Lines around the selected cells.
    window
        The browser's, which the panels fill; a usual page if None.

    Returns
    -------
    One figure; each point's ``customdata`` is the index of its cell. Many cells are an image
    (`picture_note`).

    Raises
    ------
    DataError
        If there are no panels, or the colors do not fit the cells.
    """
    if not panels:
        raise DataError("There is no latent space to draw: give at least one panel.")
    titles = [panel.title for panel in panels]
    each = check_colors(colors, [panel.embedding for panel in panels], titles)
    if columns is None and window is not None and most_columns(window) >= len(panels):
        # A line around cells in one is looked for in the other: side by side where readable.
        columns = len(panels)
    grid = arrange([panel.embedding for panel in panels], columns=columns, window=window)
    figure = panels_figure(
        titles, [panel.caption for panel in panels], grid, dark=dark, matched=linked
    )
    for index, (panel, given) in enumerate(zip(panels, each, strict=True)):
        add_cells(figure, index, panel.title, panel.embedding, given, selected=selected)
    for outline in outlines:
        add_outline(figure, outline.panel, outline.x, outline.y, dark)
    add_color_bar(figure, each[0], dark)
    fit_legend(figure, window)
    marked = "" if selected is None else f" {int(selected.sum()):,} selected cells are colored."
    return describe(
        figure,
        f"Embeddings of {panels[0].embedding.shape[0]:,} cells, colored by {each[0].title}, "
        f"in the latent spaces of: {', '.join(titles)}.{marked}",
    )
