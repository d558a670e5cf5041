"""One gene: phase portraits, its ratio over time, and its ratio in each group of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Sources
from splicedvae.plotting._cells import (
    add_cells,
    add_color_bar,
    add_message,
    axis_suffix,
    check_colors,
)
from splicedvae.plotting._grid import grid_of, line_width
from splicedvae.plotting._metrics import need_columns
from splicedvae.plotting._text import escape, label, wrap
from splicedvae.plotting._theme import (
    describe,
    ink,
    predictor_colors,
    predictor_label,
    predictors_in_order,
    template,
)
from splicedvae.plotting._types import CellColors, FloatArray, Values

#: What is drawn of groups: columns of the table that `ratio_by_group` takes.
_GROUP_COLUMNS: Final = ("group", "source", "ratio", "lower", "upper", "molecules")
_BIN_COLUMNS: Final = ("time", "source", "ratio", "lower", "upper", "molecules")


@dataclass(frozen=True)
class PhasePanel:
    """One gene's unspliced against its spliced counts, for one source of a velocity.

    Raises
    ------
    DataError
        If there are neither points nor a message, or they do not belong together.
    """

    #: Where the counts come from.
    title: str
    #: Smoothed spliced counts, shape (n_cells,); None where there are none.
    spliced: FloatArray | None
    #: Smoothed unspliced counts, same shape; None where there are none.
    unspliced: FloatArray | None
    #: Slope of the steady-state line, unspliced over spliced; None where it is not known.
    slope: float | None = None
    #: Why there are no points, in a sentence.
    message: str | None = None
    #: A short line under the title.
    caption: str | None = None

    def __post_init__(self) -> None:
        if self.spliced is None or self.unspliced is None:
            if not self.message:
                raise DataError(
                    f"The phase portrait {self.title!r} has neither points nor a message: "
                    "give a message that says why they are missing."
                )
        elif self.spliced.shape != self.unspliced.shape:
            raise DataError(
                f"The phase portrait {self.title!r} has {self.spliced.size} spliced and "
                f"{self.unspliced.size} unspliced counts: give one of each for each cell."
            )


@dataclass(frozen=True)
class TimedRatios:
    """A gene's ratio over time, predicted and measured in the same cells.

    Raises
    ------
    DataError
        If arrays do not have one value for each cell.
    """

    #: What the horizontal axis is.
    time_title: str
    #: Time of each cell, shape (n_cells,).
    time: FloatArray
    #: Predicted ratio, shape (n_cells,).
    predicted: FloatArray
    #: Lower ends of the model's interval, shape (n_cells,); None where it was not asked.
    lower: FloatArray | None
    #: Upper ends, likewise.
    upper: FloatArray | None
    #: Measured ratio, shape (n_cells,); NaN where too little was counted to be drawn.
    measured: FloatArray
    #: Counted molecules, shape (n_cells,).
    molecules: FloatArray
    #: Rows of bins of time: time, source (as in `Sources`), ratio, lower, upper, molecules.
    bins: pd.DataFrame
    #: Where the measured ratio of single entries is expected: time, lower, upper; None if unknown.
    band: pd.DataFrame | None = None
    #: What the band is.
    band_title: str = ""

    def __post_init__(self) -> None:
        need_columns(self.bins, _BIN_COLUMNS, "bins of time")
        n = self.time.size
        for values in (self.predicted, self.lower, self.upper, self.measured, self.molecules):
            if values is not None and values.size != n:
                raise DataError(
                    f"There are times of {n} cells and values of {values.size}: give one value for "
                    "each cell."
                )


def phase_portraits(
    gene: str,
    panels: Sequence[PhasePanel],
    *,
    colors: CellColors,
    columns: int | None = None,
    dark: bool = False,
) -> go.Figure:
    """Draw unspliced against spliced counts of a gene, a panel for each source, on the same axes.

    Parameters
    ----------
    gene
        Its name.
    panels
        One for each source.
    colors
        One for each cell.
    columns
        Panels in a row; chosen by their number if None.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure; a dashed line shows the steady state, above it unspliced counts exceed it. Each
    point's ``customdata`` is the index of its cell.

    Raises
    ------
    DataError
        If no panel has points, or the colors do not fit the cells.
    """
    drawn = [panel for panel in panels if panel.spliced is not None and panel.unspliced is not None]
    if not drawn:
        reasons = " ".join(dict.fromkeys(panel.message or "" for panel in panels))
        raise DataError(reasons or "There is no phase portrait to draw: give at least one panel.")
    points = {
        panel.title: np.column_stack([panel.spliced, panel.unspliced])
        for panel in drawn
        if panel.spliced is not None and panel.unspliced is not None
    }
    check_colors(colors, list(points.values()), list(points))
    rows, columns = grid_of(len(panels), columns)
    figure = make_subplots(
        rows=rows, cols=columns, horizontal_spacing=0.05, vertical_spacing=0.2 if rows > 1 else 0.0
    )
    tones = ink(dark)
    reach = [max(float(np.nanmax(part, initial=0)) for part in pair) for pair in _axes(points)]
    right, top = (1.04 * value if value > 0 else 1.0 for value in reach)
    for index, panel in enumerate(panels):
        suffix = axis_suffix(index)
        if panel.title in points:
            add_cells(figure, index, panel.title, points[panel.title], colors)
        else:
            add_message(figure, index, panel.message or "", line_width(columns), dark)
        if panel.slope is not None and panel.slope > 0 and panel.title in points:
            end = min(right, top / panel.slope)
            figure.add_trace(
                go.Scattergl(
                    x=np.array([0, end], dtype=np.float32),
                    y=np.array([0, panel.slope * end], dtype=np.float32),
                    mode="lines",
                    line={"color": tones.stream, "width": 2, "dash": "dash"},
                    name="steady state",
                    legendgroup="steady state",
                    legendrank=9000,
                    showlegend=not any(trace.name == "steady state" for trace in figure.data),
                    hovertemplate=f"steady state, unspliced = {panel.slope:.3g} spliced"
                    "<extra></extra>",
                    xaxis=f"x{suffix}",
                    yaxis=f"y{suffix}",
                )
            )
        _title(figure, suffix, panel.title, panel.caption, columns, dark)
        figure.update_layout(
            {
                f"xaxis{suffix}": {
                    "title": {"text": "spliced, smoothed"},
                    "range": [-0.02 * right, right],
                    "matches": "x" if index else None,
                },
                f"yaxis{suffix}": {
                    "title": {"text": "unspliced, smoothed" if index % columns == 0 else ""},
                    "range": [-0.02 * top, top],
                    "matches": "y" if index else None,
                },
            }
        )
    figure.update_layout(
        template=template(dark),
        height=330 * rows + 120,
        margin={"t": 56, "b": 8},
        hovermode="closest",
        uirevision="phase",
        legend={"y": -0.2 if rows == 1 else -0.1},
    )
    _add_bar_under_legend(figure, colors, dark)
    return describe(
        figure,
        f"Phase portraits of {gene}: smoothed unspliced against spliced counts of the "
        f"cells, colored by {colors.title}, for "
        f"{', '.join(panel.title for panel in drawn)}; a dashed line is the steady state.",
    )


def ratio_over_time(
    gene: str, ratios: TimedRatios, *, colors: CellColors, dark: bool = False
) -> go.Figure:
    """Draw a gene's ratio over time: predicted in each cell, and measured.

    Parameters
    ----------
    gene
        Its name.
    ratios
        What is known of the cells.
    colors
        One for each cell.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure of two panels with the same axes. Left, the prediction and its interval, cell by
    cell; right, measured ratios of entries as dots sized by their counts, and ratios pooled in
    bins of time, measured ones with error bars.

    Raises
    ------
    DataError
        If the colors do not fit the cells.
    """
    left = np.column_stack([ratios.time, ratios.predicted])
    right = np.column_stack([ratios.time, ratios.measured])
    check_colors(colors, [left, right], ["predicted", "measured"])
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.05)
    tones = ink(dark)
    if ratios.lower is not None and ratios.upper is not None:
        figure.add_trace(_whiskers(ratios.time, ratios.lower, ratios.upper, tones.muted))
    add_cells(figure, 0, "predicted", left, colors)
    if ratios.band is not None and len(ratios.band):
        _add_band(figure, ratios.band, ratios.band_title)
    before = len(figure.data)
    add_cells(figure, 1, "measured", right, colors)
    for trace in figure.data[before:]:
        counted = np.asarray(ratios.molecules)[trace.customdata]
        shown = np.isfinite(right[trace.customdata, 1])
        trace.update(
            x=trace.x[shown],
            y=trace.y[shown],
            customdata=trace.customdata[shown],
            text=[f"{n:,.0f} counts" for n in counted[shown]],
            marker={
                "size": np.clip(3 + 1.6 * np.sqrt(counted[shown]), 4, 18).astype(np.float32),
                "opacity": 0.35,
            },
            hovertemplate="measured %{y:.2f}, %{text}<extra>" + (trace.name or "") + "</extra>",
        )
        if trace.marker.coloraxis:
            trace.marker.color = np.asarray(trace.marker.color)[shown]
    for source, curve in _by_source(ratios.bins):
        figure.add_trace(_pooled_trace(source, curve, "time", dark, axes="2"))
    titles = (
        ("SplicedVAE, predicted", "one dot per cell, with its interval"),
        ("measured", "dots: entries, lines: pooled"),
    )
    for index, (title, caption) in enumerate(titles):
        suffix = axis_suffix(index)
        _title(figure, suffix, title, caption, 2, dark)
        figure.update_layout(
            {
                f"xaxis{suffix}": {
                    "title": {"text": label(ratios.time_title, 60)},
                    "matches": "x" if index else None,
                    "zeroline": False,
                },
                f"yaxis{suffix}": {
                    "title": {"text": "spliced fraction" if not index else ""},
                    "range": [-0.03, 1.03],
                    "matches": "y" if index else None,
                    "zeroline": False,
                },
            }
        )
    figure.update_layout(
        template=template(dark),
        height=470,
        margin={"t": 56, "b": 8},
        hovermode="closest",
        uirevision="time",
        legend={"y": -0.18},
    )
    _add_bar_under_legend(figure, colors, dark)
    return describe(
        figure,
        f"Spliced fraction of {gene} over {ratios.time_title}: predicted in each cell with "
        "the model's interval, and measured, as single entries and pooled with error bars, "
        "with the pooled predictions.",
    )


def ratio_by_group(gene: str, groups: pd.DataFrame, title: str, *, dark: bool = False) -> go.Figure:
    """Draw a gene's pooled ratio in each group of cells, measured and predicted.

    Parameters
    ----------
    gene
        Its name.
    groups
        A row for each group and source: columns ``group``, ``source`` (as in `Sources`),
        ``ratio``, ``lower``, ``upper`` (NaN without an interval), ``molecules``. Groups are
        drawn in the order in which they come.
    title
        What the groups are.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure, a marker for each group and source; error bars where they are known.

    Raises
    ------
    DataError
        If a column is missing or there are no rows.
    """
    need_columns(groups, _GROUP_COLUMNS, "groups")
    if not groups["ratio"].notna().any():
        raise DataError(
            f"No group of cells has counts of {gene[:60]!r} to pool: choose a gene that is "
            "expressed."
        )
    names = list(dict.fromkeys(groups["group"].astype(str)))
    place = {name: position for position, name in enumerate(names)}
    figure = go.Figure()
    curves = _by_source(groups)
    for index, (source, curve) in enumerate(curves):
        shift = (index - (len(curves) - 1) / 2) * min(0.14, 0.7 / max(len(curves), 1))
        at = curve.assign(place=curve["group"].astype(str).map(place) + shift)
        trace = _pooled_trace(source, at, "place", dark)
        trace.update(
            mode="markers", marker={"size": 10}, text=[label(name) for name in at["group"]]
        )
        trace.hovertemplate = "%{text}: %{y:.3f}, %{customdata:,.0f} counts<extra>%{fullData.name}"
        figure.add_trace(trace)
    figure.update_layout(
        template=template(dark),
        height=380,
        xaxis={
            "title": {"text": label(title, 60)},
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": [label(name, 20) for name in names],
            "range": [-0.6, len(names) - 0.4],
            "showgrid": False,
            "zeroline": False,
        },
        yaxis={"title": {"text": "spliced fraction"}},
        legend={"y": 1.02, "yanchor": "bottom", "itemsizing": "trace"},
        hovermode="closest",
    )
    told = ", ".join(Sources.LABELS.get(source, source) for source, _ in curves)
    return describe(
        figure,
        f"Spliced fraction of {gene}, counts pooled in each of {len(names)} groups of cells "
        f"({title}), for: {told}; error bars show the sampling noise of molecules.",
    )


def _add_bar_under_legend(figure: go.Figure, colors: CellColors, dark: bool) -> None:
    """Add the color bar of numbers below the legend of the lines, and space for both."""
    add_color_bar(figure, colors, dark)
    if isinstance(colors, Values):
        figure.update_layout(
            coloraxis={"colorbar": {"ypad": 130}}, height=figure.layout.height + 90
        )


def _axes(points: Mapping[str, FloatArray]) -> list[list[FloatArray]]:
    return [[part[:, axis] for part in points.values()] for axis in (0, 1)]


def _by_source(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Split rows by source: the measured first, then predictors in their order."""
    order = predictors_in_order(table["source"].astype(str))
    order.sort(key=lambda name: name != Sources.MEASURED)
    return [(name, table[table["source"] == name]) for name in order]


def _pooled_trace(
    source: str, curve: pd.DataFrame, across: str, dark: bool, *, axes: str = ""
) -> go.Scatter:
    measured = source == Sources.MEASURED
    color = ink(dark).text if measured else predictor_colors([source])[source]
    ratio = curve["ratio"].to_numpy(dtype=float)
    bars: dict[str, Any] = {}
    if curve["upper"].notna().any():
        bars["error_y"] = {
            "type": "data",
            "array": curve["upper"].to_numpy(dtype=float) - ratio,
            "arrayminus": ratio - curve["lower"].to_numpy(dtype=float),
            "color": color,
            "thickness": 1.8,
            "width": 4,
        }
    name = predictor_label(source)
    return go.Scatter(
        x=curve[across].to_numpy(dtype=float),
        y=ratio,
        customdata=curve["molecules"].to_numpy(dtype=float),
        mode="markers" if measured else "lines+markers",
        line={"color": color, "width": 2.4 if source == Sources.SPLICEDVAE else 1.6},
        marker={
            "color": color,
            "size": 9 if measured else 7,
            "symbol": "diamond" if measured else "circle",
        },
        name="measured, pooled" if measured else name,
        legendgroup=f"pooled {source}",
        legendrank=8000,
        zorder=2 if measured else int(source == Sources.SPLICEDVAE),
        hovertemplate="pooled %{y:.3f}, %{customdata:,.0f} counts<extra>" + name + "</extra>",
        xaxis=f"x{axes}",
        yaxis=f"y{axes}",
        **bars,
    )


def _whiskers(time: FloatArray, lower: FloatArray, upper: FloatArray, color: str) -> go.Scattergl:
    gap = np.full(time.size, np.nan)
    return go.Scattergl(
        x=np.column_stack([time, time, gap]).ravel().astype(np.float32),
        y=np.column_stack([lower, upper, gap]).ravel().astype(np.float32),
        mode="lines",
        line={"color": color, "width": 1},
        opacity=0.35,
        connectgaps=False,
        hoverinfo="skip",
        name="90% interval of the model",
        legendrank=8500,
        xaxis="x",
        yaxis="y",
    )


def _add_band(figure: go.Figure, band: pd.DataFrame, title: str) -> None:
    time = band["time"].to_numpy(dtype=float)
    color = predictor_colors([Sources.SPLICEDVAE])[Sources.SPLICEDVAE]
    figure.add_trace(
        go.Scatter(
            x=np.concatenate([time, time[::-1]]),
            y=np.concatenate(
                [band["upper"].to_numpy(dtype=float), band["lower"].to_numpy(dtype=float)[::-1]]
            ),
            mode="lines",
            fill="toself",
            line={"width": 0, "color": color},
            opacity=0.18,
            fillcolor=color,
            hoverinfo="skip",
            name=escape(title),
            legendrank=8400,
            xaxis="x2",
            yaxis="y2",
        )
    )


def _title(
    figure: go.Figure, suffix: str, title: str, caption: str | None, columns: int, dark: bool
) -> None:
    tones = ink(dark)
    text = f"<b>{label(title, 40)}</b>"
    if caption:
        text += (
            f"<br><span style='font-size:12px;color:{tones.muted}'>"
            f"{wrap(caption, line_width(columns) + 20)}</span>"
        )
    figure.add_annotation(
        text=text,
        xref=f"x{suffix} domain",
        yref=f"y{suffix} domain",
        x=0.5,
        y=1,
        xanchor="center",
        yanchor="bottom",
        yshift=3,
        showarrow=False,
        font={"size": 14, "color": tones.text},
    )
