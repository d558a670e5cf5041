"""The decoder for the splicing ratio: a gene intercept plus a shrunken function of the latent.

An unconstrained decoder from the latent space to thousands of genes predicts the ratio hardly
better than a constant per gene (`benchmarks/shrinkage.py`), because most genes have a handful of
unspliced molecules. So the logit starts from the gene's training log-odds, the function starts at
zero, and a Gaussian prior pulls its last layer back to zero gene by gene.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from splicedvae.module._likelihoods import (
    RatioLikelihood,
    beta_binomial_log_prob,
    binomial_log_prob,
    weighted_squared_error,
)

HeadKind = Literal["linear", "mlp"]


class RatioHead(nn.Module):
    r"""Logit of the splicing ratio of each gene from the latent state of a cell.

    .. math:: \operatorname{logit} \rho_{cg} = b_g + o_{\text{batch}(c), g} + h(z_c)^\top w_g

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
        * ``"mlp"`` - h is one hidden layer with layer normalisation and ReLU.
    n_hidden
        Hidden units of the ``"mlp"`` head.
    likelihood
        One of:

        * ``"binomial"`` - every molecule of a gene in a cell has one chance to be spliced.
        * ``"beta-binomial"`` - that chance varies around the prediction, per gene.
        * ``"weighted-squared-error"`` - squared error of the ratio, weighted by the count.
    """

    def __init__(
        self,
        n_latent: int,
        n_genes: int,
        n_batch: int = 1,
        kind: HeadKind = "linear",
        n_hidden: int = 128,
        likelihood: RatioLikelihood = "binomial",
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
        self.likelihood = likelihood
        self.features: nn.Module = nn.Identity()
        n_features = n_latent
        if kind == "mlp":
            self.features = nn.Sequential(
                nn.Linear(n_latent, n_hidden), nn.LayerNorm(n_hidden), nn.ReLU()
            )
            n_features = n_hidden
        self.intercept = nn.Parameter(torch.zeros(n_genes))
        self.loadings = nn.Parameter(torch.zeros(n_features, n_genes))
        # Genes first, as scvi-tools' surgery appends new batches to the last dimension.
        self.batch_offset = nn.Parameter(torch.zeros(n_genes, n_batch))
        # 20 pseudo-molecules: a moderate overdispersion to start from.
        self.log_concentration = (
            nn.Parameter(torch.full((n_genes,), 3.0)) if likelihood == "beta-binomial" else None
        )

    def forward(self, z: torch.Tensor, batch_index: torch.Tensor) -> torch.Tensor:
        """Logits of the ratio.

        Parameters
        ----------
        z
            Latent states, shape (..., n_cells, n_latent).
        batch_index
            Integer batch of each cell, shape (n_cells, 1).

        Returns
        -------
        Logits, shape (..., n_cells, n_genes).
        """
        return self.features(z) @ self.loadings + self.baseline(batch_index)

    def baseline(self, batch_index: torch.Tensor) -> torch.Tensor:
        """Logits before the cell's state is heard, shape (n_cells, n_genes) or (n_genes,).

        Parameters
        ----------
        batch_index
            Integer batch of each cell, shape (n_cells, 1).
        """
        if self.batch_offset.shape[1] == 1:
            return self.intercept
        return self.intercept + self.batch_offset.T[batch_index.squeeze(-1).long()]

    def negative_log_likelihood(
        self, logits: torch.Tensor, spliced: torch.Tensor, unspliced: torch.Tensor
    ) -> torch.Tensor:
        """Loss of the ratio, summed over the entries of the minibatch that were counted.

        Parameters
        ----------
        logits
            Logits of the ratio, shape (n_cells, n_genes).
        spliced
            Spliced counts, same shape.
        unspliced
            Unspliced counts, same shape.

        Returns
        -------
        A scalar; exactly zero, with zero gradient, where nothing was counted.
        """
        counted = spliced + unspliced
        cells, genes = torch.nonzero(counted, as_tuple=True)
        s, n, entries = spliced[cells, genes], counted[cells, genes], logits[cells, genes]
        if self.likelihood == "weighted-squared-error":
            return weighted_squared_error(s, n, entries).sum()
        if self.log_concentration is not None:
            return -beta_binomial_log_prob(s, n, entries, self.log_concentration[genes]).sum()
        return -binomial_log_prob(s, n, entries).sum()

    def penalty(self) -> torch.Tensor:
        """Half the squared norm of all that is shrunk: loadings and batch offsets (a scalar)."""
        return 0.5 * (self.loadings.square().sum() + self.batch_offset.square().sum())

    def set_intercept(self, spliced: torch.Tensor, unspliced: torch.Tensor) -> None:
        """Start the intercepts at the log-odds of the counts of each gene.

        Genes with few molecules are drawn towards the ratio of all genes together by ten
        pseudo-molecules.

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
                "The spliced and unspliced layers hold no counts, at least one was expected; "
                "name the layers that hold them."
            )
        mean = (s.sum() / total).clamp(1e-4, 1 - 1e-4)
        prior = 10.0
        logits = torch.log(s + prior * mean) - torch.log(u + prior * (1 - mean))
        with torch.no_grad():
            self.intercept.copy_(logits)
