"""Cells as model input: their registered fields, and their totals in blocks.

Everything that is predicted or summed over cells goes through here, whether the totals lie in
memory or on disk, so that both ways give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scvi import REGISTRY_KEYS, settings
from scvi.data import AnnDataManager, AnnTorchDataset

from splicedvae.module import SPLICED_KEY, UNSPLICED_KEY, Entries


class Minibatch(NamedTuple):
    """Some cells, ready for the module."""

    #: Batch, covariates and what else is registered of a cell, by scvi-tools' keys.
    tensors: dict[str, torch.Tensor]
    entries: Entries


class PredictedBlock(NamedTuple):
    """A block of totals with what is predicted for it."""

    #: Canonical CSR float32, cells x the model's genes.
    totals: csr_matrix
    #: Posterior mean of the ratio, of the same pattern.
    ratio: csr_matrix
    #: Mean latent states, shape (n_cells, n_latent).
    latent: NDArray[np.float32]


@dataclass(frozen=True)
class Cells:
    """Cells with a model's genes, their totals a block at a time.

    Parameters
    ----------
    fields
        What is registered of each cell by scvi-tools' keys, each of shape (n_cells, ...).
    blocks
        Gives the totals from the start each time it is called: canonical CSR float32 without
        stored zeros, cells x the model's genes.
    """

    fields: dict[str, NDArray[Any]]
    blocks: Callable[[], Iterator[csr_matrix]]

    @classmethod
    def registered(
        cls, manager: AnnDataManager, blocks: Callable[[], Iterator[csr_matrix]]
    ) -> Cells:
        """Take what is registered of the cells from a manager; its counts are not looked at."""
        counts = {REGISTRY_KEYS.X_KEY, SPLICED_KEY, UNSPLICED_KEY}
        keys = [key for key in manager.data_registry if key not in counts]
        return cls(AnnTorchDataset(manager, getitem_tensors=keys)[slice(None)], blocks)

    @property
    def batch(self) -> NDArray[np.int_]:
        """Index of each cell's batch, shape (n_cells,)."""
        return np.asarray(self.fields[REGISTRY_KEYS.BATCH_KEY], dtype=int).ravel()

    def minibatches(
        self, batch_size: int | None = None
    ) -> Iterator[tuple[csr_matrix, Iterator[Minibatch]]]:
        """Yield each block of totals with its minibatches, in order."""
        size = settings.batch_size if batch_size is None else batch_size
        first = 0
        for block in self.blocks():
            yield block, self._cut(block, first, size)
            first += block.shape[0]

    def _cut(self, block: csr_matrix, first: int, size: int) -> Iterator[Minibatch]:
        for start in range(0, block.shape[0], size):
            stop = min(start + size, block.shape[0])
            low, high = block.indptr[start], block.indptr[stop]
            lengths = np.diff(block.indptr[start : stop + 1])
            entries = Entries.of_cells(
                torch.from_numpy(np.repeat(np.arange(stop - start), lengths)),
                torch.from_numpy(block.indices[low:high].astype(np.int64)),
                torch.from_numpy(block.data[low:high]),
                block.shape[1],
            )
            tensors = {
                key: torch.from_numpy(values[first + start : first + stop])
                for key, values in self.fields.items()
            }
            yield Minibatch(tensors, entries)


def canonical(totals: Any) -> csr_matrix:
    """Return totals as canonical CSR float32 without stored zeros; the input is not changed."""
    counts = csr_matrix(totals, dtype=np.float32)
    if not counts.has_canonical_format or not counts.data.all():
        counts = counts.copy()
        counts.sum_duplicates()
        counts.eliminate_zeros()
    return counts
