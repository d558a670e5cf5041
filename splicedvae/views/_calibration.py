"""Whether a run's predictions mean what they say: calibration, intervals, cells, training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from splicedvae import plotting
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Obs, Sources
from splicedvae.evaluation import cell_metrics, ratio_metrics, reliability, reliability_within_genes
from splicedvae.views._parts import judged_cells
from splicedvae.views._ratios import PUBLISHED, judged_ratio, predictors

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from splicedvae.runs import Run

#: Coverages at which `published_table` looks.
_LOOKS: Final = (*range(1, 11), 12, 15, 20, 30, 50, 100)
#: Entries below which a metric at a coverage is not read.
_FEW_ENTRIES: Final = 100
#: Metrics of the reliability figure, by the names of a run's metrics.
_ERROR, _SLOPE = "calibration_error", "within_gene_slope"
#: Skill on held-out cells that were watched in training.
_WATCHED: Final = "skill_held_out"
#: Share of the highest skill that may be lost by the end before it is told.
_LOST: Final = 0.05


def reliability_figure(run: Run, *, dark: bool = False) -> go.Figure:
    """Draw predicted against observed spliced shares, over all genes and within genes.

    Parameters
    ----------
    run
        The run.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure: how far the observed share lies from the predicted one, and within genes the
    measured against the predicted deviation from each gene's mean.

    Raises
    ------
    DataError
        If the run has no measured counts.
    """
    sources = predictors(run)
    if not sources:
        raise DataError(
            "The run has no measured counts to set its predictions against: train or predict on "
            "data with spliced and unspliced counts."
        )
    overall, within = [], []
    for source in sources:
        spliced, unspliced, ratio = judged_ratio(run, source)
        overall.append(reliability(spliced, unspliced, ratio).assign(predictor=source))
        if source != Sources.GENE_MEAN:
            try:
                table = reliability_within_genes(spliced, unspliced, ratio)
            except DataError:
                # A prediction that is constant within every gene has no point in this panel.
                continue
            within.append(table.assign(predictor=source))
    columns = list(overall[0].columns)
    return plotting.reliability_curves(
        pd.concat(overall, ignore_index=True),
        pd.concat(within, ignore_index=True) if within else pd.DataFrame(columns=columns),
        dark=dark,
    )


def calibration_table(run: Run) -> pd.DataFrame:
    """List the numbers behind the reliability curves.

    Parameters
    ----------
    run
        A run that was evaluated.

    Returns
    -------
    A row per predictor, in the order of tables: ``calibration_error`` and ``within_gene_slope``,
    and the row "ceiling" with what the truth itself would show. No rows without such metrics.

    Raises
    ------
    RunError
        If the run was not evaluated.
    """
    metrics = run.metrics
    rows = metrics[metrics["metric"].isin((_ERROR, _SLOPE))]
    if rows.empty:
        return pd.DataFrame(columns=[_ERROR, _SLOPE])
    table = rows.pivot_table(index="predictor", columns="metric", values="value", aggfunc="first")
    table = table.reindex(
        index=plotting.predictors_in_order(rows["predictor"]), columns=[_ERROR, _SLOPE]
    )
    ceilings = rows.groupby("metric")["ceiling"].first()
    table.loc["ceiling"] = ceilings.reindex([_ERROR, _SLOPE]).to_numpy(dtype=float)
    return table


def interval_figure(run: Run, *, dark: bool = False) -> go.Figure:
    """Draw the share of held-out counts inside predicted 90% intervals, by coverage.

    Parameters
    ----------
    run
        A run that was evaluated.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure, a line for each model.

    Raises
    ------
    DataError
        If the run has no such numbers.
    RunError
        If it was not evaluated.
    """
    metrics = run.metrics
    rows = metrics[(metrics["metric"] == "interval_coverage") & metrics["value"].notna()]
    return plotting.interval_coverage(rows, dark=dark)


def cell_table(run: Run) -> pd.DataFrame:
    """Judge each held-out cell of a run by its own genes.

    Parameters
    ----------
    run
        A run with measured counts.

    Returns
    -------
    The columns of `splicedvae.evaluation.cell_metrics` for the models, and ``cluster`` ("all
    cells" without clusters); the cells' names as index.

    Raises
    ------
    DataError
        If the run has no measured counts, or no gene mean to compare with.
    """
    sources = predictors(run)
    if Sources.GENE_MEAN not in sources or len(sources) < 2:
        raise DataError(
            "The run has no measured counts or no gene means to judge single cells by: train on "
            "data with spliced and unspliced counts."
        )
    found = {source: judged_ratio(run, source) for source in sources if source != Sources.GENE_MEAN}
    spliced, unspliced, constant = judged_ratio(run, Sources.GENE_MEAN)
    table = cell_metrics(
        spliced,
        unspliced,
        {source: ratio for source, (_, _, ratio) in found.items()},
        gene_mean=constant[0],
    )
    obs = run.predictions.obs.iloc[judged_cells(run)]
    clusters = obs[Obs.CLUSTERS].astype(str) if Obs.CLUSTERS in obs else "all cells"
    return table.set_axis(obs.index.astype(str), axis=0).assign(cluster=clusters)


def cell_figure(table: pd.DataFrame, run: Run, *, dark: bool = False) -> go.Figure:
    """Draw how the skill of single cells is distributed in each cluster.

    Parameters
    ----------
    table
        From `cell_table`.
    run
        The run, for the order of its clusters.
    dark
        Whether the page behind the figure is dark.

    Returns
    -------
    One figure, a box for each model and cluster.

    Raises
    ------
    DataError
        If no cell has a skill.
    """
    obs = run.predictions.obs
    order = list(dict.fromkeys(table["cluster"]))
    if Obs.CLUSTERS in obs:
        known = [str(name) for name in obs[Obs.CLUSTERS].astype("category").cat.categories]
        order = [name for name in known if name in order] + [n for n in order if n not in known]
    rows = []
    for source in (Sources.SPLICEDVAE, Sources.SCVI):
        if f"skill_{source}" not in table:
            continue
        for name in order:
            values = table.loc[table["cluster"] == name, f"skill_{source}"].dropna()
            if len(values):
                low, first, middle, third, high = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
                rows.append(
                    {
                        "group": name,
                        "predictor": source,
                        "low": low,
                        "first": first,
                        "median": middle,
                        "third": third,
                        "high": high,
                        "n": len(values),
                    }
                )
    if not rows:
        raise DataError(
            "No held-out cell has counts to be judged by: hold out more cells or use deeper data."
        )
    return plotting.skill_boxes(pd.DataFrame(rows), dark=dark)


def worst_cells(table: pd.DataFrame, n: int = 8) -> pd.DataFrame:
    """Name the cells whose ratios are predicted worst.

    Parameters
    ----------
    table
        From `cell_table`.
    n
        How many.

    Returns
    -------
    Rows of the table, the lowest skill of SplicedVAE first.
    """
    kept = [
        name
        for name in (
            "cluster",
            "molecules",
            "genes",
            *(f"skill_{source}" for source in (Sources.SPLICEDVAE, Sources.SCVI)),
            f"within_gene_r_{Sources.SPLICEDVAE}",
        )
        if name in table
    ]
    by = f"skill_{Sources.SPLICEDVAE}"
    return table.dropna(subset=[by]).sort_values(by, kind="stable")[kept].head(n)


def published_table(run: Run) -> pd.DataFrame:
    """Find the coverage from which on each predictor reaches the published numbers.

    Parameters
    ----------
    run
        A run with measured counts.

    Returns
    -------
    Rows ``predictor``, ``metric`` ("rmse" or "pearson"), ``published``, ``coverage`` (least counts
    of an entry from which the number is reached; NaN if it is not, at any coverage with at least
    100 entries) and ``value`` (there).

    Raises
    ------
    DataError
        If the run has no measured counts.
    """
    sources = predictors(run)
    if not sources:
        raise DataError(
            "The run has no measured counts to compare with published numbers: train on data with "
            "spliced and unspliced counts."
        )
    ratios = {}
    for source in sources:
        spliced, unspliced, ratios[source] = judged_ratio(run, source)
    constant = ratios.get(Sources.GENE_MEAN, next(iter(ratios.values())))[0]
    metrics = ratio_metrics(spliced, unspliced, ratios, gene_mean=constant, coverages=_LOOKS)
    rows = []
    for source in sources:
        for metric, published in PUBLISHED.items():
            found = metrics[
                (metrics["predictor"] == source)
                & (metrics["metric"] == metric)
                & (metrics["n"] >= _FEW_ENTRIES)
            ].sort_values("coverage")
            values = found["value"].to_numpy(dtype=float)
            reached = values <= published if metric == "rmse" else values >= published
            first = int(np.argmax(reached)) if reached.any() else -1
            rows.append(
                {
                    "predictor": source,
                    "metric": metric,
                    "published": published,
                    "coverage": float(found["coverage"].iloc[first]) if first >= 0 else np.nan,
                    "value": values[first] if first >= 0 else np.nan,
                }
            )
    return pd.DataFrame(rows)


def training_sentences(run: Run) -> list[str]:
    """Say how the trainings ended, from the skill on held-out cells that were watched.

    Parameters
    ----------
    run
        A run that was trained.

    Returns
    -------
    A sentence per model; none where no cells were watched.

    Raises
    ------
    RunError
        If the run has no history.
    """
    history = run.history
    said = []
    for source in (Sources.SPLICEDVAE, Sources.SCVI):
        rows = history[(history["predictor"] == source) & (history["metric"] == _WATCHED)]
        rows = rows.dropna(subset=["value"]).sort_values("epoch")
        if rows.empty:
            continue
        values, epochs = rows["value"].to_numpy(dtype=float), rows["epoch"].to_numpy(dtype=int)
        best = int(np.argmax(values))
        label = Sources.LABELS[source]
        if values[best] <= 0:
            said.append(
                f"{label}: in no epoch was the skill on watched held-out cells above 0, so a "
                "constant for each gene would have been better."
            )
        elif values[-1] < values[best] * (1 - _LOST):
            said.append(
                f"{label}: the skill on watched held-out cells was highest in epoch {epochs[best]} "
                f"of {epochs[-1]} ({values[best]:.4f}) and fell to {values[-1]:.4f}, so fewer "
                "epochs might do better; to tell, judge them on other cells."
            )
        else:
            said.append(
                f"{label}: the skill on watched held-out cells ended within {_LOST:.0%} of its "
                f"highest value ({values[best]:.4f} in epoch {epochs[best]} of {epochs[-1]}), so "
                "there is no sign of overfitting."
            )
    return said
