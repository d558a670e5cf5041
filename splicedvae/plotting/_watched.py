"""Accuracy on held-out cells by epoch, beside the gene mean and what noise allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Sources
from splicedvae._core.metrics import metric_of
from splicedvae.plotting._cells import axis_suffix
from splicedvae.plotting._metrics import need_columns
from splicedvae.plotting._text import escape
from splicedvae.plotting._theme import (
    describe,
    ink,
    predictor_colors,
    predictor_label,
    predictors_in_order,
    template,
)

#: Metrics that are watched in training, and what a person reads.
WATCHED_LABELS: Final[Mapping[str, str]] = {
    key: metric_of(key).head for key in ("skill", "rmse", "within_gene_r")
}
_SUFFIX: Final = "_held_out"
_CEILING: Final = "_held_out_ceiling"


def watched_curves(
    history: pd.DataFrame, *, labels: Mapping[str, str] = WATCHED_LABELS, dark: bool = False
) -> go.Figure:
    """Draw the accuracy of each model on watched held-out cells by epoch.

    Parameters
    ----------
    history
        One row for each predictor, epoch and metric: columns ``predictor``, ``epoch``,
        ``metric`` and ``value``. Metrics are named ``<metric>_held_out``; those of the gene mean
        are a level, as is ``<metric>_held_out_ceiling``, what noise allows.
    labels
        Metrics to draw, a panel each, and their names.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure, a panel for each metric; the gene mean dashed, what noise allows dotted.

    Raises
    ------
    DataError
        If a column is missing or no model's metric is in the frame.
    """
    need_columns(history, ("predictor", "epoch", "metric", "value"), "history")
    table = history.dropna(subset=["value"])
    models = table[table["predictor"] != Sources.GENE_MEAN]
    shown = [name for name in labels if (models["metric"] == f"{name}{_SUFFIX}").any()]
    if not shown:
        raise DataError(
            "No accuracy on held-out cells was watched while this run trained, as in runs of "
            "earlier versions: train again to see it."
        )
    names = models[models["metric"].str.endswith(_SUFFIX)]["predictor"]
    predictors = predictors_in_order(names)
    palette = predictor_colors([*predictors, Sources.GENE_MEAN])
    colors = ink(dark)
    figure = make_subplots(
        rows=1,
        cols=len(shown),
        horizontal_spacing=0.07,
        subplot_titles=[f"<b>{escape(labels[name])}</b>" for name in shown],
    )
    named: set[str] = set()
    last = max(float(models["epoch"].max()), 2.0)
    for index, metric in enumerate(shown):
        suffix = axis_suffix(index)
        axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        for predictor in predictors:
            curve = models[
                (models["predictor"] == predictor) & (models["metric"] == f"{metric}{_SUFFIX}")
            ].sort_values("epoch")
            name = predictor_label(predictor)
            figure.add_trace(
                go.Scatter(
                    x=curve["epoch"].to_numpy(),
                    y=curve["value"].to_numpy(dtype=np.float32),
                    mode="lines+markers",
                    line={"color": palette[predictor], "width": 2},
                    marker={"size": 5},
                    name=name,
                    legendgroup=name,
                    showlegend=predictor not in named,
                    hovertemplate=f"epoch %{{x}}: %{{y:.4f}}<extra>{name}</extra>",
                    **axes,
                )
            )
            named.add(predictor)
        for key, words, color, dash in (
            (_SUFFIX, "gene mean, a constant", palette[Sources.GENE_MEAN], "dash"),
            (_CEILING, "best possible, given the noise", colors.muted, "dot"),
        ):
            level = table[
                (table["predictor"] == Sources.GENE_MEAN) & (table["metric"] == f"{metric}{key}")
            ]["value"]
            if not len(level):
                continue
            value = float(level.iloc[0])
            figure.add_trace(
                go.Scatter(
                    x=[1, last],
                    y=[value, value],
                    mode="lines",
                    line={"color": color, "width": 1.6, "dash": dash},
                    name=words,
                    legendgroup=words,
                    showlegend=words not in named,
                    hovertemplate=f"%{{y:.4f}}<extra>{words}</extra>",
                    **axes,
                )
            )
            named.add(words)
        figure.update_layout({f"xaxis{suffix}": {"title": {"text": "epoch"}}})
    figure.update_layout(
        template=template(dark),
        height=360,
        legend={"y": -0.24, "itemsizing": "trace", "itemwidth": 40},
        uirevision="watched",
    )
    readers = ", ".join(predictor_label(name) for name in predictors)
    return describe(
        figure,
        f"{', '.join(labels[name] for name in shown)} on watched held-out cells by epoch, of: "
        f"{readers}; a dashed line is the gene mean, a dotted one what the noise allows.",
    )
