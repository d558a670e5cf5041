"""Cosines of velocities, and when they say that a stream should not be trusted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from splicedvae._errors import DataError
from splicedvae._keys import Layers, Obs, Obsm, Var
from splicedvae.evaluation import cell_cosines, velocity_cautions, velocity_metrics


def moving(velocity: np.ndarray, genes: np.ndarray | None = None) -> AnnData:
    result = AnnData(np.zeros(velocity.shape, dtype=np.float32))
    result.layers[Layers.VELOCITY] = velocity
    result.obsm[Obsm.VELOCITY_UMAP] = velocity[:, :2]
    result.obs[Obs.CONFIDENCE] = 0.5
    result.var[Var.VELOCITY_GENES] = True if genes is None else genes
    return result


def test_cosines_are_those_of_the_textbook_and_missing_where_nothing_moves():
    v = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    r = np.array([[-2.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(cell_cosines(v, r), [-1, np.sqrt(0.5), np.nan])


def test_only_genes_that_both_velocities_use_are_compared():
    rng = np.random.default_rng(0)
    v = rng.normal(size=(30, 6))
    other = v.copy()
    other[:, 4:] *= -1
    genes = np.array([True] * 4 + [False] * 2)
    table = velocity_metrics(moving(v), moving(other, genes), predictor="x").set_index("metric")
    assert table.loc["velocity_cosine_genes", "value"] == pytest.approx(1)
    assert "4 shared" in table.loc["velocity_cosine_genes", "note"]
    with pytest.raises(DataError, match="share no velocity gene"):
        velocity_metrics(moving(v, ~genes), moving(v, genes), predictor="x")
    with pytest.raises(DataError, match="different cells or genes"):
        velocity_metrics(moving(v), moving(v[:-1]), predictor="x")


def table(splicedvae: float, shuffled: float, halves: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "predictor": ["splicedvae", "shuffled"],
            "metric": "velocity_cosine_genes",
            "value": [splicedvae, shuffled],
            "ceiling": halves,
        }
    )


def test_nothing_is_said_against_a_velocity_above_chance():
    assert velocity_cautions(table(0.3, 0.05, 0.5)) == []
    assert velocity_cautions(pd.DataFrame({"predictor": [], "metric": []})) == []


@pytest.mark.parametrize(("value", "chance"), [(-0.7, -0.8), (0.04, 0.05), (0.0, np.nan)])
def test_a_velocity_no_better_than_chance_is_not_to_be_trusted(value, chance):
    (sentence,) = velocity_cautions(table(value, chance, 0.5))
    assert "SplicedVAE agrees" in sentence
    assert "do not trust" in sentence


def test_a_measurement_whose_halves_disagree_is_called_noise():
    (sentence,) = velocity_cautions(table(0.3, 0.0, 0.02))
    assert "mostly noise" in sentence
