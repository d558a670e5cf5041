"""Files that attack their reader, one function a kind: each writes one and says what to expect.

They are small, made in well under a second, and stand for the kinds of files that once read other
files, froze the server or took its memory.
"""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

SECRET = "SECRET-OF-THE-SERVER"


def cells(n_cells: int = 30, n_genes: int = 20, *, layers: bool = True) -> anndata.AnnData:
    rng = np.random.default_rng(0)
    parts = [sparse.csr_matrix(rng.poisson(1.0, (n_cells, n_genes)).astype("f4")) for _ in "su"]
    return anndata.AnnData(
        sparse.csr_matrix(parts[0] + parts[1]),
        obs=pd.DataFrame(
            {"clusters": pd.Categorical(["a", "b"] * (n_cells // 2))},
            index=[f"cell{i}" for i in range(n_cells)],
        ),
        var=pd.DataFrame(index=[f"Gene{i}x" for i in range(n_genes)]),
        layers=dict(zip(("spliced", "unspliced"), parts, strict=True)) if layers else {},
    )


def h5ad(folder: Path, name: str = "cells.h5ad") -> Path:
    path = folder / name
    cells().write_h5ad(path)
    return path


def zipped(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, content in files.items():
            archive.writestr(inside, content)
    return path


def zipped_folder(source: Path, path: Path) -> Path:
    files = {
        f.relative_to(source).as_posix(): f.read_bytes() for f in source.rglob("*") if f.is_file()
    }
    shutil.rmtree(source)
    return zipped(path.parent, path.name, files)


def market() -> dict[str, bytes]:
    counts = sparse.coo_matrix(np.random.default_rng(0).poisson(1.0, (20, 30)))
    rows = "".join(
        f"{i + 1} {j + 1} {v}\n"
        for i, j, v in zip(counts.row, counts.col, counts.data, strict=True)
    )
    head = f"%%MatrixMarket matrix coordinate integer general\n20 30 {counts.nnz}\n"
    return {
        "matrix.mtx": (head + rows).encode(),
        "barcodes.tsv": "".join(f"cell{i}\n" for i in range(30)).encode(),
        "features.tsv": "".join(f"ID{i}\tGene{i}x\tGene Expression\n" for i in range(20)).encode(),
    }


def repeated(unit: bytes, times: int, before: bytes = b"", *, wrapped: int = 31) -> bytes:
    """Deflate a repeated unit without having it in memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wrapped)
    parts = [packer.compress(before)]
    block = unit * 4096
    parts += [packer.compress(block) for _ in range(times // 4096)]
    return b"".join([*parts, packer.flush()])


def comments_without_end(folder: Path) -> Path:
    """A gzip of comment lines, whose reading takes minutes."""
    files = market()
    banner, rest = files.pop("matrix.mtx").split(b"\n", 1)
    # Bytes that are gzip already, put one after another, are one gzip.
    some = repeated(b"%\n", 1 << 22)
    files["matrix.mtx.gz"] = gzip.compress(banner + b"\n") + some * 48 + gzip.compress(rest)
    return zipped(folder, "comments.zip", files)


def time_comments(folder: Path) -> tuple[Path, str]:
    return comments_without_end(folder), "more than 2 s of processor time"


def time_entries_of_uns(folder: Path) -> tuple[Path, str]:
    path = h5ad(folder, "uns.h5ad")
    with h5py.File(path, "r+", libver="latest") as file:
        group = file.create_group("uns/many", track_order=False)
        first = group.create_dataset("first", data=1.0)
        for number in range(20_001):
            group[str(number)] = first
    return path, "more than 20,000 groups and arrays|more than 2 s of processor time"


def memory_dense(folder: Path) -> tuple[Path, str]:
    """Packed a thousandfold, and ten times as large again as CSR."""
    path = h5ad(folder, "dense.h5ad")
    with h5py.File(path, "r+") as file:
        del file["X"], file["obs"], file["var"]
        n_cells, n_genes = 4000, 100_000
        x = file.create_dataset(
            "X", (n_cells, n_genes), "u1", chunks=(n_cells, 1000), compression="gzip"
        )
        chunk = zlib.compress(b"\1" * (n_cells * 1000), 9)
        for start in range(0, n_genes, 1000):
            x.id.write_direct_chunk((0, start), chunk)
        x.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        for part, size in (("obs", n_cells), ("var", n_genes)):
            index = pd.Index(np.arange(size).astype(str))
            anndata.io.write_elem(file, part, pd.DataFrame(index=index))
        del file["layers"]
    return path, "would take .* MiB in memory|took more memory than"


def memory_shared_strings(folder: Path) -> tuple[Path, str]:
    """Four thousand strings that are one object of a megabyte in the file."""
    path = h5ad(folder, "strings.h5ad")
    with h5py.File(path, "r+") as file:
        one = file.create_dataset("uns/one", (1,), h5py.string_dtype())
        one[0] = "x" * (1 << 20)
        offset = one.id.get_offset()
    pointer = path.read_bytes()[offset : offset + 16]
    with h5py.File(path, "r+") as file:
        many = file.create_dataset("uns/many", (4000,), h5py.string_dtype(), chunks=(4000,))
        many.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
        many.id.write_direct_chunk((0,), pointer * 4000)
        del file["uns/one"]
    return path, "more memory than reading it may take"


def memory_chunk(folder: Path) -> tuple[Path, str]:
    """A chunk that unpacks to a quarter of a gigabyte where 240 bytes are declared."""
    path = h5ad(folder, "chunk.h5ad")
    with h5py.File(path, "r+") as file:
        small = file.create_dataset("obs/w", (30,), "f8", chunks=(30,), compression="gzip")
        small.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        small.id.write_direct_chunk((0,), repeated(b"\0" * 64, 1 << 22, wrapped=15))
        file["obs"].attrs["column-order"] = np.array(["clusters", "w"], dtype=object)
    return path, "cannot be read at obs/w|more memory than"


def store(folder: Path, version: int = 2) -> Path:
    path = folder / "cells.zarr"
    with anndata.settings.override(zarr_write_format=version):
        cells(layers=False).write_zarr(path)
    return path


def _array(place: Path, **changed: Any) -> None:
    place.mkdir(parents=True, exist_ok=True)
    told = {
        "zarr_format": 2,
        "shape": [30],
        "chunks": [30],
        "dtype": "<f8",
        "compressor": None,
        "filters": None,
        "fill_value": 0.0,
        "order": "C",
        **changed,
    }
    (place / ".zarray").write_text(json.dumps(told))
    spec = {"encoding-type": "array", "encoding-version": "0.2.0"}
    (place / ".zattrs").write_text(json.dumps(spec))


def memory_zarr_chunk(folder: Path) -> tuple[Path, str]:
    path = store(folder)
    _array(path / "uns" / "w", compressor={"id": "gzip", "level": 9})
    (path / "uns" / "w" / "0").write_bytes(repeated(b"\0" * 64, 1 << 22))
    return zipped_folder(path, folder / "gzip.zip"), "more memory than|cannot be read at uns/w"


def memory_zarr_fill(folder: Path) -> tuple[Path, str]:
    """No chunk is stored, the value that stands for them fills gigabytes."""
    path = store(folder)
    shutil.rmtree(path / "X")
    _array(path / "X", shape=[300_000, 20], chunks=[300_000, 20], fill_value=1.0)
    _array(path / "uns" / "w", shape=[1 << 28], chunks=[1 << 20])
    return zipped_folder(path, folder / "fill.zip"), r"would take 2\.\d GiB in memory, at most 32"


def memory_zarr3_type(folder: Path) -> tuple[Path, str]:
    """A type of its own width, which numpy does not know by name."""
    path = store(folder, 3)
    place = path / "obs" / "w"
    place.mkdir()
    told = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [30],
        "data_type": {"name": "fixed_length_utf32", "configuration": {"length_bytes": 1 << 30}},
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [30]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "",
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": {"encoding-type": "string-array", "encoding-version": "0.2.0"},
        "storage_transformers": [],
    }
    (place / "zarr.json").write_text(json.dumps(told))
    table = json.loads((path / "obs" / "zarr.json").read_text())
    table["attributes"]["column-order"] = ["clusters", "w"]
    (path / "obs" / "zarr.json").write_text(json.dumps(table))
    return zipped_folder(path, folder / "wide.zip"), "would take|more memory than"


def memory_gz_in_a_zip(folder: Path) -> tuple[Path, str]:
    files = market()
    del files["features.tsv"]
    files["features.tsv.gz"] = repeated(b"ID\tGene\tGene Expression\n" * 2, 1 << 20)
    return zipped(folder, "names.zip", files), "would take .* at most 32"


def other_file_by_reference(folder: Path) -> tuple[Path, str]:
    """Categories are an object reference to an array that no group holds, stored elsewhere."""
    (folder / "secret").write_bytes(SECRET.encode() * 100)
    path = h5ad(folder, "reference.h5ad")
    with h5py.File(path, "r+") as file:
        del file["obs/clusters"]
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_external(str(folder / "secret").encode(), 0, 2 * len(SECRET))
        space = h5py.h5s.create_simple((2,))
        kind = h5py.h5t.py_create(np.dtype(f"S{len(SECRET)}"))
        hidden = h5py.h5d.create(file.id, b"hidden", kind, space, created)
        codes = file.create_dataset("obs/clusters", data=np.zeros(30, dtype=np.int8))
        codes.attrs["categories"] = h5py.Dataset(hidden).ref
        file["obs"].attrs["encoding-version"] = "0.1.0"
        del file["hidden"]
        # A link again, so that the array is not freed, in a place that no reader looks at.
        file.create_dataset("kept", data=h5py.Dataset(hidden).ref, dtype=h5py.ref_dtype)
        h5py.h5o.link(hidden, file.id, b"hidden")
    return path, "stored in another file"


def other_file_by_unlinked_reference(folder: Path) -> tuple[Path, str]:
    """A reference to an array whose only link was turned to another array, in the bytes."""
    (folder / "secret").write_bytes(SECRET.encode() * 100)
    path = folder / "unlinked.h5ad"
    cells().write_h5ad(path)
    with h5py.File(path, "r+", libver="earliest") as file:
        del file["obs/clusters"]
        apart = file.create_group("uns/apart")
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_external(str(folder / "secret").encode(), 0, 2 * len(SECRET))
        kind = h5py.h5t.py_create(np.dtype(f"S{len(SECRET)}"))
        hidden = h5py.h5d.create(apart.id, b"hidden", kind, h5py.h5s.create_simple((2,)), created)
        decoy = apart.create_dataset("decoy", data=1.0)
        codes = file.create_dataset("obs/clusters", data=np.zeros(30, dtype=np.int8))
        codes.attrs["categories"] = h5py.Dataset(hidden).ref
        places = [h5py.h5o.get_info(one).addr for one in (hidden, decoy.id)]
    content = bytearray(path.read_bytes())
    found = content.find(b"SNOD")
    turned = 0
    while found >= 0:
        for number in range(int.from_bytes(content[found + 6 : found + 8], "little")):
            entry = found + 16 + 40 * number
            if int.from_bytes(content[entry : entry + 8], "little") == places[0]:
                content[entry : entry + 8] = places[1].to_bytes(8, "little")
                turned += 1
        found = content.find(b"SNOD", found + 4)
    assert turned == 1
    path.write_bytes(content)
    return path, "a reference to an array outside its groups"


def other_file_by_link_of_a_chunk(folder: Path) -> tuple[Path, str]:
    (folder / "secret").write_bytes(SECRET.encode() * 100)
    path = store(folder)
    _array(path / "uns" / "w", dtype="|S20")
    (path / "uns" / "w" / "0").symlink_to(folder / "secret")
    return path, "symbolic link"


def other_file_by_link_in_a_folder(folder: Path) -> tuple[Path, str]:
    (folder / "secret").write_text(f"{SECRET}\n" * 30)
    path = folder / "matrix"
    path.mkdir()
    for name, content in market().items():
        (path / name).write_bytes(content)
    (path / "barcodes.tsv").unlink()
    (path / "barcodes.tsv").symlink_to(folder / "secret")
    return path, "symbolic link"


#: All that has to be refused.
HOSTILE = [
    time_comments,
    time_entries_of_uns,
    memory_dense,
    memory_shared_strings,
    memory_chunk,
    memory_zarr_chunk,
    memory_zarr_fill,
    memory_zarr3_type,
    memory_gz_in_a_zip,
    other_file_by_reference,
    other_file_by_unlinked_reference,
    other_file_by_link_of_a_chunk,
    other_file_by_link_in_a_folder,
]
