"""Intervals and ceilings of single genes against what drawing from the truth gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.special import expit, logit

from splicedvae._core.errors import DataError
from splicedvae.evaluation import (
    gene_ceilings,
    pooled_by_bin,
    predictive_interval,
    reliability_within_genes,
    share_interval,
    skill_with_error,
)

RNG = np.random.default_rng(1)
#: Cells x genes: the first gene's ratio does not vary, the others' does.
TRUTH = expit(RNG.normal(0, [0.0, 0.6, 1.2], (2000, 3)))
N = RNG.poisson(8, TRUTH.shape)
S = RNG.binomial(N, TRUTH)
PAIR = csr_matrix(S.astype(float)), csr_matrix((N - S).astype(float))


def test_a_ceiling_is_what_the_truth_reaches() -> None:
    ceilings = gene_ceilings(*PAIR)
    for gene in (1, 2):
        counted = N[:, gene] > 0
        n, truth = N[counted, gene], TRUTH[counted, gene]
        measured = S[counted, gene] / n
        reached = np.cov(truth, measured, aweights=n)
        r = reached[0, 1] / np.sqrt(reached[0, 0] * reached[1, 1])
        assert ceilings[gene] == pytest.approx(r, abs=0.03)
    # The square root makes much of little: a share of 0.06 left by chance is 0.25.
    assert ceilings[0] < 0.35
    assert ceilings[1] < ceilings[2]


def test_a_gene_without_counts_has_no_ceiling() -> None:
    empty = csr_matrix((5, 2))
    assert np.isnan(gene_ceilings(empty, empty)).all()


def test_the_error_of_a_skill_is_its_scatter_over_samples() -> None:
    truth, n = TRUTH[:300, 1], N[:300, 1]
    found = []
    for _ in range(300):
        s = RNG.binomial(n, truth)
        found.append(skill_with_error(s, n - s, truth, 0.5))
    skills, errors = np.transpose(found)
    assert skills.mean() > 3 * skills.std()
    assert errors.mean() == pytest.approx(skills.std(), rel=0.25)


def test_a_constant_has_no_skill_and_no_counts_have_none() -> None:
    skill, error = skill_with_error(S[:, 1], N[:, 1] - S[:, 1], np.full(2000, 0.5), 0.5)
    assert (skill, error) == pytest.approx((0, 0), abs=1e-12)
    assert np.isnan(skill_with_error([0, 0], [0, 0], [0.5, 0.5], 0.5)).all()
    with pytest.raises(DataError, match="equal shapes"):
        skill_with_error([1], [1, 2], [0.5], 0.5)


def test_an_interval_of_a_share_holds_the_share() -> None:
    n = np.full(4000, 25)
    for share in (0.1, 0.5, 0.9):
        s = RNG.binomial(n, share)
        lower, upper = share_interval(s, n - s, level=0.9)
        assert ((lower <= share) & (share <= upper)).mean() == pytest.approx(0.9, abs=0.05)


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_share_lies_in_its_own_interval(s: int, u: int) -> None:
    lower, upper = share_interval([s], [u])
    if s + u == 0:
        assert np.isnan([lower[0], upper[0]]).all()
    else:
        assert 0 <= lower[0] <= s / (s + u) <= upper[0] <= 1


@pytest.mark.parametrize("concentration", [5.0, 50.0, np.inf])
def test_counts_lie_in_their_predicted_interval(concentration: float) -> None:
    ratio, n = np.full(20_000, 0.7), 12
    p = ratio
    if np.isfinite(concentration):
        p = RNG.beta(0.7 * concentration, 0.3 * concentration, ratio.size)
    s = RNG.binomial(n, p) / n
    lower, upper = predictive_interval(ratio, concentration, n, level=0.9)
    inside = (lower <= s) & (s <= upper)
    # Whole numbers hold more than the level, and not the next smaller interval.
    assert inside.mean() >= 0.89
    assert (s < lower).mean() <= 0.055
    assert (s > upper).mean() <= 0.055
    wide = predictive_interval([0.7], 2.0, n)
    assert wide[1][0] - wide[0][0] >= upper[0] - lower[0]


@given(st.floats(0, 1), st.floats(1e-3, 1e9), st.integers(1, 60))
def test_a_predicted_interval_is_ordered(ratio: float, concentration: float, n: int) -> None:
    lower, upper = predictive_interval([ratio], concentration, n)
    assert 0 <= lower[0] <= upper[0] <= 1


def test_intervals_need_a_concentration_and_molecules() -> None:
    for concentration, n in ((0.0, 3), (np.nan, 3), (1.0, 0)):
        with pytest.raises(DataError, match="above 0"):
            predictive_interval([0.5], concentration, n)


def test_pooling_adds_up_and_leaves_out() -> None:
    table = pooled_by_bin([1, 2, 0, 9], [1, 0, 0, 9], [0, 0, 1, -1])
    assert table["molecules"].tolist() == [4, 0]
    assert table["cells"].tolist() == [2, 1]
    assert table["ratio"][0] == 0.75
    assert table.loc[1, ["ratio", "lower", "upper"]].isna().all()
    assert pooled_by_bin([1], [1], [-1]).empty


def test_deviations_that_are_right_lie_on_the_diagonal_and_bold_ones_below() -> None:
    right = reliability_within_genes(*PAIR, TRUTH)
    z = (right["observed"] - right["predicted"]) / right["error"]
    assert np.abs(z).max() < 4
    bold = reliability_within_genes(*PAIR, expit(2 * logit(TRUTH)))
    slope = np.polyfit(bold["predicted"], bold["observed"], 1)[0]
    assert slope < 0.8
    assert bold["molecules"].sum() == N.sum()
    with pytest.raises(DataError, match="constant within every gene"):
        reliability_within_genes(*PAIR, np.tile([0.5, 0.4, 0.3], (2000, 1)))
