"""Velocities side by side, under one camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from splicedvae._errors import DataError
from splicedvae.plotting._cells import (
    add_cells,
    add_color_bar,
    add_message,
    axis_suffix,
    check_colors,
    grid_of,
    panels_figure,
)
from splicedvae.plotting._theme import describe, ink
from splicedvae.plotting._types import CellColors, StreamLinesLike, StreamPanel


def streams(
    panels: Sequence[StreamPanel],
    *,
    colors: CellColors | Sequence[CellColors],
    columns: int | None = None,
    dark: bool = False,
) -> go.Figure:
    """Draw velocities as stream lines over the cells, side by side, zoomed and moved as one.

    Parameters
    ----------
    panels
        One for each source of velocity, all over the same map. A panel without lines shows
        its cells faintly and the sentence that says why.
    colors
        One colouring of the cells for all panels, or one for each.
    columns
        Panels in a row; up to three, and four as two by two, if None.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure; each point's ``customdata`` is the index of its cell, so that a lasso in any
    panel names cells. Every cell is drawn, none is left out: beyond about 30,000 cells a
    panel this grows heavy for a browser (2 MB for each 100,000 cells).

    Raises
    ------
    DataError
        If there is no panel, or the colours do not fit the cells.
    """
    if not panels:
        raise DataError("There is no velocity to draw: give at least one panel.")
    titles = [panel.title for panel in panels]
    each = check_colors(colors, [panel.embedding for panel in panels], titles)
    figure = panels_figure(
        titles,
        [panel.caption for panel in panels],
        [panel.embedding for panel in panels],
        columns=columns,
        dark=dark,
        matched=True,
    )
    _, columns = grid_of(len(panels), columns)
    for index, (panel, given) in enumerate(zip(panels, each, strict=True)):
        add_cells(figure, index, panel.title, panel.embedding, given, faint=panel.lines is None)
        if panel.lines is not None:
            _add_lines(figure, index, panel.lines, ink(dark).stream)
        elif panel.message:
            add_message(figure, index, panel.message, columns, dark)
    add_color_bar(figure, each[0], dark)
    return describe(figure, _sentence(panels, each[0]))


def _add_lines(figure: go.Figure, panel: int, lines: StreamLinesLike, color: str) -> None:
    """Draw all lines as one trace and all arrow heads as another."""
    suffix = axis_suffix(panel)
    common = {
        "xaxis": f"x{suffix}",
        "yaxis": f"y{suffix}",
        "hoverinfo": "skip",
        "showlegend": False,
    }
    figure.add_trace(
        go.Scattergl(
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
        go.Scattergl(
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


def _sentence(panels: Sequence[StreamPanel], colors: CellColors) -> str:
    drawn = [panel.title for panel in panels if panel.lines is not None]
    refused = [panel for panel in panels if panel.lines is None]
    text = f"{panels[0].embedding.shape[0]:,} cells on a map, coloured by {colors.title}"
    if drawn:
        text += f", with velocity stream lines from: {', '.join(drawn)}"
    text += "."
    for panel in refused:
        text += f" No velocity from {panel.title}: {panel.message}"
    return text
