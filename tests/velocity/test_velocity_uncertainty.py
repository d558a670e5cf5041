"""Uncertainty over draws: none among equal draws, all of it among unrelated ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from splicedvae import datasets
from splicedvae import velocity as vl
from splicedvae._core.errors import DataError, VelocityError
from splicedvae.evaluation import cell_cosines
from splicedvae.velocity import _uncertainty

BALANCED = vl.VelocitySettings(n_top_genes=None, min_shared_counts=5, n_pcs=10, n_neighbors=15)
GENES = ["velocity_direction_uncertainty", "velocity_length_uncertainty"]
MAP = [f"{name}_umap" for name in GENES]


@pytest.fixture(scope="module")
def _simulated() -> AnnData:
    return vl.prepare(datasets.simulate(150, 60, seed=5), settings=BALANCED)


@pytest.fixture
def simulated(_simulated: AnnData) -> AnnData:
    return _simulated.copy()


def sizes_of(ground: AnnData) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.asarray(ground.obs[f"initial_size_{n}"]) for n in ("spliced", "unspliced"))


def draws(ground: AnnData, spread: float, n: int = 6, seed: int = 0) -> Iterator[tuple]:
    """Beta ratios around the true one; the smaller the spread, the surer."""
    rng = np.random.default_rng(seed)
    total = (ground.layers["spliced"] + ground.layers["unspliced"]).toarray()
    rho = np.clip(ground.layers["true_splicing_ratio"], 0.02, 0.98)
    for _ in range(n):
        odds = np.log(rho / (1 - rho)) + spread * rng.normal(size=rho.shape)
        spliced = total / (1 + np.exp(-odds))
        yield sparse.csr_matrix(spliced), sparse.csr_matrix(total - spliced)


def test_equal_draws_leave_no_uncertainty(simulated: AnnData) -> None:
    pair = (simulated.layers["spliced"], simulated.layers["unspliced"])
    found = vl.velocity_uncertainty(simulated, [pair] * 3, BALANCED)
    assert list(found.columns) == GENES + MAP
    assert list(found.index) == list(simulated.obs_names)
    assert found.attrs == {"n_draws": 3, "notes": []}
    np.testing.assert_allclose(found.to_numpy(), 0, atol=1e-5)


def test_wider_draws_are_less_certain_in_every_column(simulated: AnnData) -> None:
    table = pd.concat(
        {
            spread: vl.velocity_uncertainty(simulated, draws(simulated, spread), BALANCED).median()
            for spread in (0.1, 0.5, 2.0)
        },
        axis=1,
    )
    assert (table.diff(axis=1).iloc[:, 1:] > 0).all(axis=None)
    assert table.loc[GENES[0], 0.1] < 0.1
    assert table.loc[GENES[0], 2.0] > 0.3
    assert (table.loc[[GENES[0], MAP[0]]] <= 1).all(axis=None)


def test_directions_and_lengths_are_those_of_the_velocities_themselves(simulated: AnnData) -> None:
    """One pass over the draws gives what keeping all velocities would."""
    samples = [(*pair, *sizes_of(simulated)) for pair in draws(simulated, 0.5, n=4)]
    found = vl.velocity_uncertainty(simulated, iter(samples), BALANCED)
    kept = []
    for spliced, unspliced, *_ in samples:
        ground = simulated.copy()
        ground.layers["spliced"], ground.layers["unspliced"] = spliced, unspliced
        kept.append(vl.compute_velocity(ground, settings=BALANCED))
    for suffix, vectors in {
        "": [r.layers["velocity"] * np.asarray(r.var["velocity_genes"]) for r in kept],
        "_umap": [r.obsm["velocity_umap"] for r in kept],
    }.items():
        pairs = [cell_cosines(vectors[i], vectors[j]) for i in range(len(kept)) for j in range(i)]
        resultant = np.sqrt(np.clip(np.mean(pairs, axis=0), 0, 1))
        lengths = np.linalg.norm(vectors, axis=2)
        np.testing.assert_allclose(found[f"{GENES[0]}{suffix}"], 1 - resultant, atol=2e-3)
        np.testing.assert_allclose(
            found[f"{GENES[1]}{suffix}"],
            lengths.std(axis=0, ddof=1) / lengths.mean(axis=0),
            rtol=1e-4,
        )


def test_sizes_over_all_genes_are_heard_and_those_of_the_chosen_taken_otherwise(
    simulated: AnnData,
) -> None:
    pairs = list(draws(simulated, 0.5, n=2))
    own = [[np.asarray(m.sum(axis=1)).ravel() for m in pair] for pair in pairs]
    alone = vl.velocity_uncertainty(simulated, pairs, BALANCED, bases=())
    assert list(alone.columns) == GENES
    named = [(*pair, *sizes) for pair, sizes in zip(pairs, own, strict=True)]
    pd.testing.assert_frame_equal(
        alone, vl.velocity_uncertainty(simulated, named, BALANCED, bases=())
    )
    wide = [
        (*pair, *(s + 5 * np.arange(s.size) for s in sizes))
        for pair, sizes in zip(pairs, own, strict=True)
    ]
    other = vl.velocity_uncertainty(simulated, wide, BALANCED, bases=())
    assert not np.allclose(alone, other)


def test_draws_are_taken_one_at_a_time_and_not_kept(simulated: AnnData) -> None:
    alive: list[int] = []

    class Counted(sparse.csr_matrix):
        def __init__(self, *arguments, **options) -> None:
            super().__init__(*arguments, **options)
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    most = []

    def lazily() -> Iterator[tuple]:
        for spliced, unspliced in draws(simulated, 0.5, n=4):
            most.append(len(alive))
            yield Counted(spliced), unspliced

    vl.velocity_uncertainty(simulated, lazily(), BALANCED, bases=())
    assert max(most) <= 1


def test_random_directions_are_called_so_however_few_they_are() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 5, 40):
        spread = _uncertainty._Spread(500, 300)
        for _ in range(n):
            spread.add(rng.normal(size=(500, 300)).astype(np.float32))
        assert np.median(spread.direction()) > 0.8
        assert 0.02 < np.median(spread.length()) < 0.06


def test_cells_that_do_not_move_have_no_direction(simulated: AnnData) -> None:
    logged = simulated.X.toarray()
    logged[7] = 0
    simulated.X = sparse.csr_matrix(logged)
    found = vl.velocity_uncertainty(simulated, draws(simulated, 0.5), BALANCED)
    assert found.iloc[7].isna().all()
    assert found.drop(index=found.index[7]).notna().all(axis=None)


def test_a_replaced_model_is_told(simulated: AnnData) -> None:
    rng = np.random.default_rng(0)
    size = rng.choice([32.0, 64.0, 128.0], simulated.n_obs)
    size[np.argsort(size)[simulated.n_obs // 2]] = 64.0
    samples = []
    for spliced, unspliced in draws(simulated, 0.5, n=2):
        u = unspliced.toarray()
        u[:, 0] = spliced.toarray()[:, 0] * size / 128.0
        samples.append((spliced, sparse.csr_matrix(u), np.full(simulated.n_obs, 64.0), size))
    stochastic = vl.VelocitySettings(mode="stochastic", n_neighbors=15, min_shared_counts=5)
    found = vl.velocity_uncertainty(simulated, samples, stochastic, bases=())
    assert len(found.attrs["notes"]) == 1
    assert found.attrs["notes"][0].startswith("In 2 of 2 draws: The stochastic model was replaced")


def test_what_is_no_draw_is_refused(simulated: AnnData) -> None:
    pair = (simulated.layers["spliced"], simulated.layers["unspliced"])

    def of(*samples: tuple, **options) -> None:
        vl.velocity_uncertainty(simulated, samples, BALANCED, **options)

    with pytest.raises(VelocityError, match="1 posterior draws of the counts, expected at"):
        of(pair, bases=())
    with pytest.raises(VelocityError, match="0 posterior draws"):
        of()
    with pytest.raises(DataError, match="Draw 2 holds 3 arrays"):
        of(pair, (*pair, sizes_of(simulated)[0]), bases=())
    with pytest.raises(DataError, match="'unspliced of draw 1' has the shape"):
        of((pair[0], pair[1][:, 1:]))
    with pytest.raises(DataError, match="sizes of draw 1 are not 150 sums"):
        of((*pair, np.ones(3), np.ones(3)))
    negative = pair[1].copy()
    negative.data[0] = -1
    with pytest.raises(DataError, match="'unspliced of draw 1' holds negative"):
        of((pair[0], negative))
    total = pair[0] + pair[1]
    with pytest.raises(VelocityError, match="'spliced of draw 2' and 'unspliced of draw 2' do not"):
        of(pair, (0.7 * total, 0.3 * total), bases=())
    with pytest.raises(DataError, match="X_tsne"):
        of(pair, pair, bases=("tsne",))
    with pytest.raises(DataError, match="not prepared"):
        vl.velocity_uncertainty(datasets.simulate(50, 20), [pair, pair], BALANCED)
