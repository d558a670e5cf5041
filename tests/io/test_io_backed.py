"""Totals that stay in their file pass the same gate as those read: same notes, same errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from count_files import written
from scipy.sparse import csc_matrix, csr_matrix, vstack

from splicedvae import io
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Uns
from splicedvae.io import _stored

Change = Callable[[AnnData], None]


def cells() -> AnnData:
    rng = np.random.default_rng(0)
    x = csr_matrix(rng.poisson(0.5, (90, 12)).astype(np.float32))
    x[7] = 0
    x.eliminate_zeros()
    adata = AnnData(x, obs=pd.DataFrame({"batch": ["a", "b"] * 45}))
    adata.obs_names = [f"cell {n}" for n in range(90)]
    adata.var_names = [f"gene {n}" for n in range(12)]
    adata.obsm["X_pca"] = rng.normal(size=(90, 3))
    adata.uns["words"] = {"deep": np.arange(3)}
    return adata


def in_layer(adata: AnnData) -> None:
    adata.layers["counts"] = adata.X.copy()
    adata.X = adata.X.log1p()


def in_raw(adata: AnnData) -> None:
    adata.raw = adata.copy()
    adata.X = adata.X.log1p()


def integers(adata: AnnData) -> None:
    adata.X = adata.X.astype(np.int64)


def dense(adata: AnnData) -> None:
    adata.X = adata.X.toarray()


def off_by_rounding(adata: AnnData) -> None:
    adata.X.data += np.float32(1e-4)


def names_twice(adata: AnnData) -> None:
    adata.var_names = ["gene"] * 12


def neighbours(adata: AnnData) -> None:
    adata.obsp["distances"] = csr_matrix((90, 90))


def nothing(adata: AnnData) -> None:
    pass


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stored, "MAX_ENTRIES", 60)
    monkeypatch.setattr(_stored, "_DENSE_ENTRIES", 200)


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
@pytest.mark.parametrize(
    "change",
    [nothing, in_layer, in_raw, integers, dense, off_by_rounding, names_twice, neighbours],
    ids=lambda change: change.__name__,
)
def test_backed_counts_are_those_that_reading_gives(
    tmp_path: Path, kind: str, change: Change
) -> None:
    adata = cells()
    change(adata)
    file = written(adata, tmp_path, kind)
    whole = io.read(file)
    with io.read_backed(file) as backed:
        blocks = list(backed.blocks())
        assert len(blocks) > 3
        assert backed.adata.X is None
        totals = vstack(blocks, format="csr")
    assert (totals != whole.adata.X).nnz == 0
    assert totals.dtype == np.float32
    assert backed.notes == whole.notes
    assert (backed.name, backed.sha256) == (whole.name, whole.sha256)
    assert backed.total_source == whole.total_source
    pd.testing.assert_frame_equal(backed.adata.obs, whole.adata.obs)
    pd.testing.assert_frame_equal(backed.adata.var, whole.adata.var)
    np.testing.assert_array_equal(backed.adata.obsm["X_pca"], whole.adata.obsm["X_pca"])
    record = backed.adata.uns[Uns.ROOT][Uns.READ]
    assert list(record.pop("notes")) == list(whole.adata.uns[Uns.ROOT][Uns.READ].pop("notes"))
    assert record == whole.adata.uns[Uns.ROOT][Uns.READ]


def test_estimated_counts_are_rounded_where_they_are_named(tmp_path: Path) -> None:
    adata = cells()
    adata.X.data[::5] += 0.4
    file = written(adata, tmp_path, "h5ad")
    whole = io.read(file, total="X")
    with io.read_backed(file, total="X") as backed:
        assert backed.notes == whole.notes
        assert (vstack(list(backed.blocks())) != whole.adata.X).nnz == 0


def beyond(adata: AnnData) -> None:
    adata.X.indices[-1] = 99


def missing(adata: AnnData) -> None:
    adata.X.data[-1] = np.nan


def infinite(adata: AnnData) -> None:
    adata.X.data[3] = np.inf


def negative(adata: AnnData) -> None:
    adata.X.data[-1] = -2


def fractional(adata: AnnData) -> None:
    adata.X.data += 0.3


def huge(adata: AnnData) -> None:
    adata.X.data[5] = 1e9


def zeros(adata: AnnData) -> None:
    adata.X = csr_matrix(adata.shape, dtype=np.float32)


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
@pytest.mark.parametrize(
    "change",
    [beyond, infinite, negative, fractional, huge, zeros],
    ids=lambda change: change.__name__,
)
def test_what_reading_refuses_is_refused_in_the_same_words(
    tmp_path: Path, kind: str, change: Change
) -> None:
    adata = cells()
    change(adata)
    file = written(adata, tmp_path, kind)
    with pytest.raises(DataError) as whole:
        io.read(file)
    with pytest.raises(DataError) as backed:
        io.read_backed(file)
    assert str(backed.value) == str(whole.value)
    # The file was closed.
    if kind == "h5ad":
        with h5py.File(file, "r+"):
            pass


def test_missing_values_are_for_reading_as_a_whole(tmp_path: Path) -> None:
    adata = cells()
    missing(adata)
    file = written(adata, tmp_path, "h5ad")
    assert io.read_backed(file) is None
    with h5py.File(file, "r+"):  # the file was closed
        pass


@pytest.mark.parametrize("pointers", ["first", "falling", "last"])
def test_damaged_pointers_are_refused(tmp_path: Path, pointers: str) -> None:
    file = written(cells(), tmp_path, "h5ad")
    with h5py.File(file, "r+") as inside:
        indptr = inside["X/indptr"]
        place, value = {"first": (0, 1), "falling": (40, 0), "last": (-1, 5)}[pointers]
        indptr[place if place >= 0 else len(indptr) - 1] = value
    with pytest.raises(DataError, match="is a damaged sparse matrix: its indptr"):
        io.read_backed(file)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    file = written(cells(), tmp_path, "h5ad")
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(DataError, match="cut off"):
        io.read_backed(file)
    with pytest.raises(DataError, match="no such file"):
        io.read_backed(tmp_path / "none.h5ad")
    with pytest.raises(DataError, match="at most 100 bytes are accepted"):
        io.read_backed(written(cells(), tmp_path, "h5ad"), max_bytes=100)


def with_measured(adata: AnnData) -> None:
    adata.layers[Layers.SPLICED] = adata.X.copy()
    adata.layers[Layers.UNSPLICED] = adata.X.copy()


def by_gene(adata: AnnData) -> None:
    adata.X = csc_matrix(adata.X)


def predicted(adata: AnnData) -> None:
    adata.layers[Layers.RATIO] = adata.X.copy()


@pytest.mark.parametrize(
    "change", [with_measured, by_gene, predicted], ids=lambda change: change.__name__
)
def test_other_files_are_left_to_reading(tmp_path: Path, change: Change) -> None:
    adata = cells()
    change(adata)
    assert io.read_backed(written(adata, tmp_path, "h5ad")) is None
    (tmp_path / "text.h5ad").write_text("no file of cells")
    assert io.read_backed(tmp_path / "text.h5ad") is None


def test_a_large_packed_array_is_read_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_stored, "MAX_ENTRIES", 100_000)
    rng = np.random.default_rng(0)
    x = csr_matrix(rng.poisson(0.3, (4000, 400)).astype(np.float32))
    file = written(AnnData(x), tmp_path, "h5ad")
    with h5py.File(file) as inside:
        assert inside["X/data"].nbytes > 1 << 20
    with io.read_backed(file) as backed:
        assert (vstack(list(backed.blocks())) != x).nnz == 0
    assert (x != ad.read_h5ad(file).X).nnz == 0
