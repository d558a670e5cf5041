"""Calibration against counts drawn from the very prediction, and against scipy's distributions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.special import expit
from scipy.stats import betabinom, binom

from splicedvae._core.errors import DataError
from splicedvae.evaluation import predictive_coverage, ratio_metrics, reliability
from splicedvae.evaluation._calibration import _tails


def drawn(
    seed: int = 0, shape: tuple[int, int] = (400, 100), concentration: float = np.inf
) -> tuple[csr_matrix, csr_matrix, np.ndarray]:
    """Counts drawn from a ratio that varies between genes and, less, between cells."""
    rng = np.random.default_rng(seed)
    ratio = expit(rng.normal(1, 1, shape[1]) + rng.normal(0, 0.7, shape))
    n = rng.poisson(rng.lognormal(1, 1, shape[1]), shape)
    chance = ratio
    if np.isfinite(concentration):
        chance = rng.beta(ratio * concentration, (1 - ratio) * concentration)
    s = rng.binomial(n, chance)
    return csr_matrix(s.astype(float)), csr_matrix((n - s).astype(float)), ratio


def covered(table: pd.DataFrame, coverage: int, metric: str = "interval_coverage") -> float:
    rows = table[(table["metric"] == metric) & (table["coverage"] == coverage)]
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


# --- Reliability --------------------------------------------------------------------------------


def metrics_of(
    spliced: csr_matrix, unspliced: csr_matrix, ratio: np.ndarray, column: str = "value"
) -> pd.Series:
    mean = np.asarray(ratio.mean(axis=0))
    table = ratio_metrics(spliced, unspliced, {"it": ratio}, gene_mean=mean, coverages=())
    return table.set_index("metric")[column]


def test_the_truth_lies_on_the_diagonal_and_too_bold_a_ratio_does_not() -> None:
    s, u, ratio = drawn()
    table = reliability(s, u, ratio, n_bins=8)
    assert len(table) == 8
    np.testing.assert_allclose(table["observed"], table["predicted"], atol=0.02)
    np.testing.assert_allclose(table["molecules"], (s + u).sum() / 8, rtol=0.01)
    logit = np.log(ratio / (1 - ratio))
    bold = reliability(s, u, expit(2 * logit), n_bins=8)
    assert bold["observed"].iloc[0] > bold["predicted"].iloc[0] + 0.05


def test_the_error_of_the_truth_is_what_sampling_leaves() -> None:
    found = [metrics_of(*drawn(seed)) for seed in range(20)]
    ceiling = [metrics_of(*drawn(seed), column="ceiling") for seed in range(20)]
    reached = np.mean([one["calibration_error"] for one in found])
    assert reached == pytest.approx(
        np.mean([one["calibration_error"] for one in ceiling]), rel=0.15
    )
    s, u, ratio = drawn()
    off = metrics_of(s, u, np.clip(ratio + 0.05, 0, 1))["calibration_error"]
    assert off == pytest.approx(0.05, abs=0.01)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n_bins=st.integers(1, 12),
    values=st.integers(1, 40),
    depth=st.floats(0.1, 20),
)
def test_bins_hold_every_molecule_once_and_do_not_depend_on_the_order_of_cells(
    seed: int, n_bins: int, values: int, depth: float
) -> None:
    rng = np.random.default_rng(seed)
    s, u = rng.poisson(depth, (12, 5)), rng.poisson(depth, (12, 5))
    s[0, 0] += 1
    ratio = rng.integers(0, values, (12, 5)) / values
    table = reliability(csr_matrix(s), csr_matrix(u), ratio, n_bins=n_bins)
    assert 1 <= len(table) <= n_bins
    assert table["molecules"].sum() == (s + u).sum()
    assert table["entries"].sum() == ((s + u) > 0).sum()
    assert (table["entries"] > 0).all()
    assert table["predicted"].is_monotonic_increasing
    observed = float((table["observed"] * table["molecules"]).sum())
    assert observed == pytest.approx(s.sum())
    order = rng.permutation(12)
    again = reliability(csr_matrix(s[order]), csr_matrix(u[order]), ratio[order], n_bins=n_bins)
    pd.testing.assert_frame_equal(again, table)


def test_the_slope_tells_how_much_amplitude_was_shrunk() -> None:
    s, u, ratio = drawn(shape=(1500, 100))
    mean = ratio.mean(axis=0)
    for shrunk in (1.0, 0.5, 0.25):
        found = metrics_of(s, u, mean + shrunk * (ratio - mean))
        assert found["within_gene_slope"] == pytest.approx(1 / shrunk, rel=0.05)
    constant = np.broadcast_to(mean, ratio.shape)
    assert np.isnan(metrics_of(s, u, constant)["within_gene_slope"])
    assert "no velocity" in metrics_of(s, u, constant, "note")["within_gene_slope"]
    assert metrics_of(s, u, ratio, "ceiling")["within_gene_slope"] == 1


# --- Interval coverage --------------------------------------------------------------------------


@pytest.mark.parametrize("concentration", [np.inf, 30.0, 2.0])
@pytest.mark.parametrize("level", [0.9, 0.5])
def test_intervals_of_the_right_prediction_hold_their_level(
    concentration: float, level: float
) -> None:
    s, u, ratio = drawn(1, (1000, 100), concentration)
    table = predictive_coverage(s, u, ratio, concentration, level=level)
    for coverage in (2, 5, 10):
        assert covered(table, coverage) == pytest.approx(level, abs=0.01)
        assert covered(table, coverage, "interval_coverage_inclusive") > level
    exact = table[table["metric"] == "interval_coverage"]
    assert (exact["ceiling"] == level).all()
    assert exact["n"].tolist() == [((s + u).toarray() >= k).sum() for k in (2, 5, 10)]


def test_intervals_of_a_binomial_are_too_narrow_for_ratios_that_vary() -> None:
    s, u, ratio = drawn(2, (500, 100), 5.0)
    narrow = predictive_coverage(s, u, ratio, np.inf)
    wide = predictive_coverage(s, u, ratio, 0.5)
    assert covered(narrow, 10) < 0.75
    assert covered(wide, 10) > 0.92


def test_each_gene_takes_its_own_concentration() -> None:
    s, u, ratio = drawn(3, (300, 20), 5.0)
    own = np.full(20, 5.0)
    own[::2] = np.inf
    mixed = predictive_coverage(s, u, ratio, own)
    parts = [
        predictive_coverage(s[:, half], u[:, half], ratio[:, half], value)
        for half, value in ((slice(None, None, 2), np.inf), (slice(1, None, 2), 5.0))
    ]
    inside = sum(float((part["value"] * part["n"]).iloc[0]) for part in parts)
    assert covered(mixed, 2) == pytest.approx(inside / float(mixed["n"].iloc[0]))


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 400),
    ratio=st.floats(1e-6, 1 - 1e-6),
    power=st.floats(-4, 5),
)
def test_tails_are_those_of_scipy(seed: int, n: int, ratio: float, power: float) -> None:
    counts = np.random.default_rng(seed).integers(0, n + 1, 6).astype(float)
    counts[:2] = 0, n
    same = np.ones(6)
    concentration = 10.0**power
    below, above = _tails(counts, n * same, ratio * same, concentration * same)
    model = betabinom(n, ratio * concentration, (1 - ratio) * concentration)
    np.testing.assert_allclose(below, model.cdf(counts - 1), atol=1e-7)
    np.testing.assert_allclose(above, model.sf(counts), atol=1e-7)
    below, above = _tails(counts, n * same, ratio * same, np.inf * same)
    np.testing.assert_allclose(below, binom.cdf(counts - 1, n, ratio), atol=1e-9)
    np.testing.assert_allclose(above, binom.sf(counts, n, ratio), atol=1e-9)


@settings(max_examples=60)
@given(
    n=st.integers(1, 60),
    ratio=st.floats(0.001, 0.999),
    power=st.floats(-2, 8),
    level=st.floats(0.05, 0.99),
)
def test_the_expected_coverage_is_the_level_for_any_number_of_molecules(
    n: int, ratio: float, power: float, level: float
) -> None:
    """Every count once, weighted by its own probability."""
    s = np.arange(n + 1)
    shares = np.array(
        [
            covered(
                predictive_coverage(
                    csr_matrix([[float(k)]]),
                    csr_matrix([[float(n - k)]]),
                    np.full((1, 1), ratio),
                    10.0**power,
                    level=level,
                    coverages=(1,),
                ),
                1,
            )
            for k in s
        ]
    )
    weight = betabinom.pmf(s, n, ratio * 10.0**power, (1 - ratio) * 10.0**power)
    assert (shares >= 0).all()
    assert (shares <= 1).all()
    assert float((weight * shares).sum() / weight.sum()) == pytest.approx(level, abs=1e-4)


def test_where_nothing_is_covered_so_well_it_is_said() -> None:
    one = csr_matrix(np.eye(3))
    table = predictive_coverage(one, one * 0, np.full((3, 3), 0.5), 10.0)
    assert table["value"].isna().all()
    assert (table["n"] == 0).all()
    assert set(table["note"]) == {"no entry is covered so well"}


def test_what_cannot_be_judged_is_refused() -> None:
    s, u, ratio = drawn(shape=(10, 5))
    with pytest.raises(DataError, match="0 bins"):
        reliability(s, u, ratio, n_bins=0)
    with pytest.raises(DataError, match="no spliced or unspliced counts"):
        reliability(s * 0, u * 0, ratio)
    with pytest.raises(DataError, match="level of the interval is 1"):
        predictive_coverage(s, u, ratio, 1.0, level=1.0)
    with pytest.raises(DataError, match=r"shape \(4,\)"):
        predictive_coverage(s, u, ratio, np.ones(4))
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(DataError, match="numbers above 0"):
            predictive_coverage(s, u, ratio, wrong)
    with pytest.raises(DataError, match="whole numbers"):
        predictive_coverage(s * 0.5, u, ratio, 1.0)
