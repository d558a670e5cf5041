"""Overdispersion of counts beyond the binomial, per gene, fitted after training.

Fitted after training, so that the ratio keeps the binomial's robust estimating equations and the
overdispersion is only needed when a distribution of counts is wanted.
"""

from __future__ import annotations

import math

import torch

from splicedvae.module._likelihoods import beta_binomial_log_prob, log_choose

#: Concentrations that are weighed against each other; the last is as good as a binomial.
LOG_CONCENTRATIONS = torch.linspace(math.log(2.0), math.log(20_000.0), 24)
#: Rounds of the estimate of how common each concentration is among genes.
_ROUNDS = 200


class DispersionFit:
    r"""Concentration of a beta-binomial per gene, by empirical Bayes on a grid.

    The likelihood of each gene's counts is added up at each concentration of a grid. How common
    each is among genes is the distribution that makes all counts most likely (Kiefer and Wolfowitz
    1956), found by expectation-maximization; a gene with few molecules takes it as its own.

    Parameters
    ----------
    n_genes
        Number of genes.
    device
        Where to add up.
    """

    def __init__(self, n_genes: int, device: torch.device | str = "cpu") -> None:
        self.grid = LOG_CONCENTRATIONS.to(device)
        # Not every device has double precision.
        dtype = torch.float32 if torch.device(device).type == "mps" else torch.float64
        self.log_likelihood = torch.zeros((n_genes, len(self.grid)), dtype=dtype, device=device)

    def add(
        self,
        spliced: torch.Tensor,
        counted: torch.Tensor,
        ratio: torch.Tensor,
        genes: torch.Tensor,
    ) -> None:
        """Take counted entries into account.

        Parameters
        ----------
        spliced
            Spliced counts S, shape (n_entries,).
        counted
            Counts S + U, same shape; an entry with a single molecule says nothing.
        ratio
            Predicted ratio, same shape.
        genes
            Column of each entry, same shape.
        """
        several = counted >= 2
        s, n, p, g = (values[several] for values in (spliced, counted, ratio, genes))
        ways = log_choose(n, s)
        logits = torch.logit(p, eps=1e-6)
        for k, value in enumerate(self.grid):
            terms = beta_binomial_log_prob(s, n, logits, value, ways)
            self.log_likelihood[:, k].index_add_(0, g, terms.to(self.log_likelihood.dtype))

    def log_concentration(self) -> torch.Tensor:
        """Natural log of each gene's concentration, float32, shape (n_genes,).

        It is the one whose overdispersion 1 / (concentration + 1) is the posterior mean, so that
        the variance of the counts is right.
        """
        likelihood = torch.exp(
            self.log_likelihood - self.log_likelihood.max(dim=1, keepdim=True).values
        )
        weights = torch.full_like(likelihood[0], 1 / len(self.grid))
        for _ in range(_ROUNDS):
            posterior = likelihood * weights
            posterior = posterior / posterior.sum(dim=1, keepdim=True)
            weights = posterior.mean(dim=0)
        overdispersion = posterior @ (1 / (torch.exp(self.grid) + 1)).to(posterior.dtype)
        return torch.log(1 / overdispersion - 1).to(torch.float32)
