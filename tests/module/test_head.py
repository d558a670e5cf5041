"""The ratio head: what it shares between genes, what it shrinks, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from splicedvae.module import CountedEntries, ExpressionSlopes, RatioHead, Slopes


def test_a_new_head_predicts_the_gene_intercept_whatever_the_latent():
    head = RatioHead(3, 4, n_batch=2, kind="mlp")
    head.set_intercept(torch.tensor([90.0, 0, 1000, 10]), torch.tensor([10.0, 0, 1000, 90]))
    logits = head(torch.randn(6, 3), torch.tensor([[0], [1], [0], [1], [1], [0]]))
    assert torch.equal(logits, head.intercept.expand(6, 4))
    ratio = torch.sigmoid(head.intercept)
    overall = 1100 / 2200
    assert ratio[0].item() == pytest.approx((90 + 10 * overall) / 110, rel=1e-5)
    assert ratio[1].item() == pytest.approx(overall, rel=1e-5)


def test_batches_have_offsets_of_their_own_and_they_are_shrunk():
    head = RatioHead(2, 3, n_batch=2, shrinkage=4.0)
    before = head.penalty().item()
    with torch.no_grad():
        head.batch_offset.mean[:, 1] = 2.0
    z = torch.zeros(2, 2)
    logits = head(z, torch.tensor([[0], [1]]))
    torch.testing.assert_close(logits[1] - logits[0], torch.full((3,), 2.0))
    assert head.penalty().item() - before == pytest.approx(0.5 * 4.0 * 3 * 4, rel=1e-4)


@pytest.mark.parametrize("shrinkage", [None, 7.0])
def test_the_divergence_is_that_of_two_gaussians(shrinkage):
    torch.manual_seed(0)
    slopes = Slopes((4, 5), (4, 1), shrinkage)
    with torch.no_grad():
        slopes.mean.normal_()
        slopes.log_scale.normal_()
        if shrinkage is None:
            slopes.log_width.normal_()
    expected = kl_divergence(
        Normal(slopes.mean, slopes.log_scale.exp()),
        Normal(torch.zeros(4, 5), slopes.log_width.exp().expand(4, 5)),
    ).sum()
    torch.testing.assert_close(slopes.divergence(), expected, rtol=1e-4, atol=1e-3)
    assert (slopes.log_width.requires_grad) == (shrinkage is None)


def test_the_expected_loss_is_the_integral_over_the_logit():
    s, u = torch.tensor([[3.0, 0.0, 40.0]]), torch.tensor([[1.0, 2.0, 5.0]])
    mean, variance = torch.tensor([[0.4, -1.0, 2.0]]), torch.tensor([[0.09, 0.04, 0.02]])
    head = RatioHead(2, 3)
    counted = CountedEntries.find(s, u)
    got = head.negative_log_likelihood(mean, counted, variance)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    expected = sum(
        float(w) * head.negative_log_likelihood(mean + float(x) * variance.sqrt(), counted)
        for x, w in zip(nodes, weights / weights.sum(), strict=True)
    )
    assert got.item() == pytest.approx(expected.item(), rel=1e-3)
    certain = head.negative_log_likelihood(mean, counted)
    assert got.item() > certain.item()


def test_the_variance_is_that_of_draws_of_the_slopes():
    torch.manual_seed(0)
    head = RatioHead(3, 4, n_batch=2)
    with torch.no_grad():
        for slopes in (head.loadings, head.bursts, head.batch_offset):
            slopes.mean.normal_()
            slopes.log_scale.uniform_(-2, 0)
        head.shared.normal_()
        head.expression.slopes.normal_()
    z, x = torch.randn(5, 3), torch.poisson(torch.full((5, 4), 2.0))
    batch = torch.tensor([[0], [1], [0], [1], [1]])
    mean, variance = head.moments(z, batch, x)
    draws = []
    means = [m.mean.detach().clone() for m in (head.loadings, head.bursts, head.batch_offset)]
    with torch.no_grad():
        for _ in range(4000):
            for slopes, centre in zip(
                (head.loadings, head.bursts, head.batch_offset), means, strict=True
            ):
                slopes.mean.copy_(centre + slopes.log_scale.exp() * torch.randn_like(centre))
            draws.append(head(z, batch, x))
    draws = torch.stack(draws)
    torch.testing.assert_close(draws.var(dim=0), variance.detach(), rtol=0.15, atol=0.01)
    torch.testing.assert_close(draws.mean(dim=0), mean.detach(), rtol=0.1, atol=0.15)


def test_expression_slopes_are_those_of_the_counts():
    rng = np.random.default_rng(0)
    h = rng.normal(size=(4000, 2)) * [1.0, 0.5]
    slopes = np.array([[0.6, -0.4, 0.0, 0.0], [0.0, 0.3, 0.8, 0.0]])
    size = rng.uniform(0.5, 2, size=(4000, 1))
    x = torch.tensor(rng.poisson(size * 5 * np.exp(h @ slopes)), dtype=torch.float32)
    # One more gene takes nearly all molecules, so that shares are not drawn by composition.
    x = torch.cat([x, torch.tensor(size * 4000).float()], dim=1)
    expression = ExpressionSlopes(2, 5)
    features = torch.tensor(h, dtype=torch.float32)
    for _ in range(30):
        for cells in torch.randperm(4000).split(500):
            expression.observe(features[cells], x[cells], n_obs=4000)
    np.testing.assert_allclose(expression.slopes[:, :4], slopes, atol=0.12)
    excess = expression.excess(features, x)[:, :4].numpy()
    assert abs(excess.mean()) < 0.1
    assert abs(np.corrcoef(excess[:, 0], h[:, 0])[0, 1]) < 0.1


def test_a_gene_without_counts_has_no_slope_and_finite_excess():
    expression = ExpressionSlopes(2, 2)
    x = torch.tensor([[3.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    h = torch.randn(3, 2)
    expression.observe(h, x, n_obs=3)
    assert (expression.slopes[:, 1] == 0).all()
    assert torch.isfinite(expression.excess(h, x)).all()


def test_widths_are_learned_where_genes_differ_and_not_where_they_do_not():
    torch.manual_seed(0)
    n_cells, n_genes = 400, 60
    z = torch.randn(n_cells, 2)
    own = torch.cat([0.8 * torch.randn(1, n_genes), torch.zeros(1, n_genes)])
    n = torch.poisson(torch.full((n_cells, n_genes), 4.0))
    s = torch.binomial(n, torch.sigmoid(z @ own))
    head = RatioHead(2, n_genes)
    head.set_intercept(s.sum(0), (n - s).sum(0))
    optimizer = torch.optim.Adam(head.parameters(), lr=0.03)
    batch = torch.zeros(n_cells, 1)
    for _ in range(300):
        optimizer.zero_grad()
        mean, variance = head.moments(z, batch)
        (
            head.negative_log_likelihood(mean, CountedEntries.find(s, n - s), variance)
            + head.penalty()
        ).backward()
        optimizer.step()
    width = head.loadings.log_width.exp().flatten()
    assert width[0].item() == pytest.approx(0.8, rel=0.3)
    assert width[1].item() < 0.1
    learned = head.slopes().detach()[0]
    assert np.corrcoef(learned, own[0])[0, 1] > 0.95


@pytest.mark.parametrize(("option", "value"), [("kind", "quadratic"), ("likelihood", "poisson")])
def test_unknown_options_are_refused_by_name(option, value):
    with pytest.raises(ValueError, match=value):
        RatioHead(2, 3, **{option: value})
