"""What is in a file: depth of its cells, and how much of each cluster is unspliced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from splicedvae._core.errors import DataError
from splicedvae.plotting._metrics import need_columns
from splicedvae.plotting._text import escape, label
from splicedvae.plotting._theme import (
    CATEGORICAL,
    SAFE_COLORS,
    category_colors,
    describe,
    ink,
    log_axis,
    template,
)
from splicedvae.plotting._types import Histogram


def depth_histogram(
    histograms: Sequence[Histogram],
    *,
    title: str = "counts of a cell",
    unit: Literal["counts", "fraction"] = "counts",
    dark: bool = False,
) -> go.Figure:
    """Draw how many cells have which depth, or which fraction of their counts.

    Parameters
    ----------
    histograms
        Numbers of cells by depth, already binned; several, such as total, spliced and
        unspliced, are laid over each other.
    title
        What is counted, for the axis.
    unit
        Whether the edges are numbers of counts or fractions from 0 to 1.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure, on a logarithmic axis if all edges are positive and span more than a factor
    of 20.

    Raises
    ------
    DataError
        If there are no histograms.
    """
    if not histograms:
        raise DataError("There is no depth to draw: give at least one histogram.")
    figure = go.Figure()
    number = ",.0f" if unit == "counts" else ".1%"
    low = min(float(histogram.edges[0]) for histogram in histograms)
    high = max(float(histogram.edges[-1]) for histogram in histograms)
    for histogram, color in zip(histograms, _colors(len(histograms)), strict=True):
        edges = np.asarray(histogram.edges, dtype=np.float32)
        counts = np.asarray(histogram.counts, dtype=np.float32)
        median = f", median {histogram.median:{number}}" if histogram.median is not None else ""
        figure.add_trace(
            go.Scatter(
                x=np.concatenate([edges[:1], edges]),
                y=np.concatenate([np.zeros(1, np.float32), counts, np.zeros(1, np.float32)]),
                mode="lines",
                line={"shape": "hv", "width": 1.8, "color": color},
                fill="tozeroy",
                fillcolor=_translucent(color),
                name=f"{label(histogram.label)}{median}",
                hovertemplate=f"from %{{x:{number}}}: %{{y:,}} cells<extra>"
                f"{label(histogram.label)}</extra>",
            )
        )
    axis: dict[str, Any] = {"tickformat": ".0%"} if unit == "fraction" else {}
    if unit == "counts" and low > 0 and high > 20 * low:
        axis = log_axis(low, high)
    figure.update_layout(
        template=template(dark),
        height=320,
        showlegend=True,
        xaxis={
            "title": {"text": escape(title)},
            **axis,
        },
        yaxis={"title": {"text": "cells"}, "rangemode": "tozero"},
        legend={"y": 1.02, "yanchor": "bottom", "itemsizing": "trace"},
    )
    n_cells = max(int(np.sum(histogram.counts)) for histogram in histograms)
    medians = ", ".join(
        f"{histogram.label} {histogram.median:{number}}"
        for histogram in histograms
        if histogram.median is not None
    )
    return describe(
        figure,
        f"Histogram of the {title} over {n_cells:,} cells"
        f"{'; medians: ' + medians if medians else ''}.",
    )


_FRACTION: Final = "unspliced fraction U / (S + U)"


def unspliced_fraction_by_cluster(
    table: pd.DataFrame,
    *,
    overall: float | None = None,
    genes: str = "",
    colors: Mapping[str, str] | None = None,
    dark: bool = False,
) -> go.Figure:
    """Draw the unspliced fraction of each cluster's counts.

    Parameters
    ----------
    table
        One row for each cluster: columns ``cluster``, ``n_cells``, ``median_depth`` (counts of
        a cell) and ``unspliced_fraction`` (of the cluster's summed counts, 0 to 1).
    overall
        The fraction over all cells, drawn as a line.
    genes
        Over which genes, such as "all genes of the file": fractions of other genes differ.
    colors
        Colors that are already decided, by cluster.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure, a bar for each cluster in the table's order.

    Raises
    ------
    DataError
        If a column is missing or there are no clusters.
    """
    need_columns(table, ("cluster", "n_cells", "median_depth", "unspliced_fraction"), "cluster")
    if table.empty:
        raise DataError("There is no cluster to draw: the table must have one row for each.")
    names = [str(name) for name in table["cluster"]]
    palette = category_colors(names, colors)
    fractions = table["unspliced_fraction"].to_numpy(dtype=float)
    figure = go.Figure(
        go.Bar(
            x=fractions,
            y=np.arange(len(names)),
            orientation="h",
            marker={"color": [palette[name] for name in names]},
            customdata=np.column_stack([table["n_cells"], table["median_depth"]]).astype(float),
            hovertext=[escape(name) for name in names],
            hovertemplate="%{hovertext}<br>%{x:.2%} unspliced<br>%{customdata[0]:,} cells"
            "<br>median depth %{customdata[1]:,.0f}<extra></extra>",
        )
    )
    figure.update_layout(
        template=template(dark),
        height=96 + 30 * len(names),
        bargap=0.28,
        xaxis={
            "title": {"text": escape(", ".join(filter(None, (_FRACTION, genes))))},
            "tickformat": ".0%",
            "rangemode": "tozero",
        },
        yaxis={
            "tickvals": list(range(len(names))),
            "ticktext": [
                f"{label(name)} ({int(n):,})"
                for name, n in zip(names, table["n_cells"], strict=True)
            ],
            "autorange": "reversed",
            "showgrid": False,
        },
        margin={"r": 56},
        # Next to the plot, where no line crosses them.
        annotations=[
            {
                "text": f"{fraction:.1%}" if np.isfinite(fraction) else "–",
                "xref": "paper",
                "x": 1,
                "xanchor": "left",
                "xshift": 4,
                "y": row,
                "showarrow": False,
                "font": {"size": 12},
            }
            for row, fraction in enumerate(fractions)
        ],
    )
    if overall is not None:
        figure.add_vline(
            x=overall,
            line={"color": ink(dark).muted, "dash": "dot", "width": 1.4},
            annotation={"text": f"all cells {overall:.1%}", "font": {"size": 12}},
            annotation_position="top",
        )
    lowest, highest = int(np.nanargmin(fractions)), int(np.nanargmax(fractions))
    return describe(
        figure,
        f"Unspliced fraction{f' over {genes}' if genes else ''} of {len(names)} clusters, from "
        f"{fractions[lowest]:.1%} ({names[lowest]}) to {fractions[highest]:.1%} "
        f"({names[highest]}).",
    )


def _colors(n: int) -> list[str]:
    return [CATEGORICAL[index % SAFE_COLORS] for index in range(n)]


def _translucent(color: str) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
