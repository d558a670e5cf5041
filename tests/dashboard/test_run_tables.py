"""Tables and sentences say what the metrics say, and nothing where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd

from splicedvae._core.keys import Sources
from splicedvae.dashboard.widgets import tables

ROWS = [
    ("gene_mean", "rmse", 1, 0.30, 0.20),
    ("gene_mean", "rmse", 5, 0.25, 0.10),
    ("gene_mean", "pearson", 1, 0.70, 0.80),
    ("gene_mean", "pearson", 5, 0.85, 0.90),
    ("gene_mean", "skill", 1, 0.0, np.nan),
    ("splicedvae", "rmse", 1, 0.28, 0.20),
    ("splicedvae", "rmse", 5, 0.22, 0.10),
    ("splicedvae", "pearson", 5, 0.88, 0.90),
    ("splicedvae", "skill", 1, 0.02, np.nan),
    ("splicedvae", "velocity_cosine_umap", 1, 0.4, 0.3),
    ("measured", "velocity_confidence", 1, 0.6, np.nan),
]


def metrics() -> pd.DataFrame:
    table = pd.DataFrame(ROWS, columns=["predictor", "metric", "coverage", "value", "ceiling"])
    return table.assign(n=100, note="")


def test_accuracy_takes_the_chosen_coverage_and_its_ceiling() -> None:
    table = tables.accuracy(metrics(), 5)
    assert list(table.index) == ["SplicedVAE", "gene mean", tables.CEILING]
    assert table["RMSE"].tolist() == [0.22, 0.25, 0.10]
    assert table["Pearson r"].tolist() == [0.88, 0.85, 0.90]
    assert table["skill over gene mean"].tolist()[:2] == [0.02, 0.0]
    assert np.isnan(table["skill over gene mean"].iloc[-1])
    assert "within-gene r" not in table
    assert tables.accuracy(metrics(), 1)["RMSE"].tolist() == [0.28, 0.30, 0.20]
    assert np.isnan(tables.accuracy(metrics(), 1).loc["SplicedVAE", "Pearson r"])


def test_predictors_stand_in_one_order_whatever_the_file_has() -> None:
    rows = [(name, "skill", 1, 0.1, np.nan) for name in reversed(Sources.PREDICTORS)]
    names = ["predictor", "metric", "coverage", "value", "ceiling"]
    table = tables.accuracy(pd.DataFrame(rows, columns=names), None)
    labels = [Sources.LABELS[name] for name in ("splicedvae", "scvi", "ridge", "knn")]
    assert list(table.index) == [*labels, "gene x group mean", "gene mean", tables.CEILING]


def test_velocities_stand_beside_what_two_halves_reach() -> None:
    table = tables.velocity_agreement(metrics())
    assert list(table.index) == ["measured", "SplicedVAE", tables.HALVES]
    assert table.loc["SplicedVAE", "cosine to measured, map"] == 0.4
    assert table.loc[tables.HALVES, "cosine to measured, map"] == 0.3
    assert np.isnan(table.loc["measured", "cosine to measured, map"])
    without = metrics()[lambda rows: ~rows["metric"].str.startswith("velocity")]
    assert tables.velocity_agreement(without).empty


def test_coverages_are_those_of_the_ratios() -> None:
    assert tables.coverages(metrics()) == [1, 5]
    assert tables.coverages(metrics().iloc[:0]) == []


def test_genes_keep_their_order_and_are_defused() -> None:
    given = pd.DataFrame(
        {
            "skill_splicedvae": [0.3, 0.1, np.nan],
            "spliced": [1, 2, 3],
            "velocity_gene_splicedvae": [True, False, True],
            "within_gene_r_gene_mean": [0.0, 0.0, 0.0],
        },
        index=["Neurog3", "Sox17", "=cmd()"],
    )
    table = tables.genes(given)
    assert list(table.index) == ["Neurog3", "Sox17", "'=cmd()"]
    heads = ["skill, SplicedVAE", "spliced counts", "in velocity, SplicedVAE"]
    assert list(table.columns) == heads
