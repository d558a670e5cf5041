"""What is in a stored file, read once for all visitors.

The counts themselves are let go after a while; what the pages show of them is small and stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae import io, triage
from splicedvae._core.errors import DataError, ReaderDiedError
from splicedvae.dashboard import uploads
from splicedvae.dashboard.uploads import StoredFile
from splicedvae.io import gate


@dataclass(frozen=True)
class Contents:
    """What the pages need of a file.

    Attributes
    ----------
    summary
        Cells, genes, layers, depth, clusters, notes and warnings.
    genes
        What the file says of its genes: its ``var``.
    gene_counts
        Total counts of each gene, shape (n_genes,).
    times
        Columns of ``obs`` that may hold the time of a cell.
    """

    summary: triage.DataSummary
    genes: pd.DataFrame
    gene_counts: NDArray[np.float64]
    times: tuple[str, ...] = ()


def contents(stored: StoredFile, cluster_key: str | None = None) -> Contents:
    """Read a stored file, or what was kept of it.

    Parameters
    ----------
    stored
        The file.
    cluster_key
        Column of ``obs`` with clusters; None takes the likeliest.

    Returns
    -------
    What is in it.

    Raises
    ------
    DataError
        If it cannot be read, is not safe to read, holds no raw counts, or is not the file that
        was stored any more.
    """
    with _forgotten_if_deadly(stored):
        return _contents(stored.sha256, stored.path, _stamp(stored), cluster_key)


def cells(stored: StoredFile) -> AnnData:
    """Return the counts of a stored file, read again if they were released; read-only.

    Parameters
    ----------
    stored
        The file.

    Raises
    ------
    DataError
        As for `contents`.
    """
    with _forgotten_if_deadly(stored):
        return _read(stored.sha256, stored.path, _stamp(stored)).adata


@contextmanager
def _forgotten_if_deadly(stored: StoredFile) -> Iterator[None]:
    """Forget a file that ends the process that reads it: nobody should meet it again."""
    try:
        yield
    except ReaderDiedError:
        uploads.remove(stored)
        raise


def _stamp(stored: StoredFile) -> tuple[int, int]:
    """Return what changes when a file is written again: size and time (ns)."""
    try:
        told = Path(stored.path).stat()
    except OSError as error:
        raise DataError(
            f"{stored.name}: the file is no longer there; upload or choose it again."
        ) from error
    return told.st_size, told.st_mtime_ns


@st.cache_resource(max_entries=64, show_spinner="Reading the file …")
def _contents(sha256: str, path: str, stamp: tuple[int, int], cluster_key: str | None) -> Contents:
    result = _read(sha256, path, stamp)
    gene_counts = np.asarray(result.adata.X.sum(axis=0), dtype=np.float64).ravel()
    return Contents(
        triage.inspect(result, cluster_key=cluster_key),
        result.adata.var,
        gene_counts,
        tuple(triage.time_candidates(result.adata)),
    )


@st.cache_resource(max_entries=1, ttl=600, show_spinner=False)
def _read(sha256: str, path: str, stamp: tuple[int, int]) -> io.ReadResult:
    try:
        with uploads.being_read(sha256[:16]):
            result = gate.read(path)
    except (OSError, MemoryError) as error:
        raise DataError(
            "The file cannot be read by the server, or does not fit in its memory: upload "
            "it again, or use fewer cells."
        ) from error
    if result.sha256 != sha256:
        raise DataError(
            f"{result.name}: the file has changed since it was chosen; choose it again."
        )
    return result
