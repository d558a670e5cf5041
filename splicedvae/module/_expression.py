"""The negative binomial of expression, without log-gammas at zero counts.

At a count of zero log-gamma(x + theta) - log-gamma(theta) - log-gamma(x + 1) is exactly zero, and
most counts are zero: leaving these terms out gives the same likelihood and gradient for a part
of the work.
"""

from __future__ import annotations

import torch
from scvi.distributions import NegativeBinomial


class SparseNegativeBinomial(NegativeBinomial):
    """scvi-tools' negative binomial, its log-gammas taken at counted entries alone.

    Parameters
    ----------
    mu
        Mean, shape (n_cells, n_genes).
    theta
        Inverse dispersion, shape (n_genes,) or that of ``mu``.
    scale
        Normalized mean, as scvi-tools keeps it.
    """

    def __init__(self, mu: torch.Tensor, theta: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__(mu=mu, theta=theta, scale=scale)
        self._per_gene = theta if theta.dim() == 1 else None

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        """Log-probability of counts.

        Parameters
        ----------
        value
            Counts, shape (n_cells, n_genes); other shapes are answered by scvi-tools.
        """
        if value.shape != self.mu.shape or self.on_mps:
            return super().log_prob(value)
        mu, theta, eps = self.mu, self.theta, self._eps
        log_sum = torch.log(theta + mu + eps)
        of_gene = theta if self._per_gene is None else self._per_gene
        dense = of_gene * torch.log(of_gene + eps) - (theta + value) * log_sum
        counts = value.reshape(-1)
        index = torch.nonzero(counts).squeeze(1)
        x = counts.index_select(0, index)
        if self._per_gene is None:
            at = theta.reshape(-1).index_select(0, index)
            base = torch.lgamma(at)
        else:
            genes = torch.remainder(index, value.shape[1])
            at = self._per_gene.index_select(0, genes)
            base = torch.lgamma(self._per_gene).index_select(0, genes)
        log_mu = torch.log(mu.reshape(-1).index_select(0, index) + eps)
        terms = x * log_mu + torch.lgamma(x + at) - base - torch.lgamma(x + 1)
        return dense.reshape(-1).index_add(0, index, terms).reshape(value.shape)
