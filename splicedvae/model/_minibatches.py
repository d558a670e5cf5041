"""Training cells kept sparse, handed over in blocks of minibatches.

scvi-tools' loader makes three dense matrices of every minibatch and Lightning goes through its
hooks after each. Here the entries of a minibatch are cut out of sparse matrices at once, and
several minibatches travel together, so that the hooks are gone through once a block. Cells are
drawn by the same sampler, from the same random numbers, as scvi-tools draws them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import gammaln
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.dataloaders import DataSplitter
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler

from splicedvae.model._cells import canonical
from splicedvae.model._kernels import cut, log_choose, log_factorials
from splicedvae.module import SparseMinibatch

#: Minibatches in a block: a tenth of a second or so between two looks for a request to stop.
BLOCK = 16
#: Log-gamma(x + 1) of small whole numbers x.
_LOG_FACTORIALS = gammaln(np.arange(4096) + 1.0)
#: Cells that a minibatch must have for batch normalization to mean something.
FEWEST = 3

_COVARIATES = (
    REGISTRY_KEYS.BATCH_KEY,
    REGISTRY_KEYS.LABELS_KEY,
    REGISTRY_KEYS.CAT_COVS_KEY,
    REGISTRY_KEYS.CONT_COVS_KEY,
)


def whole_batches(n_cells: int, batch_size: int) -> int:
    """Return the next batch size whose last minibatch is one that batch normalization can use.

    Parameters
    ----------
    n_cells
        Cells to train on.
    batch_size
        Wanted cells per minibatch.

    Returns
    -------
    ``batch_size`` itself for most numbers of cells, and hardly more for others.
    """
    if n_cells <= batch_size:
        return batch_size
    size = max(batch_size, FEWEST)
    while 0 < n_cells % size < FEWEST:
        size += 1
    return size


@dataclass(frozen=True)
class Fixed:
    """What does not change of a cell while a module trains; None where it does.

    Attributes
    ----------
    scores
        Scores on the principal components, shape (n_cells, n_components).
    latent
        Mean and standard deviation of the latent state, each (n_cells, n_latent).
    """

    scores: NDArray[np.float32] | None = None
    latent: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None


class _Rows(NamedTuple):
    """The entries of a sparse matrix, with several values each."""

    n_genes: int
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    #: Shape (n_values, n_entries).
    values: NDArray[np.float32]

    @classmethod
    def of(cls, matrix: csr_matrix, *values: NDArray[np.float32]) -> _Rows:
        """Take the entries of a matrix."""
        return cls(
            matrix.shape[1],
            matrix.indptr.astype(np.int64),
            matrix.indices.astype(np.int32, copy=False),
            np.stack(values),
        )

    def cut(self, rows: NDArray[np.intp]) -> tuple[torch.Tensor, torch.Tensor]:
        """Copy some rows: where a minibatch of them has entries, and the values there."""
        n = int((self.indptr[rows + 1] - self.indptr[rows]).sum())
        index = np.empty(n, np.int64)
        found = np.empty((len(self.values), n), np.float32)
        cut(rows, self.indptr, self.indices, self.values, self.n_genes, index, found)
        return torch.from_numpy(index), torch.from_numpy(found)


class SparseCells:
    """Cells with counts in CSR, which minibatches are cut out of.

    Parameters
    ----------
    totals
        Total counts, cells x genes.
    spliced, unspliced
        Both layers, same shape.
    covariates
        Batch, label and covariates by scvi-tools' registry keys, each (n_cells, ...).
    fixed
        What the module keeps as it is.
    """

    def __init__(
        self,
        totals: csr_matrix,
        spliced: csr_matrix,
        unspliced: csr_matrix,
        covariates: dict[str, NDArray[Any]],
        fixed: Fixed,
    ) -> None:
        totals = canonical(totals)
        # S + U as the real part and S as the imaginary one, so that one sum aligns both.
        both = csr_matrix(spliced, dtype=np.complex64) * np.complex64(1 + 1j)
        both = csr_matrix(both + unspliced)
        both.sum_duplicates()
        both.eliminate_zeros()
        n, s = np.ascontiguousarray(both.data.real), np.ascontiguousarray(both.data.imag)
        counted = csr_matrix((n, both.indices, both.indptr), shape=both.shape)
        self._same = bool(
            np.array_equal(both.indptr, totals.indptr)
            and np.array_equal(both.indices, totals.indices)
        )
        there = totals.data if self._same else _at_entries_of(counted, totals)
        self._totals = _Rows.of(totals, totals.data)
        self._counted = _Rows.of(counted, n, s, there)
        self._log_factorials = np.zeros(totals.shape[0])
        log_factorials(self._totals.indptr, totals.data, _LOG_FACTORIALS, self._log_factorials)
        self._log_choose = np.zeros(totals.shape[0])
        log_choose(self._counted.indptr, n, s, _LOG_FACTORIALS, self._log_choose)
        # scvi-tools stores codes of categories in as few bytes as possible.
        self._covariates = {
            name: torch.as_tensor(value, dtype=_dtype(value)) for name, value in covariates.items()
        }
        self._fixed = fixed

    def __len__(self) -> int:
        return len(self._totals.indptr) - 1

    @property
    def n_entries(self) -> int:
        """Entries with S + U above zero, of all cells."""
        return len(self._counted.indices)

    def minibatch(self, rows: NDArray[np.intp]) -> SparseMinibatch:
        """Cut some cells out.

        Parameters
        ----------
        rows
            Which, of all cells.
        """
        counted_index, counted = self._counted.cut(rows)
        index, totals = (counted_index, counted[2:]) if self._same else self._totals.cut(rows)
        picked = torch.from_numpy(rows)
        scores, latent = self._fixed.scores, self._fixed.latent
        return SparseMinibatch(
            index=index,
            totals=totals[0],
            counted_index=counted_index,
            counted=counted[0],
            spliced=counted[1],
            totals_at_counted=counted[2],
            log_factorials=torch.from_numpy(self._log_factorials[rows]).float(),
            log_choose=torch.from_numpy(self._log_choose[rows]).float(),
            covariates={name: value[picked] for name, value in self._covariates.items()},
            scores=None if scores is None else torch.from_numpy(scores[rows]),
            latent=None
            if latent is None
            else (torch.from_numpy(latent[0][rows]), torch.from_numpy(latent[1][rows])),
        )


class _Chosen(Dataset[list[SparseMinibatch]]):
    """Some of the cells."""

    def __init__(self, cells: SparseCells, rows: NDArray[np.intp]) -> None:
        self._cells = cells
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, groups: list[list[int]]) -> list[SparseMinibatch]:
        return [self._cells.minibatch(self._rows[group]) for group in groups]


def _dtype(values: NDArray[Any]) -> torch.dtype:
    return torch.float32 if np.issubdtype(values.dtype, np.floating) else torch.int64


def _at_entries_of(pattern: csr_matrix, values: csr_matrix) -> NDArray[np.float32]:
    """Return the values of one matrix at the entries of another, zero where it has none."""
    n_genes = pattern.shape[1]

    def keys(matrix: csr_matrix) -> NDArray[np.int64]:
        rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
        return rows * n_genes + matrix.indices

    wanted, known = keys(pattern), keys(values)
    found = np.zeros(len(wanted), dtype=np.float32)
    if len(known):
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        there = known[at] == wanted
        found[there] = values.data[at[there]]
    return found


class _Blocks(Sampler[list[list[int]]]):
    """Batches of a sampler, several at a time.

    A last batch of one or two cells, which batch normalization cannot use, joins the one before it.
    """

    def __init__(self, batches: BatchSampler, size: int) -> None:
        self._batches = batches
        self._size = size

    @property
    def _joins(self) -> bool:
        """Whether the last batch of the sampler is too small on its own."""
        left = len(cast(Sized, self._batches.sampler)) % self._batches.batch_size
        return not self._batches.drop_last and 0 < left < FEWEST and len(self._batches) > 1

    def __len__(self) -> int:
        return -(-(len(self._batches) - self._joins) // self._size)

    def __iter__(self) -> Iterator[list[list[int]]]:
        batches = list(self._batches)
        if self._joins:
            batches[-2:] = [batches[-2] + batches[-1]]
        for start in range(0, len(batches), self._size):
            yield batches[start : start + self._size]


class BlockSplitter(DataSplitter):
    """scvi-tools' splitter, whose training loader hands over blocks of sparse minibatches.

    Parameters
    ----------
    adata_manager
        The registered cells.
    cells
        The same cells, sparse.
    **kwargs
        As for `scvi.dataloaders.DataSplitter`.
    """

    def __init__(self, adata_manager: AnnDataManager, *, cells: SparseCells, **kwargs: Any) -> None:
        super().__init__(adata_manager, **kwargs)
        self._cells = cells

    def train_dataloader(self) -> DataLoader[list[SparseMinibatch]]:
        """Return the loader of the training cells."""
        training = _Chosen(self._cells, np.asarray(self.train_idx))
        batches = BatchSampler(
            RandomSampler(training),
            batch_size=self.data_loader_kwargs["batch_size"],
            drop_last=self.drop_last,
        )
        return DataLoader(
            training, sampler=_Blocks(batches, BLOCK), batch_size=None, collate_fn=_as_it_is
        )

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Leave a block of training cells where it is: each step moves its own minibatch.

        Parameters
        ----------
        batch
            Of a loader.
        device
            Where the module is.
        dataloader_idx
            Number of the loader.
        """
        if isinstance(batch, list):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)


def covariates_of(manager: AnnDataManager) -> dict[str, NDArray[Any]]:
    """Return batch, label and covariates of registered cells by scvi-tools' keys.

    Parameters
    ----------
    manager
        Of the cells.
    """
    return {
        name: np.asarray(manager.get_from_registry(name))
        for name in _COVARIATES
        if name in manager.data_registry
    }


def _as_it_is(block: list[SparseMinibatch]) -> list[SparseMinibatch]:
    return block


def moved(minibatch: SparseMinibatch, device: torch.device) -> SparseMinibatch:
    """Return a minibatch on a device; itself if it is there.

    Parameters
    ----------
    minibatch
        From `SparseCells`.
    device
        Where the module is.
    """
    if minibatch.index.device == device:
        return minibatch
    values: dict[str, Any] = {}
    for item in fields(minibatch):
        value = getattr(minibatch, item.name)
        if isinstance(value, torch.Tensor):
            value = value.to(device, non_blocking=True)
        elif isinstance(value, dict):
            value = {name: part.to(device, non_blocking=True) for name, part in value.items()}
        elif isinstance(value, tuple):
            value = tuple(part.to(device, non_blocking=True) for part in value)
        values[item.name] = value
    if minibatch.counted_index is minibatch.index:
        values["counted_index"] = values["index"]
    return replace(minibatch, **values)
