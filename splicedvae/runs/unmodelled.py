"""Counts of genes of a file that a run's model does not have, to color cells by.

One compressed file, sorted by gene: a page reads the column it shows and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from splicedvae._core.errors import RunError
from splicedvae._core.files import replacing
from splicedvae.runs import files

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from splicedvae.runs.run import Run

#: Entries beyond which nothing is kept: about 300 MB on disk.
MOST_ENTRIES: Final = 150_000_000
_NAMES, _STARTS, _CELLS, _COUNTS, _DEPTH = "names", "starts", "cells", "counts", "depth"


def write_other_genes(
    folder: Path, totals: sparse.csr_matrix, genes: pd.Index, known: pd.Index
) -> str:
    """Write the counts of the genes that a model does not have.

    Parameters
    ----------
    folder
        Of the run.
    totals
        Total counts, cells of the run x ``genes``.
    genes
        Names of the file's genes.
    known
        Names of the model's.

    Returns
    -------
    A sentence on why nothing was written; empty otherwise.
    """
    others = np.flatnonzero(~genes.isin(known))
    columns = sparse.csc_matrix(totals[:, others])
    counted = np.diff(columns.indptr) > 0
    columns, others = columns[:, counted], others[counted]
    if not others.size:
        return ""
    if columns.nnz > MOST_ENTRIES:
        return (
            f"The counts of {others.size:,} genes without a prediction are not kept, because they "
            f"are {columns.nnz:,} entries (at most {MOST_ENTRIES:,}): cells cannot be colored by "
            "them."
        )
    packed: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    with replacing(folder / files.OTHER_GENES) as temporary, h5py.File(temporary, "w") as stored:
        names = [str(name) for name in genes[others]]
        stored.create_dataset(_NAMES, data=names, dtype=h5py.string_dtype(), **packed)
        stored.create_dataset(_STARTS, data=columns.indptr.astype(np.int64), **packed)
        stored.create_dataset(_CELLS, data=columns.indices.astype(np.int32), **packed)
        stored.create_dataset(_COUNTS, data=columns.data.astype(np.float32), **packed)
        depth = np.asarray(totals.sum(axis=1), dtype=np.float64).ravel()
        stored.create_dataset(_DEPTH, data=depth, **packed)
    return ""


def other_genes(run: Run) -> tuple[str, ...]:
    """Return the names of the file's genes that the run's model does not have; maybe none.

    Parameters
    ----------
    run
        A run. One of an earlier version kept none.

    Raises
    ------
    RunError
        If the file is damaged.
    """
    if not (run.path / files.OTHER_GENES).exists():
        return ()
    names = _read(run, lambda stored: stored[_NAMES].asstr()[:])
    return tuple(str(name) for name in names)


def other_gene_counts(run: Run, gene: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read the counts of one gene that the run's model does not have.

    Parameters
    ----------
    run
        A run.
    gene
        One of `other_genes`.

    Returns
    -------
    counts
        Total counts of the gene, one for each cell of the run.
    depth
        Total counts of each cell over all genes of the file.

    Raises
    ------
    RunError
        If there is no such gene, or the file is damaged.
    """
    names = other_genes(run)
    if gene not in names:
        raise RunError(
            f"The run kept no counts of a gene {gene[:60]!r} without a prediction: choose one of "
            f"its {len(names):,} genes, or run again on the file."
        )
    at = names.index(gene)

    def column(stored: h5py.File) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        start, end = (int(place) for place in stored[_STARTS][at : at + 2])
        depth = np.asarray(stored[_DEPTH][:], dtype=np.float64)
        counts = np.zeros(depth.size)
        counts[stored[_CELLS][start:end]] = stored[_COUNTS][start:end]
        return counts, depth

    counts, depth = _read(run, column)
    if counts.size != run.predictions.n_obs:
        raise _damaged()
    return counts, depth


def _read(run: Run, take: Any) -> Any:
    try:
        with h5py.File(run.path / files.OTHER_GENES, "r") as stored:
            return take(stored)
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise _damaged() from error


def _damaged() -> RunError:
    return RunError(
        f"The file {files.OTHER_GENES} of the run cannot be read: the folder is damaged, run again."
    )
