"""A figure of this package on paper: PNG, SVG or PDF at a size in millimetres.

It is drawn by matplotlib from the plotly figure of the page, so that panels, order,
colors, legend and numbers cannot differ between the two; nothing is computed here and no browser
is asked. Fonts are embedded in PDF and drawn as paths in SVG, so that a figure looks the same
everywhere, and thousands of points are an image inside the vector file.
"""

from __future__ import annotations

import io
import math
import textwrap
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import plotly.graph_objects as go

from splicedvae._core.errors import DataError
from splicedvae.plotting._print_layout import MM, aspect_of, axis_of, columns_of, is_map, panels_of
from splicedvae.plotting._print_legend import (
    color_axis_of,
    draw_color_bar,
    draw_legend,
    legend_entries,
    legend_title,
    longest_entry,
)
from splicedvae.plotting._print_traces import draw_panel
from splicedvae.plotting._theme import LIGHT

if TYPE_CHECKING:
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
#: A page's width in pixels, to which plotly's sizes of lines and points belong.
_PAGE_WIDTH: Final = 1150
#: Least width of a panel, in millimetres: narrower figures have fewer panels in a row.
_PANEL_WIDTH: Final = 48.0
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

    panels = panels_of(figure)
    if not panels:
        raise DataError("The figure has no panel: add one with data.")
    wanted = columns_of(figure, panels)
    columns = max(1, min(wanted, len(panels), int(width // _PANEL_WIDTH)))
    rows = math.ceil(len(panels) / columns)
    # Type is as large as journals ask for, and larger on a slide.
    size = 7.0 if width < 250 else 7.0 * width / 210
    small = 0.82 * size
    entries = list(legend_entries(figure))
    color_axis = color_axis_of(figure)
    foot = _foot(caution, source, width, small)
    line = 1.35 / 72 / MM
    foot_height = len(foot) * small * line + (1.5 if foot else 0)
    per_row = max(1, int(width / (3.2 + 0.62 * size * 0.3528 * longest_entry(entries))))
    legend_rows = math.ceil(len(entries) / per_row) + (1 if legend_title(figure) else 0)
    legend_height = legend_rows * 1.25 * size * line + 1.5 if entries else 0.0
    if height is None:
        panel = width / columns * aspect_of(figure, panels)
        heads = max(1 + len(p.captions) for p in panels) * size * line + 1.5
        below = 0.0 if is_map(figure, panels) else 2.6 * size * line
        height = rows * (panel + heads + below) + foot_height
        height += legend_height
        height += 4.2 * size * line if color_axis else 0
    drawn = Figure(figsize=(width * MM, height * MM), layout="constrained", facecolor="white")
    FigureCanvasAgg(drawn)
    layout: Any = drawn.get_layout_engine()
    bottom = min((foot_height + legend_height) / height, 0.6)
    # Titles are above what the layout measures, by about a line.
    top = 0.35 * size / 72 / (height * MM)
    layout.set(rect=(0.0, bottom, 1.0, 1.0 - bottom - top), w_pad=1.2 * MM, h_pad=1.2 * MM)
    shared = any(axis_of(figure, name).matches for panel in panels for name in (panel.x, panel.y))
    grid = drawn.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared).ravel()
    scale = width * MM * 72 / _PAGE_WIDTH * (wanted / columns) ** 0.5
    for axes, panel_ in zip(grid, panels, strict=False):
        draw_panel(figure, axes, panel_, panels[0], scale, size, small, color_axis)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    used = list(grid[: len(panels)])
    if color_axis is not None:
        draw_color_bar(drawn, used, color_axis, size)
    if entries:
        draw_legend(drawn, entries, figure, min(per_row, len(entries)), size, foot_height / height)
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


def _foot(caution: str, source: str, width: float, size: float) -> list[tuple[str, bool]]:
    """Break the lines under the figure; True for those in a quieter color."""
    per_line = max(20, int((width - 3) / (0.56 * size * 0.3528)))
    lines = [(line, False) for line in textwrap.wrap(" ".join(caution.split()), per_line)]
    return lines + [(line, True) for line in textwrap.wrap(" ".join(source.split()), per_line)]
