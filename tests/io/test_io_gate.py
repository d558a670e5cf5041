"""Hostile and unlucky files: each gets one sentence, and the process lives on."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae.io import from_anndata, open_checked, read


def refused(path, match, **options) -> str:
    """The message, after checking that it is one sentence without a folder."""
    with pytest.raises(DataError, match=match) as caught:
        read(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert "Traceback" not in message
    assert str(Path(path).parent) not in message
    assert len(message) < 600
    return message


@pytest.fixture
def file(tmp_path, counts) -> Path:
    path = tmp_path / "cells.h5ad"
    counts.write_h5ad(path)
    return path


# what is not a file of counts ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"gene,cell\n1,2\n", "holds text although its name ends in .h5ad"),
        (b"%%MatrixMarket matrix coordinate integer general\n", "expected its folder"),
        (gzip.compress(b"x" * 100), "gzip-compressed"),
        (pickle.dumps({"a": 1}), "pickle, which can run commands"),
        (b"\x00\x01\x02\xff" * 50, "format is unknown"),
        (b"PK\x03\x04" + b"\x00" * 50, "zip is damaged"),
        (b"\x89HDF\r\n\x1a\n" + b"\x00" * 200, "damaged HDF5|cut off"),
    ],
    # gzip's header holds the time, and every worker must collect the same names.
    ids=["nothing", "text", "market", "gzip", "pickle", "noise", "zip", "hdf5"],
)
def test_other_content(tmp_path, content, match):
    path = tmp_path / "cells.h5ad"
    path.write_bytes(content)
    message = refused(path, match)
    assert message.startswith("cells.h5ad: ")


def test_missing_and_impossible_names(tmp_path):
    refused(tmp_path / "none.h5ad", "no such file")
    refused(tmp_path / ("x" * 300 + ".h5ad"), "too long")
    with pytest.raises(DataError, match="forbidden characters"):
        read("a\0b.h5ad")
    refused(tmp_path / ".." / "none.h5ad", "no such file")


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5ad")
    refused(tmp_path / "pipe.h5ad", "not a regular file")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
def test_cut_off_files(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    refused(file, "cut off|damaged")


def test_other_hdf5_files(tmp_path):
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as out:
        out["weights"] = np.zeros(3)
    refused(path, "holds weights, expected an AnnData")
    with h5py.File(path, "w") as out:
        out.create_group("mod")
    refused(path, "MuData")


def test_empty_folder(tmp_path):
    refused(tmp_path, "no Matrix Market")


# links, storage and size of HDF5 ------------------------------------------------------------


def test_external_link(file, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["x"] = np.arange(5)
    with h5py.File(file, "a") as out:
        out["uns/stolen"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/x")
    refused(file, "uns/stolen is a link to another file")


def test_soft_link(file):
    with h5py.File(file, "a") as out:
        out["uns/soft"] = h5py.SoftLink("/X")
    refused(file, "uns/soft is a soft link")


def test_external_storage(file, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"0123456789" * 10)
    with h5py.File(file, "a") as out:
        out["uns"].create_dataset(
            "stolen", shape=(100,), dtype="u1", external=[(str(secret), 0, 100)]
        )
    refused(file, "uns/stolen is stored in another file")


def test_virtual_dataset(file, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["x"] = np.arange(5)
    layout = h5py.VirtualLayout(shape=(5,), dtype="i8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", shape=(5,))
    with h5py.File(file, "a") as out:
        out.create_virtual_dataset("uns/stolen", layout)
    refused(file, "virtual dataset")


def test_unknown_filter(file):
    """A filter marked optional can be declared without the plugin at hand."""
    with h5py.File(file, "a") as out:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((10,))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        space = h5py.h5s.create_simple((10,))
        h5py.h5d.create(out["uns"].id, b"packed", h5py.h5t.NATIVE_INT32, space, plist)
    refused(file, "uns/packed is packed with HDF5 filter 32015")


def test_link_cycle(file):
    with h5py.File(file, "a") as out:
        group = out["uns"].create_group("loop")
        group["again"] = out["uns"]
    refused(file, "reached by more than one way")


def test_deep_groups(file):
    with h5py.File(file, "a") as out:
        group = out["uns"]
        for _ in range(3_000):
            group = group.create_group("g")
    refused(file, "nested more than 64 deep")


def test_size_bomb(file):
    with h5py.File(file, "a") as out:
        out["uns"].create_dataset(
            "big", shape=(8 * 1024**3,), dtype="u1", chunks=(1 << 20,), compression="gzip"
        )
    assert file.stat().st_size < 1_000_000
    refused(file, "declares 8.0 GiB of data but stores only")


def test_declared_size_beyond_the_limit(file, monkeypatch):
    refused(file, "at most 1.0 KiB are accepted", max_bytes=1024)
    monkeypatch.setenv("SPLICEDVAE_MAX_BYTES", "2048")
    refused(file, "at most 2.0 KiB are accepted")
    monkeypatch.setenv("SPLICEDVAE_MAX_BYTES", "lots")
    refused(file, "expected a positive number of bytes")
    monkeypatch.delenv("SPLICEDVAE_MAX_BYTES")
    assert read(file).adata.n_obs == 30


def test_loom_beyond_the_limit(tmp_path):
    path = tmp_path / "cells.loom"
    with h5py.File(path, "w") as out:
        out["matrix"] = np.random.default_rng(0).integers(1, 9, (200, 300)).astype("f4")
        out.create_group("row_attrs")["Gene"] = np.array([b"g%d" % i for i in range(200)])
        out.create_group("col_attrs")["CellID"] = np.array([b"c%d" % i for i in range(300)])
    assert read(path).adata.shape == (300, 200)
    refused(path, "would take", max_bytes=100_000)


# damaged sparse matrices --------------------------------------------------------------------


def change(file: Path, key: str, change_it) -> None:
    with h5py.File(file, "a") as out:
        values = out[key][()]
        changed = change_it(values)
        attributes = dict(out[key].attrs)
        del out[key]
        out[key] = changed
        out[key].attrs.update(attributes)


def put(place, value):
    def changed(values):
        values[place] = value
        return values

    return changed


DAMAGE = [
    ("indices", put(3, 10_000), "holds the index 10,000"),
    ("indices", put(3, 20), "holds the index 20"),
    ("indices", put(3, -1), "holds the index -1"),
    ("indptr", put(5, 0), "indptr decreases"),
    ("indptr", put(-1, 10**6), "indptr ends at 1,000,000"),
    ("indptr", put(0, 1), "indptr begins with 1"),
    ("indptr", lambda v: v[:-1], "indptr has 30 entries"),
    ("indices", lambda v: v[:-1], "expected equal numbers"),
    ("data", lambda v: v[:-1], "expected equal numbers"),
    ("indices", lambda v: v.astype("f8"), "expected integers"),
    ("data", lambda v: v.reshape(1, -1), "2 dimensions"),
]


@pytest.mark.parametrize("where", ["X", "layers/spliced"])
@pytest.mark.parametrize(("part", "damage", "match"), DAMAGE)
def test_damaged_sparse_matrices(file, where, part, damage, match):
    change(file, f"{where}/{part}", damage)
    message = refused(file, match)
    assert where in message


def test_damaged_sparse_matrix_in_any_corner(tmp_path, counts):
    for place in ("obsm", "obsp", "uns", "raw"):
        data = counts.copy()
        if place == "raw":
            data.raw = counts
        elif place == "uns":
            data.uns["deep"] = {"er": counts.X.copy()}
        elif place == "obsm":
            data.obsm["hidden"] = counts.X.copy()
        else:
            data.obsp["hidden"] = sparse.eye(30, format="csr")
        path = tmp_path / f"{place}.h5ad"
        data.write_h5ad(path)
        inner = {"obsm": "obsm/hidden", "obsp": "obsp/hidden", "uns": "uns/deep/er", "raw": "raw/X"}
        change(path, f"{inner[place]}/indices", put(2, 10**8))
        refused(path, "holds the index 100,000,000")


@pytest.mark.parametrize("shape", [(2**31, 2**31), (30, 2**40), (31, 20), (-1, 20)])
def test_absurd_sparse_shapes(file, shape):
    with h5py.File(file, "a") as out:
        out["X"].attrs["shape"] = np.array(shape)
    refused(file, "shape|indptr")


def test_damaged_matrices_in_memory(counts):
    counts.X.indices[3] = 10_000
    with pytest.raises(DataError, match="holds the index 10,000"):
        from_anndata(counts)


def test_a_damaged_file_leaves_a_process_alive(tmp_path, counts):
    """The same file opened without the gate ends a process by its first sum."""
    path = tmp_path / "cells.h5ad"
    counts.write_h5ad(path)
    change(path, "X/indices", put(slice(None), 2**30))
    code = (
        "import sys\n"
        "from splicedvae.io import read\n"
        "from splicedvae._core.errors import DataError\n"
        "try:\n"
        "    read(sys.argv[1])\n"
        "except DataError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "holds the index 1,073,741,824" in done.stdout


def test_bad_codes_of_a_category(file):
    change(file, "obs/clusters/codes", put(0, 100))
    refused(file, "cannot be read at obs/clusters")


def test_table_of_another_length(file):
    change(file, "obs/_index", lambda v: v[:-1])
    refused(file, "cannot be read")


def test_names_in_messages_are_bounded(file):
    name = "‮" + "x" * 5_000
    with h5py.File(file, "a") as out:
        out[f"uns/{name}"] = h5py.SoftLink("/X")
    message = refused(file, "soft link")
    assert "‮" not in message


# zips ---------------------------------------------------------------------------------------


def zip_of(path: Path, entries: dict[str, bytes], **options) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name", ["../evil.mtx", "a/../../evil.mtx", "/tmp/evil.mtx", "..\\evil.mtx", "C:\\evil.mtx"]
)
def test_zip_that_would_leave_its_folder(tmp_path, name):
    path = zip_of(tmp_path / "cells.zip", {name: b"x"})
    refused(path, "points outside the zip")
    assert not (tmp_path / "evil.mtx").exists()
    assert not (tmp_path.parent / "evil.mtx").exists()


def test_zarr_zip_that_would_leave_its_folder(tmp_path):
    path = zip_of(tmp_path / "cells.zarr.zip", {".zgroup": b"{}", "X/../../evil": b"x"})
    refused(path, "points outside the zip")


def test_zip_with_a_symbolic_link(tmp_path):
    path = tmp_path / "cells.zip"
    entry = zipfile.ZipInfo("matrix.mtx")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, "/etc/hostname")
    refused(path, "symbolic link")


def test_zip_bomb(tmp_path):
    content = b"0" * (1 << 20)
    path = tmp_path / "cells.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"{number}.mtx", content)
    refused(path, "would take 20.0 MiB", max_bytes=10 << 20)


def test_zip_that_understates_its_size(tmp_path):
    """What is really unpacked counts, not what the zip declares."""
    path = zip_of(tmp_path / "cells.zip", {"matrix.mtx": b"0" * 500_000}, compression=8)
    content = bytearray(path.read_bytes())
    size = (500_000).to_bytes(4, "little")
    for start in (content.find(size), content.rfind(size)):
        content[start : start + 4] = (10).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    refused(path, "damaged|would take", max_bytes=100_000)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_packed_in_an_unusual_way(tmp_path, method):
    refused(zip_of(tmp_path / "c.zip", {"a": b"x" * 100}, compression=method), "unusual way")


def test_zip_without_counts(tmp_path):
    refused(zip_of(tmp_path / "c.zip", {}), "zip is empty")
    refused(zip_of(tmp_path / "d.zip", {"readme.txt": b"hello"}), "holds only readme.txt")
    refused(zip_of(tmp_path / "e.zip", {"a": b"x", "a/b": b"x"}), "cannot be unpacked")


# zarr ---------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path, counts) -> Path:
    with anndata.settings.override(zarr_write_format=2):
        counts.write_zarr(tmp_path / "cells.zarr")
    return tmp_path / "cells.zarr"


class Trap:
    """Unpickling this creates a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


@pytest.mark.filterwarnings("ignore")
def test_zarr_that_holds_a_pickle_is_not_unpickled(store, tmp_path):
    trap = tmp_path / "sprung"
    array = store / "uns" / "origin"
    shutil.rmtree(array)
    array.mkdir()
    metadata = {
        "zarr_format": 2,
        "shape": [1],
        "chunks": [1],
        "dtype": "|O",
        "compressor": None,
        "fill_value": None,
        "order": "C",
        "filters": [{"id": "pickle", "protocol": 5}],
    }
    (array / ".zarray").write_text(json.dumps(metadata))
    (array / ".zattrs").write_text(json.dumps({"encoding-type": "array", "encoding-version": "0"}))
    (array / "0").write_bytes(pickle.dumps(np.array([Trap(trap)], dtype=object)))
    message = refused(store, "packed with the codec pickle")
    assert "uns/origin" in message
    assert not trap.exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"shape": [10**12], "chunks": [10**6]}, "would take"),
        ({"shape": "x"}, "no valid shape"),
        ({"shape": [-5]}, "no valid shape"),
        ({"compressor": {"id": 5}}, "name no codec"),
        ({"filters": [{"id": "evil"}]}, "codec evil"),
    ],
)
def test_zarr_metadata_that_lie(store, changes, match):
    place = store / "X" / "data" / ".zarray"
    place.write_text(json.dumps(json.loads(place.read_text()) | changes))
    refused(store, match)


@pytest.mark.filterwarnings("ignore")
def test_damaged_zarr(store):
    place = store / "X" / "data" / ".zarray"
    kept = place.read_text()
    for content in ("{", "[1]", "9" * 10_000):
        place.write_text(content)
        refused(store, "metadata of X/data are damaged")
    place.write_text(kept)
    (store / "X" / "data" / ".zgroup").write_text('{"zarr_format": 2}')
    refused(store, "declared as an array and as a group")
    (store / "X" / "data" / ".zgroup").unlink()
    (store / "X" / "data" / "0").write_bytes(b"nonsense")
    refused(store, "cannot be read")


@pytest.mark.filterwarnings("ignore")
def test_zarr_with_a_symbolic_link(store):
    (store / "uns" / "stolen").symlink_to("/etc")
    refused(store, "symbolic link")


# Matrix Market ------------------------------------------------------------------------------

HEAD = "%%MatrixMarket matrix coordinate integer general\n%\n"


def folder_with(tmp_path: Path, matrix: str | bytes, *, suffix: str = "") -> Path:
    content = matrix if isinstance(matrix, bytes) else matrix.encode()
    (tmp_path / f"matrix.mtx{suffix}").write_bytes(content)
    (tmp_path / "barcodes.tsv").write_text("c1\nc2\n")
    (tmp_path / "features.tsv").write_text("g1\ng2\ng3\n")
    return tmp_path


def test_sound_matrix_market_folder(tmp_path):
    result = read(folder_with(tmp_path, f"{HEAD}3 2 2\n1 1 4\n3 2 5\n"))
    assert result.adata.X.toarray().tolist() == [[4, 0, 0], [0, 0, 5]]


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        (f"{HEAD}3 2 2\n1 1 4\n4 2 5\n", "Row index out of bounds"),
        (f"{HEAD}3 2 2\n0 1 4\n3 2 5\n", "out of bounds"),
        (f"{HEAD}3 2 5\n1 1 4\n3 2 5\n", "damaged Matrix Market"),
        (f"{HEAD}3 2 1\n1 1 4\n3 2 5\n", "damaged Matrix Market"),
        (f"{HEAD}3 2 1\n1 1 x\n", "damaged Matrix Market"),
        (f"{HEAD}3 2 -1\n", "no line of sizes"),
        (f"{HEAD}2147483648 2147483648 1\n1 1 1\n", "fewer than 2,147,483,648"),
        (f"{HEAD}3 2 99999999999999\n1 1 1\n", "would take"),
        (f"{HEAD}5 2 1\n1 1 1\n", "2 barcodes and 3 genes"),
        ("hello\n", "does not begin as a Matrix Market"),
        ("%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4\n", "matrix coordinate"),
        ("%%MatrixMarket matrix coordinate pattern general\n3 2 1\n1 1\n", "expected numbers"),
        ("%%MatrixMarket matrix coordinate integer symmetric\n3 3 1\n1 1 1\n", "general"),
        ("%%MatrixMarket matrix coordinate real general\n3 2 1\n1 1 nan\n", "NaN"),
        ("%%MatrixMarket matrix coordinate real general\n3 2 1\n1 1 0.5\n", "fractional"),
        (f"{HEAD}3 2 1\n1 1 -4\n", "negative"),
    ],
)
def test_matrix_market_that_is_wrong(tmp_path, matrix, match):
    refused(folder_with(tmp_path, matrix), match)


def test_gzip_bomb_in_a_matrix_market_folder(tmp_path):
    lines = "1 1 1\n" * 500_000
    packed = gzip.compress(f"{HEAD}3 2 500000\n{lines}".encode())
    assert len(packed) < 100_000
    refused(folder_with(tmp_path, packed, suffix=".gz"), "would take", max_bytes=100_000)
    refused(tmp_path, "would take", max_bytes=500_000 * 16 - 1)


def test_cut_off_gzip(tmp_path):
    packed = gzip.compress(f"{HEAD}3 2 2\n1 1 4\n3 2 5\n".encode())
    refused(folder_with(tmp_path, packed[:-12], suffix=".gz"), "damaged|cut off")


def test_folder_without_names(tmp_path):
    (tmp_path / "matrix.mtx").write_text(f"{HEAD}3 2 1\n1 1 4\n")
    refused(tmp_path, "no barcodes file")


def test_open_checked_alone_tells_the_format(file):
    opened = open_checked(file)
    assert opened.format == "h5ad"
    assert opened.adata.shape == (30, 20)
