"""Depth, clusters and unspliced fractions, of a run and of a file before any run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from splicedvae import plotting
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers
from splicedvae.views._parts import NOT_MEASURED, cluster_key, depth_of, held_out_cells, row_sums

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from splicedvae.runs import Run
    from splicedvae.triage import DataSummary


#: Over which genes a fraction is: a model has few of a file's, so the two differ.
MODEL_GENES: Final = "genes of the model"
FILE_GENES: Final = "all genes of the file"


def cluster_table(run: Run) -> pd.DataFrame:
    """Summarize the clusters of a run's cells.

    Parameters
    ----------
    run
        A run.

    Returns
    -------
    One row for each cluster: ``cluster``, ``n_cells``, ``held_out`` (cells), ``median_depth``
    (total counts of a cell, over the model's genes) and ``unspliced_fraction`` (of the summed
    measured counts; NaN where none were measured). One row, "all cells", without clusters.
    """
    cells = run.predictions
    key = cluster_key(run)
    if key is None:
        names, codes = ["all cells"], np.zeros(cells.n_obs, dtype=int)
    else:
        column = cells.obs[key].astype("category")
        names, codes = [str(name) for name in column.cat.categories], column.cat.codes.to_numpy()
    depth, held_out = depth_of(cells), held_out_cells(cells)
    measured = Layers.SPLICED in cells.layers and Layers.UNSPLICED in cells.layers
    if measured:
        unspliced = row_sums(cells.layers[Layers.UNSPLICED])
        both = unspliced + row_sums(cells.layers[Layers.SPLICED])
    rows = []
    for code, name in enumerate(names):
        inside = codes == code
        if not inside.any():
            continue
        counted = float(both[inside].sum()) if measured else 0.0
        rows.append(
            {
                "cluster": name,
                "n_cells": int(inside.sum()),
                "held_out": int((inside & held_out).sum()),
                "median_depth": float(np.median(depth[inside])),
                "unspliced_fraction": float(unspliced[inside].sum()) / counted
                if counted
                else np.nan,
            }
        )
    return pd.DataFrame(rows)


def depth_figure(run: Run, *, dark: bool = False) -> go.Figure:
    """Draw the distribution of a run's depth: totals, and the measured layers if any.

    Parameters
    ----------
    run
        A run.
    dark
        Whether the figure is for the dark theme.

    Raises
    ------
    DataError
        If the cells hold no counts.
    """
    cells = run.predictions
    parts = {"total": depth_of(cells)}
    for label, layer in (("spliced", Layers.SPLICED), ("unspliced", Layers.UNSPLICED)):
        if layer in cells.layers:
            parts[label] = row_sums(cells.layers[layer])
    positive = np.concatenate([values[values > 0] for values in parts.values()])
    if not positive.size:
        raise DataError("The run's cells have no counts in the model's genes: use other genes.")
    edges = np.geomspace(max(positive.min(), 1.0) * 0.95, positive.max() * 1.05, 46)
    histograms = [
        plotting.Histogram(label, np.histogram(values, edges)[0], edges, float(np.median(values)))
        for label, values in parts.items()
    ]
    return plotting.depth_histogram(
        histograms, title="counts of a cell, over the model's genes", dark=dark
    )


def unspliced_figure(run: Run, *, dark: bool = False) -> go.Figure:
    """Draw the measured unspliced fraction of each cluster of a run.

    Parameters
    ----------
    run
        A run.
    dark
        Whether the figure is for the dark theme.

    Raises
    ------
    DataError
        If the run has no measured counts.
    """
    table = cluster_table(run).dropna(subset=["unspliced_fraction"])
    cells = run.predictions
    overall = None
    if Layers.UNSPLICED in cells.layers and Layers.SPLICED in cells.layers:
        unspliced = float(row_sums(cells.layers[Layers.UNSPLICED]).sum())
        overall = unspliced / max(unspliced + float(cells.layers[Layers.SPLICED].sum()), 1.0)
    if table.empty:
        raise DataError(NOT_MEASURED)
    return plotting.unspliced_fraction_by_cluster(
        table, overall=overall, genes=MODEL_GENES, dark=dark
    )


def data_depth_figure(summary: DataSummary, *, dark: bool = False) -> go.Figure:
    """Draw the distribution of a file's depth, from what `splicedvae.triage.inspect` found.

    Parameters
    ----------
    summary
        What was found in a file.
    dark
        Whether the figure is for the dark theme.
    summary
        What was found in a file.
    """
    histogram = plotting.Histogram(
        "total",
        summary.umis_histogram.counts,
        summary.umis_histogram.edges,
        summary.umis_per_cell.median,
    )
    return plotting.depth_histogram([histogram], title="total counts of a cell", dark=dark)


def data_fraction_figure(summary: DataSummary, *, dark: bool = False) -> go.Figure:
    """Draw the distribution of the cells' unspliced fractions in a file.

    Parameters
    ----------
    summary
        What was found in a file.
    dark
        Whether the figure is for the dark theme.

    Raises
    ------
    DataError
        If the file has no measured counts.
    """
    if summary.unspliced_histogram is None or summary.unspliced_fraction_per_cell is None:
        raise DataError(NOT_MEASURED)
    histogram = plotting.Histogram(
        "unspliced fraction",
        summary.unspliced_histogram.counts,
        summary.unspliced_histogram.edges,
        summary.unspliced_fraction_per_cell.median,
    )
    return plotting.depth_histogram(
        [histogram], title="unspliced fraction of a cell", unit="fraction", dark=dark
    )


def data_unspliced_figure(summary: DataSummary, *, dark: bool = False) -> go.Figure:
    """Draw the unspliced fraction of each cluster in a file.

    Parameters
    ----------
    summary
        What was found in a file.
    dark
        Whether the figure is for the dark theme.

    Raises
    ------
    DataError
        If the file has no measured counts, or no clusters.
    """
    rows = [
        {
            "cluster": row.cluster,
            "n_cells": row.n_cells,
            "median_depth": row.median_umis,
            "unspliced_fraction": row.unspliced_fraction,
        }
        for row in summary.clusters
        if row.unspliced_fraction is not None
    ]
    if not summary.has_measured_layers:
        raise DataError(NOT_MEASURED)
    if not rows:
        raise DataError(
            "The data has no clusters with spliced and unspliced counts: name the column of obs "
            "that holds clusters."
        )
    return plotting.unspliced_fraction_by_cluster(
        pd.DataFrame(rows), overall=summary.unspliced_fraction, genes=FILE_GENES, dark=dark
    )
