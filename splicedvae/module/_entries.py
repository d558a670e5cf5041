"""Where a minibatch has counts: found once, for every expert and likelihood that looks there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch

from splicedvae.module._likelihoods import log_choose


class Entries(NamedTuple):
    """Where a minibatch of counts is not zero, cell by cell.

    Attributes
    ----------
    position
        Place of each entry in the flattened minibatch, shape (n_entries,), integers.
    cells, genes
        Row and column of each entry, same shape.
    counts
        Counts there, same shape.
    """

    position: torch.Tensor
    cells: torch.Tensor
    genes: torch.Tensor
    counts: torch.Tensor

    @classmethod
    def find(cls, counts: torch.Tensor) -> Entries:
        """Find the entries of a dense minibatch.

        Parameters
        ----------
        counts
            Shape (n_cells, n_genes).
        """
        flat = counts.reshape(-1)
        position = torch.nonzero(flat).squeeze(1)
        return cls.at(position, flat.index_select(0, position), counts.shape[1])

    @classmethod
    def at(cls, position: torch.Tensor, counts: torch.Tensor, n_genes: int) -> Entries:
        """Take entries whose places in the flattened minibatch are known.

        Parameters
        ----------
        position, counts
            As for the class.
        n_genes
            Columns of the minibatch.
        """
        cells = torch.div(position, n_genes, rounding_mode="floor")
        return cls(position, cells, position - cells * n_genes, counts)

    @classmethod
    def of_cells(
        cls, cells: torch.Tensor, genes: torch.Tensor, counts: torch.Tensor, n_genes: int
    ) -> Entries:
        """Take entries whose rows and columns are known.

        Parameters
        ----------
        cells, genes, counts
            As for the class.
        n_genes
            Columns of the minibatch.
        """
        return cls(cells * n_genes + genes, cells, genes, counts)

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """Take the entries out of values of a minibatch.

        Parameters
        ----------
        values
            Shape (n_cells, n_genes).
        """
        return values.reshape(-1).index_select(0, self.position)

    def scatter(self, values: torch.Tensor, n_cells: int, n_genes: int) -> torch.Tensor:
        """Put values of the entries into zeros, shape (n_cells, n_genes).

        Parameters
        ----------
        values
            Shape (n_entries,).
        n_cells, n_genes
            Shape of the minibatch.
        """
        dense = values.new_zeros(n_cells * n_genes)
        # Each entry is there once.
        dense.index_copy_(0, self.position, values)
        return dense.view(n_cells, n_genes)


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
