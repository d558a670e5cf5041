"""One look for every figure: colours, colour scales and templates for light and dark pages.

The categorical colours keep apart under deuteranopia and protanopia and are visible on
white and on near-black; ``.streamlit/config.toml`` lists the same ones, so that a chart
drawn by Streamlit itself looks alike. Backgrounds are transparent: the page shows through.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import plotly.graph_objects as go

from splicedvae._keys import Sources
from splicedvae.plotting._text import escape

#: Eight colours that stay apart under the common colour-vision deficiencies (least OKLab
#: distance 0.117; 0.076 for the Okabe-Ito colours), then sixteen more for larger data.
CATEGORICAL: Final = (
    "#1f77c4",
    "#e9752b",
    "#24ad99",
    "#835a75",
    "#feb926",
    "#9398fe",
    "#c13811",
    "#95d3e2",
    "#5de697",
    "#8cafd4",
    "#428ea5",
    "#ae7161",
    "#7bbf7d",
    "#607ef5",
    "#f59944",
    "#7a6548",
    "#96409c",
    "#a784d0",
    "#83c0b4",
    "#cf5b18",
    "#9c9969",
    "#4bc8fd",
    "#9b6c82",
    "#345fcf",
)

#: Cells without a category or a value.
MISSING: Final = "#9aa0a6"

#: Quantities from low to high: even in lightness, readable without red-green vision.
SEQUENTIAL: Final = "Viridis"

#: Quantities with a meaningful middle, such as a cosine from -1 to 1: brown, grey, blue.
DIVERGING: Final = (
    (0.0, "#8c4510"),
    (0.25, "#d59a55"),
    (0.5, "#c9cccf"),
    (0.75, "#6aa3d5"),
    (1.0, "#14549c"),
)

#: A predictor has one colour in every figure.
PREDICTOR_COLORS: Final[Mapping[str, str]] = {
    Sources.SPLICEDVAE: CATEGORICAL[0],
    Sources.SCVI: CATEGORICAL[1],
    Sources.MEASURED: CATEGORICAL[2],
    Sources.KNN: CATEGORICAL[3],
    Sources.TRUE: CATEGORICAL[6],
    Sources.GENE_MEAN: MISSING,
}

#: What ``plotly.js`` is told wherever a figure is shown.
CONFIG: Final[Mapping[str, Any]] = {
    "scrollZoom": True,
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["autoScale2d"],
    "toImageButtonOptions": {"format": "png", "scale": 3},
}


@dataclass(frozen=True)
class Ink:
    """Colours of what is not data, for one kind of page."""

    #: Text and axes.
    text: str
    #: Captions and secondary lines.
    muted: str
    #: Grid lines.
    grid: str
    #: Stream lines and arrows over cells.
    stream: str
    #: Behind text that stands on cells.
    plate: str


LIGHT: Final = Ink(
    text="#1c2330",
    muted="#5b6472",
    grid="rgba(28,35,48,0.11)",
    stream="rgba(16,20,30,0.82)",
    plate="rgba(255,255,255,0.88)",
)
DARK: Final = Ink(
    text="#e8ecf1",
    muted="#a3acb8",
    grid="rgba(232,236,241,0.13)",
    stream="rgba(246,248,252,0.88)",
    plate="rgba(14,17,23,0.86)",
)


def ink(dark: bool) -> Ink:
    """Return the colours of text, grid and stream lines for a light or a dark page."""
    return DARK if dark else LIGHT


def category_colors(
    categories: Sequence[object], given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Give each category a colour: the same order gives the same colours, in every figure.

    Parameters
    ----------
    categories
        Category names in their order. Adding one at the end changes no other's colour.
    given
        Colours that are already decided, by name, such as those stored in a file; others
        do not take them as long as the palette lasts.

    Returns
    -------
    Category name to ``#rrggbb``. The first eight are safe for the common colour-vision
    deficiencies; beyond the palette's 24, hues are generated and need the legend or hover.
    """
    chosen = dict(given or {})
    taken = {color.lower() for name, color in chosen.items() if name in set(map(str, categories))}
    colors: dict[str, str] = {}
    free = (color for color in _endless_colors() if color not in taken)
    for name in map(str, categories):
        if name not in colors:
            colors[name] = chosen[name] if name in chosen else next(free)
    return colors


def _endless_colors() -> Any:
    """Yield the palette, then hues a golden ratio apart at three lightnesses."""
    yield from CATEGORICAL
    step = 0
    while True:
        red, green, blue = colorsys.hls_to_rgb(
            (0.11 + 0.618034 * step) % 1.0, (0.45, 0.6, 0.72)[step % 3], 0.55
        )
        yield f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
        step += 1


def predictor_colors(predictors: Sequence[str]) -> dict[str, str]:
    """Give each predictor its colour; one that is not known takes a free colour."""
    return category_colors(predictors, PREDICTOR_COLORS)


def predictor_label(predictor: str) -> str:
    """Return what a person reads for a predictor, escaped for plotly."""
    return escape(Sources.LABELS.get(predictor, predictor.replace("_", " ")))


def color_axis(
    scale: Literal["sequential", "diverging"],
    limits: tuple[float, float] | None,
    title: str,
    dark: bool,
) -> dict[str, Any]:
    """Describe the one colour bar of a figure: horizontal, under the panels.

    Parameters
    ----------
    scale
        ``"sequential"`` for low to high, ``"diverging"`` for values around a middle.
    limits
        Values at the ends of the scale; the data's if None.
    title
        What the colours mean, already escaped.
    dark
        Whether the page is dark.

    Returns
    -------
    A ``layout.coloraxis``.
    """
    axis: dict[str, Any] = {
        "colorscale": SEQUENTIAL if scale == "sequential" else [list(stop) for stop in DIVERGING],
        "colorbar": {
            "title": {"text": title, "side": "top", "font": {"color": ink(dark).text}},
            "tickfont": {"color": ink(dark).muted},
            "orientation": "h",
            "thickness": 10,
            "len": 260,
            "lenmode": "pixels",
            "x": 0.5,
            "xanchor": "center",
            "y": 0,
            "yanchor": "top",
            "ypad": 26,
            "outlinewidth": 0,
        },
    }
    if limits is not None:
        axis["cmin"], axis["cmax"] = limits
    return axis


def template(dark: bool = False) -> go.layout.Template:
    """Return the plotly template of all figures.

    Parameters
    ----------
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    A template with a transparent background, for ``figure.update_layout(template=...)``.
    """
    colors = ink(dark)
    axis = {
        "gridcolor": colors.grid,
        "linecolor": colors.grid,
        "zerolinecolor": colors.grid,
        "tickfont": {"color": colors.muted, "size": 12},
        "title": {"font": {"color": colors.text, "size": 13}, "standoff": 8},
        "automargin": True,
        "ticks": "",
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {
                "family": "Source Sans Pro, Source Sans, system-ui, -apple-system, Segoe UI, "
                "Helvetica, Arial, sans-serif",
                "size": 13,
                "color": colors.text,
            },
            "colorway": list(CATEGORICAL[:8]),
            "colorscale": {"sequential": SEQUENTIAL, "diverging": [list(s) for s in DIVERGING]},
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 12, "r": 12, "t": 36, "b": 12},
            "hoverlabel": {
                "bgcolor": colors.plate,
                "font": {"color": colors.text},
                "bordercolor": colors.grid,
                "namelength": -1,
            },
            "legend": {
                "orientation": "h",
                "x": 0.5,
                "xanchor": "center",
                "y": 0,
                "yanchor": "top",
                "itemsizing": "constant",
                "font": {"color": colors.text, "size": 12},
                "title": {"font": {"color": colors.muted, "size": 12}},
                "bgcolor": "rgba(0,0,0,0)",
            },
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": colors.muted,
                "activecolor": colors.text,
            },
        }
    )


def describe(figure: go.Figure, sentence: str) -> go.Figure:
    """Store what a figure shows in it, for readers who cannot see it; see `alt_text`."""
    figure.update_layout(meta={"alt": sentence})
    return figure


def alt_text(figure: go.Figure) -> str:
    """Say in a sentence what a figure of this package shows, for readers who cannot see it.

    Parameters
    ----------
    figure
        A figure made by a function of `splicedvae.plotting`.

    Returns
    -------
    One or two sentences of plain text, neither escaped for HTML nor for plotly.
    """
    meta = figure.layout.meta
    return str(meta["alt"]) if meta and "alt" in meta else ""
