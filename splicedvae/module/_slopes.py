"""Slopes on the state of a cell: of the ratio, with a learned prior, and of expression."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

#: Standard deviation of a slope to start learning from, in logits per unit of the latent state.
START_SCALE = 0.1
#: Precision of the prior that holds the slopes of expression of genes with few counts near zero.
SLOPE_PRECISION = 5.0
#: Weight of a minibatch in the running moments of expression, once there were enough of them.
MOMENT_RATE = 0.02
#: Minibatches from one renewal of the slopes of expression to the next, likewise.
RENEW_EVERY = 5


class Slopes(nn.Module):
    """Gaussian posterior of slopes under a Gaussian prior around zero of known or learned width.

    Parameters
    ----------
    shape
        Shape of the slopes.
    tied
        Shape of the prior's widths, broadcastable to the same.
    shrinkage
        Precision of the prior; None learns it.
    """

    log_width: torch.Tensor

    def __init__(
        self, shape: tuple[int, ...], tied: tuple[int, ...], shrinkage: float | None
    ) -> None:
        super().__init__()
        width = torch.full(tied, math.log(START_SCALE))
        if shrinkage is None:
            self.log_width = nn.Parameter(width)
        else:
            # A precision of zero means an uninformative prior.
            width = torch.full(tied, -0.5 * math.log(shrinkage + 1e-6))
            self.register_buffer("log_width", width)
        start = min(float(width.max()), math.log(START_SCALE)) - math.log(2)
        self.mean = nn.Parameter(torch.zeros(shape))
        self.log_scale = nn.Parameter(torch.full(shape, start))

    @property
    def variance(self) -> torch.Tensor:
        """Variances of the posterior."""
        return torch.exp(2 * self.log_scale)

    def draw(self, generator: torch.Generator) -> torch.Tensor:
        """Draw slopes from the posterior.

        Parameters
        ----------
        generator
            Source of randomness, on the CPU.
        """
        noise = torch.randn(self.mean.shape, generator=generator).to(self.mean.device)
        return self.mean + torch.exp(self.log_scale) * noise

    def divergence(self) -> torch.Tensor:
        """Kullback-Leibler divergence of the posterior from the prior, summed (a scalar)."""
        found: torch.Tensor = _Divergence.apply(self.mean, self.log_scale, self.log_width)
        return found


class _Divergence(torch.autograd.Function):
    """The divergence of Gaussians with its gradient, in one pass over the slopes."""

    @staticmethod
    def forward(
        ctx: Any, mean: torch.Tensor, log_scale: torch.Tensor, log_width: torch.Tensor
    ) -> torch.Tensor:
        relative = 2 * (log_scale - log_width)
        ratio = torch.exp(relative)
        of_mean = mean * torch.exp(-2 * log_width)
        square = mean * of_mean
        of_scale = ratio - 1
        of_width = of_scale + square
        ctx.save_for_backward(of_mean, of_scale, of_width)
        ctx.width = log_width.shape
        return 0.5 * (of_width - relative).sum()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (weight,) = grads
        of_mean, of_scale, of_width = ctx.saved_tensors
        width = None
        if ctx.needs_input_grad[2]:
            width = -weight * of_width.sum_to_size(ctx.width)
        return weight * of_mean, weight * of_scale, width


class ExpressionSlopes(nn.Module):
    """Slopes of each gene's log expression on the features of a cell, from running moments.

    Nothing here has a gradient. With m the mean share of a gene in a cell's counts, the slope is
    that of a Poisson regression near the mean state, with a Gaussian prior: genes with few counts
    keep slopes near zero.

    Parameters
    ----------
    n_features
        Number of features of a cell.
    n_genes
        Number of genes.
    """

    slopes: torch.Tensor
    centre: torch.Tensor
    log_level: torch.Tensor
    _h: torch.Tensor
    _hh: torch.Tensor
    _x: torch.Tensor
    _hx: torch.Tensor
    _counts: torch.Tensor
    _steps: torch.Tensor

    def __init__(self, n_features: int, n_genes: int) -> None:
        super().__init__()
        for name, shape in (
            ("slopes", (n_features, n_genes)),
            ("centre", (n_features,)),
            ("log_level", (n_genes,)),
            ("_h", (n_features,)),
            ("_hh", (n_features, n_features)),
            ("_x", (n_genes,)),
            ("_hx", (n_features, n_genes)),
            ("_counts", ()),
            ("_steps", ()),
        ):
            self.register_buffer(name, torch.zeros(shape))
        #: Whether the moments are those of all training cells already (`set_moments`).
        self.fixed = False

    @torch.no_grad()
    def observe(
        self, h: torch.Tensor, x: torch.Tensor, n_obs: int, size: torch.Tensor | None = None
    ) -> None:
        """Take a minibatch into the moments, and renew the slopes from time to time.

        The moments change by a fiftieth with a minibatch once there were enough of them, so the
        slopes are renewed with every minibatch only at first, and then with every `RENEW_EVERY`th.

        Parameters
        ----------
        h
            Features, shape (n_cells, n_features).
        x
            Total counts, shape (n_cells, n_genes).
        n_obs
            Number of training cells, which the information in the counts grows with.
        size
            Total counts of each cell, shape (n_cells, 1); None sums them.
        """
        size = x.sum(dim=1, keepdim=True) if size is None else size
        self._steps += 1
        rate = (1 / self._steps).clamp_min(MOMENT_RATE)
        n = h.shape[0]
        # Dividing the few features by the size of a cell, not its many genes.
        weights = torch.cat([h, torch.ones_like(h[:, :1])], dim=1) / size.clamp_min(1)
        shares = weights.T @ x / n
        for moment, now in (
            (self._h, h.mean(dim=0)),
            (self._hh, h.T @ h / n),
            (self._x, shares[-1]),
            (self._hx, shares[:-1]),
            (self._counts, size.mean()),
        ):
            moment.lerp_(now, rate)
        step = int(self._steps)
        if step <= 1 / MOMENT_RATE or step % RENEW_EVERY == 0:
            self._renew(n_obs)

    @torch.no_grad()
    def set_moments(
        self,
        h: torch.Tensor,
        hh: torch.Tensor,
        x: torch.Tensor,
        hx: torch.Tensor,
        counts: float,
        n_obs: int,
    ) -> None:
        """Take the moments of all training cells, for features that training does not change.

        Parameters
        ----------
        h
            Mean of the features, shape (n_features,).
        hh
            Mean of their products, shape (n_features, n_features).
        x
            Mean share of each gene in a cell's counts, shape (n_genes,).
        hx
            Mean of the products of features and shares, shape (n_features, n_genes).
        counts
            Mean total count of a cell.
        n_obs
            Number of training cells.
        """
        for moment, value in ((self._h, h), (self._hh, hh), (self._x, x), (self._hx, hx)):
            moment.copy_(value)
        self._counts.fill_(counts)
        self._steps.fill_(1)
        self._renew(n_obs)
        self.fixed = True

    def _renew(self, n_obs: int) -> None:
        """Find the slopes that belong to the moments."""
        covariance = self._hh - torch.outer(self._h, self._h)
        cross = self._hx - torch.outer(self._h, self._x)
        # In the axes of the features' covariance each gene's regression is a division.
        # It is small, and not every device can do this.
        small = covariance.cpu()
        if not torch.isfinite(small).all():
            # Training has diverged, which the loss shows.
            return
        spread, axes = (part.to(self._x.device) for part in torch.linalg.eigh(small))
        molecules = n_obs * self._counts
        information = molecules * self._x * spread.clamp_min(0)[:, None] + SLOPE_PRECISION
        self.slopes.copy_(axes @ (axes.T @ (molecules * cross) / information))
        self.centre.copy_(self._h)
        quadratic = (self.slopes * (covariance @ self.slopes)).sum(dim=0)
        self.log_level.copy_(torch.log(self._x + 1e-8) - 0.5 * quadratic)

    def excess(self, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Log of each count over the one its gene and the cell's state let expect.

        Parameters
        ----------
        h
            Features, shape (..., n_cells, n_features).
        x
            Total counts, shape (n_cells, n_genes).

        Returns
        -------
        log(1 + x) - log(1 + expected), shape (..., n_cells, n_genes).
        """
        log_size = torch.log(x.sum(dim=1, keepdim=True).clamp_min(1))
        expected = log_size + self.log_level + (h - self.centre) @ self.slopes
        return torch.log1p(x) - torch.nn.functional.softplus(expected)
