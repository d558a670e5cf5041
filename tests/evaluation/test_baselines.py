"""Ridge regression and group means against slopes that are known and constants they must give."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit, logit

from splicedvae._core.errors import DataError
from splicedvae.evaluation import (
    GeneMean,
    GroupMean,
    NearestNeighbours,
    RidgeOnPCA,
    _baselines,
    _logistic,
    ratio_metrics,
)

PENALTIES = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)


def cells_of(s: np.ndarray, u: np.ndarray, totals: np.ndarray | None = None) -> AnnData:
    return AnnData(
        csr_matrix(s + u if totals is None else totals, dtype=np.float32),
        layers={
            "spliced": csr_matrix(s, dtype=np.float32),
            "unspliced": csr_matrix(u, dtype=np.float32),
        },
    )


@pytest.fixture(scope="module")
def graded() -> tuple[AnnData, np.ndarray]:
    """Cells along a line that totals tell; the ratio of each gene rises or falls along it."""
    rng = np.random.default_rng(0)
    n_cells, n_genes = 700, 120
    place = rng.normal(size=n_cells)
    depth = rng.lognormal(0, 0.7, n_genes) * 2
    n = rng.poisson(depth * np.exp(place[:, None] * rng.normal(0, 0.8, n_genes)))
    truth = expit(rng.normal(1, 1, n_genes) + place[:, None] * rng.normal(0, 0.5, n_genes))
    s = rng.binomial(n, truth)
    return cells_of(s, n - s), truth


def skill(cells: AnnData, ratio: np.ndarray, train: AnnData) -> float:
    table = ratio_metrics(
        cells.layers["spliced"],
        cells.layers["unspliced"],
        {"it": ratio},
        gene_mean=GeneMean().fit(train).ratio,
    )
    return float(table.loc[table["metric"] == "skill", "value"].iloc[0])


# --- The regression ------------------------------------------------------------------------------


def design_of(rng: np.random.Generator, n_cells: int, size: int) -> np.ndarray:
    return np.column_stack([np.ones(n_cells), rng.normal(size=(n_cells, size))])


def fitted(
    design: np.ndarray, s: np.ndarray, u: np.ndarray, penalty: float, prior: float = 0.7
) -> np.ndarray:
    counts = _logistic.both_counts(csr_matrix(s, dtype=float), csr_matrix(u, dtype=float))
    start = np.zeros((s.shape[1], design.shape[1]))
    start[:, 0] = _logistic.log_odds(counts, prior, 1.0)
    return _logistic.fit(design, counts, penalty=penalty, prior=prior, weight=1.0, start=start)


def objective(
    coefficients: np.ndarray,
    design: np.ndarray,
    s: np.ndarray,
    u: np.ndarray,
    penalty: float,
    prior: float = 0.7,
) -> float:
    """What one gene minimizes, written down once more without blocks or sparsity."""
    eta = design @ coefficients
    fit = (s * np.logaddexp(0, -eta) + u * np.logaddexp(0, eta)).sum()
    intercept = coefficients[0]
    pseudo = prior * np.logaddexp(0, -intercept) + (1 - prior) * np.logaddexp(0, intercept)
    return float(fit + pseudo + penalty / 2 * (coefficients[1:] ** 2).sum())


def test_known_slopes_are_recovered() -> None:
    rng = np.random.default_rng(1)
    design = design_of(rng, 3000, 3)
    slopes = rng.normal(0, 0.6, (25, 4))
    n = rng.poisson(20, (3000, 25))
    s = rng.binomial(n, expit(design @ slopes.T))
    np.testing.assert_allclose(fitted(design, s, n - s, 1e-3), slopes, atol=0.06)


def test_blocks_give_what_one_block_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    design = design_of(rng, 60, 2)
    s, u = rng.poisson(2, (60, 23)), rng.poisson(1, (60, 23))
    whole = fitted(design, s, u, 3.0)
    monkeypatch.setattr(_logistic, "BLOCK_ENTRIES", 60 * 4)
    np.testing.assert_allclose(fitted(design, s, u, 3.0), whole, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    penalty=st.floats(-3, 5).map(lambda power: 10.0**power),
    depth=st.floats(-3, 6).map(lambda power: 10.0**power),
    steepness=st.floats(0, 30),
)
def test_every_gene_reaches_its_minimum_whatever_the_counts(
    seed: int, penalty: float, depth: float, steepness: float
) -> None:
    """Separable cells, a single molecule, a million of them: Newton's own step would run away."""
    rng = np.random.default_rng(seed)
    design = design_of(rng, 30, 2) * np.array([1, 1, 5])
    n = rng.poisson(depth, (30, 6))
    s = rng.binomial(n, expit(steepness * design @ rng.normal(size=(3, 6))))
    s[:, 0], n[:, 1] = n[:, 0], s[:, 1]
    s[:, 2] = n[:, 2] = 0
    found = fitted(design, s, n - s, penalty)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[2], [logit(0.7), 0, 0], atol=1e-6)
    for gene in (0, 3):
        counted = (design, s[:, gene], n[:, gene] - s[:, gene], penalty)
        reached = objective(found[gene], *counted)
        other = minimize(objective, found[gene], args=counted, method="Nelder-Mead")
        assert reached <= other.fun + 1e-5 * (1 + abs(other.fun))


# --- RidgeOnPCA ----------------------------------------------------------------------------------


def test_ridge_follows_the_ratio_of_new_cells(graded: tuple[AnnData, np.ndarray]) -> None:
    cells, truth = graded
    train, test = cells[:550].copy(), cells[550:].copy()
    ridge = RidgeOnPCA(n_pcs=5).fit(train)
    ratio = ridge.predict(AnnData(test.X.copy()))
    assert ratio.shape == test.shape
    assert ((ratio > 0) & (ratio < 1)).all()
    np.testing.assert_array_equal(ratio, ridge.predict(test))
    best = skill(test, truth[550:], train)
    assert 0.7 * best < skill(test, ratio, train) < best
    assert skill(test, NearestNeighbours().fit(train).predict(test), train) < skill(
        test, ratio, train
    )


def test_an_endless_penalty_gives_the_gene_mean(graded: tuple[AnnData, np.ndarray]) -> None:
    cells, _ = graded
    ratio = RidgeOnPCA(penalty=1e12).fit(cells).predict(cells)
    np.testing.assert_allclose(ratio, GeneMean().fit(cells).predict(cells), atol=1e-6)


def test_the_penalty_is_chosen_where_new_cells_are_predicted_best() -> None:
    rng = np.random.default_rng(4)
    n_cells, n_genes = 400, 150
    place = rng.normal(size=(n_cells, 3))
    n = rng.poisson(np.exp(place @ rng.normal(0, 0.5, (3, n_genes))) * 1.5)
    # Slopes whose inverse variance, about 100, lies well inside the grid.
    s = rng.binomial(n, expit(1 + place @ rng.normal(0, 0.1, (3, n_genes))))
    cells = cells_of(s, n - s)
    train, test = cells[:250].copy(), cells[250:].copy()
    ridge = RidgeOnPCA(seed=1).fit(train)
    assert ridge.penalty_ in PENALTIES
    chosen = skill(test, ridge.predict(test), train)
    for extreme in (0.1, 1e5):
        fixed = RidgeOnPCA(penalty=extreme, seed=1).fit(train)
        assert fixed.penalty_ == extreme
        assert skill(test, fixed.predict(test), train) < chosen
    again = RidgeOnPCA(seed=1).fit(train)
    assert again.penalty_ == ridge.penalty_
    np.testing.assert_array_equal(again.predict(test), ridge.predict(test))


def test_cells_beyond_a_number_do_not_take_part_in_the_choice(
    graded: tuple[AnnData, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells, _ = graded
    seen = []
    regress = RidgeOnPCA._regress
    monkeypatch.setattr(
        RidgeOnPCA,
        "_regress",
        lambda self, totals, *rest: seen.append(totals.shape[0]) or regress(self, totals, *rest),
    )
    monkeypatch.setattr(_baselines, "_CHOICE_CELLS", 100)
    RidgeOnPCA(penalties=(100.0, 1000.0), n_folds=4).fit(cells)
    assert seen == [75, 75, 75, 75, 700]


@settings(max_examples=25, deadline=None)
@given(
    n_cells=st.integers(2, 12),
    n_genes=st.integers(1, 6),
    depth=st.sampled_from([0.05, 1.0, 200.0]),
    chance=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)
def test_few_cells_genes_and_counts_stay_finite(
    n_cells: int, n_genes: int, depth: float, chance: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n = rng.poisson(depth, (n_cells, n_genes))
    n[0, 0] = max(n[0, 0], 1)
    s = rng.binomial(n, chance)
    cells = cells_of(s, n - s)
    ratio = RidgeOnPCA().fit(cells).predict(cells)
    assert ratio.shape == cells.shape
    assert np.isfinite(ratio).all()
    assert ((ratio >= 0) & (ratio <= 1)).all()


def test_a_gene_without_counts_takes_the_ratio_of_all_genes() -> None:
    rng = np.random.default_rng(5)
    s, u = rng.poisson(3, (50, 8)), rng.poisson(1, (50, 8))
    s[:, 2] = u[:, 2] = 0
    cells = cells_of(s, u, rng.poisson(5, (50, 8)))
    ratio = RidgeOnPCA(penalty=100).fit(cells).predict(cells)
    np.testing.assert_allclose(ratio[:, 2], s.sum() / (s + u).sum(), atol=1e-6)


@pytest.mark.parametrize(
    ("given_to_it", "words"),
    [
        ({"penalty": 0.0}, "The penalty of the regression is 0.0"),
        ({"penalties": (10.0, float("inf"))}, "is inf"),
        ({"penalties": ()}, "chosen from nothing"),
        ({"n_folds": 1}, "1 folds"),
    ],
)
def test_wrong_penalties_are_refused(given_to_it: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        RidgeOnPCA(**given_to_it)  # type: ignore[arg-type]


def test_baselines_without_cells_or_counts_say_so() -> None:
    empty = cells_of(np.zeros((4, 3)), np.zeros((4, 3)))
    one = cells_of(np.ones((1, 3)), np.ones((1, 3)))
    with pytest.raises(DataError, match="call `fit` first"):
        RidgeOnPCA().predict(one)
    with pytest.raises(DataError, match="call `fit` first"):
        GroupMean().predict(one, groups=["a"])
    with pytest.raises(DataError, match="hold no counts"):
        RidgeOnPCA().fit(empty)
    with pytest.raises(DataError, match="hold no counts"):
        GroupMean().fit(empty, groups=list("aabb"))
    with pytest.raises(DataError, match="chosen on 1 training cells"):
        RidgeOnPCA().fit(one)
    assert np.isfinite(RidgeOnPCA(penalty=10).fit(one).predict(one)).all()


# --- GroupMean -----------------------------------------------------------------------------------


def test_groups_are_shrunk_to_the_gene_mean() -> None:
    s = np.array([[6, 0], [2, 1], [0, 3]])
    u = np.array([[2, 0], [0, 1], [4, 3]])
    cells = cells_of(s, u)
    mean = GeneMean().fit(cells).ratio
    assert mean is not None
    near = GroupMean(prior_weight=10).fit(cells, groups=["a", "a", "b"])
    ratio = near.predict(cells, groups=["b", "a", "a"])
    np.testing.assert_allclose(ratio[0], (s[2] + 10 * mean) / (s[2] + u[2] + 10))
    in_a = (s[:2].sum(axis=0) + 10 * mean) / ((s + u)[:2].sum(axis=0) + 10)
    np.testing.assert_allclose(ratio[1:], [in_a, in_a])


def test_unknown_and_missing_groups_get_the_gene_mean() -> None:
    rng = np.random.default_rng(6)
    cells = cells_of(rng.poisson(3, (6, 4)), rng.poisson(2, (6, 4)))
    labels = pd.Categorical(["1", "2", None, "1", "2", None], categories=["2", "1"])
    near = GroupMean(prior_weight=1).fit(cells, groups=labels)
    mean = GeneMean().fit(cells).ratio
    ratio = near.predict(cells, groups=[1, "new", np.nan, None, 2, "2"])
    np.testing.assert_array_equal(ratio[1:4], [mean] * 3)
    np.testing.assert_array_equal(ratio[4], ratio[5])
    assert not np.array_equal(ratio[0], ratio[4])
    nobody = GroupMean().fit(cells, groups=[None] * 6).predict(cells, groups=labels)
    np.testing.assert_array_equal(nobody, [mean] * 6)
    with pytest.raises(DataError, match="5 group labels for 6 cells"):
        near.predict(cells, groups=list("aaaaa"))
    with pytest.raises(DataError, match="7 group labels for 6 cells"):
        GroupMean().fit(cells, groups=list("aaaaaaa"))


@settings(max_examples=30, deadline=None)
@given(
    labels=st.lists(st.sampled_from("abc"), min_size=5, max_size=20),
    weight=st.floats(0.1, 1e6),
    seed=st.integers(0, 1000),
)
def test_a_group_lies_between_its_own_ratio_and_the_mean(
    labels: list[str], weight: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    s, u = rng.poisson(2, (len(labels), 5)) + 1, rng.poisson(1, (len(labels), 5))
    cells = cells_of(s, u)
    ratio = GroupMean(prior_weight=weight).fit(cells, groups=labels).predict(cells, groups=labels)
    mean = GeneMean().fit(cells).ratio
    for label in set(labels):
        members = np.array(labels) == label
        own = s[members].sum(axis=0) / (s + u)[members].sum(axis=0)
        assert (ratio[members] >= np.minimum(own, mean) - 1e-12).all()
        assert (ratio[members] <= np.maximum(own, mean) + 1e-12).all()
