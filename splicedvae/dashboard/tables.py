"""Tables of a run for a page: text from data defused, columns with words a reader knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from splicedvae._keys import Sources
from splicedvae.dashboard.text import defuse
from splicedvae.report import views

#: What the noise of the measurement leaves to a predictor that knows the true fraction.
CEILING: Final = "best possible"
#: Agreement of two velocities, each computed from half of the measured molecules.
HALVES: Final = "two measured halves"


@dataclass(frozen=True)
class Column:
    """One column of a table of numbers.

    Attributes
    ----------
    title
        Its head.
    metric
        Name in the run's metrics.
    digits
        Decimals shown.
    words
        What it means, shown when the pointer rests on the head.
    by_coverage
        Whether the value is taken at the chosen coverage; else at the lowest.
    at
        Coverage at which the value is taken whatever is chosen.
    """

    title: str
    metric: str
    digits: int
    words: str
    by_coverage: bool = False
    at: int | None = None


ACCURACY: Final = (
    Column(
        "RMSE",
        "rmse",
        4,
        "Root mean squared error of the spliced fraction over held-out entries. Lower is better.",
        by_coverage=True,
    ),
    Column(
        "Pearson r",
        "pearson",
        3,
        "Correlation over all genes and held-out cells. Most of it is differences between genes.",
        by_coverage=True,
    ),
    Column(
        "skill over gene mean",
        "skill",
        4,
        "Share of the gene mean's negative log-likelihood that is saved, over all entries: 0 is "
        "no better than a constant for each gene.",
    ),
    Column(
        "within-gene r",
        "within_gene_r",
        3,
        "Correlation across cells within a gene: what a velocity needs. A constant has 0.",
    ),
    Column(
        "within-gene r by cluster",
        "within_gene_r_by_cluster",
        3,
        "The same after the counts of each cluster are added up, where noise is smaller.",
    ),
    Column(
        "90% intervals",
        "interval_coverage",
        3,
        "Share of held-out counts, of entries with 5 or more, inside the predicted 90% intervals: "
        "0.90 is right.",
        at=5,
    ),
    Column(
        "calibration error",
        "calibration_error",
        4,
        "How far predicted and measured fractions differ on average, in bins of the prediction.",
    ),
)

LATENT: Final = (
    Column(
        "expression NLL",
        "expression_nll",
        1,
        "Negative log-likelihood of a held-out cell's counts, in nats; lower is better.",
    ),
    Column(
        "silhouette of clusters",
        "silhouette_clusters",
        3,
        "How well the file's clusters part in the latent space, 0 to 1; half is not at all.",
    ),
    Column(
        "NMI of clusters",
        "nmi_kmeans",
        3,
        "Agreement of k-means in the latent space with the file's clusters, 0 to 1.",
    ),
    Column(
        "time R²",
        "time_r2",
        3,
        "How well a cell's true time is told by its neighbours in the latent space.",
    ),
)

VELOCITY: Final = (
    Column(
        "cosine to measured, genes",
        "velocity_cosine_genes",
        3,
        "Over the genes that both velocities use, mean over held-out cells.",
    ),
    Column(
        "the same, genes alike",
        "velocity_cosine_genes_equal",
        3,
        "Each gene's velocity in units of its own spread, so that all genes count alike.",
    ),
    Column(
        "cosine to measured, map",
        "velocity_cosine_umap",
        3,
        "Of the arrows on the map, mean over held-out cells.",
    ),
    Column(
        "chance, genes",
        "agreement_genes_chance",
        3,
        "What the cosine over genes does not exceed in 95 of 100 draws where the measured ratios "
        "know nothing of a cell's state.",
    ),
    Column(
        "chance, map",
        "agreement_umap_chance",
        3,
        "The same of the arrows on the map.",
    ),
    Column(
        "cosine to true, genes",
        "velocity_cosine_genes_true",
        3,
        "To the simulation's true velocity, over genes.",
    ),
    Column(
        "cosine to true, map",
        "velocity_cosine_umap_true",
        3,
        "To the simulation's true velocity, on the map.",
    ),
    Column(
        "genes that draw",
        "velocity_effective_genes",
        0,
        "How many genes draw a cell's arrow: effective number of their shares, mean over cells.",
    ),
    Column(
        "known transitions",
        "cbdir",
        3,
        "Mean cosine of arrows with the steps from a cluster to the one known to follow (CBDir).",
    ),
    Column(
        "time order",
        "time_order",
        3,
        "Share of neighbouring cells whose order in true time the velocity tells; half is chance.",
    ),
    Column(
        "confidence",
        "velocity_confidence",
        3,
        "How alike the arrows of neighbouring cells are: smoothness, not correctness.",
    ),
)


def value_of(
    metrics: pd.DataFrame,
    predictor: str,
    metric: str,
    coverage: int | None = None,
    *,
    column: str = "value",
) -> float:
    """Look one number up in a run's metrics.

    Parameters
    ----------
    metrics
        Tidy: predictor, metric, coverage, value, ceiling, n, note.
    predictor, metric
        Which.
    coverage
        Least S + U of an entry; None takes the lowest there is.
    column
        ``"value"`` or ``"ceiling"``.

    Returns
    -------
    The number, NaN if there is none.
    """
    # A page looks up a hundred numbers: on arrays this is 20 times as fast as on tables.
    metric_is, predictor_is = metrics["metric"].to_numpy(), metrics["predictor"].to_numpy()
    rows = np.flatnonzero((metric_is == metric) & (predictor_is == predictor))
    if not rows.size:
        return float("nan")
    at = metrics["coverage"].to_numpy(dtype=float)[rows]
    # Rows without a coverage come last.
    rows = rows[np.argsort(at, kind="stable")] if coverage is None else rows[at == coverage]
    return float(metrics[column].to_numpy(dtype=float)[rows[0]]) if rows.size else float("nan")


def coverages(metrics: pd.DataFrame) -> list[int]:
    """Return the coverages at which RMSE and r are known, ascending."""
    rows = metrics[metrics["metric"].isin(["rmse", "pearson"])]
    return sorted({int(value) for value in rows["coverage"].dropna()})


def accuracy(metrics: pd.DataFrame, coverage: int | None) -> pd.DataFrame:
    """Arrange the accuracy of ratios: a row for each predictor, the ceilings under them.

    Parameters
    ----------
    metrics
        A run's metrics.
    coverage
        Least S + U of an entry for RMSE and r; None takes the lowest there is.

    Returns
    -------
    Numbers, indexed by the predictors' words and `CEILING`; only columns of `ACCURACY` that have
    a number.
    """
    return _numbers(metrics, ACCURACY, Sources.PREDICTORS, CEILING, coverage)


def velocity_agreement(metrics: pd.DataFrame) -> pd.DataFrame:
    """Arrange how velocities agree among held-out cells.

    Parameters
    ----------
    metrics
        A run's metrics.

    Returns
    -------
    Numbers, indexed by the sources' words and `HALVES`; only columns of `VELOCITY` that have a
    number. Empty if the velocities were not compared.
    """
    order = (Sources.MEASURED, *Sources.PREDICTORS, Sources.SHUFFLED)
    return _numbers(metrics, VELOCITY, order, HALVES, None)


def latent_quality(metrics: pd.DataFrame) -> pd.DataFrame:
    """Arrange how well both models know expression and order cells in their latent spaces.

    Parameters
    ----------
    metrics
        A run's metrics.

    Returns
    -------
    Numbers, indexed by the models' words; only columns of `LATENT` that have a number.
    """
    table = _numbers(metrics, LATENT, (Sources.SPLICEDVAE, Sources.SCVI), CEILING, None)
    return table.drop(index=CEILING, errors="ignore")


def _numbers(
    metrics: pd.DataFrame,
    columns: Sequence[Column],
    order: Sequence[str],
    last: str,
    coverage: int | None,
) -> pd.DataFrame:
    """Fill a table from tidy metrics; its last row holds the ceilings, the same for all rows."""
    wanted = metrics[metrics["metric"].isin([column.metric for column in columns])]
    rows = [name for name in order if name in set(wanted["predictor"])]
    table = pd.DataFrame(index=[*(Sources.LABELS[name] for name in rows), last])
    for column in columns:
        at = coverage if column.by_coverage else column.at
        values = [value_of(wanted, name, column.metric, at) for name in rows]
        if np.isfinite(values).any():
            known = wanted[(wanted["metric"] == column.metric) & wanted["ceiling"].notna()]
            if at is not None:
                known = known[known["coverage"] == at]
            ceiling = float(known["ceiling"].iloc[0]) if len(known) else float("nan")
            table[column.title] = [*values, ceiling]
    return table if len(table.columns) and rows else pd.DataFrame()


def gene_heads() -> dict[str, str]:
    """Return the words for each column of a run's gene table, by the column's name."""
    heads = {
        "spliced": "spliced counts",
        "unspliced": "unspliced counts",
        "counts": "total counts",
        "cells": "cells with counts",
        "gene_mean": "mean spliced fraction",
        "predicted": "predicted fraction",
        views.CEILING_COLUMN: f"within-gene r, {CEILING}",
    }
    for source, words in Sources.LABELS.items():
        heads[f"within_gene_r_{source}"] = f"within-gene r, {words}"
        heads[f"skill_{source}"] = f"skill, {words}"
        heads[f"{views.USED_COLUMN}{source}"] = f"in velocity, {words}"
    return heads


def genes(table: pd.DataFrame) -> pd.DataFrame:
    """Give a run's gene table words for heads.

    Parameters
    ----------
    table
        From `report.views.gene_table`.

    Returns
    -------
    A defused copy in the same order, without columns that are the same for all genes.
    """
    constant = [f"{part}_{Sources.GENE_MEAN}" for part in ("within_gene_r", "skill")]
    kept = table.drop(columns=[name for name in constant if name in table])
    kept.index.name = "gene"
    return defuse(kept.rename(columns=gene_heads()))
