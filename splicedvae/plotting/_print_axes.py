"""Axes, shapes and annotations of a plotly figure, on paper."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from splicedvae.plotting._print_layout import (
    PrintPanel,
    axis_of,
    color_of,
    dash_of,
    is_square,
    panel_under,
    plain_text,
)
from splicedvae.plotting._theme import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_shapes(figure: go.Figure, axes: Axes, panel: PrintPanel, scale: float) -> None:
    """Draw the straight lines that a figure has in addition to its traces."""
    for shape in figure.layout.shapes:
        color, alpha = color_of(shape.line.color or LIGHT.muted)
        style: dict[str, Any] = {
            "color": color,
            "alpha": alpha,
            "linewidth": max(float(shape.line.width or 1.0) * scale, 0.5),
            "linestyle": dash_of(shape.line.dash),
        }
        x, y = shape.xref or "x", shape.yref or "y"
        if shape.type == "path" and (x, y) == (panel.x, panel.y):
            corners = np.array(re.findall(r"-?[\d.]+(?:e[-+]?\d+)?", str(shape.path)), dtype=float)
            corners = corners[: corners.size // 2 * 2].reshape(-1, 2)
            if len(corners):
                axes.plot(*np.vstack([corners, corners[:1]]).T, zorder=3, **style)
        elif shape.type == "line" and x == panel.x and y == f"{panel.y} domain":
            axes.axvline(float(shape.x0), zorder=3, **style)
        elif shape.type == "line" and x == f"{panel.x} domain" and y == panel.y:
            axes.axhline(float(shape.y0), zorder=3, **style)
        elif shape.type == "line" and (x, y) == (panel.x, panel.y):
            axes.plot([shape.x0, shape.x1], [shape.y0, shape.y1], zorder=3, **style)


def draw_notes(figure: go.Figure, axes: Axes, panel: PrintPanel, size: float) -> None:
    """Write the sentences inside a panel."""
    from matplotlib.transforms import blended_transform_factory

    for note in figure.layout.annotations:
        refs = (note.xref or "", note.yref or "")
        if refs[0].split(" ")[0] != panel.x or refs[1].split(" ")[0] != panel.y:
            continue
        if panel_under(figure, [panel], note) is not None or not note.text:
            continue
        transform = blended_transform_factory(
            axes.transAxes if "domain" in refs[0] else axes.transData,
            axes.transAxes if "domain" in refs[1] else axes.transData,
        )
        if note.showarrow or None in (note.x, note.y):
            continue
        lines = [plain_text(part) for part in str(note.text).split("<br>")]
        boxed = note.bgcolor is not None
        axes.text(
            float(note.x),
            float(note.y),
            "\n".join(line for text in lines for line in textwrap.wrap(text, 42)),
            transform=transform,
            fontsize=size,
            color=LIGHT.text,
            ha={"left": "left", "right": "right"}.get(note.xanchor or "", "center"),
            va={"top": "top", "bottom": "bottom"}.get(note.yanchor or "", "center"),
            zorder=5,
            bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "#cccccc", "linewidth": 0.5}
            if boxed
            else None,
        )


def draw_axes(
    figure: go.Figure, axes: Axes, panel: PrintPanel, first: PrintPanel, size: float
) -> None:
    from matplotlib.ticker import MultipleLocator, NullFormatter, NullLocator, PercentFormatter

    if is_square(figure, panel):
        axes.set_aspect("equal", adjustable="box")
    if axis_of(figure, panel.x).visible is False:
        axes.set_axis_off()
        return
    for name, other, scale, axis, limits, invert, label in (
        (panel.x, first.x, axes.set_xscale, axes.xaxis, axes.set_xlim, axes.invert_xaxis, "x"),
        (panel.y, first.y, axes.set_yscale, axes.yaxis, axes.set_ylim, axes.invert_yaxis, "y"),
    ):
        given = axis_of(figure, name)
        is_log = given.type == "log"
        if is_log:
            scale("log")
        if given.range is not None:
            ends = [float(end) for end in given.range]
            limits(*(10**end for end in ends) if is_log else ends)
        elif given.rangemode == "tozero" and not is_log:
            limits(0, None)
        title = plain_text(given.title.text) or plain_text(axis_of(figure, other).title.text)
        (axes.set_xlabel if label == "x" else axes.set_ylabel)(
            title, fontsize=size, color=LIGHT.text
        )
        if given.tickvals is not None:
            low, high = sorted(axes.get_xlim() if label == "x" else axes.get_ylim())
            texts = given.ticktext if given.ticktext is not None else given.tickvals
            kept = [
                (float(tick), plain_text(text))
                for tick, text in zip(given.tickvals, texts, strict=True)
                if low <= float(tick) <= high
            ]
            axis.set_ticks([tick for tick, _ in kept], [text for _, text in kept])
            axis.set_minor_locator(NullLocator())
            axis.set_minor_formatter(NullFormatter())
        elif given.dtick is not None and not is_log:
            axis.set_major_locator(MultipleLocator(float(given.dtick)))
        if "%" in str(given.tickformat or ""):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        if given.autorange == "reversed":
            invert()
    axes.tick_params(labelsize=0.9 * size, length=0.3 * size, width=0.4, colors=LIGHT.muted)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(linewidth=0.5, color=LIGHT.muted)
