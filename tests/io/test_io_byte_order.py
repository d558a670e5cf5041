"""Numbers of the other byte order, as Java programs write them, are the same numbers."""

from __future__ import annotations

from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from splicedvae._core.layers import drop_layers
from splicedvae.io import from_anndata, read, read_backed
from splicedvae.triage import inspect


def rewrite(group: h5py.Group, key: str, kind: str) -> None:
    attributes = dict(group[key].attrs)
    values = group[key][()]
    del group[key]
    group.create_dataset(key, data=values.astype(kind), dtype=kind, chunks=True, compression="gzip")
    group[key].attrs.update(attributes)


def file_of(tmp_path: Path, counts, form: str) -> Path:
    """An h5ad with all numbers big-endian, those of the cells too."""
    data = counts.copy()
    data.obs["leiden"] = np.arange(data.n_obs) % 3
    data.obs["depth"] = np.asarray(data.X.sum(axis=1)).ravel()
    if form == "dense":
        data.X = data.X.toarray().astype(np.float64)
    path = tmp_path / "cells.h5ad"
    data.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        if form == "dense":
            rewrite(file, "X", ">f8")
        else:
            for key, kind in (("data", ">f4"), ("indices", ">i4"), ("indptr", ">i8")):
                rewrite(file["X"], key, kind)
        for key in file["layers"]:
            rewrite(file["layers"][key], "data", ">f4")
        rewrite(file["obs"], "leiden", ">i4")
        rewrite(file["obs"], "depth", ">f8")
        rewrite(file["obsm"], "X_umap", ">f4")
    return path


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_h5ad(tmp_path, counts, form):
    result = read(file_of(tmp_path, counts, form))
    assert (result.adata.X != counts.X).nnz == 0
    for key in ("spliced", "unspliced"):
        assert (result.adata.layers[key] != counts.layers[key]).nnz == 0
    assert list(result.adata.obs["leiden"]) == [i % 3 for i in range(30)]
    assert result.adata.obsm["X_umap"].dtype.isnative
    summary = inspect(result, cluster_key="leiden", batch_key="leiden")
    assert [row.cluster for row in summary.clusters] == ["0", "1", "2"]
    result.adata.write_h5ad(tmp_path / "again.h5ad")


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_totals_on_disk(tmp_path, counts, form):
    drop_layers(counts)
    with read_backed(file_of(tmp_path, counts, form)) as backed:
        blocks = sparse.vstack(list(backed.blocks()))
    assert (blocks != counts.X).nnz == 0


def test_loom(tmp_path, counts):
    with h5py.File(tmp_path / "java.loom", "w") as file:
        file.create_dataset("matrix", data=counts.X.toarray().T.astype(">f4"), dtype=">f4")
        file.create_group("layers")
        file.create_group("row_attrs")["Gene"] = np.array(list(counts.var_names), dtype="S")
        columns = file.create_group("col_attrs")
        columns["CellID"] = np.array(list(counts.obs_names), dtype="S")
        columns.create_dataset("Clusters", data=np.arange(30) % 3, dtype=">i8")
    result = read(tmp_path / "java.loom")
    assert (result.adata.X != counts.X).nnz == 0
    assert inspect(result, cluster_key="Clusters").clusters[0].n_cells == 10


@pytest.mark.parametrize("kind", [">f8", ">f4", ">f2", ">i2", ">u4", ">i8"])
@pytest.mark.parametrize("form", ["dense", "csr", "csc"])
def test_in_memory(counts, kind, form):
    if form == "dense":
        X = counts.X.toarray().astype(kind)
    else:
        X = counts.X.asformat(form)
        if kind == ">f2":  # scipy has no sparse matrix of half precision
            kind = ">f4"
        X.data = X.data.astype(kind)
    data = anndata.AnnData(X, obs=pd.DataFrame({"n": np.arange(30, dtype=">i4")}))
    result = from_anndata(data)
    assert (result.adata.X != counts.X).nnz == 0
    assert data.obs["n"].dtype == np.dtype(">i4")  # the given data stay as they are
