"""The likelihoods against scipy and pyro, and the loss over the entries that were counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyro.distributions import BetaBinomial
from scipy import stats
from scipy.special import expit

from splicedvae.module import (
    CountedEntries,
    RatioHead,
    beta_binomial_log_prob,
    binomial_log_prob,
    weighted_squared_error,
)

entries = st.tuples(
    st.integers(0, 200), st.integers(0, 200), st.floats(-8, 8), st.floats(-3, 9)
).filter(lambda e: e[0] + e[1] > 0)


@settings(max_examples=200, deadline=None)
@given(entries)
def test_binomial_equals_scipy(entry):
    s, u, logit, _ = entry
    got = binomial_log_prob(
        *(torch.tensor(float(v), dtype=torch.float64) for v in (s, s + u, logit))
    )
    assert got.item() == pytest.approx(
        stats.binom.logpmf(s, s + u, expit(logit)), rel=1e-5, abs=1e-5
    )


@settings(max_examples=200, deadline=None)
@given(entries, st.sampled_from([torch.float32, torch.float64]))
def test_beta_binomial_equals_scipy_also_in_single_precision(entry, dtype):
    s, u, logit, log_c = (float(np.float32(v)) for v in entry)
    got = beta_binomial_log_prob(*(torch.tensor(v, dtype=dtype) for v in (s, s + u, logit, log_c)))
    assert got.dtype == dtype
    c = np.exp(log_c)
    expected = stats.betabinom.logpmf(s, s + u, c * expit(logit), c * expit(-logit))
    assert got.item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_beta_binomial_equals_pyro():
    rng = np.random.default_rng(0)
    n = torch.tensor(rng.integers(1, 50, 500), dtype=torch.float64)
    s = torch.floor(torch.tensor(rng.random(500)) * (n + 1))
    logits = torch.tensor(rng.normal(0, 2, 500))
    log_c = torch.tensor(rng.normal(2, 1, 500))
    c = log_c.exp()
    expected = BetaBinomial(c * torch.sigmoid(logits), c * torch.sigmoid(-logits), n).log_prob(s)
    got = beta_binomial_log_prob(s, n, logits, log_c)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_beta_binomial_sums_to_one_and_tends_to_the_binomial():
    n = 12
    s = torch.arange(n + 1, dtype=torch.float64)
    total = torch.full_like(s, n)
    logit = torch.full_like(s, 0.7)
    for log_c in (-2.0, 0.0, 4.0):
        p = beta_binomial_log_prob(s, total, logit, torch.full_like(s, log_c)).exp().sum()
        assert p.item() == pytest.approx(1, abs=1e-9)
    sharp = beta_binomial_log_prob(s, total, logit, torch.full_like(s, 18.0))
    torch.testing.assert_close(sharp, binomial_log_prob(s, total, logit), rtol=1e-4, atol=1e-4)


def test_weighted_squared_error_is_the_squared_error_times_the_count():
    s, n = torch.tensor([3.0, 0.0]), torch.tensor([4.0, 2.0])
    logits = torch.tensor([0.0, 0.0])
    got = weighted_squared_error(s, n, logits)
    torch.testing.assert_close(got, torch.tensor([4 * 0.25**2, 2 * 0.5**2]))


@pytest.mark.parametrize("likelihood", ["binomial", "beta-binomial", "weighted-squared-error"])
def test_loss_is_the_sum_over_counted_entries_alone(likelihood):
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    spliced = torch.tensor(rng.poisson(0.6, (7, 11)), dtype=torch.float32)
    unspliced = torch.tensor(rng.poisson(0.3, (7, 11)), dtype=torch.float32)
    counted = spliced + unspliced
    assert (counted == 0).any()
    head = RatioHead(4, 11, likelihood=likelihood)
    logits = torch.randn(7, 11, requires_grad=True)
    loss = head.negative_log_likelihood(logits, CountedEntries.find(spliced, unspliced))
    expected = 0.0
    for c in range(7):
        for g in range(11):
            s, n, logit = spliced[c, g].item(), counted[c, g].item(), logits[c, g].item()
            if n == 0:
                continue
            if likelihood == "binomial":
                expected -= stats.binom.logpmf(s, n, expit(logit))
            elif likelihood == "beta-binomial":
                k = np.exp(head.log_concentration[g].item())
                expected -= stats.betabinom.logpmf(s, n, k * expit(logit), k * expit(-logit))
            else:
                expected += n * (s / n - expit(logit)) ** 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert (logits.grad[counted == 0] == 0).all()
    assert (logits.grad[counted > 0] != 0).any()


def test_nothing_counted_gives_exactly_zero_loss_and_gradient():
    head = RatioHead(3, 5, likelihood="beta-binomial")
    zeros = torch.zeros(4, 5)
    loss = head.negative_log_likelihood(
        head(torch.randn(4, 3), torch.zeros(4, 1)), CountedEntries.find(zeros, zeros)
    )
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or (p.grad == 0).all() for p in head.parameters())
