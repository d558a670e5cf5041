"""Cosines of velocities, and the control beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Obs, Obsm, Uns, Var
from splicedvae.evaluation import (
    cell_cosines,
    summarise_control,
    velocity_metrics,
)


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


def test_genes_count_alike_in_units_of_their_own_spread():
    rng = np.random.default_rng(1)
    v = rng.normal(size=(200, 5))
    # Where they agree, velocities are loud: in raw units that gene is all there is.
    other = np.column_stack([v[:, 0], -v[:, 1:]])
    loud = np.array([1000.0, 1, 1, 1, 1])
    found = velocity_metrics(moving(v * loud), moving(other * loud), predictor="x")
    values = found.set_index("metric")["value"]
    assert values["velocity_cosine_genes"] > 0.99
    assert values["velocity_cosine_genes_equal"] == pytest.approx(-0.6, abs=0.1)
    quiet = velocity_metrics(moving(v), moving(other), predictor="x").set_index("metric")["value"]
    assert quiet["velocity_cosine_genes_equal"] == pytest.approx(
        values["velocity_cosine_genes_equal"]
    )


@pytest.mark.parametrize(("params", "expected"), [({}, 1.0), ({"sqrt_transform": True}, 1.5)])
def test_effective_genes_are_counted_in_what_the_graph_compares(params, expected):
    velocity = np.tile([100.0, 100.0 / 3.732, 0.0], (10, 1))
    result = moving(velocity)
    result.uns[Uns.VELOCITY_PARAMS] = params
    found = velocity_metrics(result, result, predictor="x").set_index("metric")["value"]
    assert found["velocity_effective_genes"] == pytest.approx(expected, abs=0.16)
    # Two genes of equal size are two genes, whatever is compared.
    result.layers[Layers.VELOCITY][:, 1] = -100
    found = velocity_metrics(result, result, predictor="x").set_index("metric")["value"]
    assert found["velocity_effective_genes"] == pytest.approx(2)


# --- Several draws of the control ----------------------------------------------------------------


def drawn(splicedvae: float, draws: list[float], metric: str = "genes") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "predictor": ["splicedvae", *["shuffled"] * len(draws)],
            "metric": f"velocity_cosine_{metric}",
            "coverage": 1,
            "value": [splicedvae, *draws],
            "ceiling": 0.5,
            "n": 100,
            "note": ["", *(f"draw {number}" for number in range(len(draws)))],
        }
    )


DRAWS = [0.1, 0.2, 0.3]  # mean 0.2, standard deviation 0.1


def test_the_draws_of_the_control_become_one_row():
    both = pd.concat([drawn(0.39, DRAWS), drawn(0.35, [0.1], "umap")])
    result = summarise_control(both)
    assert result["predictor"].tolist() == ["splicedvae", "shuffled"] * 2
    control = result[result["predictor"] == "shuffled"].reset_index()
    assert control["value"].tolist() == pytest.approx([0.2, 0.1])
    assert control["note"].tolist() == ["mean of 3 draws, sd 0.100", "draw 0"]
    assert (control["ceiling"] == 0.5).all()
    pd.testing.assert_frame_equal(summarise_control(result), result)
    alone = drawn(0.4, [])
    pd.testing.assert_frame_equal(summarise_control(alone), alone)
