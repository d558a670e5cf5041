"""Tables of a run for a page: text from data defused, columns with words a reader knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from splicedvae import views
from splicedvae._core.keys import Sources
from splicedvae._core.metrics import metric_of
from splicedvae.dashboard.text import defuse
from splicedvae.views import value_of

#: What the noise of the measurement leaves to a predictor that knows the true fraction.
CEILING: Final = "best possible"
#: Agreement of two velocities, each computed from half of the measured molecules.
HALVES: Final = "two measured halves"


@dataclass(frozen=True)
class Column:
    """One column of a table of numbers: a metric, named and explained as it is declared.

    Attributes
    ----------
    key
        Name in the run's metrics.
    at
        Coverage at which the value is taken whatever is chosen; None takes the chosen one for a
        metric that has several.
    decimals
        Shown instead of the metric's digits, where fewer values are behind the number.
    """

    key: str
    at: int | None = None
    decimals: int | None = None

    @property
    def title(self) -> str:
        """Its head."""
        return metric_of(self.key).head

    @property
    def digits(self) -> int:
        """Decimals shown."""
        return metric_of(self.key).digits if self.decimals is None else self.decimals

    @property
    def words(self) -> str:
        """What it means, shown when the pointer rests on the head."""
        return metric_of(self.key).explanation


ACCURACY: Final = (
    Column("rmse"),
    Column("pearson"),
    Column("skill"),
    Column("within_gene_r"),
    Column("within_gene_r_by_cluster"),
    Column("interval_coverage", at=5),
    Column("calibration_error"),
)
LATENT: Final = tuple(
    map(Column, ("expression_nll", "silhouette_clusters", "nmi_kmeans", "time_r2"))
)
VELOCITY: Final = tuple(
    map(
        Column,
        (
            "velocity_cosine_genes",
            "velocity_cosine_genes_equal",
            "velocity_cosine_umap",
            "agreement_genes_chance",
            "agreement_umap_chance",
            "velocity_cosine_genes_true",
            "velocity_cosine_umap_true",
            "velocity_effective_genes",
            "cbdir",
            "time_order",
            "velocity_confidence",
        ),
    )
)


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
    wanted = metrics[metrics["metric"].isin([column.key for column in columns])]
    rows = [name for name in order if name in set(wanted["predictor"])]
    table = pd.DataFrame(index=[*(Sources.LABELS[name] for name in rows), last])
    for column in columns:
        chosen = coverage if metric_of(column.key).by_coverage else None
        at = chosen if column.at is None else column.at
        values = [value_of(wanted, name, column.key, at) for name in rows]
        if np.isfinite(values).any():
            known = wanted[(wanted["metric"] == column.key) & wanted["ceiling"].notna()]
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
