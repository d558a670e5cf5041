"""Whether predictions mean what they say: reliability, intervals, and the spread over cells."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Sources
from splicedvae.plotting._metrics import need_columns
from splicedvae.plotting._text import label
from splicedvae.plotting._theme import (
    IDENTITY,
    describe,
    ink,
    predictor_colors,
    predictor_label,
    predictors_in_order,
    template,
)

_RELIABILITY: Final = ("predictor", "predicted", "observed", "error", "molecules", "entries")
_INTERVALS: Final = ("predictor", "coverage", "value", "ceiling", "n")
_BOXES: Final = ("group", "predictor", "low", "first", "median", "third", "high", "n")


def reliability_curves(
    overall: pd.DataFrame, within: pd.DataFrame, *, dark: bool = False
) -> go.Figure:
    """Draw how far observed spliced shares lie from predicted ones.

    Parameters
    ----------
    overall
        A row per predictor and bin of the predicted ratio: ``predictor``, ``predicted``,
        ``observed``, ``error`` (a standard deviation of the observed share by sampling),
        ``molecules``, ``entries``.
    within
        The same of deviations from each gene's mean, in bins of the predicted deviation; no rows
        without variation within genes.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure of two panels: observed minus predicted over all genes, where right is 0; and within
    genes, where right is the dotted diagonal.

    Raises
    ------
    DataError
        If a column is missing or there are no rows.
    """
    need_columns(overall, _RELIABILITY, "reliability")
    need_columns(within, _RELIABILITY, "reliability within genes")
    if overall.empty:
        raise DataError("There is no bin of predicted ratios to draw: give at least one.")
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.14)
    predictors = predictors_in_order([*overall["predictor"], *within["predictor"]])
    palette = predictor_colors(predictors)
    for panel, table in enumerate((overall, within)):
        suffix = "2" if panel else ""
        for place, predictor in enumerate(predictors):
            rows = table[table["predictor"] == predictor].sort_values("predicted")
            if rows.empty:
                continue
            x = rows["predicted"].to_numpy(dtype=float)
            observed = rows["observed"].to_numpy(dtype=float)
            name = predictor_label(predictor)
            figure.add_trace(
                go.Scatter(
                    x=x,
                    y=observed if panel else observed - x,
                    error_y={
                        "type": "data",
                        "array": 1.645 * rows["error"].to_numpy(dtype=float),
                        "color": palette[predictor],
                        "thickness": 1.2,
                        "width": 3,
                    },
                    customdata=np.column_stack([observed, rows["molecules"], rows["entries"]]),
                    mode="lines+markers",
                    line={"color": palette[predictor], "width": 1.8},
                    marker={"size": 7},
                    name=name,
                    legendgroup=predictor,
                    showlegend=not panel or predictor not in set(overall["predictor"]),
                    zorder=-place,
                    hovertemplate="predicted %{x:.3f}, observed %{customdata[0]:.3f}<br>"
                    "%{customdata[1]:,.0f} molecules in %{customdata[2]:,.0f} entries"
                    f"<extra>{name}</extra>",
                    xaxis=f"x{suffix}",
                    yaxis=f"y{suffix}",
                )
            )
    right: dict[str, Any] = {"color": IDENTITY, "width": 1.6, "dash": "dot"}
    figure.add_hline(y=0, line=right, row=1, col=1)
    if len(within):
        reach = float(np.abs(within["predicted"].to_numpy(dtype=float)).max())
        figure.add_trace(
            go.Scatter(
                x=[-reach, reach],
                y=[-reach, reach],
                mode="lines",
                line=right,
                hoverinfo="skip",
                name="right",
                legendrank=5000,
                xaxis="x2",
                yaxis="y2",
            )
        )
    else:
        _note(figure, "Nothing varies within genes.", dark)
    for suffix, title in (("", "over all genes"), ("2", "within genes")):
        figure.add_annotation(
            text=f"<b>{title}</b>",
            xref=f"x{suffix} domain",
            yref=f"y{suffix} domain",
            x=0.5,
            y=1,
            yshift=3,
            yanchor="bottom",
            showarrow=False,
            font={"size": 14, "color": ink(dark).text},
        )
    figure.update_layout(
        template=template(dark),
        height=420,
        margin={"t": 40},
        xaxis={"title": {"text": "predicted ratio"}, "zeroline": False},
        yaxis={"title": {"text": "observed − predicted"}, "zeroline": False},
        xaxis2={"title": {"text": "predicted deviation"}, "zeroline": False},
        yaxis2={"title": {"text": "measured deviation"}, "zeroline": False},
        legend={"y": -0.2, "itemsizing": "trace"},
    )
    readers = ", ".join(Sources.LABELS.get(name, name) for name in predictors)
    return describe(
        figure,
        "Observed minus predicted spliced fraction in bins of the predicted ratio, where 0 "
        "is right, and measured against predicted deviations from each gene's mean, where "
        f"the dotted diagonal is right, for: {readers}; error bars are 90% intervals of the "
        "sampling noise.",
    )


def interval_coverage(metrics: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """Draw how many held-out counts lie inside their predicted intervals, by coverage.

    Parameters
    ----------
    metrics
        A row per predictor and coverage: ``predictor``, ``coverage``, ``value`` (share inside),
        ``ceiling`` (the level that is right), ``n`` (entries).
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure; the dotted line is the level.

    Raises
    ------
    DataError
        If a column is missing or there are no rows.
    """
    need_columns(metrics, _INTERVALS, "intervals")
    if metrics.empty:
        raise DataError(
            "The run has no metrics of prediction intervals: train again with this version."
        )
    predictors = predictors_in_order(metrics["predictor"])
    palette = predictor_colors(predictors)
    figure = go.Figure()
    for predictor in predictors:
        rows = metrics[metrics["predictor"] == predictor].sort_values("coverage")
        name = predictor_label(predictor)
        figure.add_trace(
            go.Scatter(
                x=[f"{value:g} or more" for value in rows["coverage"]],
                y=rows["value"].to_numpy(dtype=float),
                customdata=rows["n"].to_numpy(dtype=float),
                mode="lines+markers",
                line={"color": palette[predictor], "width": 2},
                marker={"size": 9},
                name=name,
                hovertemplate="%{x} counts: %{y:.3f}<br>%{customdata:,.0f} entries"
                f"<extra>{name}</extra>",
            )
        )
    levels = metrics["ceiling"].dropna()
    values = metrics["value"].to_numpy(dtype=float)
    low, high = float(values.min()), float(values.max())
    if len(levels):
        level = float(levels.iloc[0])
        low, high = min(low, level), max(high, level)
        figure.add_hline(
            y=level,
            line={"color": IDENTITY, "width": 1.6, "dash": "dot"},
            annotation={"text": f"{level:.0%} is right", "font": {"color": ink(dark).muted}},
        )
    spare = max(0.03, 0.15 * (high - low))
    figure.update_layout(
        template=template(dark),
        height=320,
        xaxis={"title": {"text": "counts of an entry"}, "type": "category"},
        yaxis={
            "title": {"text": "share inside the interval"},
            "range": [low - spare, min(high + spare, 1.02)],
            "tickformat": ".0%",
        },
        legend={"y": 1.02, "yanchor": "bottom", "itemsizing": "trace"},
    )
    readers = ", ".join(Sources.LABELS.get(name, name) for name in predictors)
    return describe(
        figure,
        f"Share of held-out counts inside predicted intervals by coverage, for: {readers}; the "
        "dotted line is right.",
    )


def skill_boxes(groups: pd.DataFrame, *, dark: bool = False) -> go.Figure:
    """Draw how the skill of single cells is spread in each group.

    Parameters
    ----------
    groups
        A row per group and predictor: ``group``, ``predictor``, ``low``, ``first``, ``median``,
        ``third``, ``high`` (5%, 25%, 50%, 75% and 95% of the cells), ``n`` (cells).
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure, a box for each; 0, the gene mean, is a dotted line.

    Raises
    ------
    DataError
        If a column is missing or there are no rows.
    """
    need_columns(groups, _BOXES, "groups")
    if groups.empty:
        raise DataError("There is no group of cells to draw: give at least one.")
    predictors = predictors_in_order(groups["predictor"])
    palette = predictor_colors(predictors)
    figure = go.Figure()
    for predictor in predictors:
        rows = groups[groups["predictor"] == predictor]
        parts = {
            name: rows[column].to_numpy(dtype=float)
            for name, column in (
                ("lowerfence", "low"),
                ("q1", "first"),
                ("median", "median"),
                ("q3", "third"),
                ("upperfence", "high"),
            )
        }
        figure.add_trace(
            go.Box(
                x=[label(name) for name in rows["group"]],
                **parts,
                name=predictor_label(predictor),
                marker={"color": palette[predictor]},
                line={"width": 1.6},
            )
        )
    figure.add_hline(
        y=0,
        line={"color": IDENTITY, "width": 1.6, "dash": "dot"},
        annotation={"text": "gene mean", "font": {"color": ink(dark).muted}, "xanchor": "left"},
        annotation_x=1.0,
    )
    figure.update_layout(
        template=template(dark),
        height=380,
        margin_r=90,
        boxmode="group",
        yaxis={"title": {"text": "skill of a cell over the gene mean"}, "zeroline": False},
        xaxis={"showgrid": False},
        legend={"y": 1.02, "yanchor": "bottom"},
    )
    readers = ", ".join(Sources.LABELS.get(name, name) for name in predictors)
    return describe(
        figure,
        f"Skill of single cells over the gene mean in each of {groups['group'].nunique()} groups, "
        f"for: {readers}; boxes hold the middle half of the cells, whiskers 90% of them.",
    )


def _note(figure: go.Figure, text: str, dark: bool) -> None:
    figure.add_annotation(
        text=text,
        xref="x2 domain",
        yref="y2 domain",
        x=0.5,
        y=0.5,
        showarrow=False,
        font={"size": 13, "color": ink(dark).muted},
    )
