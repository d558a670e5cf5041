"""Cell Ranger's HDF5 matrices, of version 2 (one group a genome) and 3 (one group, features)."""

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
from splicedvae._core.sparse import check_arrays
from splicedvae.io import _chunks
from splicedvae.io._limits import Limits
from splicedvae.io.formats import _hdf5

_PARTS = {"data", "indices", "indptr", "shape", "barcodes"}


def recognizes(file: h5py.File) -> bool:
    """Whether an HDF5 file holds matrices of Cell Ranger's."""
    return bool(_groups(file))


def _groups(file: h5py.File) -> list[str]:
    """Names of the root's groups that hold a Cell Ranger matrix."""
    return [
        key
        for key in file
        if file.get(key, getclass=True) is h5py.Group and set(file[key].keys()) >= _PARTS
    ]


def read(place: Path, limits: Limits, notes: list[str]) -> AnnData:
    """Read a checked file of Cell Ranger's; see `_read`."""
    with _hdf5.opened(place) as file:
        return _read(file)


def _read(file: h5py.File) -> AnnData:
    """Read an open and checked Cell Ranger file.

    Parameters
    ----------
    file
        HDF5 file with one matrix group.

    Returns
    -------
    AnnData, cells x features, named by gene symbol with ``gene_ids`` in ``var``.

    Raises
    ------
    DataError
        Several genomes, a damaged matrix, or parts that are missing.
    """
    groups = _groups(file)
    if len(groups) != 1:
        raise DataError(
            f"it holds matrices of {len(groups)} genomes ({shown_list(groups)}), expected "
            "one; write the wanted one to its own file."
        )
    group = file[groups[0]]
    shape = [int(n) for n in np.asarray(group["shape"][()]).ravel()]
    data, indices, indptr = (_chunks.values(group[key]) for key in ("data", "indices", "indptr"))
    check_arrays(data, indices, indptr, shape, where=shown(groups[0]), major=1)
    features = group.get("features")
    if isinstance(features, h5py.Group):
        columns = {key: _text(features, key) for key in ("id", "name", "feature_type", "genome")}
    else:
        columns = {"id": _text(group, "genes"), "name": _text(group, "gene_names")}
    ids, names = columns["id"], columns["name"]
    barcodes = _text(group, "barcodes")
    if ids is None or barcodes is None or len(ids) != shape[0] or len(barcodes) != shape[1]:
        raise DataError(
            f"its 10x matrix of {shape[0]:,} features x {shape[1]:,} barcodes does not have "
            "as many feature ids and barcodes; write the file again with Cell Ranger."
        )
    if names is None or len(names) != len(ids):
        names = ids
    matrix = sparse.csr_matrix((data, indices, indptr), shape=(shape[1], shape[0]))
    var = pd.DataFrame({"gene_ids": ids}, index=pd.Index(names, dtype=object))
    for key, target in (("feature_type", "feature_types"), ("genome", "genome")):
        values = columns.get(key)
        if values is not None and len(values) == len(ids):
            var[target] = values
    return AnnData(X=matrix, obs=pd.DataFrame(index=pd.Index(barcodes, dtype=object)), var=var)


def _text(group: h5py.Group, key: str) -> list[str] | None:
    item: Any = group.get(key)
    if not isinstance(item, h5py.Dataset) or len(item.shape or ()) != 1:
        return None
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in item[()]]
