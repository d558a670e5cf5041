"""Principal components of log-normalized totals, as a fixed part of a module."""

from __future__ import annotations

import torch
from torch import nn


class PrincipalComponents(nn.Module):
    """Scores of cells on principal components that were found before training.

    A network that has seen a few hundred cells a few hundred times determines their state less
    precisely than the average over thousands of genes does; these scores say what that average
    says.

    Parameters
    ----------
    n_genes
        Number of genes.
    n_components
        Number of components.
    n_batch
        Number of batches; each is centered on its own mean.
    """

    mean: torch.Tensor
    loadings: torch.Tensor
    size: torch.Tensor

    def __init__(self, n_genes: int, n_components: int, n_batch: int = 1) -> None:
        super().__init__()
        self.register_buffer("loadings", torch.zeros(n_components, n_genes))
        self.register_buffer("size", torch.ones(()))
        # Genes first, as scvi-tools' surgery appends new batches to the last dimension.
        self.register_buffer("mean", torch.zeros(n_genes, n_batch))

    @property
    def n_components(self) -> int:
        """Number of components."""
        return int(self.loadings.shape[0])

    def forward(self, x: torch.Tensor, batch_index: torch.Tensor) -> torch.Tensor:
        """Scores, of variance one over the training cells, shape (n_cells, n_components).

        Parameters
        ----------
        x
            Total counts, shape (n_cells, n_genes).
        batch_index
            Integer batch of each cell, shape (n_cells, 1).
        """
        logged = self.logged(x)
        return (logged - self.mean.T[batch_index.squeeze(-1).long()]) @ self.loadings.T

    def logged(self, x: torch.Tensor) -> torch.Tensor:
        """Log of one plus the counts scaled to a common size, shape (n_cells, n_genes).

        Parameters
        ----------
        x
            Total counts, shape (n_cells, n_genes).
        """
        return torch.log1p(x * (self.size / x.sum(dim=1, keepdim=True).clamp_min(1)))
