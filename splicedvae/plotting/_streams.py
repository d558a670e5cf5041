"""Velocities side by side, under one camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from splicedvae._core.errors import DataError
from splicedvae.plotting._arrows import add_arrows
from splicedvae.plotting._cells import (
    add_cells,
    add_color_bar,
    add_message,
    axis_suffix,
    check_colors,
    fit_legend,
    panels_figure,
    points_trace,
)
from splicedvae.plotting._grid import Window, arrange
from splicedvae.plotting._theme import describe, ink
from splicedvae.plotting._types import CellColors, StreamLinesLike, StreamPanel


def streams(
    panels: Sequence[StreamPanel],
    *,
    colors: CellColors | Sequence[CellColors],
    columns: int | None = None,
    dark: bool = False,
    matched: bool = True,
    window: Window | None = None,
) -> go.Figure:
    """Draw velocities as stream lines or arrows over the cells, side by side.

    Parameters
    ----------
    panels
        One for each source of velocity. A panel without lines and arrows shows its cells faintly
        and the sentence that says why.
    colors
        One coloring of the cells for all panels, or one for each.
    columns
        Panels in a row; chosen by the window if None, without one up to three, and four as two
        by two.
    dark
        Whether the page behind the figure is dark.
    matched
        Whether all are in the same embedding, so that zoom and pan are linked.
    window
        The browser's, which the panels fill; a usual page if None.

    Returns
    -------
    One figure; each point's ``customdata`` is the index of its cell, so that a lasso in any
    panel names cells. Every cell is drawn, none is left out: beyond 30,000 cells a panel they
    are an image, as `picture_note` says.

    Raises
    ------
    DataError
        If there are no panels, or the colors do not fit the cells.
    """
    if not panels:
        raise DataError("There is no velocity to draw: give at least one panel.")
    titles = [panel.title for panel in panels]
    each = check_colors(colors, [panel.embedding for panel in panels], titles)
    grid = arrange([panel.embedding for panel in panels], columns=columns, window=window)
    figure = panels_figure(
        titles, [panel.caption for panel in panels], grid, dark=dark, matched=matched
    )
    for index, (panel, given) in enumerate(zip(panels, each, strict=True)):
        add_cells(figure, index, panel.title, panel.embedding, given, faint=not _is_drawn(panel))
        if panel.arrows is not None:
            add_arrows(figure, index, panel.arrows, ink(dark).stream)
        elif panel.lines is not None:
            _add_lines(figure, index, panel.lines, ink(dark).stream, panel.embedding.shape[0])
        elif panel.message:
            add_message(figure, index, panel.message, grid.caption_length - 8, dark)
    add_color_bar(figure, each[0], dark)
    fit_legend(figure, window)
    return describe(figure, _sentence(panels, each[0]))


def _add_lines(
    figure: go.Figure, panel: int, lines: StreamLinesLike, color: str, n_cells: int
) -> None:
    """Draw all lines as one trace and all arrow heads as another.

    They are drawn as the cells are. Over an image they are vector graphics: opening a canvas took
    a browser without a graphics card a second, and some hundred corners need none.
    """
    scatter = points_trace(n_cells)
    suffix = axis_suffix(panel)
    common = {
        "xaxis": f"x{suffix}",
        "yaxis": f"y{suffix}",
        "hoverinfo": "skip",
        "showlegend": False,
    }
    figure.add_trace(
        scatter(
            x=np.asarray(lines.x, dtype=np.float32),
            y=np.asarray(lines.y, dtype=np.float32),
            mode="lines",
            line={"color": color, "width": 1.3},
            connectgaps=False,
            name="stream lines",
            **common,
        )
    )
    # plotly turns markers clockwise from "up", in degrees; both axes have one scale.
    angles = np.degrees(np.arctan2(lines.arrow_dx, lines.arrow_dy))
    figure.add_trace(
        scatter(
            x=np.asarray(lines.arrow_x, dtype=np.float32),
            y=np.asarray(lines.arrow_y, dtype=np.float32),
            mode="markers",
            marker={
                "symbol": "arrow",
                "size": 9,
                "angle": angles.astype(np.float32),
                "color": color,
                "line": {"width": 0},
            },
            name="arrow heads",
            **common,
        )
    )


def _is_drawn(panel: StreamPanel) -> bool:
    return panel.lines is not None or panel.arrows is not None


def _sentence(panels: Sequence[StreamPanel], colors: CellColors) -> str:
    text = f"{panels[0].embedding.shape[0]:,} cells in an embedding, colored by {colors.title}"
    drawn = {
        "velocity stream lines": [panel for panel in panels if panel.lines is not None],
        "velocity arrows": [panel for panel in panels if panel.arrows is not None],
    }
    for words, shown in drawn.items():
        if shown:
            text += f", with {words} from: {', '.join(panel.title for panel in shown)}"
    text += "."
    for panel in panels:
        if not _is_drawn(panel):
            text += f" No velocity from {panel.title}: {panel.message}"
    return text
