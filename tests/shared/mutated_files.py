"""Count files of every format with something in them changed, by the number of a mutation.

    python tests/shared/mutated_files.py --first 0 --inputs 100000

puts many through the gate and the summary of a file, and prints what came out of it. What is not an
answer or a sentence is kept in a folder and told at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import hostile_files
import numpy as np
from numpy.random import Generator
from scipy import sparse

from splicedvae import triage
from splicedvae._core.errors import DataError, ReaderDiedError
from splicedvae.io import gate

FORMATS = ("h5ad", "loom", "tenx", "mtx", "zarr2", "zarr3")
_STRANGE = (0, -1, 1, 2**31, 2**62, 1e300, float("nan"), "", "\0", "csr_matrix", "array", "null")
_STRANGE_TOO = ("categorical", "dict", "dataframe", None, [], [1, 2], {"a": 1}, True, "x" * 5000)


def seed(kind: str, folder: Path) -> Path:
    """Write a small sound file of a format."""
    data = hostile_files.cells()
    if kind == "h5ad":
        data.obsm["X_umap"] = np.random.default_rng(0).normal(size=(30, 2))
        data.uns["some"] = {"text": "a", "numbers": np.arange(3)}
        data.raw = data.copy()
        data.write_h5ad(folder / "seed.h5ad")
        return folder / "seed.h5ad"
    if kind == "mtx":
        return hostile_files.zipped(folder, "seed.zip", hostile_files.market())
    if kind.startswith("zarr"):
        store = hostile_files.store(folder, int(kind[-1]))
        return hostile_files.zipped_folder(store, folder / "seed.zip")
    path = folder / ("seed.loom" if kind == "loom" else "seed.h5")
    with h5py.File(path, "w") as file:
        if kind == "loom":
            for name, counts in (("matrix", data.X), *data.layers.items()):
                where = name if name == "matrix" else f"layers/{name}"
                file.create_dataset(where, data=counts.T.toarray(), chunks=True, compression="gzip")
            file["row_attrs/Gene"] = data.var_names.to_numpy().astype("S")
            file["col_attrs/CellID"] = data.obs_names.to_numpy().astype("S")
        else:
            by_gene = sparse.csc_matrix(data.X.T).astype(np.int32)
            group = file.create_group("matrix")
            for key in ("data", "indices", "indptr"):
                group.create_dataset(key, data=getattr(by_gene, key), chunks=True, compression=4)
            group["shape"] = np.array(by_gene.shape)
            group["barcodes"] = data.obs_names.to_numpy().astype("S")
            for key in ("id", "name", "feature_type", "genome"):
                group[f"features/{key}"] = data.var_names.to_numpy().astype("S")
    return path


def mutated(path: Path, rng: Generator) -> None:
    """Change a file in place: its bytes, or what they stand for."""
    if rng.random() < 0.35:
        path.write_bytes(_bytes(path.read_bytes(), rng))
    elif path.suffix == ".zip":
        _zip(path, rng)
    else:
        with h5py.File(path, "r+") as file:
            for _ in range(int(rng.integers(1, 3))):
                _hdf5(file, rng)


def _bytes(content: bytes, rng: Generator) -> bytes:
    out = bytearray(content)
    if not out:
        return b""
    if rng.random() < 0.1:
        return bytes(out[: int(rng.integers(len(out)))])
    for _ in range(int(rng.integers(1, 9))):
        place = int(rng.integers(len(out)))
        way = rng.random()
        if way < 0.5:
            out[place] ^= 1 << int(rng.integers(8))
        elif way < 0.8:
            out[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
        else:
            source = int(rng.integers(len(out)))
            part = out[source : source + int(rng.integers(1, 64))]
            out[place : place + len(part)] = part
    return bytes(out)


def _strange(rng: Generator) -> Any:
    values = (*_STRANGE, *_STRANGE_TOO)
    return values[int(rng.integers(len(values)))]


def _hdf5(file: h5py.File, rng: Generator) -> None:
    names: list[str] = []
    file.visit(names.append)
    if not names:
        return
    name = names[int(rng.integers(len(names)))]
    item = file[name]
    way = rng.random()
    if way < 0.35 and len(item.attrs):
        key = list(item.attrs)[int(rng.integers(len(item.attrs)))]
        value = _strange(rng)
        del item.attrs[key]
        if value is not None and not isinstance(value, dict) and value != "\0":
            item.attrs[key] = value
    elif way < 0.45:
        del file[name]
    elif isinstance(item, h5py.Dataset) and item.shape:
        _dataset(file, name, rng)


def _dataset(file: h5py.File, name: str, rng: Generator) -> None:
    """Replace an array by another of other values, types or lengths."""
    item = file[name]
    attributes = dict(item.attrs)
    values = item[()]
    del file[name]
    way = int(rng.integers(7))
    if way == 0 and values.dtype.kind in "iuf":
        flat = values.ravel()
        flat[int(rng.integers(flat.size)) if flat.size else slice(0)] = rng.choice(
            [-1, 0, 120, 127]
        )
    elif way == 1:
        values = values[: int(rng.integers(len(values) + 1))]
    elif way == 2 and values.dtype.kind in "iuf":
        kind = ["i1", ">f4", "f8", "S3", "u8", ">i2", "c8", "?"][int(rng.integers(8))]
        with np.errstate(all="ignore"):
            values = values.astype(kind)
    elif way == 3:
        values = np.concatenate([values, values])
    elif way == 4:
        values = values[None]
    elif way == 5:
        values = np.array([(1, b"x")] * len(values), dtype=[("a", "i4"), ("b", "S2")])
    else:
        made = file.create_dataset(name, (len(values),), h5py.vlen_dtype(np.int32))
        made[:] = [np.arange(n % 3, dtype=np.int32) for n in range(len(values))]
        made.attrs.update(attributes)
        return
    kind = h5py.string_dtype() if values.dtype == object else values.dtype
    file.create_dataset(name, data=values, dtype=kind).attrs.update(attributes)


def _zip(path: Path, rng: Generator) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = list(files)[int(rng.integers(len(files)))]
    content = files[name]
    way = rng.random()
    if way < 0.1:
        del files[name]
    elif content.startswith(b"{") and way < 0.8:
        told = json.loads(content)
        _json(told, rng)
        files[name] = json.dumps(told).encode()
    elif name.endswith((".mtx", ".tsv")) and way < 0.8:
        lines = content.split(b"\n")
        place = int(rng.integers(len(lines)))
        words = (b"", b"-1 -1 -1", b"1 1 1e300", b"% comment", b"99999999999 1 1", b"1 1", b"nan")
        lines[place] = words[int(rng.integers(len(words)))]
        files[name] = b"\n".join(lines)
    else:
        files[name] = _bytes(content, rng)
    hostile_files.zipped(path.parent, path.name, files)


def _json(told: Any, rng: Generator) -> None:
    """Change one value somewhere in a JSON object."""
    places: list[tuple[Any, Any]] = []
    waiting = [told]
    while waiting:
        inner = waiting.pop()
        items = inner.items() if isinstance(inner, dict) else enumerate(inner)
        for key, value in items:
            places.append((inner, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    if places:
        inner, key = places[int(rng.integers(len(places)))]
        inner[key] = _strange(rng)


def outcome(path: Path) -> str:
    """Read a file through the gate and summarize it: ``"read"``, ``"sentence"`` or ``"died"``.

    Raises
    ------
    Exception
        Whatever is neither an answer nor a sentence.
    """
    try:
        result = gate.read(path)
        candidates = triage.cluster_candidates(result.adata)
        triage.inspect(result, cluster_key=candidates[0] if candidates else None)
    except DataError as error:
        message = str(error)
        assert "\n" not in message, message
        assert message.endswith("."), message
        assert "Traceback" not in message, message
        return "died" if isinstance(error, ReaderDiedError) else "sentence"
    return "read"


class Mutations:
    """Mutations by number; the same number gives the same file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seeds: dict[str, bytes] = {}
        self._names: dict[str, str] = {}
        for kind in FORMATS:
            home = folder / kind
            home.mkdir()
            path = seed(kind, home)
            self._seeds[kind], self._names[kind] = path.read_bytes(), path.name

    def file(self, number: int) -> Path:
        kind = FORMATS[number % len(FORMATS)]
        path = self._folder / kind / self._names[kind]
        path.write_bytes(self._seeds[kind])
        mutated(path, np.random.default_rng(number))
        return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=1e9, help="End after this time.")
    parser.add_argument("--keep", type=Path, default=Path("mutated"))
    asked = parser.parse_args()
    ends = time.monotonic() + 60 * asked.minutes
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        mutations = Mutations(Path(folder))
        for number in range(asked.first, asked.first + asked.inputs):
            path = mutations.file(number)
            began = time.monotonic()
            try:
                counts[outcome(path)] += 1
            except Exception:  # noqa: BLE001 - looked for here, whatever it is
                counts["neither"] += 1
                asked.keep.mkdir(exist_ok=True)
                shutil.copy(path, asked.keep / f"{number}-{path.name}")
                (asked.keep / f"{number}.txt").write_text(traceback.format_exc())
            counts["slower than 10 s"] += time.monotonic() - began > 10
            if time.monotonic() > ends:
                break
    print(f"mutations from {asked.first}: {dict(counts)}")


if __name__ == "__main__":
    main()
