"""Agreement with the measured velocity against chance, drawn by dealing ratios out anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from anndata import AnnData

from splicedvae import velocity as vl
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Obsm, Var
from splicedvae.evaluation import agreement_tests

SETTINGS = vl.VelocitySettings(n_top_genes=None, min_shared_counts=5, n_pcs=10, n_neighbors=15)
N = 29


@pytest.fixture(scope="module")
def ground(make_cells: Callable[..., AnnData]) -> AnnData:
    return vl.prepare(make_cells(depth=8.0), settings=SETTINGS)


@pytest.fixture(scope="module")
def shuffled(ground: AnnData) -> list[AnnData | None]:
    return list(vl.shuffled_velocities(ground, N, settings=SETTINGS))


def test_dealt_out_velocities_have_the_form_of_computed_ones(
    ground: AnnData, shuffled: list[AnnData | None]
) -> None:
    assert len(shuffled) == N
    first, second = (drawn for drawn in shuffled[:2] if drawn is not None)
    for drawn in (first, second):
        assert drawn.obs_names.equals(ground.obs_names)
        assert drawn.var_names.equals(ground.var_names)
        used = drawn.var[Var.VELOCITY_GENES].to_numpy()
        assert used.any()
        assert drawn.obsm[Obsm.VELOCITY_UMAP].shape == (ground.n_obs, 2)
    assert not np.array_equal(first.layers[Layers.VELOCITY], second.layers[Layers.VELOCITY])
    again = next(vl.shuffled_velocities(ground, 1, settings=SETTINGS))
    assert again is not None
    np.testing.assert_array_equal(again.layers[Layers.VELOCITY], first.layers[Layers.VELOCITY])


def test_what_points_as_the_measured_does_stands_out_and_its_reverse_does_not(
    ground: AnnData, shuffled: list[AnnData | None]
) -> None:
    measured = vl.compute_velocity(ground, settings=SETTINGS)
    reversed_ = measured.copy()
    for values in (reversed_.layers[Layers.VELOCITY], reversed_.obsm[Obsm.VELOCITY_UMAP]):
        values *= -1
    table = agreement_tests(measured, {"same": measured, "back": reversed_}, iter(shuffled))
    values = table.set_index(["predictor", "metric"])["value"]
    for where in ("genes", "umap"):
        assert values["same", f"agreement_{where}_p"] == pytest.approx(1 / (1 + N))
        assert values["same", f"agreement_{where}_chance"] < 0.95
        assert values["back", f"agreement_{where}_p"] > 0.9
    assert (table["n"] == N).all()


def test_ratios_that_know_nothing_of_the_state_have_any_rank(ground: AnnData) -> None:
    ranks = []
    model = vl.compute_velocity(ground, settings=SETTINGS)
    for seed in range(6):
        (blind,) = vl.shuffled_velocities(ground, 1, settings=SETTINGS, seed=100 + seed)
        assert blind is not None
        chance = vl.shuffled_velocities(ground, 9, settings=SETTINGS, seed=seed)
        table = agreement_tests(blind, {"model": model}, chance).set_index("metric")["value"]
        ranks.append(table["agreement_genes_p"])
    assert max(ranks) > 0.3
    assert np.mean(ranks) > 0.2


def test_a_draw_without_a_velocity_agrees_with_nothing(ground: AnnData) -> None:
    measured = vl.compute_velocity(ground, settings=SETTINGS)
    table = agreement_tests(measured, {"same": measured}, [None] * 4).set_index("metric")["value"]
    assert table["agreement_genes_p"] == pytest.approx(0.2)
    assert table["agreement_genes_chance"] == 0
    assert agreement_tests(measured, {"same": measured}, []).empty


def test_cells_must_have_been_prepared(cells: AnnData) -> None:
    with pytest.raises(DataError, match="not prepared"):
        next(vl.shuffled_velocities(cells, 1))
