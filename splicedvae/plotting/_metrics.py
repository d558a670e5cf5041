"""Numbers of a run: accuracy by coverage beside its ceiling, and the training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Sources
from splicedvae._core.metrics import metric_of
from splicedvae.plotting._cells import axis_suffix
from splicedvae.plotting._text import escape
from splicedvae.plotting._theme import (
    describe,
    ink,
    log_axis,
    predictor_colors,
    predictor_label,
    predictors_in_order,
    template,
)

#: Metrics drawn by coverage, and in which direction each is better.
METRIC_LABELS: Final[Mapping[str, str]] = {
    key: f"{metric_of(key).head} ({metric_of(key).better} is better)" for key in ("rmse", "pearson")
}

#: Curves of the training history that are drawn if present, in this order: per cell, in words that
#: stand beside each other on a narrow page.
HISTORY_LABELS: Final[Mapping[str, str]] = {
    "ratio_loss": "ratio loss",
    "reconstruction_loss": "expression loss",
    "kl_local": "KL divergence",
}

#: Ends the name of a loss of the cells that a model learns from.
_TRAIN: Final = "_train"


def coverage_curves(
    metrics: pd.DataFrame,
    *,
    labels: Mapping[str, str] = METRIC_LABELS,
    published: Mapping[str, float] | None = None,
    dark: bool = False,
) -> go.Figure:
    """Draw how accuracy depends on the counts an entry must have, beside what is attainable.

    Parameters
    ----------
    metrics
        One row for each predictor, metric and coverage: columns ``predictor``, ``metric``,
        ``coverage`` (least S + U), ``value``, ``ceiling`` (NaN where unknown), ``n`` (entries).
    labels
        Metrics to draw, a panel each, and their names.
    published
        Numbers that others reported, by metric: a thin line each; None draws none.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure; a line for each predictor and a dotted one for the ceiling.

    Raises
    ------
    DataError
        If a column is missing or none of the metrics is in the frame.
    """
    need_columns(metrics, ("predictor", "metric", "coverage", "value", "ceiling", "n"), "metrics")
    shown = [name for name in labels if (metrics["metric"] == name).any()]
    if not shown:
        raise DataError(
            f"The metrics hold {_listed(metrics['metric'])} but none of {', '.join(labels)}: "
            "name the metrics to draw."
        )
    table = metrics[metrics["metric"].isin(shown)].dropna(subset=["coverage", "value"])
    predictors = predictors_in_order(table["predictor"])
    palette = predictor_colors(predictors)
    colors = ink(dark)
    figure = make_subplots(rows=1, cols=len(shown), horizontal_spacing=0.14)
    named: set[str] = set()
    for index, metric in enumerate(shown):
        rows = table[table["metric"] == metric].sort_values("coverage")
        suffix = axis_suffix(index)
        axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        for place, predictor in enumerate(predictors):
            line = rows[rows["predictor"] == predictor]
            name = predictor_label(predictor)
            model = predictor in (Sources.SPLICEDVAE, Sources.SCVI)
            figure.add_trace(
                go.Scatter(
                    x=line["coverage"],
                    y=line["value"],
                    customdata=line["n"],
                    mode="lines+markers",
                    line={"color": palette[predictor], "width": 2.5 if model else 1.6},
                    marker={"size": 8 if model else 6},
                    name=name,
                    legendgroup=predictor,
                    showlegend=predictor not in named,
                    zorder=-place,
                    hovertemplate="at least %{x} counts: %{y:.4f}<br>%{customdata:,} entries"
                    f"<extra>{name}</extra>",
                    **axes,
                )
            )
            named.add(predictor)
        ceiling = rows.dropna(subset=["ceiling"]).drop_duplicates(["coverage", "ceiling"])
        if len(ceiling):
            figure.add_trace(
                go.Scatter(
                    x=ceiling["coverage"],
                    y=ceiling["ceiling"],
                    mode="lines+markers",
                    line={"color": colors.muted, "width": 1.6, "dash": "dot"},
                    marker={"symbol": "line-ew-open", "size": 9, "color": colors.muted},
                    name="best possible, given the noise",
                    legendgroup="ceiling",
                    legendrank=5000,
                    showlegend="ceiling" not in named,
                    hovertemplate="at least %{x} counts: %{y:.4f}<extra>best possible</extra>",
                    **axes,
                )
            )
            named.add("ceiling")
        if published and metric in published:
            ordered = rows.sort_values("coverage")["value"].to_numpy(dtype=float)
            falls = ordered.size > 1 and ordered[0] > ordered[-1]
            figure.add_hline(
                y=published[metric],
                line={"color": colors.muted, "width": 1, "dash": "longdash"},
                annotation={
                    "text": f"published {published[metric]:g}",
                    "font": {"color": colors.muted, "size": 11},
                },
                # Where the curves are not.
                annotation_position="bottom left" if falls else "top right",
                row=1,
                col=index + 1,
            )
        ticks = sorted(set(rows["coverage"]))
        figure.update_layout(
            {
                f"xaxis{suffix}": {
                    "title": {"text": "least counts S + U of an entry"},
                    "type": "log",
                    "tickmode": "array",
                    "tickvals": ticks,
                    "ticktext": [f"{tick:g}" for tick in ticks],
                },
                f"yaxis{suffix}": {"title": {"text": labels[metric]}},
            }
        )
    figure.update_layout(
        template=template(dark),
        height=400,
        legend={"y": 1.02, "yanchor": "bottom", "itemsizing": "trace"},
    )
    readers = ", ".join(Sources.LABELS.get(name, name) for name in predictors)
    return describe(
        figure,
        f"{' and '.join(labels[name] for name in shown)} by the least number of counts of an "
        f"entry, for: {readers}; a dotted line shows what the noise of the measurement allows, "
        "where that is known.",
    )


def training_curves(
    history: pd.DataFrame,
    *,
    labels: Mapping[str, str] = HISTORY_LABELS,
    dark: bool = False,
) -> go.Figure:
    """Draw the losses of each model by epoch.

    Parameters
    ----------
    history
        One row for each predictor, epoch and metric: columns ``predictor``, ``epoch``,
        ``metric`` and ``value``. Losses are named ``<loss>_train``; a run monitors no other
        cells by their loss, and those it watches have `watched_curves`.
    labels
        Losses to draw, a panel each, and their names.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure, a panel for each loss. A loss that is positive and falls by more than a factor
    of five stands on a logarithmic axis.

    Raises
    ------
    DataError
        If a column is missing or none of the losses is in the frame.
    """
    need_columns(history, ("predictor", "epoch", "metric", "value"), "history")
    names = history["metric"].astype(str)
    losses = names.str.removesuffix(_TRAIN).where(names.str.endswith(_TRAIN))
    table = history.assign(loss=losses).dropna(subset=["loss", "value"])
    shown = [name for name in labels if (table["loss"] == name).any()]
    if not shown:
        raise DataError(
            f"The history holds {_listed(history['metric'])} but no training curve of "
            f"{', '.join(labels)}: name the losses to draw."
        )
    table = table[table["loss"].isin(shown)]
    predictors = list(dict.fromkeys(table["predictor"]))
    palette = predictor_colors(predictors)
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        horizontal_spacing=0.07,
        vertical_spacing=0.2 if rows > 1 else 0.0,
        subplot_titles=[f"<b>{escape(labels[name])}</b>" for name in shown],
    )
    named: set[str] = set()
    for index, loss in enumerate(shown):
        suffix = axis_suffix(index)
        curves = table[table["loss"] == loss]
        for predictor in predictors_in_order(curves["predictor"].unique()):
            ordered = curves[curves["predictor"] == predictor].sort_values("epoch")
            name = predictor_label(str(predictor))
            single = len(ordered) == 1
            figure.add_trace(
                go.Scatter(
                    x=ordered["epoch"].to_numpy(),
                    y=ordered["value"].to_numpy(dtype=np.float32),
                    mode="markers" if single else "lines",
                    line={"color": palette[str(predictor)], "width": 2},
                    name=name,
                    legendgroup=name,
                    showlegend=str(predictor) not in named,
                    hovertemplate=f"epoch %{{x}}: %{{y:.5g}}<extra>{name}</extra>",
                    xaxis=f"x{suffix}",
                    yaxis=f"y{suffix}",
                )
            )
            named.add(str(predictor))
        low, high = curves["value"].min(), curves["value"].max()
        figure.update_layout(
            {
                f"xaxis{suffix}": {"title": {"text": "epoch"}},
                f"yaxis{suffix}": log_axis(low, high) if low > 0 and high > 5 * low else {},
            }
        )
    figure.update_layout(
        template=template(dark),
        height=300 * rows + 90,
        legend={"y": -0.2 if rows == 1 else -0.12, "itemsizing": "trace", "itemwidth": 40},
        uirevision="training",
        hovermode="x unified",
    )
    readers = ", ".join(Sources.LABELS.get(name, name) for name in predictors)
    return describe(
        figure,
        f"Training curves by epoch ({', '.join(labels[name] for name in shown)}) of: {readers}.",
    )


def need_columns(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Check that a table has the columns a figure is made of.

    Raises
    ------
    DataError
        If one is missing.
    """
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(
            f"The {what} table lacks {', '.join(missing)}: it must have the columns "
            f"{', '.join(columns)}."
        )


def _listed(column: pd.Series) -> str:
    names = [str(name) for name in dict.fromkeys(column)]
    return ", ".join(names[:8]) + (" ..." if len(names) > 8 else "") if names else "nothing"
