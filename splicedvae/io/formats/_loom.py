"""Loom files, read block by block: dense on disk (genes x cells), sparse in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.messages import shown, shown_list
from splicedvae.io._chunks import PackedArray
from splicedvae.io._limits import Limits
from splicedvae.io.formats import _hdf5

_GENE_NAMES = ("Gene", "var_names", "gene_names", "gene_name", "Name", "gene_symbols", "Symbol")
_GENE_IDS = ("Accession", "gene_ids", "gene_id", "EnsemblID", "ensembl_id")
_CELL_NAMES = (
    *("CellID", "obs_names", "cell_names", "cell_name", "cell_id", "barcodes", "Barcode"),
    *("barcode", "cells", "cell", "index", "_index"),
)
_BLOCK_BYTES = 64 * 1024**2


def recognizes(file: h5py.File) -> bool:
    """Whether the root of an HDF5 file looks like a loom file's."""
    return _hdf5.is_loom(file)


def read(place: Path, limits: Limits, notes: list[str]) -> AnnData:
    """Read a checked loom file; see `_read`."""
    with _hdf5.opened(place) as file:
        return _read(file, limits, notes)


def _read(file: h5py.File, limits: Limits, notes: list[str]) -> AnnData:
    """Read an open and checked loom file.

    Parameters
    ----------
    file
        HDF5 file in loom's format.
    limits
        Bound on the memory of the matrices read.
    notes
        Gets a sentence for whatever was made up or left out.

    Returns
    -------
    AnnData, cells x genes, with the file's layers; matrices are CSR in the file's data type.

    Raises
    ------
    DataError
        Parts are missing or of other shapes than the main matrix.
    """
    main = file["matrix"]
    if not isinstance(main, h5py.Dataset) or len(main.shape or ()) != 2:
        raise DataError(
            "its loom matrix is not a two-dimensional array, expected genes x cells; write "
            "the file again with loompy."
        )
    n_genes, n_cells = main.shape
    var = _attributes(file["row_attrs"], n_genes, "row_attrs", notes)
    obs = _attributes(file["col_attrs"], n_cells, "col_attrs", notes)
    genes, ids = _first(var, _GENE_NAMES), _first(var, _GENE_IDS)
    if genes is None and ids is None:
        # anndata writes the index under any name it has, kb's is target_name.
        genes = _naming(var, notes, "genes")
    if genes is None and ids is None:
        raise DataError(
            f"its loom row attributes are {shown_list(var) or 'none'}, expected gene names "
            "in one named Gene or Accession; add it and write the file again."
        )
    cells = _first(obs, _CELL_NAMES) or _naming(obs, notes, "cells")
    if cells is None:
        notes.append("The loom file has no CellID attribute, so cells were numbered.")
    left = limits.max_bytes
    layers: dict[str, Any] = {}
    X, left = _matrix(main, "matrix", (n_genes, n_cells), left, limits)
    if isinstance(file.get("layers"), h5py.Group):
        for key in file["layers"]:
            where = f"layers/{key}"
            layers[key], left = _matrix(file["layers"][key], where, main.shape, left, limits)
    obsm = {key: obs.pop(key) for key in list(obs) if obs[key].ndim == 2}
    varm = {key: var.pop(key) for key in list(var) if var[key].ndim == 2}
    obs_names = obs.pop(cells) if cells else np.arange(n_cells).astype(str)
    var_names = var.pop(genes) if genes else var[ids] if ids else np.arange(n_genes).astype(str)
    return AnnData(
        X=X,
        obs=pd.DataFrame(obs, index=pd.Index(obs_names.astype(str), dtype=object)),
        var=pd.DataFrame(var, index=pd.Index(var_names.astype(str), dtype=object)),
        obsm=obsm,
        varm=varm,
        layers=layers,
    )


def _first(attributes: dict[str, np.ndarray], names: tuple[str, ...]) -> str | None:
    return next((n for n in names if n in attributes and attributes[n].ndim == 1), None)


def _naming(attributes: dict[str, np.ndarray], notes: list[str], what: str) -> str | None:
    """Return the only attribute of texts that differ; ``None`` where there are several or none."""
    naming = [
        key
        for key, values in attributes.items()
        if values.ndim == 1 and values.dtype == object and len(set(values)) == len(values)
    ]
    if len(naming) != 1:
        return None
    notes.append(f"Names of {what} were taken from the loom attribute {shown(naming[0])}.")
    return naming[0]


def _attributes(group: Any, length: int, where: str, notes: list[str]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    if not isinstance(group, h5py.Group):
        raise DataError(f"its loom {where} is not a group; write the file again with loompy.")
    for key in group:
        item = group[key]
        shape = item.shape if isinstance(item, h5py.Dataset) else None
        if not shape or len(shape) > 2 or shape[0] != length:
            raise DataError(
                f"its loom attribute {where}/{shown(key)} has shape {shape}, expected "
                f"{length:,} entries; write the file again with loompy."
            )
        # Texts are arrays of any length, too, but no type of numpy's is in them.
        ragged = isinstance(h5py.check_vlen_dtype(item.dtype), np.dtype)
        if item.dtype.kind not in "biufOS" or ragged:
            notes.append(
                f"The loom attribute {where}/{shown(key)} was left out: it holds neither numbers "
                "nor texts."
            )
            continue
        values = item[()]
        if values.dtype.kind in "OS":
            flat = [
                v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v)
                for v in values.ravel()
            ]
            values = np.array(flat, dtype=object).reshape(values.shape)
        found[str(key)] = values
    return found


def _matrix(
    dataset: Any, where: str, shape: tuple[int, int], left: int, limits: Limits
) -> tuple[sparse.csr_matrix, int]:
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != shape:
        raise DataError(
            f"its loom {shown(where)} has another shape than the main matrix, "
            f"expected {shape[0]:,} genes x {shape[1]:,} cells; write the file again."
        )
    if dataset.dtype.kind not in "biuf":
        raise DataError(f"its loom {shown(where)} holds {dataset.dtype}, expected numbers.")
    n_genes, n_cells = shape
    wide = max(1, n_genes * dataset.dtype.itemsize)
    step = max(1, _BLOCK_BYTES // wide)
    chunk = dataset.chunks[1] if dataset.chunks else 1
    step = max(step // chunk * chunk, min(chunk, step * 8))
    packed = PackedArray.of(dataset)
    blocks = []
    for start in range(0, n_cells, step):
        dense = (
            dataset[:, start : start + step]
            if packed is None
            else packed.columns(start, start + step)
        )
        block = _sparse_block(dense)
        left -= block.nnz * (block.dtype.itemsize + 4)
        if left < 0:
            limits.check_size(limits.max_bytes + 1)
        blocks.append(block)
    if not blocks:
        return sparse.csr_matrix((n_cells, n_genes), dtype=dataset.dtype), left
    return sparse.csr_matrix(sparse.vstack(blocks, format="csr")), left


def _sparse_block(dense: np.ndarray) -> sparse.csr_matrix:
    """Turn a dense block, genes x cells, into CSR, cells x genes.

    The comparison with zero and the search in flat memory run several times as fast as scipy's
    own search of a transposed block.
    """
    n_genes, n_cells = dense.shape
    flat = np.ascontiguousarray(dense).ravel()
    places = np.flatnonzero(flat != 0)
    ends = np.searchsorted(places, np.arange(n_genes + 1) * n_cells)
    by_gene = sparse.csc_matrix(
        (flat[places], (places % max(n_cells, 1)).astype(np.int32), ends), shape=(n_cells, n_genes)
    )
    return sparse.csr_matrix(by_gene.tocsr())
