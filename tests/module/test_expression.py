"""The negative binomial for sparse counts: scvi-tools' own, value and gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scvi.distributions import NegativeBinomial

from splicedvae.module import CountedEntries, SparseNegativeBinomial


@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 7), st.integers(1, 9)),
    zeros=st.floats(0, 1),
    per_gene=st.booleans(),
)
def test_value_and_gradient_are_those_of_scvi_tools(seed, shape, zeros, per_gene):
    random = torch.Generator().manual_seed(seed)
    counts = torch.poisson(torch.full(shape, 4.0), generator=random)
    counts = counts * (torch.rand(shape, generator=random) >= zeros)
    mu = torch.rand(shape, generator=random) * 20 + 1e-3
    theta = torch.exp(torch.randn(shape[1:] if per_gene else shape, generator=random))
    found = []
    for make in (NegativeBinomial, SparseNegativeBinomial):
        m, t = mu.clone().requires_grad_(), theta.clone().requires_grad_()
        value = make(mu=m, theta=t, scale=m).log_prob(counts)
        value.sum().backward()
        found.append((value.detach(), m.grad, t.grad))
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=2e-4)


def test_draws_of_many_states_are_judged_too():
    mu = torch.rand(3, 2, 4) + 0.5
    theta = torch.ones(4)
    counts = torch.tensor([[0.0, 1.0, 5.0, 0.0], [2.0, 0.0, 0.0, 1.0]])
    ours = SparseNegativeBinomial(mu, theta, mu).log_prob(counts)
    torch.testing.assert_close(ours, NegativeBinomial(mu=mu, theta=theta).log_prob(counts))


def test_counted_entries_are_those_with_a_molecule():
    spliced = torch.tensor([[0.0, 2.0, 0.0], [3.0, 0.0, 0.0]])
    unspliced = torch.tensor([[0.0, 1.0, 4.0], [0.0, 0.0, 0.0]])
    found = CountedEntries.find(spliced, unspliced)
    assert found.genes.tolist() == [1, 2, 0]
    assert found.spliced.tolist() == [2, 0, 3]
    assert found.counted.tolist() == [3, 4, 3]
    assert found.of(spliced + unspliced).tolist() == found.counted.tolist()
    assert found.log_choose.item() == pytest.approx(torch.log(torch.tensor(3.0)).item())
