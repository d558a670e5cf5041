"""A zarr store's metadata is read as plain JSON before zarr opens it.

The metadata name the codecs that unpack an array, and one of them unpickles: only codecs that
cannot run anything are let through. Consolidated copies of the metadata are ignored, so that what
was looked at is what is used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData
from anndata.io import read_zarr

from splicedvae._core.errors import DataError
from splicedvae._core.messages import shown
from splicedvae.io._limits import Limits

if TYPE_CHECKING:
    import zarr

_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
_LARGEST_METADATA = 16 * 1024**2
_CODECS = {
    "blosc",
    "bytes",
    "crc32c",
    "delta",
    "fixedscaleoffset",
    "gzip",
    "lz4",
    "shuffle",
    "sharding_indexed",
    "transpose",
    "vlen-bytes",
    "vlen-utf8",
    "zlib",
    "zstd",
}
_OBJECT_BYTES = 64


def is_store(folder: Path) -> bool:
    """Whether a folder is the root of a zarr store."""
    return any((folder / name).is_file() for name in ("zarr.json", ".zgroup"))


def check(folder: Path, limits: Limits) -> None:
    """Check codecs and declared sizes of all arrays of a store.

    Parameters
    ----------
    folder
        Root of the store.
    limits
        Bounds on objects, depth and declared bytes.

    Raises
    ------
    DataError
        Unreadable metadata, an unknown codec, or too much.
    """
    declared = objects = 0
    waiting = [(folder, 0)]
    while waiting:
        here, depth = waiting.pop()
        objects += 1
        if depth > limits.max_depth or objects > limits.max_objects:
            raise DataError(
                f"the zarr store holds more than {limits.max_objects:,} groups or nests "
                f"them more than {limits.max_depth} deep, expected a count file; write it "
                "again without the nested entries."
            )
        where = shown(here.relative_to(folder).as_posix())
        kinds: set[str] = set()
        for name in _METADATA:
            place = here / name
            if not place.is_file():
                continue
            content = _json(place, where)
            if name == ".zarray" or (name == "zarr.json" and content.get("node_type") == "array"):
                kinds.add("array")
                declared += _check_array(content, where)
            elif name != ".zattrs":
                kinds.add("group")
        if len(kinds) == 2:
            raise DataError(
                f"the zarr store's entry {where} is declared as an array and as a group, "
                "expected one of them; write the store again."
            )
        if "array" not in kinds:  # the folders below an array hold its chunks
            waiting += [(below, depth + 1) for below in here.iterdir() if below.is_dir()]
    limits.check_size(declared)


def recognizes(folder: Path) -> bool:
    """Whether a folder is a zarr store."""
    return is_store(folder)


def read(place: Path, limits: Limits, notes: list[str]) -> AnnData:
    """Check a zarr store and read the AnnData in it."""
    check(place, limits)
    group = _open_group(place)
    if not _holds_anndata(group):
        raise DataError(
            "the zarr store holds no obs and var, expected an AnnData; write it with "
            "AnnData.write_zarr."
        )
    adata: AnnData = read_zarr(group)
    return adata


def stored(place: Path, limits: Limits, closing: ExitStack) -> zarr.Group | None:
    """Check and open a store whose matrices are to stay in it; None where it is no AnnData."""
    check(place, limits)
    group = _open_group(place)
    return group if _holds_anndata(group) else None


def _holds_anndata(group: zarr.Group) -> bool:
    return {"obs", "var"} <= set(group.keys())


def _open_group(folder: Path) -> zarr.Group:
    """Open a checked store for reading."""
    import zarr

    return zarr.open_group(str(folder), mode="r", use_consolidated=False)


def _json(place: Path, where: str) -> dict[str, Any]:
    damaged = DataError(
        f"the zarr store's metadata of {where} are damaged, expected a JSON object; copy "
        "the store again."
    )
    if place.stat().st_size > _LARGEST_METADATA:
        raise damaged
    try:
        content = json.loads(place.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged from error
    if not isinstance(content, dict):
        raise damaged
    return content


def _check_array(content: dict[str, Any], where: str) -> int:
    for codec in _codecs(content, where):
        if codec not in _CODECS:
            raise DataError(
                f"the zarr store's array {where} is packed with the codec {shown(codec)}, "
                "expected zstd, blosc, gzip or none; write it again with one of these."
            )
    grid = content.get("chunk_grid")
    chunks = content.get("chunks")
    if isinstance(grid, dict) and isinstance(grid.get("configuration"), dict):
        chunks = grid["configuration"].get("chunk_shape")
    sizes = [_product(content.get("shape"), where), _product(chunks or [], where)]
    return max(sizes) * _width(content.get("data_type", content.get("dtype")))


def _codecs(content: dict[str, Any], where: str) -> Iterable[str]:
    listed = [
        content.get("compressor"),
        *(content.get("filters") or []),
        *(content.get("codecs") or []),
        *(content.get("storage_transformers") or []),
    ]
    while listed:
        codec = listed.pop()
        if codec is None:
            continue
        if not isinstance(codec, dict):
            name: Any = codec
        else:
            name = codec.get("name", codec.get("id"))
            inner = codec.get("configuration")
            if isinstance(inner, dict):
                listed += [*(inner.get("codecs") or []), *(inner.get("index_codecs") or [])]
        if not isinstance(name, str):
            raise DataError(
                f"the zarr store's metadata of {where} name no codec, expected a name; copy "
                "the store again."
            )
        yield name.removeprefix("numcodecs.")


def _product(shape: Any, where: str) -> int:
    if not isinstance(shape, list) or not all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape
    ):
        raise DataError(
            f"the zarr store's array {where} has no valid shape, expected whole numbers; "
            "copy the store again."
        )
    return math.prod(shape)


def _width(kind: Any) -> int:
    try:
        return max(1, np.dtype(kind).itemsize or _OBJECT_BYTES)
    except (TypeError, ValueError):
        return _OBJECT_BYTES
