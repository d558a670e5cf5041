"""From a run to its figures and tables: written once, for the report and the pages.

Each function reads a run, takes from it what one picture needs and hands it to
`splicedvae.plotting`. What takes time is apart (`stream_lines`), so that a page can keep it
while the colours change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from splicedvae import plotting
from splicedvae._errors import DataError
from splicedvae._keys import Layers, Obs, Obsm, Sources, Split, Var
from splicedvae.evaluation import ratio_density as count_density
from splicedvae.velocity import StreamLines, VelocityAccount, streamlines

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from anndata import AnnData

    from splicedvae.io import DataSummary
    from splicedvae.runs import Run

__all__ = [
    "BEST_POSSIBLE",
    "CELL_DEPTH",
    "DENSITY",
    "MEASURED_HALVES",
    "N_VALUES",
    "cell_colors",
    "cluster_table",
    "color_choices",
    "coverage_figure",
    "data_depth_figure",
    "data_fraction_figure",
    "data_unspliced_figure",
    "default_color",
    "depth_figure",
    "gain_figure",
    "gain_table",
    "latent_figure",
    "metrics_table",
    "predictors",
    "ratio_density",
    "ratio_figure",
    "sources",
    "stream_figure",
    "stream_lines",
    "training_figure",
    "unspliced_figure",
    "velocity_table",
    "within_gene_figure",
]

#: Colour by the total counts of a cell.
CELL_DEPTH: Final = "total counts"

#: Closeness of stream lines: as many as a panel of 350 pixels bears.
DENSITY: Final = 1.4

#: Order of stream panels.
_SOURCES: Final = (Sources.MEASURED, Sources.SPLICEDVAE, Sources.SCVI, Sources.TRUE)
#: Numbers of a cell that each velocity has of its own, and what they are called.
_PER_SOURCE: Final[Mapping[str, str]] = {
    Obs.CONFIDENCE: "velocity confidence (smoothness, not correctness)",
    Obs.LENGTH: "velocity length",
}
_LATENTS: Final = (
    (Sources.SPLICEDVAE, Obsm.UMAP_LATENT, "SplicedVAE"),
    (Sources.SCVI, Obsm.UMAP_LATENT_SCVI, "scVI"),
)
_RATIO_LAYERS: Final[Mapping[str, str]] = {
    Sources.SPLICEDVAE: Layers.RATIO,
    Sources.SCVI: Layers.RATIO_SCVI,
}
_WITHIN_GENE: Final = "within_gene_r_"
#: Names of metrics and their digits, in the order of the tables.
_METRICS: Final[Mapping[str, tuple[str, int]]] = {
    "rmse": ("RMSE", 4),
    "pearson": ("Pearson r", 3),
    "nll": ("negative log-likelihood per count", 4),
    "skill": ("likelihood skill over gene mean", 4),
    "within_gene_r": ("within-gene r", 3),
    "within_gene_r_by_cluster": ("within-gene r, pooled by cluster", 3),
    "within_gene_r_by_cluster_50": ("within-gene r, pooled by cluster, 50 counts or more", 3),
    "within_gene_slope": ("slope of measured on predicted, within genes", 2),
    "calibration_error": ("calibration error", 4),
    "interval_coverage": ("counts inside 90% intervals", 3),
    "interval_coverage_inclusive": ("counts inside 90% intervals, ends included", 3),
    "velocity_cosine_genes": ("cosine to the measured velocity, genes", 3),
    "velocity_cosine_umap": ("cosine to the measured velocity, map", 3),
    "velocity_cosine_genes_true": ("cosine to the true velocity, genes", 3),
    "velocity_cosine_umap_true": ("cosine to the true velocity, map", 3),
    "velocity_cosine_genes_own_graph": ("cosine to the measured, genes, own latent graph", 3),
    "velocity_cosine_umap_own_graph": ("cosine to the measured, map, own latent graph", 3),
    "cbdir": ("known transitions (CBDir)", 3),
    "cbdir_null": ("known transitions, random neighbours", 3),
    "time_order": ("pairs of cells in the right order of time", 3),
    "velocity_confidence": ("velocity confidence (smoothness)", 3),
    "coherence_genes": ("coherence within clusters, genes (smoothness)", 3),
    "coherence_umap": ("coherence within clusters, map (smoothness)", 3),
    "velocity_evidence": ("evidence of a velocity in the counts, log2", 2),
    "velocity_evidence_p": ("the same, p by permutation", 3),
    "expression_nll": ("negative log-likelihood of expression per cell", 1),
    "expression_elbo": ("negative evidence lower bound per cell", 1),
    "silhouette_clusters": ("silhouette of clusters, 0 to 1", 3),
    "nmi_kmeans": ("NMI of k-means with clusters", 3),
    "ari_kmeans": ("ARI of k-means with clusters", 3),
    "silhouette_batches": ("mixing of batches (1 - silhouette)", 3),
    "time_r2": ("R² of time from neighbours", 3),
}
#: What a metric is about, by how its name begins; all others are about the ratio.
_ABOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "velocity": ("velocity_", "cbdir", "coherence_", "time_order"),
    "latent": ("expression_", "silhouette_", "nmi_", "ari_", "time_r2"),
}
#: Metrics for which "n" is the least number of counts of an entry.
_BY_COVERAGE: Final = ("rmse", "pearson")
_WITH_COVERAGE: Final = (*_BY_COVERAGE, "interval_coverage", "interval_coverage_inclusive")
#: Columns of the tables beside the predictors.
BEST_POSSIBLE: Final = "best possible"
#: Column of a table of velocities: how far two halves of the measured molecules agree.
MEASURED_HALVES: Final = "two measured halves"
N_VALUES: Final = "values"
_NOT_MEASURED: Final = (
    "The data has no spliced and unspliced counts, so that no unspliced fraction is known: look at "
    "data that has them."
)
#: More categories than this are no legend any more.
_MOST_CATEGORIES: Final = 60


def sources(run: Run) -> tuple[str, ...]:
    """Return the sources of velocity a run has tried, refused ones included, in their order."""
    account = run.velocity_account
    return tuple(source for source in _SOURCES if source in account)


def predictors(run: Run) -> tuple[str, ...]:
    """Return the predictors whose ratios can be drawn against the measured ones."""
    cells = run.predictions
    if Layers.SPLICED not in cells.layers or Layers.UNSPLICED not in cells.layers:
        return ()
    found = [source for source, layer in _RATIO_LAYERS.items() if layer in cells.layers]
    if Var.GENE_MEAN in cells.var:
        found.append(Sources.GENE_MEAN)
    return tuple(found)


def color_choices(run: Run) -> tuple[str, ...]:
    """Return what the cells of a run can be coloured by, the most useful first.

    Returns
    -------
    Columns of ``obs`` that are categories or numbers, `CELL_DEPTH`, and, if the run has a
    velocity, its confidence and length. A gene's name is accepted by `cell_colors` as well.
    """
    obs = run.predictions.obs
    named = [str(name) for name in obs.columns if _is_colorable(obs[name])]
    first = [name for name in (_cluster_key(run), Obs.SPLIT) if name in named]
    choices = [*first, CELL_DEPTH, *(name for name in named if name not in first)]
    if any(source != Sources.TRUE for source in run.velocity_sources):
        choices += [name for name in _PER_SOURCE if name not in choices]
    return tuple(choices)


def default_color(run: Run) -> str:
    """Return the cells' clusters if the run knows them, else their depth."""
    return _cluster_key(run) or CELL_DEPTH


def cell_colors(run: Run, color_by: str, velocity: AnnData | None = None) -> plotting.CellColors:
    """Take the colours of a run's cells.

    Parameters
    ----------
    run
        The run.
    color_by
        One of `color_choices`, or the name of a gene of the model, for the logarithm of its
        total count per 10,000.
    velocity
        The velocity whose own numbers are meant where ``color_by`` is its confidence or
        length; the numbers are missing if it is None.

    Returns
    -------
    Categories or numbers, one for each cell of the run's predictions.

    Raises
    ------
    DataError
        If the run has no such column, gene or number.
    """
    cells = run.predictions
    if color_by in _PER_SOURCE:
        values = np.full(cells.n_obs, np.nan, dtype=np.float32)
        if velocity is not None and color_by in velocity.obs:
            values = velocity.obs[color_by].reindex(cells.obs_names).to_numpy(dtype=np.float32)
        return plotting.Values(_PER_SOURCE[color_by], values)
    if color_by in cells.obs:
        column = cells.obs[color_by]
        if _is_number(column):
            return plotting.Values(color_by, column.to_numpy(dtype=np.float32))
        return _categories(cells, color_by)
    if color_by == CELL_DEPTH:
        return plotting.Values("total counts of a cell, log10", _log_depth(cells))
    if color_by in cells.var_names:
        depth = np.maximum(_depth(cells), 1.0)
        counts = _column(cells.X, int(cells.var_names.get_loc(color_by)))
        return plotting.Values(
            f"{color_by}, log(1 + counts per 10,000)",
            np.log1p(1e4 * counts / depth).astype(np.float32),
        )
    raise DataError(
        f"The run has no column or gene {color_by[:60]!r} to colour by: choose one of "
        f"{', '.join(color_choices(run))}, or a gene of the model."
    )


def stream_lines(run: Run, source: str, *, density: float = DENSITY) -> StreamLines:
    """Follow one velocity of a run over its map.

    Parameters
    ----------
    run
        The run.
    source
        One of ``run.velocity_sources``.
    density
        Closeness of the lines, as `splicedvae.velocity.streamlines` takes it.

    Returns
    -------
    The lines, which do not depend on the colours.

    Raises
    ------
    RunError
        If the run has no velocity from this source.
    """
    return streamlines(run.velocity(source), density=density)


def stream_figure(
    run: Run,
    sources: Sequence[str] | None = None,
    color_by: str | None = None,
    *,
    dark: bool = False,
    density: float = DENSITY,
    columns: int | None = None,
    lines: Mapping[str, StreamLines] | None = None,
) -> go.Figure:
    """Draw the velocities of a run side by side, under one camera.

    Parameters
    ----------
    run
        The run.
    sources
        Which velocities, in this order; all that were tried if None. A refused one shows its
        reason.
    color_by
        One of `color_choices` or a gene; the clusters if None.
    dark
        Whether the page behind the figure is dark.
    density
        Closeness of the lines.
    columns
        Panels in a row; chosen by their number if None.
    lines
        Results of `stream_lines` that are already there, by source.

    Returns
    -------
    One figure; each point's ``customdata`` is the index of its cell in the predictions.

    Raises
    ------
    DataError
        If the run has none of the sources, or nothing to colour by.
    RunError
        If the run is not finished.
    """
    account = run.velocity_account
    chosen = tuple(source for source in (sources or _SOURCES) if source in account)
    if not chosen:
        raise DataError(
            f"The run has no velocity from {', '.join(sources or _SOURCES)}: choose one of "
            f"{', '.join(account) or 'none'}."
        )
    color_by = color_by or default_color(run)
    cells = run.predictions
    results = {source: run.velocity(source) for source in chosen if source in run.velocity_sources}
    panels, colors = [], []
    for source in chosen:
        result = results.get(source)
        title = Sources.LABELS.get(source, source)
        if result is None:
            panel = plotting.StreamPanel(
                title, _any_map(run, results), None, message=_refusal(account[source])
            )
        else:
            panel = _stream_panel(cells, source, title, result, density, (lines or {}).get(source))
        panels.append(panel)
        colors.append(cell_colors(run, color_by, velocity=result))
    return plotting.streams(panels, colors=colors, columns=columns, dark=dark)


def latent_figure(run: Run, color_by: str | None = None, *, dark: bool = False) -> go.Figure:
    """Draw the latent spaces of both models side by side.

    Parameters
    ----------
    run
        The run.
    color_by
        One of `color_choices` or a gene; the clusters if None.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure; each point's ``customdata`` is the index of its cell in the predictions.

    Raises
    ------
    DataError
        If the run has no map of a latent space.
    """
    cells = run.predictions
    panels = [
        plotting.LatentPanel(title, _points(cells, key), caption="UMAP of the latent space")
        for _, key, title in _LATENTS
        if key in cells.obsm
    ]
    if not panels:
        raise DataError(
            "The run has no map of a latent space, which needs at least 10 cells: use more cells."
        )
    colors = cell_colors(run, color_by or default_color(run))
    return plotting.latents(panels, colors=colors, dark=dark)


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
    if source not in predictors(run):
        raise DataError(
            f"The run has no ratio from {source!r} to set against measured ones: choose one of "
            f"{', '.join(predictors(run)) or 'none, its data has no spliced and unspliced counts'}."
        )
    cells = run.predictions
    held_out = _held_out(cells)
    which = np.flatnonzero(held_out) if held_out.any() else np.arange(cells.n_obs)
    spliced = sparse.csr_matrix(cells.layers[Layers.SPLICED][which])
    unspliced = sparse.csr_matrix(cells.layers[Layers.UNSPLICED][which])
    if source == Sources.GENE_MEAN:
        ratio = np.broadcast_to(cells.var[Var.GENE_MEAN].to_numpy(dtype=np.float64), spliced.shape)
    else:
        layer = cells.layers[_RATIO_LAYERS[source]][which]
        ratio = layer.toarray() if sparse.issparse(layer) else np.asarray(layer)
    counted = count_density(spliced, unspliced, ratio, coverage=coverage, n_bins=n_bins)
    caption = f"{int(counted.counts.sum()):,} {'held-out ' if held_out.any() else ''}entries"
    for metric, digits in (("rmse", 3), ("pearson", 3)):
        value = _metric(run, source, metric, coverage)
        if value is not None:
            caption += f", {_METRICS[metric][0].replace('Pearson ', '')} {value:.{digits}f}"
    return plotting.Density(source, counted.counts.T, counted.edges, counted.edges, caption=caption)


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


def coverage_figure(run: Run, *, dark: bool = False) -> go.Figure:
    """Draw RMSE and Pearson r of a run by coverage, beside what the noise allows."""
    return plotting.coverage_curves(run.metrics, dark=dark)


def gain_table(run: Run) -> pd.DataFrame:
    """Say how much of what is possible beyond the gene mean each predictor reaches.

    Returns
    -------
    Rows like a run's metrics, ``metric`` being "rmse" or "pearson" and ``value`` the share
    of the way from the gene mean (0) to the best possible (1): below 0 a predictor is worse
    than a constant for each gene. No rows where the gene mean or the best possible is not
    known.
    """
    metrics = run.metrics
    table = metrics[metrics["metric"].isin(_BY_COVERAGE)]
    constant = table[table["predictor"] == Sources.GENE_MEAN]
    constant = constant[["metric", "coverage", "value"]].rename(columns={"value": "constant"})
    table = table.merge(constant, on=["metric", "coverage"])
    possible = table["ceiling"] - table["constant"]
    table["value"] = (table["value"] - table["constant"]) / possible.where(possible != 0)
    table["ceiling"] = np.nan
    return table.drop(columns="constant").dropna(subset=["value"]).reset_index(drop=True)


def gain_figure(run: Run, *, dark: bool = False) -> go.Figure:
    """Draw what each predictor gains over the gene mean, as a share of what is possible.

    Raises
    ------
    DataError
        If the gene mean or the best possible value is not known.
    """
    table = gain_table(run)
    if table.empty:
        raise DataError(
            "The run does not know what the gene mean or the best possible predictor reaches: "
            "train a run on data with spliced and unspliced counts."
        )
    labels = {
        "rmse": "share of the possible gain in RMSE",
        "pearson": "share of the possible gain in r",
    }
    return plotting.coverage_curves(table, labels=labels, dark=dark)


def training_figure(run: Run, *, dark: bool = False) -> go.Figure:
    """Draw the training curves of a finished run."""
    return plotting.training_curves(run.history, dark=dark)


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
            "No gene of the run has a correlation within it, which needs measured counts in at "
            "least 20 held-out cells: use more cells or hold out a larger share."
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


def cluster_table(run: Run) -> pd.DataFrame:
    """Summarise the clusters of a run's cells.

    Returns
    -------
    One row for each cluster: ``cluster``, ``n_cells``, ``held_out`` (cells), ``median_depth``
    (total counts of a cell, over the model's genes) and ``unspliced_fraction`` (of the summed
    measured counts; NaN where none were measured). One row, "all cells", without clusters.
    """
    cells = run.predictions
    key = _cluster_key(run)
    if key is None:
        names, codes = ["all cells"], np.zeros(cells.n_obs, dtype=int)
    else:
        column = cells.obs[key].astype("category")
        names, codes = [str(name) for name in column.cat.categories], column.cat.codes.to_numpy()
    depth, held_out = _depth(cells), _held_out(cells)
    measured = Layers.SPLICED in cells.layers and Layers.UNSPLICED in cells.layers
    if measured:
        unspliced = _row_sums(cells.layers[Layers.UNSPLICED])
        both = unspliced + _row_sums(cells.layers[Layers.SPLICED])
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
    """Draw the distribution of a run's depth: totals, and the measured layers if any."""
    cells = run.predictions
    parts = {"total": _depth(cells)}
    for label, layer in (("spliced", Layers.SPLICED), ("unspliced", Layers.UNSPLICED)):
        if layer in cells.layers:
            parts[label] = _row_sums(cells.layers[layer])
    positive = np.concatenate([values[values > 0] for values in parts.values()])
    if not positive.size:
        raise DataError("The run's cells hold no counts in the model's genes: use other genes.")
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

    Raises
    ------
    DataError
        If the run has no measured counts.
    """
    table = cluster_table(run).dropna(subset=["unspliced_fraction"])
    cells = run.predictions
    overall = None
    if Layers.UNSPLICED in cells.layers and Layers.SPLICED in cells.layers:
        unspliced = float(_row_sums(cells.layers[Layers.UNSPLICED]).sum())
        overall = unspliced / max(unspliced + float(cells.layers[Layers.SPLICED].sum()), 1.0)
    if table.empty:
        raise DataError(_NOT_MEASURED)
    return plotting.unspliced_fraction_by_cluster(table, overall=overall, dark=dark)


def data_depth_figure(summary: DataSummary, *, dark: bool = False) -> go.Figure:
    """Draw the distribution of a file's depth, from what `splicedvae.io.inspect` found."""
    histogram = plotting.Histogram(
        "total",
        summary.umis_histogram.counts,
        summary.umis_histogram.edges,
        summary.umis_per_cell.median,
    )
    return plotting.depth_histogram([histogram], title="total counts of a cell", dark=dark)


def data_fraction_figure(summary: DataSummary, *, dark: bool = False) -> go.Figure:
    """Draw the distribution of the cells' unspliced fractions in a file.

    Raises
    ------
    DataError
        If the file has no measured counts.
    """
    if summary.unspliced_histogram is None or summary.unspliced_fraction_per_cell is None:
        raise DataError(_NOT_MEASURED)
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
        raise DataError(_NOT_MEASURED)
    if not rows:
        raise DataError(
            "The data has no clusters with spliced and unspliced counts: name the column of obs "
            "that holds clusters."
        )
    return plotting.unspliced_fraction_by_cluster(
        pd.DataFrame(rows), overall=summary.unspliced_fraction, dark=dark
    )


def metrics_table(
    run: Run, *, about: Literal["ratio", "velocity", "latent"] = "ratio"
) -> pd.DataFrame:
    """Arrange the metrics of a run for a reader: a row for each metric and coverage.

    Parameters
    ----------
    run
        The run.
    about
        Metrics of the predicted ratio, of the velocity made from it, or of expression and the
        latent space.

    Returns
    -------
    Text, indexed by what is measured ("n" is the least S + U of an entry): a column for each
    predictor, `BEST_POSSIBLE` (what the noise of the measurement allows, where known) or, for
    velocities, `MEASURED_HALVES` (how far two halves of the measurement agree), and
    `N_VALUES` (how many values the metric is taken over). "–" stands where there is none. No
    rows if the run has no such metric.
    """
    metrics = run.metrics
    of_kind = {name: metrics["metric"].str.startswith(parts) for name, parts in _ABOUT.items()}
    metrics = metrics[of_kind.get(about, ~of_kind["velocity"] & ~of_kind["latent"])]
    names = [name for name in _METRICS if (metrics["metric"] == name).any()]
    names += [str(name) for name in dict.fromkeys(metrics["metric"]) if name not in names]
    columns = [str(name) for name in dict.fromkeys(metrics["predictor"])]
    if about != "velocity":
        columns = plotting.predictors_in_order(columns)
    limit = MEASURED_HALVES if about == "velocity" else BEST_POSSIBLE
    rows: dict[str, dict[str, str]] = {}
    for name in names:
        title, digits = _METRICS.get(name, (name.replace("_", " "), 3))
        part = metrics[metrics["metric"] == name]
        for coverage, at in part.groupby("coverage", dropna=False):
            values = dict(zip(at["predictor"], at["value"].to_numpy(dtype=float), strict=True))
            row = {
                _plain_label(column): _number(values.get(column, np.nan), digits)
                for column in columns
            }
            row[limit] = _range(at["ceiling"].to_numpy(dtype=float), digits)
            row[N_VALUES] = _range(at["n"].to_numpy(dtype=float), 0)
            rows[f"{title}, n ≥ {coverage:g}" if name in _WITH_COVERAGE else title] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def velocity_table(run: Run) -> pd.DataFrame:
    """Tell of each velocity of a run how it came about.

    Returns
    -------
    One row for each source that was tried: ``source``, ``state``, ``mode`` (scVelo's model
    that was fitted), ``genes`` (of the common ground), ``velocity_genes`` (fitted well enough
    to use), and ``remarks``: the reason of a refusal, fallbacks and notes.
    """
    rows = []
    for source in sources(run):
        entry = run.velocity_account[source]
        row: dict[str, Any] = {
            "source": Sources.LABELS.get(source, source),
            "state": str(entry.get("state", "")),
            "mode": "–",
            "genes": "–",
            "velocity_genes": "–",
        }
        if entry.get("state") == "ok":
            row["mode"] = str(entry.get("mode_used") or "–")
            for column, key in (("genes", "n_genes"), ("velocity_genes", "n_velocity_genes")):
                row[column] = f"{entry[key]:,}" if entry.get(key) is not None else "–"
        said = [str(entry.get("message") or "")]
        said += [str(item) for item in (*entry.get("fallbacks", ()), *entry.get("notes", ()))]
        row["remarks"] = " ".join(sentence for sentence in said if sentence) or "none"
        rows.append(row)
    return pd.DataFrame(
        rows, columns=["source", "state", "mode", "genes", "velocity_genes", "remarks"]
    )


def _stream_panel(
    cells: AnnData,
    source: str,
    title: str,
    result: AnnData,
    density: float,
    lines: StreamLines | None,
) -> plotting.StreamPanel:
    rows = result.obs_names.get_indexer(cells.obs_names)
    points = np.full((cells.n_obs, 2), np.nan, dtype=np.float32)
    points[rows >= 0] = _points(result, Obsm.UMAP)[rows[rows >= 0]]
    told = VelocityAccount.from_adata(result)
    caption = f"{told.n_velocity_genes:,} velocity genes"
    if source != Sources.TRUE:
        caption += f", {told.mode_used} model"
    lines = lines if lines is not None else streamlines(result, density=density)
    if not lines.n_lines:
        return plotting.StreamPanel(
            title,
            points,
            None,
            message="No cell moves far enough on this map for a stream line: look at the "
            "velocity's length, or at another map.",
        )
    return plotting.StreamPanel(title, points, lines, caption=caption)


def _any_map(run: Run, results: Mapping[str, AnnData]) -> NDArray[np.float32]:
    """Find a map for a panel whose own velocity was refused."""
    cells = run.predictions
    for source in run.velocity_sources:
        other = results[source] if source in results else run.velocity(source)
        rows = other.obs_names.get_indexer(cells.obs_names)
        points = np.full((cells.n_obs, 2), np.nan, dtype=np.float32)
        points[rows >= 0] = _points(other, Obsm.UMAP)[rows[rows >= 0]]
        return points
    for key in (Obsm.UMAP, Obsm.UMAP_LATENT, Obsm.UMAP_LATENT_SCVI):
        if key in cells.obsm:
            return _points(cells, key)
    return np.zeros((cells.n_obs, 2), dtype=np.float32)


def _points(cells: AnnData, key: str) -> NDArray[np.float32]:
    return np.asarray(cells.obsm[key], dtype=np.float32)[:, :2]


def _refusal(entry: Mapping[str, Any]) -> str:
    return str(entry.get("message") or "This velocity was refused without a reason.")


def _cluster_key(run: Run) -> str | None:
    """Return the column with the clusters; a run gives them one name, whatever the file's."""
    return Obs.CLUSTERS if Obs.CLUSTERS in run.predictions.obs else None


def _is_number(column: pd.Series) -> bool:
    types = pd.api.types
    return types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)


def _is_colorable(column: pd.Series) -> bool:
    if _is_number(column):
        return bool(column.notna().any())
    return 1 <= column.nunique() <= _MOST_CATEGORIES


def _categories(cells: AnnData, name: str) -> plotting.Categories:
    column = cells.obs[name].astype("category")
    return plotting.Categories(
        name,
        column.cat.codes.to_numpy(),
        tuple(str(category) for category in column.cat.categories),
    )


def _held_out(cells: AnnData) -> NDArray[np.bool_]:
    if Obs.SPLIT not in cells.obs:
        return np.zeros(cells.n_obs, dtype=bool)
    return (cells.obs[Obs.SPLIT].astype(str) == Split.HELD_OUT).to_numpy(dtype=bool)


def _row_sums(matrix: Any) -> NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()


def _depth(cells: AnnData) -> NDArray[np.float64]:
    return _row_sums(cells.X)


def _log_depth(cells: AnnData) -> NDArray[np.float32]:
    depth = _depth(cells)
    logged = np.full(depth.shape, np.nan)
    np.log10(depth, out=logged, where=depth > 0)
    return logged.astype(np.float32)


def _column(matrix: Any, index: int) -> NDArray[np.float64]:
    column = matrix[:, [index]]
    return np.asarray(column.toarray() if sparse.issparse(column) else column, float).ravel()


def _metric(run: Run, predictor: str, metric: str, coverage: int) -> float | None:
    table = run.metrics
    row = table[
        (table["predictor"] == predictor)
        & (table["metric"] == metric)
        & (table["coverage"] == coverage)
    ]
    values = row["value"].to_numpy(dtype=float)
    return float(values[0]) if values.size and np.isfinite(values[0]) else None


def _plain_label(predictor: str) -> str:
    return Sources.LABELS.get(predictor, predictor.replace("_", " "))


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if np.isfinite(value) else "–"


def _range(values: NDArray[np.float64], digits: int) -> str:
    """Write the numbers that belong to a row once, or from the least to the largest."""
    values = values[np.isfinite(values)]
    if not values.size:
        return "–"
    low, high = _number(values.min(), digits), _number(values.max(), digits)
    return low if low == high else f"{low} to {high}"
