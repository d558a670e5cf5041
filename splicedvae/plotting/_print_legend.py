"""Legend and color bar of a plotly figure, on paper."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from splicedvae._core.errors import DataError
from splicedvae.plotting._print_layout import color_of, plain_text
from splicedvae.plotting._print_traces import dash_of
from splicedvae.plotting._theme import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


def legend_entries(figure: go.Figure) -> Iterator[Any]:
    """Yield the traces that the legend shows, in its order."""
    seen = set()
    shown = []
    for trace in figure.data:
        wanted = trace.showlegend
        if wanted is None:
            wanted = len(figure.data) > 1
        group = trace.legendgroup or id(trace)
        if wanted and trace.name and trace.type in ("scatter", "scattergl") and group not in seen:
            seen.add(group)
            shown.append(trace)
    yield from sorted(shown, key=lambda trace: trace.legendrank or 1000)


def longest_entry(entries: Sequence[Any]) -> int:
    return max((len(plain_text(entry.name)) for entry in entries), default=1) + 3


def legend_title(figure: go.Figure) -> str:
    return plain_text(figure.layout.legend.title.text)


def draw_legend(
    drawn: Figure,
    entries: Sequence[Any],
    figure: go.Figure,
    columns: int,
    size: float,
    bottom: float,
) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for trace in entries:
        mode = trace.mode or "lines"
        as_line = "lines" in mode
        color, alpha = color_of((trace.line.color if as_line else trace.marker.color) or LIGHT.text)
        handles.append(
            Line2D(
                [],
                [],
                color=color,
                alpha=alpha,
                linestyle=dash_of(trace.line.dash) if as_line else "none",
                linewidth=0.16 * size,
                marker="o" if "markers" in mode else "none",
                markersize=0.55 * size,
                markeredgewidth=0,
            )
        )
    legend = drawn.legend(
        handles,
        [plain_text(trace.name) for trace in entries],
        loc="lower center",
        bbox_to_anchor=(0.5, bottom),
        ncols=columns,
        title=legend_title(figure) or None,
        fontsize=size,
        title_fontsize=size,
        frameon=False,
        handletextpad=0.4,
        columnspacing=1.0,
        borderpad=0.1,
        labelcolor=LIGHT.text,
    )
    legend.set_in_layout(False)


def color_axis_of(figure: go.Figure) -> dict[str, Any] | None:
    """Describe the one color scale of the figure, None if it has none."""
    values = [value for trace in figure.data if (value := _scaled(trace)) is not None]
    if not values:
        return None
    axis = figure.layout.coloraxis
    joined = np.concatenate([np.asarray(value, dtype=float).ravel() for value in values])
    joined = joined[np.isfinite(joined)]
    low = axis.cmin if axis.cmin is not None else joined.min() if joined.size else 0.0
    high = axis.cmax if axis.cmax is not None else joined.max() if joined.size else 1.0
    return {
        "low": float(low),
        "high": float(high) if high > low else float(low) + 1.0,
        "map": _color_map(axis.colorscale),
        "bar": axis.colorbar,
        "is_shown": axis.showscale is not False,
    }


def _scaled(trace: Any) -> Any:
    if trace.type == "heatmap" and trace.coloraxis:
        return trace.z
    marker = getattr(trace, "marker", None)
    if marker is not None and getattr(marker, "coloraxis", None):
        return marker.color
    return None


def _color_map(colorscale: Any) -> Colormap:
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    if colorscale is None:
        return colormaps["viridis"]
    if isinstance(colorscale, str):
        if colorscale.lower() not in colormaps:
            raise DataError(
                f"The color scale {colorscale[:40]!r} cannot be printed: use one of "
                "splicedvae.plotting."
            )
        return colormaps[colorscale.lower()]
    pairs = [(float(place), color_of(color)[0]) for place, color in colorscale]
    return LinearSegmentedColormap.from_list("figure", pairs)


def draw_color_bar(
    drawn: Figure, axes: Sequence[Axes], color_axis: Mapping[str, Any], size: float
) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    if not color_axis["is_shown"]:
        return
    mapped = ScalarMappable(Normalize(color_axis["low"], color_axis["high"]), color_axis["map"])
    bar = drawn.colorbar(mapped, ax=list(axes), location="bottom", shrink=0.5, aspect=36, pad=0.03)
    bar.outline.set_visible(False)
    bar.ax.set_title(
        "\n".join(textwrap.wrap(plain_text(color_axis["bar"].title.text), 60)),
        fontsize=size,
        color=LIGHT.text,
        pad=0.3 * size,
    )
    ticks = color_axis["bar"].tickvals
    if ticks is not None:
        bar.set_ticks([float(tick) for tick in ticks])
        bar.set_ticklabels([plain_text(text) for text in color_axis["bar"].ticktext or ticks])
    bar.ax.tick_params(labelsize=0.9 * size, length=0.25 * size, width=0.4, colors=LIGHT.muted)
