"""Predicted against measured ratios: densities, curves by coverage, within genes, training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from splicedvae import plotting
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Sources, Var
from splicedvae.evaluation import ratio_density as count_density
from splicedvae.views._parts import held_out_cells, judged_cells, metric_value

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from splicedvae.runs import Run

#: What the paper that introduced SplicedVAE reports, without a mask or a split.
PUBLISHED: Final[Mapping[str, float]] = {"rmse": 0.1271, "pearson": 0.67}
#: Cells whose entries are counted at a time.
_CELLS_AT_A_TIME: Final = 4_000
_WITHIN_GENE: Final = "within_gene_r_"


def predictors(run: Run) -> tuple[str, ...]:
    """Return the predictors whose ratios can be drawn against the measured ones.

    Parameters
    ----------
    run
        A run.
    """
    cells = run.predictions
    if Layers.SPLICED not in cells.layers or Layers.UNSPLICED not in cells.layers:
        return ()
    found = [source for source, layer in Sources.RATIO_LAYERS.items() if layer in cells.layers]
    if Var.GENE_MEAN in cells.var:
        found.append(Sources.GENE_MEAN)
    return tuple(found)


def judged_ratio(
    run: Run, source: str, which: NDArray[np.int_] | None = None
) -> tuple[sparse.csr_matrix, sparse.csr_matrix, NDArray[np.floating]]:
    """Take measured counts and a predicted ratio of the cells that a run is judged by.

    Parameters
    ----------
    run
        The run.
    source
        One of `predictors`.
    which
        Some of `judged_cells`; all of them if None.

    Returns
    -------
    Spliced counts, unspliced counts and the ratio, dense, of these cells.

    Raises
    ------
    DataError
        If the run has no measured counts, or no ratio from this source.
    """
    if source not in predictors(run):
        raise DataError(
            f"The run has no ratio from {source!r} to compare with measured ones: choose "
            "one of "
            f"{', '.join(predictors(run)) or 'none, its data has no spliced and unspliced counts'}."
        )
    cells = run.predictions
    which = judged_cells(run) if which is None else which
    spliced = sparse.csr_matrix(cells.layers[Layers.SPLICED][which])
    unspliced = sparse.csr_matrix(cells.layers[Layers.UNSPLICED][which])
    if source == Sources.GENE_MEAN:
        ratio = np.broadcast_to(cells.var[Var.GENE_MEAN].to_numpy(dtype=np.float64), spliced.shape)
    else:
        layer = cells.layers[Sources.RATIO_LAYERS[source]][which]
        ratio = layer.toarray() if sparse.issparse(layer) else np.asarray(layer)
    return spliced, unspliced, ratio


def ratio_density(
    run: Run, source: str, *, coverage: int = 5, n_bins: int = 40
) -> plotting.Density:
    """Count the held-out entries of a run by measured and predicted ratio.

    Parameters
    ----------
    run
        The run.
    source
        One of `predictors`.
    coverage
        Least S + U of an entry (a cell and a gene).
    n_bins
        Bins on each axis.

    Returns
    -------
    The density of held-out cells; of all cells if the run held none out, as its caption says.

    Raises
    ------
    DataError
        If the run has no measured counts, or no ratio from this source.
    """
    held_out = held_out_cells(run.predictions)
    which = judged_cells(run)
    counts, edges = np.zeros((n_bins, n_bins), dtype=np.int64), np.linspace(0, 1, n_bins + 1)
    # A part at a time: the ratios of all cells as a dense matrix would be gigabytes.
    for start in range(0, max(len(which), 1), _CELLS_AT_A_TIME):
        part = judged_ratio(run, source, which[start : start + _CELLS_AT_A_TIME])
        counted = count_density(*part, coverage=coverage, n_bins=n_bins)
        counts, edges = counts + counted.counts, counted.edges
    caption = f"{int(counts.sum()):,} {'held-out ' if held_out.any() else ''}entries"
    for metric, words in (("rmse", "RMSE"), ("pearson", "r")):
        value = metric_value(run, source, metric, coverage)
        if value is not None:
            # A name and its number stay in one line.
            caption += f", {words}\u00a0{value:.3f}"
    return plotting.Density(source, counts.T, edges, edges, caption=caption)


def ratio_figure(
    run: Run,
    sources: Sequence[str] | None = None,
    *,
    coverage: int = 5,
    dark: bool = False,
    columns: int | None = None,
) -> go.Figure:
    """Draw predicted against measured ratios of held-out cells.

    Parameters
    ----------
    run
        The run.
    sources
        Which of `predictors`; all if None.
    coverage
        Least S + U of an entry.
    dark
        Whether the page behind the figure is dark.
    columns
        Panels in a row; chosen by their number if None.

    Returns
    -------
    One figure, a panel for each predictor.

    Raises
    ------
    DataError
        If the run has no measured counts, or no ratio from a source.
    """
    densities = [
        ratio_density(run, source, coverage=coverage) for source in sources or predictors(run)
    ]
    return plotting.predicted_against_measured(densities, columns=columns, dark=dark)


def coverage_figure(
    run: Run, *, published: Mapping[str, float] | None = PUBLISHED, dark: bool = False
) -> go.Figure:
    """Draw RMSE and Pearson r of a run by coverage, with the noise ceiling.

    Parameters
    ----------
    run
        The run.
    published
        Numbers that others reported, by metric, for a line each; None draws none.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure.
    """
    return plotting.coverage_curves(run.metrics, published=published, dark=dark)


def gain_table(run: Run) -> pd.DataFrame:
    """Compute each predictor's gain over the gene mean as a share of the possible gain.

    Parameters
    ----------
    run
        A run.

    Returns
    -------
    Rows like a run's metrics, ``metric`` being "rmse" or "pearson" and ``value`` the share
    of the way from the gene mean (0) to the noise ceiling (1): below 0 a predictor is worse
    than a constant for each gene. No rows where the gene mean or the noise ceiling is not
    known.
    """
    metrics = run.metrics
    table = metrics[metrics["metric"].isin(["rmse", "pearson"])]
    constant = table[table["predictor"] == Sources.GENE_MEAN]
    constant = constant[["metric", "coverage", "value"]].rename(columns={"value": "constant"})
    table = table.merge(constant, on=["metric", "coverage"])
    possible = table["ceiling"] - table["constant"]
    table["value"] = (table["value"] - table["constant"]) / possible.where(possible != 0)
    table["ceiling"] = np.nan
    return table.drop(columns="constant").dropna(subset=["value"]).reset_index(drop=True)


def gain_figure(run: Run, *, dark: bool = False) -> go.Figure:
    """Draw what each predictor gains over the gene mean, as a share of what is possible.

    Parameters
    ----------
    run
        A run.
    dark
        Whether the figure is for the dark theme.

    Raises
    ------
    DataError
        If the gene mean or the noise ceiling is not known.
    """
    table = gain_table(run)
    if table.empty:
        raise DataError(
            "The run has no metrics of the gene mean or the noise ceiling: train a run on "
            "data with spliced and unspliced counts."
        )
    labels = {
        "rmse": "share of the possible gain in RMSE",
        "pearson": "share of the possible gain in r",
    }
    return plotting.coverage_curves(table, labels=labels, dark=dark)


def within_gene_figure(run: Run, *, dark: bool = False) -> go.Figure:
    """Draw how well each predictor follows the ratio within a gene.

    Parameters
    ----------
    run
        The run.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure; genes whose correlation is not defined are left out.

    Raises
    ------
    DataError
        If no gene has a correlation.
    """
    table = run.genes
    found = {}
    for column in table.columns:
        if str(column).startswith(_WITHIN_GENE):
            values = table[column].to_numpy(dtype=float)
            if np.isfinite(values).any():
                found[str(column).removeprefix(_WITHIN_GENE)] = values[np.isfinite(values)]
    if not found:
        raise DataError(
            "No gene of the run has a within-gene correlation, which needs measured counts "
            "in at least 20 held-out cells: use more cells or hold out a larger share."
        )
    reach = min(1.0, np.ceil(10 * max(np.abs(values).max() for values in found.values())) / 10)
    edges = np.linspace(-reach, reach, 51)
    histograms = [
        plotting.Histogram(
            name, np.histogram(found[name], edges)[0], edges, float(np.median(found[name]))
        )
        for name in plotting.predictors_in_order(found)
    ]
    return plotting.within_gene_correlation(histograms, dark=dark)


def training_figure(run: Run, *, dark: bool = False) -> go.Figure:
    """Draw the training curves of a finished run.

    Parameters
    ----------
    run
        A run.
    dark
        Whether the figure is for the dark theme.
    """
    return plotting.training_curves(run.history, dark=dark)
