"""Where a minibatch has counts: found once, for every expert and likelihood that looks there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from splicedvae.module._likelihoods import log_choose


@dataclass(frozen=True)
class CountedEntries:
    """The (cell, gene) entries of a minibatch with at least one molecule.

    Parameters
    ----------
    index
        Position of each entry in the flattened minibatch, shape (n_entries,).
    genes
        Column of each entry, same shape.
    spliced
        Spliced counts S, same shape.
    counted
        Counts S + U, above zero, same shape.
    """

    index: torch.Tensor
    genes: torch.Tensor
    spliced: torch.Tensor
    counted: torch.Tensor

    @classmethod
    def find(cls, spliced: torch.Tensor, unspliced: torch.Tensor) -> CountedEntries:
        """Find the entries of two layers of counts.

        Parameters
        ----------
        spliced
            Spliced counts, shape (n_cells, n_genes).
        unspliced
            Unspliced counts, same shape.
        """
        counted = (spliced + unspliced).reshape(-1)
        index = torch.nonzero(counted).squeeze(1)
        return cls(
            index,
            torch.remainder(index, spliced.shape[1]),
            spliced.reshape(-1).index_select(0, index),
            counted.index_select(0, index),
        )

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """Take the entries out of values of the minibatch.

        Parameters
        ----------
        values
            Shape (n_cells, n_genes).

        Returns
        -------
        Shape (n_entries,).
        """
        return values.reshape(-1).index_select(0, self.index)

    @cached_property
    def log_choose(self) -> torch.Tensor:
        """Log of the binomial coefficients, summed (a scalar without a gradient)."""
        return log_choose(self.counted, self.spliced).sum()
