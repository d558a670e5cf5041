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
    panels_figure,
)
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
) -> go.Figure:
    """Draw maps of the same cells side by side, with the same colours and one legend.

    Parameters
    ----------
    panels
        One for each latent space. Their axes are their own unless they are linked: positions in
        two maps cannot be compared, neighbourhoods can.
    colors
        One colouring of the cells for all panels, or one for each.
    columns
        Panels in a row; up to three, and four as two by two, if None.
    dark
        Whether the page behind the figure is dark.
    linked
        Whether all maps are zoomed and moved as one, which makes sense if one was turned onto
        the other.
    selected
        Which cells keep their colours in all maps, shape (n_cells,); the others are grey. All if
        None.
    outlines
        Lines around the selected cells.

    Returns
    -------
    One figure; each point's ``customdata`` is the index of its cell. Many cells are a picture
    (`picture_note`).

    Raises
    ------
    DataError
        If there is no panel, or the colours do not fit the cells.
    """
    if not panels:
        raise DataError("There is no latent space to draw: give at least one panel.")
    titles = [panel.title for panel in panels]
    each = check_colors(colors, [panel.embedding for panel in panels], titles)
    figure = panels_figure(
        titles,
        [panel.caption for panel in panels],
        [panel.embedding for panel in panels],
        columns=columns,
        dark=dark,
        matched=linked,
    )
    for index, (panel, given) in enumerate(zip(panels, each, strict=True)):
        add_cells(figure, index, panel.title, panel.embedding, given, selected=selected)
    for outline in outlines:
        add_outline(figure, outline.panel, outline.x, outline.y, dark)
    add_color_bar(figure, each[0], dark)
    marked = "" if selected is None else f" {int(selected.sum()):,} selected cells keep colours."
    return describe(
        figure,
        f"Maps of {panels[0].embedding.shape[0]:,} cells, coloured by {each[0].title}, in the "
        f"latent spaces of: {', '.join(titles)}.{marked}",
    )
