"""Cosines of velocities, and when they say that a stream should not be trusted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st

from splicedvae._errors import DataError
from splicedvae._keys import Layers, Obs, Obsm, Uns, Var
from splicedvae.evaluation import (
    cell_cosines,
    summarise_control,
    velocity_cautions,
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


@pytest.mark.parametrize(("metric", "words"), [("genes", "over genes"), ("umap", "on the map")])
def test_chance_reaches_two_standard_deviations_above_the_mean_of_its_draws(metric, words):
    assert velocity_cautions(drawn(0.41, DRAWS, metric)) == []
    (sentence,) = velocity_cautions(drawn(0.39, DRAWS, metric))
    assert f"by 0.39 {words}, no better than chance (0.40; mean of 3 shuffled draws 0.20)" in (
        sentence
    )
    assert velocity_cautions(summarise_control(drawn(0.39, DRAWS, metric))) == [sentence]
    assert velocity_cautions(summarise_control(drawn(0.41, DRAWS, metric))) == []


def test_one_sentence_says_where_a_velocity_is_no_better_than_chance():
    both = pd.concat([drawn(0.39, DRAWS), drawn(0.35, DRAWS, "umap")])
    (sentence,) = velocity_cautions(both)
    assert "0.39 over genes" in sentence
    assert "0.35 on the map" in sentence
    assert "draw" not in velocity_cautions(drawn(0.1, [0.2]))[0]
    assert velocity_cautions(drawn(0.1, [0.2, np.nan])) == velocity_cautions(drawn(0.1, [0.2]))
    assert velocity_cautions(drawn(0.1, [np.nan, np.nan])) == []
    assert len(velocity_cautions(drawn(-0.1, [np.nan, np.nan]))) == 1


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


@settings(max_examples=60)
@given(
    value=st.floats(-1, 1),
    draws=st.lists(st.one_of(st.floats(-1, 1), st.just(float("nan"))), max_size=6),
)
def test_what_is_saved_is_judged_as_the_draws_are(value, draws):
    table = drawn(value, draws)
    known = [draw for draw in draws if np.isfinite(draw)]
    sd = np.std(known, ddof=1) if len(known) > 1 else 0.0
    least = max(np.mean(known) + 2 * sd, 0.0) if known else 0.0
    if abs(value - least) < 0.002:
        return  # The saved deviation has three digits.
    assert len(velocity_cautions(table)) == (value <= least)
    assert len(velocity_cautions(summarise_control(table))) == (value <= least)
