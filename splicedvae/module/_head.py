"""The decoder for the splicing ratio: a gene intercept plus a shrunken function of the cell.

Most genes have a handful of unspliced molecules, and a decoder that learns thousands of genes one
by one loses much of the signal to noise (`benchmarks/shrinkage.py`: without a prior,
skill 0.0032 instead of 0.0074 on the pancreas). So genes share information:

* The logit starts from the gene's training log-odds. Where it is known what the genes are (the
  lengths of their introns and mRNA, and the mRNA's half-life), an intercept has a Gaussian prior
  around what genes of that kind have (`splicedvae.model.GenePrior`).
* Slopes on the latent state have a prior mean that all genes share: one common slope (the unspliced
  share of a cell as a whole), and a multiple of the slope of the gene's own expression. The latter
  is splicing kinetics: along a direction in which cells move, a gene that goes up has more
  unspliced molecules than its steady state.
* What a gene departs from that has a Gaussian posterior, whose prior width is learned per latent
  dimension: variational empirical Bayes. Genes that say little stay at the prior mean.
* A gene's own count above its expectation given the cell's state indicates a burst of
  transcription, whose molecules are young; its slope is shared in the same manner.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import softplus

from splicedvae._core.keys import HeadKind, RatioLikelihood
from splicedvae.module._entries import CountedEntries
from splicedvae.module._likelihoods import (
    beta_binomial_log_prob,
    binomial_log_prob,
    weighted_squared_error,
)
from splicedvae.module._slopes import ExpressionSlopes, Slopes

#: Standard deviation of the prior on what all genes share: hardly any shrinkage.
SHARED_SCALE = 1.0


class SlopesDraw(NamedTuple):
    """One draw of everything that the head is uncertain of, the same for all cells.

    Attributes
    ----------
    loadings
        Slopes of the logit on h(z), shape (n_features, n_genes).
    burst
        Slope on the gene's own count beyond its expectation given the state, shape (n_genes,).
    baseline
        Logits per batch, shape (n_genes, n_batch).
    """

    loadings: torch.Tensor
    burst: torch.Tensor
    baseline: torch.Tensor


class RatioHead(nn.Module):
    r"""Logit of the splicing ratio of each gene from the state of a cell and its counts.

    .. math::
        \operatorname{logit} \rho_{cg} = b_g + o_{\text{batch}(c), g}
        + h(z_c)^\top (w_g + v + A \ell_g) + (a + a_g)\, r_{cg}

    with :math:`\ell_g` the slope of the gene's log expression on :math:`h(z)`, kept as running
    moments, and :math:`r_{cg} = \log(1 + x_{cg}) - \log(1 + \mu_{cg})` its count against the one
    expected from that slope. :math:`w_g`, :math:`a_g` and :math:`o_g` have Gaussian posteriors
    around zero-mean priors.

    Parameters
    ----------
    n_latent
        Dimensions of the latent space.
    n_genes
        Number of genes.
    n_batch
        Number of batches; with more than one, each has a shrunken offset per gene.
    kind
        One of:

        * ``"linear"`` - h is the identity.
        * ``"mlp"`` - h is one hidden layer with layer normalization and ReLU.
    n_hidden
        Hidden units of the ``"mlp"`` head.
    likelihood
        One of:

        * ``"binomial"`` - every molecule of a gene in a cell has one chance to be spliced.
        * ``"beta-binomial"`` - that chance varies around the prediction, per gene.
        * ``"weighted-squared-error"`` - squared error of the ratio, weighted by the count.
    shrinkage
        Precision of the prior on all slopes and batch offsets, in units of one over squared
        logit. None learns it for each gene's own and hardly shrinks what the genes share.
    """

    log_odds: torch.Tensor
    prior_mean: torch.Tensor
    prior_precision: torch.Tensor

    def __init__(
        self,
        n_latent: int,
        n_genes: int,
        n_batch: int = 1,
        kind: HeadKind = "linear",
        n_hidden: int = 128,
        likelihood: RatioLikelihood = "binomial",
        shrinkage: float | None = None,
    ) -> None:
        super().__init__()
        if kind not in ("linear", "mlp"):
            raise ValueError(f"`kind` is {kind!r}, expected 'linear' or 'mlp'; choose one of them.")
        if likelihood not in ("binomial", "beta-binomial", "weighted-squared-error"):
            raise ValueError(
                f"`likelihood` is {likelihood!r}, expected 'binomial', 'beta-binomial' or "
                "'weighted-squared-error'; choose one of them."
            )
        self.kind = kind
        self.shared_precision = SHARED_SCALE**-2 if shrinkage is None else shrinkage
        self.likelihood = likelihood
        self.features: nn.Module = nn.Identity()
        n_features = n_latent
        if kind == "mlp":
            self.features = nn.Sequential(
                nn.Linear(n_latent, n_hidden), nn.LayerNorm(n_hidden), nn.ReLU()
            )
            n_features = n_hidden
        self.intercept = nn.Parameter(torch.zeros(n_genes))
        # What a constant per gene would predict.
        self.register_buffer("log_odds", torch.zeros(n_genes))
        # A precision of zero is no prior. Both are found anew for each training.
        self.register_buffer("prior_mean", torch.zeros(n_genes), persistent=False)
        self.register_buffer("prior_precision", torch.zeros(()), persistent=False)
        self.has_prior = False
        self.shared = nn.Parameter(torch.zeros(n_features, 1))
        self.tie = nn.Parameter(torch.zeros(n_features, n_features))
        self.burst = nn.Parameter(torch.zeros(1))
        self.loadings = Slopes((n_features, n_genes), (n_features, 1), shrinkage)
        self.bursts = Slopes((n_genes,), (1,), shrinkage)
        # Genes first, as scvi-tools' surgery appends new batches to the last dimension.
        self.batch_offset = Slopes((n_genes, n_batch), (1, 1), shrinkage)
        # 20 pseudo-molecules: a moderate overdispersion to start from. With another likelihood it
        # is fitted once the rest is.
        concentration = torch.full((n_genes,), 3.0)
        if likelihood == "beta-binomial":
            self.log_concentration = nn.Parameter(concentration)
        else:
            self.register_buffer("log_concentration", concentration)
        self.expression = ExpressionSlopes(n_features, n_genes)

    @property
    def n_batch(self) -> int:
        """Number of batches."""
        return int(self.batch_offset.mean.shape[1])

    def slopes(self) -> torch.Tensor:
        """Slopes of the logit on h(z), posterior mean, shape (n_features, n_genes)."""
        return self.loadings.mean + self.shared + self.tie @ self.expression.slopes

    def forward(
        self, z: torch.Tensor, batch_index: torch.Tensor, x: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits of the ratio at the posterior mean of the slopes.

        Parameters
        ----------
        z
            Latent states, shape (..., n_cells, n_latent).
        batch_index
            Integer batch of each cell, shape (n_cells, 1).
        x
            Total counts, shape (n_cells, n_genes); None leaves the gene's own count out.

        Returns
        -------
        Logits, shape (..., n_cells, n_genes).
        """
        return self.moments(z, batch_index, x)[0]

    def moments(
        self, z: torch.Tensor, batch_index: torch.Tensor, x: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of the logits under the posterior of the slopes.

        Parameters
        ----------
        z, batch_index, x
            As for `forward`.

        Returns
        -------
        Mean and variance, each of shape (..., n_cells, n_genes).
        """
        h = self.features(z)
        mean = h @ self.slopes() + self.baseline(batch_index)
        variance = h.square() @ self.loadings.variance
        if x is not None:
            excess = self.expression.excess(h, x)
            mean = mean + (self.burst + self.bursts.mean) * excess
            variance = variance + self.bursts.variance * excess.square()
        if self.n_batch > 1:
            variance = variance + self.batch_offset.variance.T[batch_index.squeeze(-1).long()]
        return mean, variance

    def draw(self, generator: torch.Generator) -> SlopesDraw:
        """Draw slopes and offsets from their posterior.

        Parameters
        ----------
        generator
            Source of randomness, on the CPU.
        """
        offset = self.batch_offset.draw(generator)
        return SlopesDraw(
            self.loadings.draw(generator) + self.shared + self.tie @ self.expression.slopes,
            self.burst + self.bursts.draw(generator),
            self.intercept[:, None] + (offset if self.n_batch > 1 else 0 * offset),
        )

    def at(
        self,
        draw: SlopesDraw,
        z: torch.Tensor,
        batch_index: torch.Tensor,
        x: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Logits of the ratio with drawn slopes, shape (n_cells, n_genes).

        Parameters
        ----------
        draw
            From `draw`.
        z, batch_index, x
            As for `forward`.
        """
        h = self.features(z)
        logits = h @ draw.loadings + draw.baseline.T[batch_index.squeeze(-1).long()]
        return logits if x is None else logits + draw.burst * self.expression.excess(h, x)

    def baseline(self, batch_index: torch.Tensor) -> torch.Tensor:
        """Logits before the cell's state is added, shape (n_cells, n_genes) or (n_genes,).

        Parameters
        ----------
        batch_index
            Integer batch of each cell, shape (n_cells, 1).
        """
        if self.n_batch == 1:
            return self.intercept
        return self.intercept + self.batch_offset.mean.T[batch_index.squeeze(-1).long()]

    def negative_log_likelihood(
        self,
        mean: torch.Tensor,
        entries: CountedEntries,
        variance: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Loss of the ratio, summed over the entries of the minibatch that were counted.

        Parameters
        ----------
        mean
            Logits of the ratio, shape (n_cells, n_genes).
        entries
            Where something was counted, and how much.
        variance
            Variance of the logits, same shape: the loss is then expected over them, taken at one
            standard deviation to either side, which is exact up to the third power. None takes
            the logits as certain.

        Returns
        -------
        A scalar; exactly zero, with zero gradient, without counts.
        """
        s, n, genes = entries.spliced, entries.counted, entries.genes
        logits = entries.of(mean)
        if variance is None:
            return self._losses(s, n, logits, genes).sum()
        # The root has no finite slope at zero.
        deviation = entries.of(variance).clamp_min(1e-12).sqrt()
        if self.likelihood == "binomial":
            # The same as below, without its coefficient of log-gammas twice over.
            spread = softplus(logits + deviation) + softplus(logits - deviation)
            return (0.5 * n * spread - s * logits).sum() - entries.log_choose
        upper = self._losses(s, n, logits + deviation, genes)
        lower = self._losses(s, n, logits - deviation, genes)
        return 0.5 * (upper.sum() + lower.sum())

    def _losses(
        self, s: torch.Tensor, n: torch.Tensor, logits: torch.Tensor, genes: torch.Tensor
    ) -> torch.Tensor:
        if self.likelihood == "weighted-squared-error":
            return weighted_squared_error(s, n, logits)
        if self.likelihood == "beta-binomial":
            return -beta_binomial_log_prob(s, n, logits, self.log_concentration[genes])
        return -binomial_log_prob(s, n, logits)

    def penalty(self) -> torch.Tensor:
        """Divergence of all that is shrunk from its prior (a scalar)."""
        shared = self.shared.square().sum() + self.tie.square().sum() + self.burst.square().sum()
        penalty = self.loadings.divergence() + self.bursts.divergence()
        if self.n_batch > 1:
            penalty = penalty + self.batch_offset.divergence()
        if self.has_prior:
            departure = self.intercept - self.prior_mean
            penalty = penalty + 0.5 * self.prior_precision * departure.square().sum()
        return penalty + 0.5 * self.shared_precision * shared

    def set_prior(self, mean: torch.Tensor, sd: float) -> None:
        """Give the intercepts a Gaussian prior.

        Parameters
        ----------
        mean
            Expected logit of each gene, shape (n_genes,).
        sd
            Standard deviation around it, above 0.
        """
        self.prior_mean.copy_(mean)
        self.prior_precision.fill_(sd**-2)
        self.has_prior = True

    def set_intercept(self, spliced: torch.Tensor, unspliced: torch.Tensor) -> None:
        """Start the intercepts at the log-odds of the counts of each gene.

        Genes with few molecules are drawn towards the mean of their prior (`set_prior`) by as many
        pseudo-molecules as it is worth; without a prior, towards the ratio of all genes together by
        ten.

        Parameters
        ----------
        spliced
            Sum of the spliced counts per gene over the training cells, shape (n_genes,).
        unspliced
            Sum of the unspliced counts per gene, same shape.

        Raises
        ------
        ValueError
            If nothing at all was counted.
        """
        s, u = spliced.double(), unspliced.double()
        total = (s + u).sum()
        if not total > 0:
            raise ValueError(
                "The spliced and unspliced layers hold no counts, expected at least one; "
                "name the layers that hold them."
            )
        mean = (s.sum() / total).clamp(1e-4, 1 - 1e-4)

        def log_odds(pseudo: float | torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
            return torch.log(s + pseudo * mean) - torch.log(u + pseudo * (1 - mean))

        with torch.no_grad():
            # As the gene mean that predictions are compared with: hardly drawn at all.
            self.log_odds.copy_(log_odds(1.0, mean))
            if self.has_prior:
                expected = torch.sigmoid(self.prior_mean.double()).clamp(1e-4, 1 - 1e-4)
                # So many molecules of that ratio tell as much of the logit.
                worth = self.prior_precision.double() / (expected * (1 - expected))
                self.intercept.copy_(log_odds(worth, expected))
            else:
                self.intercept.copy_(log_odds(10.0, mean))
