"""A figure of this package on paper: PNG, SVG or PDF at a size in millimetres.

It is drawn by matplotlib from the plotly figure of the page, so that panels, order,
colors, legend and numbers cannot differ between the two; nothing is computed here and no browser
is asked. Fonts are embedded in PDF and drawn as paths in SVG, so that a figure looks the same
everywhere, and thousands of points are an image inside the vector file.
"""

from __future__ import annotations

import base64
import html
import io
import math
import re
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import plotly.graph_objects as go

from splicedvae._core.errors import DataError
from splicedvae.plotting._grid import PAGE_WIDTH
from splicedvae.plotting._theme import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

PrintForm = Literal["pdf", "svg", "png"]


@dataclass(frozen=True)
class PrintSize:
    """A size on paper, in millimetres."""

    #: What a person reads.
    label: str
    width: float
    #: Follows from the panels if None.
    height: float | None = None


#: Widths that journals ask for, and a slide of 16:9.
PRINT_SIZES: Final[Mapping[str, PrintSize]] = {
    "single": PrintSize("single column, 85 mm", 85.0),
    "one-and-a-half": PrintSize("one and a half columns, 114 mm", 114.0),
    "double": PrintSize("double column, 174 mm", 174.0),
    "slide": PrintSize("slide, 16:9", 338.67, 190.5),
}
#: Dots per inch of PNG files and of pictures inside vector files.
DPI: Final = 300
#: Narrowest and widest figure, in millimetres.
WIDTHS: Final = (40.0, 600.0)
#: More points than this are an image inside a vector file.
MOST_VECTOR_POINTS: Final = 2000

_MM: Final = 1 / 25.4
#: Least width of a panel, in millimetres: narrower figures have fewer panels in a row.
_PANEL_WIDTH: Final = 48.0
_DASHES: Final = {"solid": "-", "dash": "--", "longdash": "--", "dot": ":", "dashdot": "-."}
_TAGS: Final = re.compile(r"<[^>]*>")
#: matplotlib's settings are global, and pages draw in several threads.
_LOCK: Final = threading.Lock()
_SETTINGS: Final[Mapping[str, Any]] = {
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "splicedvae",
    # A cluster may be called $x$.
    "text.parse_math": False,
    "text.usetex": False,
    "axes.unicode_minus": False,
    "font.family": "DejaVu Sans",
}


@dataclass
class _Panel:
    """One pair of axes of the plotly figure, with its content."""

    x: str
    y: str
    traces: list[Any] = field(default_factory=list)
    title: str = ""
    captions: list[str] = field(default_factory=list)


def print_figure(
    figure: go.Figure,
    form: PrintForm = "pdf",
    *,
    width: float = 174.0,
    height: float | None = None,
    caution: str = "",
    source: str = "",
) -> bytes:
    """Draw a figure of `splicedvae.plotting` for paper.

    Parameters
    ----------
    figure
        A figure, drawn for a light page.
    form
        ``"pdf"``, ``"svg"`` or ``"png"`` (300 dpi).
    width
        Width in millimetres. Panels that would become narrower than 48 mm go into further rows.
    height
        Height in millimetres; follows from the panels if None.
    caution
        A sentence in small type under the figure, such as when not to trust it.
    source
        Where the figure comes from, under it.

    Returns
    -------
    The file's content.

    Raises
    ------
    DataError
        If the form or size is none that can be drawn, or the figure holds something else than
        points, lines, bars, heat maps and images.
    """
    if form not in ("pdf", "svg", "png"):
        raise DataError(
            f"The form {str(form)[:20]!r} is none of pdf, svg and png: choose one of them."
        )
    if not WIDTHS[0] <= width <= WIDTHS[1]:
        raise DataError(
            f"The width is {width:g} mm, expected {WIDTHS[0]:g} to {WIDTHS[1]:g}: choose "
            "one in between, such as 174."
        )
    import matplotlib as mpl

    # The stubs list every name there is, which a mapping of ours is not known to keep to.
    settings: Any = dict(_SETTINGS)
    with _LOCK, mpl.rc_context(settings):
        drawn = _draw(figure, width, height, caution, source)
        out = io.BytesIO()
        metadata = {
            "pdf": {"CreationDate": None, "Creator": "SplicedVAE"},
            "svg": {"Date": None, "Creator": "SplicedVAE"},
            "png": {"Software": "SplicedVAE"},
        }
        drawn.savefig(out, format=form, dpi=DPI, metadata=metadata[form])
    return out.getvalue()


def _draw(
    figure: go.Figure, width: float, height: float | None, caution: str, source: str
) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _panels(figure)
    if not panels:
        raise DataError("The figure has no panel: add one with data.")
    wanted = _columns(figure, panels)
    columns = max(1, min(wanted, len(panels), int(width // _PANEL_WIDTH)))
    rows = math.ceil(len(panels) / columns)
    # Type is as large as journals ask for, and larger on a slide.
    size = 7.0 if width < 250 else 7.0 * width / 210
    small = 0.82 * size
    entries = list(_legend_entries(figure))
    color_axis = _color_axis(figure)
    foot = _foot(caution, source, width, small)
    line = 1.35 / 72 / _MM
    foot_height = len(foot) * small * line + (1.5 if foot else 0)
    per_row = max(1, int(width / (3.2 + 0.62 * size * 0.3528 * _longest(entries))))
    legend_rows = math.ceil(len(entries) / per_row) + (1 if _legend_title(figure) else 0)
    legend_height = legend_rows * 1.25 * size * line + 1.5 if entries else 0.0
    if height is None:
        panel = width / columns * _aspect(figure, panels)
        heads = max(1 + len(p.captions) for p in panels) * size * line + 1.5
        below = 0.0 if _is_map(figure, panels) else 2.6 * size * line
        height = rows * (panel + heads + below) + foot_height
        height += legend_height
        height += 4.2 * size * line if color_axis else 0
    drawn = Figure(figsize=(width * _MM, height * _MM), layout="constrained", facecolor="white")
    FigureCanvasAgg(drawn)
    layout: Any = drawn.get_layout_engine()
    bottom = min((foot_height + legend_height) / height, 0.6)
    # Titles are above what the layout measures, by about a line.
    top = 0.35 * size / 72 / (height * _MM)
    layout.set(rect=(0.0, bottom, 1.0, 1.0 - bottom - top), w_pad=1.2 * _MM, h_pad=1.2 * _MM)
    shared = any(_axis(figure, name).matches for panel in panels for name in (panel.x, panel.y))
    grid = drawn.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared).ravel()
    scale = width * _MM * 72 / PAGE_WIDTH * (wanted / columns) ** 0.5
    for axes, panel_ in zip(grid, panels, strict=False):
        _draw_panel(figure, axes, panel_, panels[0], scale, size, small, color_axis)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    used = list(grid[: len(panels)])
    if color_axis is not None:
        _draw_color_bar(drawn, used, color_axis, size)
    if entries:
        _draw_legend(drawn, entries, figure, min(per_row, len(entries)), size, foot_height / height)
    for index, (text, muted) in enumerate(reversed(foot)):
        drawn.text(
            1.5 / width,
            (1.0 + index * small * line) / height,
            text,
            fontsize=small,
            color=LIGHT.muted if muted else LIGHT.text,
            va="bottom",
            ha="left",
        )
    return drawn


# Layout --------------------------------------------------------------------------------------


def _axis(figure: go.Figure, name: str) -> Any:
    """Return the layout of an axis called as traces call it: ``"x"``, ``"y2"``."""
    return getattr(figure.layout, f"{name[0]}axis{name[1:]}")


def _domain(figure: go.Figure, name: str) -> tuple[float, float]:
    low, high = _axis(figure, name).domain or (0.0, 1.0)
    return round(float(low), 4), round(float(high), 4)


def _panels(figure: go.Figure) -> list[_Panel]:
    """Find the panels in the order in which a reader meets them, with their titles."""
    found: dict[tuple[str, str], _Panel] = {}
    for trace in figure.data:
        names = (getattr(trace, "xaxis", None) or "x", getattr(trace, "yaxis", None) or "y")
        found.setdefault(names, _Panel(*names)).traces.append(trace)
    panels = sorted(
        found.values(),
        key=lambda p: (-_domain(figure, p.y)[1], _domain(figure, p.x)[0]),
    )
    for note in figure.layout.annotations:
        panel = _headed(figure, panels, note)
        if panel is not None:
            lines = [_plain(part) for part in str(note.text).split("<br>")]
            panel.title, panel.captions = lines[0], [line for line in lines[1:] if line]
    return panels


def _headed(figure: go.Figure, panels: Sequence[_Panel], note: Any) -> _Panel | None:
    """Return the panel whose title an annotation is."""
    for panel in panels:
        if (note.xref, note.yref) == (f"{panel.x} domain", f"{panel.y} domain"):
            if note.y == 1 and note.yanchor == "bottom":
                return panel
        elif note.xref == "paper" and note.yref == "paper":
            left, right = _domain(figure, panel.x)
            top = _domain(figure, panel.y)[1]
            if abs(note.x - (left + right) / 2) < 0.01 and abs(note.y - top) < 0.01:
                return panel
    return None


def _columns(figure: go.Figure, panels: Sequence[_Panel]) -> int:
    return len({_domain(figure, panel.x)[0] for panel in panels})


def _is_map(figure: go.Figure, panels: Sequence[_Panel]) -> bool:
    return all(_axis(figure, panel.x).visible is False for panel in panels)


def _aspect(figure: go.Figure, panels: Sequence[_Panel]) -> float:
    """Return a panel's height for its width."""
    if not any(_is_square(figure, panel) for panel in panels):
        return 0.72
    if not _is_map(figure, panels):
        return 0.78
    ratios = []
    for panel in panels:
        spans = []
        for name in ("x", "y"):
            values = [
                np.asarray(getattr(trace, name), dtype=float)
                for trace in panel.traces
                if getattr(trace, name, None) is not None and len(getattr(trace, name))
            ]
            joined = np.concatenate(values) if values else np.zeros(0)
            joined = joined[np.isfinite(joined)]
            spans.append(float(np.ptp(joined)) if joined.size else 0.0)
        if min(spans) > 0:
            ratios.append(spans[1] / spans[0])
    return float(np.clip(max(ratios, default=0.8), 0.55, 1.1))


def _is_square(figure: go.Figure, panel: _Panel) -> bool:
    """Whether both axes have one scale, given on the axis or on the one it follows."""
    x, y = _axis(figure, panel.x), _axis(figure, panel.y)
    return bool(x.scaleanchor or y.scaleanchor or x.matches or y.matches)


def _plain(text: object) -> str:
    """Turn plotly's small HTML into the text that it shows."""
    return " ".join(html.unescape(_TAGS.sub("", str(text or "").replace("<br>", " "))).split())


def _foot(caution: str, source: str, width: float, size: float) -> list[tuple[str, bool]]:
    """Break the lines under the figure; True for those in a quieter color."""
    per_line = max(20, int((width - 3) / (0.56 * size * 0.3528)))
    lines = [(line, False) for line in textwrap.wrap(" ".join(caution.split()), per_line)]
    return lines + [(line, True) for line in textwrap.wrap(" ".join(source.split()), per_line)]


# Legend and color bar ----------------------------------------------------------------------


def _legend_entries(figure: go.Figure) -> Iterator[Any]:
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


def _longest(entries: Sequence[Any]) -> int:
    return max((len(_plain(entry.name)) for entry in entries), default=1) + 3


def _legend_title(figure: go.Figure) -> str:
    return _plain(figure.layout.legend.title.text)


def _draw_legend(
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
        color, alpha = _color((trace.line.color if as_line else trace.marker.color) or LIGHT.text)
        handles.append(
            Line2D(
                [],
                [],
                color=color,
                alpha=alpha,
                linestyle=_dash(trace.line.dash) if as_line else "none",
                linewidth=0.16 * size,
                marker="o" if "markers" in mode else "none",
                markersize=0.55 * size,
                markeredgewidth=0,
            )
        )
    legend = drawn.legend(
        handles,
        [_plain(trace.name) for trace in entries],
        loc="lower center",
        bbox_to_anchor=(0.5, bottom),
        ncols=columns,
        title=_legend_title(figure) or None,
        fontsize=size,
        title_fontsize=size,
        frameon=False,
        handletextpad=0.4,
        columnspacing=1.0,
        borderpad=0.1,
        labelcolor=LIGHT.text,
    )
    legend.set_in_layout(False)


def _color_axis(figure: go.Figure) -> dict[str, Any] | None:
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
    pairs = [(float(place), _color(color)[0]) for place, color in colorscale]
    return LinearSegmentedColormap.from_list("figure", pairs)


def _draw_color_bar(
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
        "\n".join(textwrap.wrap(_plain(color_axis["bar"].title.text), 60)),
        fontsize=size,
        color=LIGHT.text,
        pad=0.3 * size,
    )
    ticks = color_axis["bar"].tickvals
    if ticks is not None:
        bar.set_ticks([float(tick) for tick in ticks])
        bar.set_ticklabels([_plain(text) for text in color_axis["bar"].ticktext or ticks])
    bar.ax.tick_params(labelsize=0.9 * size, length=0.25 * size, width=0.4, colors=LIGHT.muted)


# A panel ------------------------------------------------------------------------------------


def _draw_panel(
    figure: go.Figure,
    axes: Axes,
    panel: _Panel,
    first: _Panel,
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
    _draw_shapes(figure, axes, panel, scale)
    _draw_axes(figure, axes, panel, first, size)
    _draw_notes(figure, axes, panel, size)
    if panel.title or panel.captions:
        whole: Any = axes.get_figure()
        width = max(20, int(whole.get_figwidth() / _MM / 3 / (0.5 * small * 0.3528)))
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
    x, y = (_numbers(values) for values in (trace.x, trace.y))
    mode = trace.mode or ("lines+markers" if len(x) < 20 else "lines")
    opacity = 1.0 if trace.opacity is None else float(trace.opacity)
    if trace.fill in ("tozeroy", "toself"):
        color, alpha = _color(trace.fillcolor or trace.line.color or LIGHT.muted)
        if trace.fill == "tozeroy":
            step: Literal["post"] | None = "post" if trace.line.shape == "hv" else None
            axes.fill_between(x, y, 0, color=color, alpha=alpha, linewidth=0, step=step)
        else:
            axes.fill(x, y, color=color, alpha=alpha, linewidth=0)
    if "lines" in mode:
        color, alpha = _color(trace.line.color or LIGHT.text)
        width = 2.0 if trace.line.width is None else float(trace.line.width)
        axes.plot(
            x,
            y,
            color=color,
            alpha=alpha * opacity,
            linewidth=max(width * scale, 0.35),
            linestyle=_dash(trace.line.dash),
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
        color, alpha = _color(colors)
        axes.scatter(x, y, color=color, alpha=alpha * opacity, **options)
    else:
        axes.scatter(x, y, c=[_color(str(c))[0] for c in colors], alpha=opacity, **options)


def _draw_arrow_heads(
    axes: Axes, marker: Any, x: np.ndarray, y: np.ndarray, size: float, common: Mapping[str, Any]
) -> None:
    """Draw heads whose tips are the points; plotly turns them clockwise from "up"."""
    from matplotlib.markers import MarkerStyle
    from matplotlib.path import Path

    head = Path([(0.0, 0.0), (-0.42, -1.0), (0.0, -0.78), (0.42, -1.0), (0.0, 0.0)])
    color, alpha = _color(marker.color)
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
    color, alpha = _color(trace.marker.color)
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
    values, places = _numbers(trace.x), _numbers(trace.y)
    if not across:
        values, places = places, values
    given = trace.marker.color if trace.marker.color is not None else LIGHT.muted
    each = [given] * len(values) if isinstance(given, str) else list(given)
    colors = [_color(str(color))[0] for color in each]
    bars = (axes.barh if across else axes.bar)(places, values, 0.72, color=colors)
    if trace.text is not None:
        texts = [_plain(text) for text in np.broadcast_to(trace.text, len(values))]
        axes.bar_label(bars, texts, padding=2, fontsize=size, color=LIGHT.text)
        axes.margins(x=0.14 if across else None, y=None if across else 0.14)


def _draw_pictures(figure: go.Figure, axes: Axes, panel: _Panel) -> None:
    from matplotlib.image import imread

    for image in figure.layout.images:
        if image.xref != panel.x or not str(image.source).startswith("data:image/png;base64,"):
            continue
        pixels = imread(io.BytesIO(base64.b64decode(str(image.source).partition(",")[2])))
        left, top = float(image.x), float(image.y)
        extent = (left, left + float(image.sizex), top - float(image.sizey), top)
        axes.imshow(pixels, extent=extent, zorder=1, aspect="auto", interpolation="antialiased")


def _draw_shapes(figure: go.Figure, axes: Axes, panel: _Panel, scale: float) -> None:
    """Draw the straight lines that a figure has in addition to its traces."""
    for shape in figure.layout.shapes:
        color, alpha = _color(shape.line.color or LIGHT.muted)
        style: dict[str, Any] = {
            "color": color,
            "alpha": alpha,
            "linewidth": max(float(shape.line.width or 1.0) * scale, 0.5),
            "linestyle": _dash(shape.line.dash),
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


def _draw_notes(figure: go.Figure, axes: Axes, panel: _Panel, size: float) -> None:
    """Write the sentences inside a panel."""
    from matplotlib.transforms import blended_transform_factory

    for note in figure.layout.annotations:
        refs = (note.xref or "", note.yref or "")
        if refs[0].split(" ")[0] != panel.x or refs[1].split(" ")[0] != panel.y:
            continue
        if _headed(figure, [panel], note) is not None or not note.text:
            continue
        transform = blended_transform_factory(
            axes.transAxes if "domain" in refs[0] else axes.transData,
            axes.transAxes if "domain" in refs[1] else axes.transData,
        )
        if note.showarrow or None in (note.x, note.y):
            continue
        lines = [_plain(part) for part in str(note.text).split("<br>")]
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


def _draw_axes(figure: go.Figure, axes: Axes, panel: _Panel, first: _Panel, size: float) -> None:
    from matplotlib.ticker import MultipleLocator, NullFormatter, NullLocator, PercentFormatter

    if _is_square(figure, panel):
        axes.set_aspect("equal", adjustable="box")
    if _axis(figure, panel.x).visible is False:
        axes.set_axis_off()
        return
    for name, other, scale, axis, limits, invert, label in (
        (panel.x, first.x, axes.set_xscale, axes.xaxis, axes.set_xlim, axes.invert_xaxis, "x"),
        (panel.y, first.y, axes.set_yscale, axes.yaxis, axes.set_ylim, axes.invert_yaxis, "y"),
    ):
        given = _axis(figure, name)
        is_log = given.type == "log"
        if is_log:
            scale("log")
        if given.range is not None:
            ends = [float(end) for end in given.range]
            limits(*(10**end for end in ends) if is_log else ends)
        elif given.rangemode == "tozero" and not is_log:
            limits(0, None)
        title = _plain(given.title.text) or _plain(_axis(figure, other).title.text)
        (axes.set_xlabel if label == "x" else axes.set_ylabel)(
            title, fontsize=size, color=LIGHT.text
        )
        if given.tickvals is not None:
            low, high = sorted(axes.get_xlim() if label == "x" else axes.get_ylim())
            texts = given.ticktext if given.ticktext is not None else given.tickvals
            kept = [
                (float(tick), _plain(text))
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


# Values -------------------------------------------------------------------------------------


def _numbers(values: Any) -> np.ndarray:
    """Turn a trace's values into numbers, None into NaN."""
    return np.asarray([np.nan if v is None else v for v in values], dtype=float)


def _color(text: Any) -> tuple[str, float]:
    """Split a color of CSS into ``#rrggbb`` and its opacity."""
    found = re.fullmatch(r"rgba?\(([^)]*)\)", str(text).replace(" ", ""))
    if found is None:
        return str(text), 1.0
    parts = [float(part) for part in found[1].split(",")]
    color = "#" + "".join(f"{round(part):02x}" for part in parts[:3])
    return color, parts[3] if len(parts) > 3 else 1.0


def _dash(name: str | None) -> Any:
    """Turn plotly's name of a dashed line into matplotlib's; a full line for any other."""
    return _DASHES.get(name or "solid", "-")
