"""The table of a benchmark as a figure: every predictor, its spread, and what noise allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from splicedvae._core.errors import DataError
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

#: Metrics of the overview with their coverage and name, a panel each.
BENCHMARK_LABELS: Final[Mapping[tuple[str, int], str]] = {
    (key, coverage): metric_of(key).at(coverage)
    for key, coverage in (
        ("skill", 1),
        ("within_gene_r_by_cluster", 1),
        ("pearson", 5),
        ("velocity_cosine_genes", 1),
        ("velocity_cosine_umap", 1),
        ("cbdir", 1),
        ("velocity_cosine_genes_true", 1),
        ("velocity_cosine_umap_true", 1),
    )
}


def benchmark_overview(
    summary: pd.DataFrame,
    *,
    labels: Mapping[tuple[str, int], str] = BENCHMARK_LABELS,
    dark: bool = False,
) -> go.Figure:
    """Draw mean and spread of every predictor, a panel for each metric.

    Parameters
    ----------
    summary
        From `splicedvae.benchmark.summarise`: columns ``predictor``, ``metric``, ``coverage``,
        ``mean``, ``sd`` (NaN with one run), ``ceiling`` (NaN where unknown) and ``n_runs``.
    labels
        Metrics and coverages to draw, and their names.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure; a dot with its standard deviation for each predictor, and a dotted line at the
    ceiling.

    Raises
    ------
    DataError
        If a column is missing or none of the metrics is in the frame.
    """
    need_columns(
        summary, ("predictor", "metric", "coverage", "mean", "sd", "ceiling", "n_runs"), "summary"
    )
    known = summary.dropna(subset=["mean"])
    present = set(zip(known["metric"], known["coverage"], strict=True))
    shown = [key for key in labels if key in present]
    if not shown:
        raise DataError(
            f"The summary holds none of {', '.join(name for name, _ in labels)}: name the metrics "
            "to draw."
        )
    drawn = known[[key in shown for key in zip(known["metric"], known["coverage"], strict=True)]]
    predictors = predictors_in_order(drawn["predictor"])
    palette, colors = predictor_colors(predictors), ink(dark)
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        horizontal_spacing=0.05,
        vertical_spacing=0.35 / rows if rows > 1 else 0.0,
        shared_yaxes=True,
        subplot_titles=[f"<b>{escape(labels[key])}</b>" for key in shown],
    )
    order = [predictor_label(name) for name in reversed(predictors)]
    for index, (metric, coverage) in enumerate(shown):
        suffix = axis_suffix(index)
        here = drawn[(drawn["metric"] == metric) & (drawn["coverage"] == coverage)]
        here = here.set_index("predictor").reindex(predictors).dropna(subset=["mean"])
        names = [str(name) for name in here.index]
        figure.add_trace(
            go.Scatter(
                x=here["mean"],
                y=[predictor_label(name) for name in names],
                error_x={"array": here["sd"].fillna(0), "thickness": 1.5, "color": colors.muted},
                customdata=np.column_stack([here["sd"], here["n_runs"]]),
                mode="markers",
                marker={"size": 10, "color": [palette[name] for name in names]},
                showlegend=False,
                hovertemplate="%{y}: %{x:.4f} ± %{customdata[0]:.4f}"
                "<br>%{customdata[1]} runs<extra></extra>",
                xaxis=f"x{suffix}",
                yaxis=f"y{suffix}",
            )
        )
        ceiling = here["ceiling"].dropna()
        if len(ceiling):
            figure.add_vline(
                x=float(ceiling.iloc[0]),
                line={"color": colors.muted, "width": 1.6, "dash": "dot"},
                row=index // columns + 1,
                col=index % columns + 1,
            )
        figure.update_layout({f"yaxis{suffix}": {"categoryorder": "array", "categoryarray": order}})
    figure.update_layout(template=template(dark), height=(70 + 28 * len(order)) * rows + 60)
    return describe(
        figure,
        f"Mean and standard deviation over runs of {', '.join(labels[key] for key in shown)}, for: "
        f"{', '.join(predictor_label(name) for name in predictors)}; a dotted line shows what the "
        "noise of the measurement allows, where that is known.",
    )
