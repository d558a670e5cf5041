"""The two likelihoods of training with hand-written gradients.

Automatic differentiation keeps every intermediate result of a minibatch and goes through each of
them once more. Here a loss and its gradient are found in one pass, expensive functions are taken
at counted entries alone, and no matrix of cells x genes is made that is not needed. Tests hold
values and gradients to the plain forms, `SparseNegativeBinomial` and `RatioHead.moments`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import softplus

from splicedvae.module._entries import Entries

#: As in `scvi.distributions.NegativeBinomial`.
_EPS = 1e-8


class _NegativeBinomialLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        log_theta: torch.Tensor,
        x: torch.Tensor,
        size: torch.Tensor,
        counted: Entries,
        log_factorials: torch.Tensor,
    ) -> torch.Tensor:
        theta = torch.exp(log_theta)
        share = torch.softmax(logits, dim=-1)
        mu = share * size
        log_sum = mu + (theta + _EPS)
        pull = x + theta
        slope = pull / log_sum
        log_sum.log_()
        constant = (theta * torch.log(theta + _EPS)).sum()
        loss = pull.mul_(log_sum).sum(dim=1) - constant + log_factorials

        values = counted.counts
        at = theta.index_select(0, counted.genes)
        mean = counted.of(mu)
        shifted = mean + _EPS
        rising, rising_slope = _rising(at, values, theta, counted.genes)
        terms = values * torch.log(shifted) + rising
        loss.index_add_(0, counted.cells, terms, alpha=-1)

        slope_theta = log_sum.add_(slope)
        grad = mu.mul_(slope)
        grad.view(-1).index_add_(0, counted.position, values * (mean / shifted), alpha=-1)
        grad.sub_(share.mul_(grad.sum(dim=1, keepdim=True)))
        ctx.save_for_backward(grad, slope_theta, rising_slope, theta, counted.cells, counted.genes)
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grad, slope_theta, rising_slope, theta, cells, genes = ctx.saved_tensors
        (weights,) = grads
        constant = torch.log(theta + _EPS) + theta / (theta + _EPS)
        of_theta = weights @ slope_theta - constant * weights.sum()
        of_theta.index_add_(0, genes, rising_slope * weights.index_select(0, cells), alpha=-1)
        return grad * weights[:, None], of_theta * theta, None, None, None, None


#: Counts up to this one have a product instead of log-gammas.
_SMALL = 3


def _rising(
    at: torch.Tensor, counts: torch.Tensor, theta: torch.Tensor, genes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-gamma(theta + x) - log-gamma(theta) and its slope by theta, at entries.

    For a small whole x the difference is the log of theta (theta + 1) ... (theta + x - 1).
    """
    product, slope = at.clone(), 1 / at
    for j in range(1, _SMALL):
        more = counts > j
        factor = at + j
        product = torch.where(more, product * factor, product)
        slope = torch.where(more, slope + 1 / factor, slope)
    rising = torch.log(product)
    other = torch.nonzero((counts > _SMALL) | (counts != torch.round(counts))).squeeze(1)
    if len(other):
        gene = genes.index_select(0, other)
        there, x = at.index_select(0, other), counts.index_select(0, other)
        base, base_slope = torch.lgamma(theta), torch.digamma(theta)
        rising[other] = torch.lgamma(there + x) - base.index_select(0, gene)
        slope[other] = torch.digamma(there + x) - base_slope.index_select(0, gene)
    return rising, slope


def negative_binomial_loss(
    logits: torch.Tensor,
    log_theta: torch.Tensor,
    x: torch.Tensor,
    size: torch.Tensor,
    counted: Entries,
    log_factorials: torch.Tensor,
) -> torch.Tensor:
    """Compute the negative log-likelihood of counts whose means are shares of the cell's size.

    Parameters
    ----------
    logits
        Logits of the genes' shares, shape (n_cells, n_genes).
    log_theta
        Log of the inverse dispersion, shape (n_genes,).
    x
        Counts, shape (n_cells, n_genes).
    size
        Size of each cell, shape (n_cells, 1).
    counted
        Where x is not zero.
    log_factorials
        Sum of log-gamma(x + 1) of each cell, shape (n_cells,).

    Returns
    -------
    Shape (n_cells,): what `SparseNegativeBinomial` gives, negative and summed over genes.
    """
    loss: torch.Tensor = _NegativeBinomialLoss.apply(
        logits, log_theta, x, size, counted, log_factorials
    )
    return loss


class _BinomialLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        h: torch.Tensor,
        slopes: torch.Tensor,
        variances: torch.Tensor,
        baseline: torch.Tensor,
        baseline_variance: torch.Tensor | None,
        burst: torch.Tensor,
        burst_variance: torch.Tensor,
        expected: torch.Tensor,
        expression_slopes: torch.Tensor,
        where: Entries,
        spliced: torch.Tensor,
        logged: torch.Tensor,
    ) -> torch.Tensor:
        n_cells, n_genes = len(h), slopes.shape[1]
        squares = h.square()
        counted, genes = where.counts, where.genes
        unlimited = where.of(expected)
        excess = logged - softplus(unlimited)
        burst_at = burst.index_select(0, genes)
        spread_at = burst_variance.index_select(0, genes)
        mean = torch.addcmul(where.of(torch.addmm(baseline, h, slopes)), burst_at, excess)
        variance = where.of(
            squares @ variances
            if baseline_variance is None
            else torch.addmm(baseline_variance, squares, variances)
        )
        deviation = torch.addcmul(variance, spread_at, excess.square()).clamp_min_(1e-12).sqrt_()
        upper, lower = mean + deviation, mean - deviation
        half = 0.5 * counted
        loss = (half * (softplus(upper) + softplus(lower)) - spliced * mean).sum()

        upper.sigmoid_()
        lower.sigmoid_()
        by_mean = half * (upper + lower) - spliced
        by_variance = half * (upper - lower) / (2 * deviation)
        by_excess = burst_at * by_mean + 2 * spread_at * excess * by_variance
        of_mean = where.scatter(by_mean, n_cells, n_genes)
        of_variance = where.scatter(by_variance, n_cells, n_genes)
        of_h = None
        if ctx.needs_input_grad[0]:
            by_expected = where.scatter(-by_excess * torch.sigmoid(unlimited), n_cells, n_genes)
            of_h = of_mean @ slopes.T + by_expected @ expression_slopes.T
            of_h.addcmul_(h, of_variance @ variances.T, value=2)
        of_burst = burst.new_zeros(n_genes).index_add_(0, genes, by_mean * excess)
        of_burst_variance = burst.new_zeros(n_genes).index_add_(
            0, genes, by_variance * excess.square()
        )
        of_baseline = of_mean if baseline.dim() == 2 else of_mean.sum(dim=0)
        ctx.save_for_backward(
            of_h,
            h.T @ of_mean,
            squares.T @ of_variance,
            of_baseline,
            None if baseline_variance is None else of_variance,
            of_burst,
            of_burst_variance,
        )
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (weight,) = grads
        found = (None if part is None else part * weight for part in ctx.saved_tensors)
        return (*found, None, None, None, None, None)


def binomial_loss(
    h: torch.Tensor,
    slopes: torch.Tensor,
    variances: torch.Tensor,
    baseline: torch.Tensor,
    baseline_variance: torch.Tensor | None,
    burst: torch.Tensor,
    burst_variance: torch.Tensor,
    expected: torch.Tensor,
    expression_slopes: torch.Tensor,
    where: Entries,
    spliced: torch.Tensor,
    logged: torch.Tensor,
) -> torch.Tensor:
    """Compute the expected negative log-likelihood of spliced counts, coefficients left out.

    Parameters
    ----------
    h
        Features of the cells, shape (n_cells, n_features).
    slopes, variances
        Mean and variance of the slopes on them, shape (n_features, n_genes).
    baseline, baseline_variance
        Mean and variance of the logit before any feature, shape (n_genes,) or
        (n_cells, n_genes); no variance where there is one batch.
    burst, burst_variance
        Mean and variance of the slope on a gene's own count beyond the expected one, shape
        (n_genes,).
    expected
        Log of the expected count, shape (n_cells, n_genes), without a gradient of its own:
        its slope on ``h`` is given apart.
    expression_slopes
        That slope, shape (n_features, n_genes), without a gradient.
    where
        Entries entries: S + U.
    spliced
        S there, shape (n_entries,).
    logged
        log(1 + x) of the total count there, same shape.

    Returns
    -------
    A scalar: what `RatioHead.negative_log_likelihood` gives for the moments of
    `RatioHead.moments`, the sum over entries of the log of binomial coefficients added.
    """
    loss: torch.Tensor = _BinomialLoss.apply(
        h,
        slopes,
        variances,
        baseline,
        baseline_variance,
        burst,
        burst_variance,
        expected,
        expression_slopes,
        where,
        spliced,
        logged,
    )
    return loss
