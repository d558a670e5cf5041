"""One look for every figure: colors, color scales and templates for light and dark pages.

The categorical colors keep apart under deuteranopia and protanopia and are visible on
white and on near-black; ``.streamlit/config.toml`` lists the same ones, so that a chart
drawn by Streamlit itself look the same, and a test checks it. Backgrounds are
transparent: the page shows through.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import plotly.graph_objects as go

from splicedvae._core.keys import Sources
from splicedvae.plotting._text import escape

#: Colors of categories in their order. The first ten are those of the pages (six of Okabe's
#: and Ito's); each further one lies as far from all before it as the remaining colors allow,
#: for trichromats, deuteranopes and protanopes.
CATEGORICAL: Final = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#8633E6",
    "#7A4A26",
    "#C9B96B",
    "#5B6470",
    "#43E3D2",
    "#7F81F1",
    "#F05E72",
    "#CFD009",
    "#D0A7A2",
    "#9F5A41",
    "#41D3FA",
    "#DDC2A5",
    "#B64096",
    "#E28135",
    "#6180C8",
    "#6A9CC7",
    "#6EC2CB",
    "#865FDA",
)
#: How many of them stay apart for color-blind eyes; a longer legend needs hover as well.
SAFE_COLORS: Final = 10

#: Cells without a category or a value.
MISSING: Final = "#9aa0a6"

#: Quantities from low to high: even in lightness, readable without red-green vision.
SEQUENTIAL: Final = "Viridis"

#: Quantities with a meaningful middle, such as a cosine: blue below it, red above.
DIVERGING: Final = (
    "#053061",
    "#2166AC",
    "#4393C3",
    "#92C5DE",
    "#D1E5F0",
    "#FDDBC7",
    "#F4A582",
    "#D6604D",
    "#B2182B",
    "#67001F",
)

#: The line of agreement, visible on the color scale and on both kinds of page.
IDENTITY: Final = CATEGORICAL[5]

#: A predictor has one color in every figure.
PREDICTOR_COLORS: Final[Mapping[str, str]] = {
    one.key: MISSING if one.color is None else CATEGORICAL[one.color] for one in Sources.ALL
}

#: The configuration of ``plotly.js`` for every figure.
CONFIG: Final[Mapping[str, Any]] = {
    "scrollZoom": True,
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["autoScale2d"],
    "toImageButtonOptions": {"format": "png", "scale": 3},
}


@dataclass(frozen=True)
class Ink:
    """Colors of what is not data, for one kind of page."""

    #: Text and axes.
    text: str
    #: Captions and secondary lines.
    muted: str
    #: Grid lines.
    grid: str
    #: Stream lines and arrows over cells.
    stream: str
    #: Behind text over cells.
    plate: str


LIGHT: Final = Ink(
    text="#0E1217",
    muted="#5b6472",
    grid="rgba(28,35,48,0.11)",
    stream="rgba(16,20,30,0.82)",
    plate="rgba(255,255,255,0.88)",
)
DARK: Final = Ink(
    text="#E6E9ED",
    muted="#a3acb8",
    grid="rgba(232,236,241,0.13)",
    stream="rgba(246,248,252,0.88)",
    plate="rgba(20,23,28,0.86)",
)


def ink(dark: bool) -> Ink:
    """Return the colors of text, grid and stream lines for a light or a dark page."""
    return DARK if dark else LIGHT


def category_colors(
    categories: Sequence[object], given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Give each category a color: the same order gives the same colors, in every figure.

    Parameters
    ----------
    categories
        Category names in their order. Adding one at the end changes no other's color.
    given
        Colors that are already decided, by name, such as those stored in a file; others
        do not use them as long as other colors are left.

    Returns
    -------
    Category name to ``#rrggbb``. The first ten stay apart for color-blind eyes; beyond
    the palette's 24, hues are generated and need the legend or hover.
    """
    chosen = dict(given or {})
    named = set(map(str, categories))
    taken = {color.upper() for name, color in chosen.items() if name in named}
    colors: dict[str, str] = {}
    free = (color for color in _endless_colors() if color not in taken)
    for name in map(str, categories):
        if name not in colors:
            colors[name] = chosen[name] if name in chosen else next(free)
    return colors


def _endless_colors() -> Iterator[str]:
    """Yield the palette, then hues a golden ratio apart at three lightnesses."""
    yield from CATEGORICAL
    step = 0
    while True:
        red, green, blue = colorsys.hls_to_rgb(
            (0.11 + 0.618034 * step) % 1.0, (0.45, 0.6, 0.72)[step % 3], 0.55
        )
        yield f"#{round(red * 255):02X}{round(green * 255):02X}{round(blue * 255):02X}"
        step += 1


def predictor_colors(predictors: Sequence[str]) -> dict[str, str]:
    """Give each predictor its color; one that is not known takes a free color."""
    return category_colors(predictors, PREDICTOR_COLORS)


def predictors_in_order(predictors: Iterable[str]) -> list[str]:
    """Put predictors into the order of tables and figures.

    Parameters
    ----------
    predictors
        Names, in any order and repeated or not.

    Returns
    -------
    Each name once: those of `Sources.PREDICTORS` in its order, then the others in their own.
    """
    named = list(dict.fromkeys(predictors))
    known = [name for name in Sources.PREDICTORS if name in named]
    return known + [name for name in named if name not in known]


def predictor_label(predictor: str) -> str:
    """Return what a person reads for a predictor, escaped for plotly."""
    return escape(Sources.LABELS.get(predictor, predictor.replace("_", " ")))


def color_axis(
    scale: Literal["sequential", "diverging"],
    limits: tuple[float, float] | None,
    title: str,
    dark: bool,
) -> dict[str, Any]:
    """Describe the one color bar of a figure: horizontal, under the panels.

    Parameters
    ----------
    scale
        ``"sequential"`` for low to high, ``"diverging"`` for values around a middle.
    limits
        Values at the ends of the scale; the data's if None.
    title
        What the colors mean, already escaped.
    dark
        Whether the page is dark.

    Returns
    -------
    A ``layout.coloraxis``.
    """
    axis: dict[str, Any] = {
        "colorscale": SEQUENTIAL if scale == "sequential" else list(DIVERGING),
        "colorbar": {
            "title": {"text": title, "side": "top", "font": {"color": ink(dark).text, "size": 12}},
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
            "colorway": list(CATEGORICAL[:SAFE_COLORS]),
            "colorscale": {"sequential": SEQUENTIAL, "diverging": list(DIVERGING)},
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
                "title": {"font": {"color": colors.muted, "size": 12}, "side": "top center"},
                "bgcolor": "rgba(0,0,0,0)",
            },
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": colors.muted,
                "activecolor": colors.text,
            },
        }
    )


def log_axis(low: float, high: float) -> dict[str, Any]:
    """Describe a logarithmic axis with full numbers at 1, 2 and 5 of each decade.

    Parameters
    ----------
    low, high
        Smallest and largest value shown, above zero.

    Returns
    -------
    Part of a ``layout.xaxis`` or ``layout.yaxis``. Beyond three decades only powers of ten
    are labeled.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if math.log10(high / low) <= 3 else (1,)
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    return {
        "type": "log",
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [f"{tick:,.0f}" if tick >= 1 else f"{tick:g}" for tick in ticks],
    }


def describe(figure: go.Figure, sentence: str) -> go.Figure:
    """Store what a figure shows in it, for readers who cannot see it; see `alt_text`."""
    figure.layout.meta = {**(figure.layout.meta or {}), "alt": sentence}
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
