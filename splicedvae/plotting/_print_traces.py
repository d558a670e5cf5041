"""Points, lines, arrows, bars and images of a plotly figure, on paper."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import plotly.graph_objects as go

from splicedvae._core.errors import DataError
from splicedvae.plotting._print_axes import draw_axes, draw_notes, draw_shapes
from splicedvae.plotting._print_layout import (
    MM,
    MOST_VECTOR_POINTS,
    PrintPanel,
    color_of,
    dash_of,
    numbers_of,
    plain_text,
)
from splicedvae.plotting._theme import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_panel(
    figure: go.Figure,
    axes: Axes,
    panel: PrintPanel,
    first: PrintPanel,
    scale: float,
    size: float,
    small: float,
    color_axis: Mapping[str, Any] | None,
) -> None:
    _draw_pictures(figure, axes, panel)
    n_points = sum(
        len(trace.x)
        for trace in panel.traces
        if trace.type in ("scatter", "scattergl")
        and "markers" in (trace.mode or "")
        and trace.x is not None
    )
    for order, trace in enumerate(sorted(panel.traces, key=lambda t: _depth(t))):
        if trace.type in ("scatter", "scattergl"):
            _draw_scatter(
                axes, trace, 2 + 0.01 * order, scale, n_points > MOST_VECTOR_POINTS, color_axis
            )
        elif trace.type == "heatmap" and color_axis is not None:
            axes.pcolormesh(
                np.asarray(trace.x, dtype=float),
                np.asarray(trace.y, dtype=float),
                np.ma.masked_invalid(np.asarray(trace.z, dtype=float)),
                cmap=color_axis["map"],
                vmin=color_axis["low"],
                vmax=color_axis["high"],
                rasterized=True,
            )
        elif trace.type == "bar":
            _draw_bars(axes, trace, 0.9 * size)
        elif trace.type == "quiver":
            _draw_arrows(axes, trace, 2 + 0.01 * order, scale)
        else:
            raise DataError(
                f"The figure has a {trace.type} trace, which cannot be printed: use the "
                "image that the page itself saves."
            )
    draw_shapes(figure, axes, panel, scale)
    draw_axes(figure, axes, panel, first, size)
    draw_notes(figure, axes, panel, size)
    if panel.title or panel.captions:
        whole: Any = axes.get_figure()
        width = max(20, int(whole.get_figwidth() / MM / 3 / (0.5 * small * 0.3528)))
        captions = [line for text in panel.captions for line in textwrap.wrap(text, width)]
        if captions:
            axes.set_title("\n".join(captions), fontsize=small, color=LIGHT.muted, pad=0.35 * size)
        axes.annotate(
            panel.title,
            (0.5, 1.0),
            (0, 0.5 * size + 1.25 * small * len(captions)),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=1.1 * size,
            fontweight="bold",
            color=LIGHT.text,
        )


def _depth(trace: Any) -> float:
    return float(getattr(trace, "zorder", None) or 0)


def _draw_scatter(
    axes: Axes,
    trace: Any,
    order: float,
    scale: float,
    as_picture: bool,
    color_axis: Mapping[str, Any] | None,
) -> None:
    if trace.x is None or trace.y is None:
        return
    x, y = (numbers_of(values) for values in (trace.x, trace.y))
    mode = trace.mode or ("lines+markers" if len(x) < 20 else "lines")
    opacity = 1.0 if trace.opacity is None else float(trace.opacity)
    if trace.fill in ("tozeroy", "toself"):
        color, alpha = color_of(trace.fillcolor or trace.line.color or LIGHT.muted)
        if trace.fill == "tozeroy":
            step: Literal["post"] | None = "post" if trace.line.shape == "hv" else None
            axes.fill_between(x, y, 0, color=color, alpha=alpha, linewidth=0, step=step)
        else:
            axes.fill(x, y, color=color, alpha=alpha, linewidth=0)
    if "lines" in mode:
        color, alpha = color_of(trace.line.color or LIGHT.text)
        width = 2.0 if trace.line.width is None else float(trace.line.width)
        axes.plot(
            x,
            y,
            color=color,
            alpha=alpha * opacity,
            linewidth=max(width * scale, 0.35),
            linestyle=dash_of(trace.line.dash),
            drawstyle="steps-post" if trace.line.shape == "hv" else "default",
            zorder=order,
        )
    if "markers" in mode:
        _draw_points(axes, trace, x, y, order, scale, opacity, as_picture, color_axis)


def _draw_points(
    axes: Axes,
    trace: Any,
    x: np.ndarray,
    y: np.ndarray,
    order: float,
    scale: float,
    opacity: float,
    as_picture: bool,
    color_axis: Mapping[str, Any] | None,
) -> None:
    marker = trace.marker
    opacity *= 1.0 if marker.opacity is None else float(np.max(marker.opacity))
    if opacity == 0:
        # Corners that a camera finds, and nobody sees.
        axes.update_datalim(np.column_stack([x, y]))
        return
    size = 6.0 if marker.size is None else marker.size
    points = np.maximum(np.asarray(size, dtype=float) * scale, 0.7)
    common = {"linewidths": 0, "zorder": order}
    if marker.symbol == "arrow" and marker.angle is not None:
        _draw_arrow_heads(axes, marker, x, y, float(np.max(points)), common)
        return
    options: dict[str, Any] = {"s": points**2, "rasterized": as_picture, "marker": "o", **common}
    if marker.symbol == "line-ew-open":
        options |= {"marker": "_", "linewidths": 0.8}
    if marker.coloraxis and color_axis is not None:
        axes.scatter(
            x,
            y,
            c=np.asarray(marker.color, dtype=float),
            cmap=color_axis["map"],
            vmin=color_axis["low"],
            vmax=color_axis["high"],
            alpha=opacity,
            **options,
        )
        return
    colors = marker.color if marker.color is not None else trace.line.color or LIGHT.text
    if isinstance(colors, str):
        color, alpha = color_of(colors)
        axes.scatter(x, y, color=color, alpha=alpha * opacity, **options)
    else:
        axes.scatter(x, y, c=[color_of(str(c))[0] for c in colors], alpha=opacity, **options)


def _draw_arrow_heads(
    axes: Axes, marker: Any, x: np.ndarray, y: np.ndarray, size: float, common: Mapping[str, Any]
) -> None:
    """Draw heads whose tips are the points; plotly turns them clockwise from "up"."""
    from matplotlib.markers import MarkerStyle
    from matplotlib.path import Path

    head = Path([(0.0, 0.0), (-0.42, -1.0), (0.0, -0.78), (0.42, -1.0), (0.0, 0.0)])
    color, alpha = color_of(marker.color)
    angles = np.broadcast_to(np.asarray(marker.angle, dtype=float), x.shape)
    turns = np.round(angles / 4.0).astype(int) % 90
    for turn in np.unique(turns):
        chosen = turns == turn
        axes.scatter(
            x[chosen],
            y[chosen],
            s=(2.0 * max(size, 1.6)) ** 2,
            marker=MarkerStyle(head).rotated(deg=-4.0 * turn),
            color=color,
            alpha=alpha,
            **common,
        )


def _draw_arrows(axes: Axes, trace: Any, order: float, scale: float) -> None:
    """Draw arrows given by tails and extents in the units of the embedding."""
    x, y, u, v = (
        np.asarray(values, dtype=float) for values in (trace.x, trace.y, trace.u, trace.v)
    )
    color, alpha = color_of(trace.marker.color)
    axes.quiver(
        x,
        y,
        u,
        v,
        angles="xy",
        scale_units="xy",
        scale=1.0,
        units="inches",
        width=max(0.6, 1.3 * scale) / 72,
        headwidth=3.2,
        headlength=3.6,
        headaxislength=3.2,
        minlength=0,
        color=color,
        alpha=alpha,
        zorder=order,
    )


def _draw_bars(axes: Axes, trace: Any, size: float) -> None:
    across = trace.orientation == "h"
    values, places = numbers_of(trace.x), numbers_of(trace.y)
    if not across:
        values, places = places, values
    given = trace.marker.color if trace.marker.color is not None else LIGHT.muted
    each = [given] * len(values) if isinstance(given, str) else list(given)
    colors = [color_of(str(color))[0] for color in each]
    bars = (axes.barh if across else axes.bar)(places, values, 0.72, color=colors)
    if trace.text is not None:
        texts = [plain_text(text) for text in np.broadcast_to(trace.text, len(values))]
        axes.bar_label(bars, texts, padding=2, fontsize=size, color=LIGHT.text)
        axes.margins(x=0.14 if across else None, y=None if across else 0.14)


def _draw_pictures(figure: go.Figure, axes: Axes, panel: PrintPanel) -> None:
    from matplotlib.image import imread

    for image in figure.layout.images:
        if image.xref != panel.x or not str(image.source).startswith("data:image/png;base64,"):
            continue
        pixels = imread(io.BytesIO(base64.b64decode(str(image.source).partition(",")[2])))
        left, top = float(image.x), float(image.y)
        extent = (left, left + float(image.sizex), top - float(image.sizey), top)
        axes.imshow(pixels, extent=extent, zorder=1, aspect="auto", interpolation="antialiased")
