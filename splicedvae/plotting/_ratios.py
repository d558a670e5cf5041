"""Predicted ratios against measured ones, entry by entry and within each gene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Sources
from splicedvae.plotting._cells import axis_suffix
from splicedvae.plotting._grid import grid_of, line_width
from splicedvae.plotting._text import wrap
from splicedvae.plotting._theme import (
    IDENTITY,
    color_axis,
    describe,
    ink,
    predictor_colors,
    predictor_label,
    template,
)
from splicedvae.plotting._types import Density, Histogram


def predicted_against_measured(
    densities: Sequence[Density], *, columns: int | None = None, dark: bool = False
) -> go.Figure:
    """Draw how many entries fall on each pair of measured and predicted ratio.

    Parameters
    ----------
    densities
        One for each predictor, already binned.
    columns
        Panels in a row; up to three, and four as two by two, if None.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure, a panel for each predictor, one color scale (logarithmic) for all, and the
    line on which prediction and measurement agree.

    Raises
    ------
    DataError
        If there are no densities.
    """
    if not densities:
        raise DataError("There is no predictor to draw: give at least one density.")
    rows, columns = grid_of(len(densities), columns)
    figure = make_subplots(
        rows=rows, cols=columns, horizontal_spacing=0.05, vertical_spacing=0.24 if rows > 1 else 0.0
    )
    colors = ink(dark)
    for index, density in enumerate(densities):
        suffix = axis_suffix(index)
        axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        counts = np.asarray(density.counts, dtype=np.float32)
        shown = np.full(counts.shape, np.nan, dtype=np.float32)
        np.log10(counts, out=shown, where=counts > 0)
        figure.add_trace(
            go.Heatmap(
                x=np.asarray(density.measured_edges, dtype=np.float32),
                y=np.asarray(density.predicted_edges, dtype=np.float32),
                z=shown,
                customdata=counts,
                coloraxis="coloraxis",
                hoverongaps=False,
                name=predictor_label(density.predictor),
                hovertemplate="measured %{x:.2f}<br>predicted %{y:.2f}<br>"
                "%{customdata:,.0f} entries",
                **axes,
            )
        )
        figure.add_trace(
            go.Scatter(
                x=[0, 1],
                y=[0, 1],
                mode="lines",
                line={"color": IDENTITY, "width": 1.6, "dash": "dot"},
                hoverinfo="skip",
                showlegend=False,
                name="agreement",
                **axes,
            )
        )
        text = f"<b>{predictor_label(density.predictor)}</b>"
        if density.caption:
            text += (
                f"<br><span style='font-size:12px;color:{colors.muted}'>"
                f"{wrap(density.caption, line_width(columns) - 4)}</span>"
            )
        figure.add_annotation(
            text=text,
            xref=f"x{suffix} domain",
            yref=f"y{suffix} domain",
            x=0.5,
            y=1,
            yshift=3,
            yanchor="bottom",
            showarrow=False,
            font={"size": 14, "color": colors.text},
        )
        figure.update_layout(
            {
                f"xaxis{suffix}": {
                    "title": {"text": "measured ratio"},
                    "range": [0, 1],
                    "dtick": 0.25,
                    "constrain": "domain",
                    "scaleanchor": f"y{suffix}",
                },
                f"yaxis{suffix}": {
                    "title": {"text": "predicted ratio" if index % columns == 0 else ""},
                    "range": [0, 1],
                    "dtick": 0.25,
                    "constrain": "domain",
                },
            }
        )
    top = int(np.ceil(np.log10(max(float(np.max(d.counts, initial=1)) for d in densities) + 1)))
    bar = color_axis("sequential", (0.0, float(max(top, 1))), "entries (cell and gene)", dark)
    ticks = list(range(max(top, 1) + 1))
    bar["colorbar"].update(tickvals=ticks, ticktext=[f"{10**tick:,}" for tick in ticks], ypad=56)
    figure.update_layout(
        template=template(dark),
        height=350 * rows + 100,
        margin={"t": 66, "b": 8},
        coloraxis=bar,
    )
    names = ", ".join(Sources.LABELS.get(d.predictor, d.predictor) for d in densities)
    return describe(
        figure,
        "Density of predicted against measured splicing ratio, cell by cell and gene by gene, "
        f"for: {names}; on the dotted line they agree.",
    )


def within_gene_correlation(histograms: Sequence[Histogram], *, dark: bool = False) -> go.Figure:
    """Draw how the correlation within a gene is distributed over genes.

    Parameters
    ----------
    histograms
        One for each predictor: numbers of genes by Pearson r over a gene's held-out cells,
        and the median over genes.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure: a stepped outline for each predictor, its median as a dashed line.

    Raises
    ------
    DataError
        If there are no histograms.
    """
    if not histograms:
        raise DataError("There is no predictor to draw: give at least one histogram.")
    figure = go.Figure()
    palette = predictor_colors([histogram.label for histogram in histograms])
    for place, histogram in enumerate(histograms):
        color, name = palette[histogram.label], predictor_label(histogram.label)
        x, y = _outline(histogram)
        median = f", median {histogram.median:.2f}" if histogram.median is not None else ""
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                mode="lines",
                line={"color": color, "width": 2, "shape": "hv"},
                name=f"{name}{median}",
                legendgroup=histogram.label,
                zorder=-place,
                hovertemplate="r from %{x:.2f}: %{y:,} genes<extra>" + name + "</extra>",
            )
        )
        if histogram.median is not None:
            figure.add_vline(
                x=histogram.median, line={"color": color, "width": 1.3, "dash": "dash"}
            )
    figure.update_layout(
        template=template(dark),
        height=380,
        xaxis={"title": {"text": "Pearson r within a gene, across held-out cells"}},
        yaxis={"title": {"text": "genes"}, "rangemode": "tozero"},
        legend={"y": 1.02, "yanchor": "bottom", "itemsizing": "trace"},
    )
    medians = ", ".join(
        f"{Sources.LABELS.get(h.label, h.label)} {h.median:.2f}"
        for h in histograms
        if h.median is not None
    )
    return describe(
        figure,
        "Histogram over genes of the within-gene correlation between predicted and "
        f"measured ratio{('; medians: ' + medians if medians else '')}.",
    )


def _outline(histogram: Histogram) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps of a histogram, from zero and back to zero."""
    edges = np.asarray(histogram.edges, dtype=np.float32)
    counts = np.asarray(histogram.counts, dtype=np.float32)
    return (
        np.concatenate([edges[:1], edges]),
        np.concatenate([np.zeros(1, np.float32), counts, np.zeros(1, np.float32)]),
    )
