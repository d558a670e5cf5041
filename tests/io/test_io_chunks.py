"""Packed arrays give what HDF5 gives, and nothing more than they declare."""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from splicedvae import io
from splicedvae._core.errors import DataError
from splicedvae._core.layers import named_layers
from splicedvae.io import _chunks
from splicedvae.io._chunks import PackedArray, values

KINDS = st.sampled_from(["<f4", ">f4", "<f8", "<i4", "<u4", "<i8", "|u1", "<u2"])


@pytest.fixture(autouse=True)
def _no_size_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_chunks, "_FEWEST_BYTES", 0)


def memory() -> h5py.File:
    return h5py.File.in_memory()


@settings(max_examples=60, deadline=None)
@given(
    kind=KINDS,
    length=st.integers(1, 500),
    chunk=st.integers(1, 200),
    shuffle=st.booleans(),
    threads=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
def test_an_array_is_what_hdf5_reads(kind, length, chunk, shuffle, threads, seed):
    numbers = np.random.default_rng(seed).poisson(0.7, length).astype(kind)
    before = _chunks._THREADS
    _chunks._THREADS = threads
    try:
        with memory() as file:
            dataset = file.create_dataset(
                "a",
                data=numbers,
                chunks=(chunk,),
                maxshape=(None,),
                compression="gzip",
                shuffle=shuffle,
            )
            assert PackedArray.of(dataset) is not None
            found = values(dataset)
            assert found.dtype == dataset.dtype
            np.testing.assert_array_equal(found, numbers)
    finally:
        _chunks._THREADS = before


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 30),
    columns=st.integers(1, 30),
    chunks=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    ends=st.tuples(st.integers(0, 30), st.integers(0, 40)),
)
def test_columns_of_a_matrix_are_what_hdf5_reads(rows, columns, chunks, ends):
    start, stop = min(*ends, columns), max(*ends, 1)
    matrix = np.arange(rows * columns, dtype=np.uint32).reshape(rows, columns)
    with memory() as file:
        dataset = file.create_dataset(
            "m", data=matrix, chunks=chunks, maxshape=(None, None), compression="gzip"
        )
        packed = PackedArray.of(dataset)
        assert packed is not None
        found = packed.columns(start, max(start, stop))
        np.testing.assert_array_equal(found, matrix[:, start : max(start, stop)])


def test_chunks_that_were_never_written_are_zero():
    with memory() as file:
        dataset = file.create_dataset(
            "a", shape=(100,), dtype="f4", chunks=(10,), compression="gzip"
        )
        dataset[25:35] = 2
        np.testing.assert_array_equal(values(dataset), dataset[()])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (10,)},
        {"chunks": (10,), "compression": "lzf"},
        {"chunks": (10,), "compression": "gzip", "fletcher32": True},
        {"chunks": (10,), "compression": "gzip", "fillvalue": 3},
    ],
)
def test_other_packings_are_left_to_hdf5(options):
    with memory() as file:
        dataset = file.create_dataset("a", shape=(100,), dtype="i4", **options)
        dataset[:50] = np.arange(50)
        assert PackedArray.of(dataset) is None
        np.testing.assert_array_equal(values(dataset), dataset[()])


def test_a_chunk_stored_without_its_filter_is_left_to_hdf5():
    with memory() as file:
        dataset = file.create_dataset(
            "a", shape=(20,), dtype="i4", chunks=(10,), compression="gzip"
        )
        dataset[:] = 1
        dataset.id.write_direct_chunk((10,), np.arange(10, dtype="i4").tobytes(), 1)
        np.testing.assert_array_equal(values(dataset), [1] * 10 + list(range(10)))


def test_numbers_that_numpy_does_not_know_are_left_to_hdf5():
    with memory() as file:
        kind = h5py.h5t.NATIVE_INT16.copy()
        kind.set_precision(12)
        kind.set_offset(4)
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk((10,))
        created.set_deflate(4)
        space = h5py.h5s.create_simple((20,))
        h5py.h5d.create(file.id, b"a", kind, space, dcpl=created)
        file["a"][:] = np.arange(20)
        assert PackedArray.of(file["a"]) is None
        np.testing.assert_array_equal(values(file["a"]), np.arange(20))


def tampered(folder: Path, chunk: bytes) -> Path:
    """A file whose counts hold a chunk that its writer never wrote."""
    rng = np.random.default_rng(0)
    counts = sparse.csr_matrix(rng.poisson(1.0, (60, 40)).astype(np.float32))
    file = folder / "cells.h5ad"
    AnnData(counts).write_h5ad(file, compression="gzip")
    with h5py.File(file, "r+") as opened:
        opened["X/data"].id.write_direct_chunk((0,), chunk)
    return file


@pytest.mark.parametrize(
    "chunk",
    [
        b"no deflate",
        zlib.compress(b"\1" * 10),
        zlib.compress(b"\0" * 50_000_000),
        zlib.compress(b"\0" * 6_000)[:-6],
    ],
    ids=["garbage", "short", "far longer", "cut off"],
)
def test_a_chunk_that_lies_is_refused(tmp_path, chunk):
    with pytest.raises(DataError) as caught:
        io.read(tampered(tmp_path, chunk))
    assert "cells.h5ad" in str(caught.value)
    assert "write" in str(caught.value) or "copy" in str(caught.value)


def test_a_packed_file_is_read_as_an_unpacked_one(tmp_path):
    rng = np.random.default_rng(1)
    s, u = (sparse.csr_matrix(rng.poisson(0.5, (50, 30)).astype(np.float32)) for _ in range(2))
    cells = AnnData(
        sparse.csc_matrix(s + u), layers={"spliced": s, "unspliced": sparse.csc_matrix(u)}
    )
    cells.write_h5ad(tmp_path / "plain.h5ad")
    cells.write_h5ad(tmp_path / "packed.h5ad", compression="gzip")
    plain, packed = (io.read(tmp_path / f"{name}.h5ad").adata for name in ("plain", "packed"))
    for first, second in (
        (plain.X, packed.X),
        *((plain.layers[k], packed.layers[k]) for k in named_layers(plain)),
    ):
        assert (first != second).nnz == 0
    assert plain.obs.equals(packed.obs)
