"""An HDF5 file is walked link by link before anything reads it.

HDF5 lets a file point at other files (external links, external storage, virtual datasets), load
filter plugins, form loops of links and declare arrays far larger than itself. None of that
occurs in count files, so all of it is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np

from splicedvae._core.errors import DataError
from splicedvae._core.messages import shown
from splicedvae._core.sparse import check_lengths
from splicedvae.io._limits import Limits

_FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_SZIP,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_SCALEOFFSET,
    h5py.h5z.FILTER_LZF,
}
_OBJECT_BYTES = 64
#: Loom matrices are dense on disk but are read in blocks into sparse ones.
_BLOCKWISE_FACTOR = 16


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; whatever HDF5 says goes into one sentence.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DataError
        The file is damaged, cut off or locked, or reading it fails inside the block.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DataError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        text = str(error).lower()
        if "truncated" in text:
            raise DataError(
                "it is cut off (its end is missing), expected a complete HDF5 file; copy "
                "or download it again."
            ) from error
        if "lock" in text:
            raise DataError(
                "another program has it open for writing, expected a file that is not in "
                "use; close it there and try again."
            ) from error
        raise DataError(
            "it is a damaged HDF5 file, HDF5 cannot read all of its structure; copy or download "
            "it again."
        ) from error


def walk(file: h5py.File, limits: Limits) -> None:
    """Check every link, dataset and filter of an open file without reading its arrays.

    Parameters
    ----------
    file
        File opened for reading.
    limits
        Bounds on objects, depth and declared bytes.

    Raises
    ------
    DataError
        A link or storage outside the file, a group reached twice, an unknown filter, or a
        declared size beyond the limits.
    """
    stored = Path(file.filename).stat().st_size
    blockwise = is_loom(file)
    seen: set[Any] = {_identity(file)}
    linked: set[Any] = set(seen)
    references: list[tuple[str, Any]] = list(_references(file, ""))
    waiting: list[tuple[h5py.Group, str, int]] = [(file, "", 0)]
    declared = in_blocks = objects = 0
    while waiting:
        group, prefix, depth = waiting.pop()
        if depth > limits.max_depth:
            raise DataError(
                f"its groups are nested more than {limits.max_depth} deep, expected a count "
                "file with a few levels; write it again without the nested entries."
            )
        for key in group:
            where = f"{prefix}/{key}".lstrip("/")
            objects += 1
            if objects > limits.max_objects:
                raise DataError(
                    f"it holds more than {limits.max_objects:,} groups and arrays, expected "
                    "a count file with fewer; remove what is not needed, such as entries "
                    "of uns."
                )
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise DataError(
                    f"its entry {shown(where)} is a link to another file, expected all data "
                    "in this one; write it again with the data inside."
                )
            if isinstance(link, h5py.SoftLink):
                raise DataError(
                    f"its entry {shown(where)} is a soft link, expected plain groups and "
                    "arrays; write it again with the data in place."
                )
            item = group[key]
            linked.add(_identity(item))
            references += _references(item, where)
            if isinstance(item, h5py.Group):
                identity = _identity(item)
                if identity in seen:
                    raise DataError(
                        f"its group {shown(where)} is reached by more than one way (a cycle "
                        "of links), expected a tree; write it again from the original data."
                    )
                seen.add(identity)
                _check_sparse_group(item, where)
                waiting.append((item, where, depth + 1))
            elif isinstance(item, h5py.Dataset):
                size = _check_dataset(item, where)
                if blockwise and (where == "matrix" or where.startswith("layers/")):
                    in_blocks += size
                else:
                    declared += size
    _check_references(file, references, linked)
    limits.check_size(declared, stored=stored)
    limits.check_size(in_blocks // _BLOCKWISE_FACTOR)
    limits.check_size(min(declared + in_blocks, limits.max_bytes), stored=stored)


def is_loom(file: h5py.File) -> bool:
    """Whether the root looks like a loom file's."""
    return "matrix" in file and "row_attrs" in file and "col_attrs" in file


def _references(item: h5py.HLObject, where: str) -> Iterator[tuple[str, Any]]:
    """Yield the references that an object's attributes hold: old tables find categories by them."""
    for key in item.attrs:
        attribute = h5py.h5a.open(item.id, item._e(key))
        kind = attribute.get_type()
        if kind.get_class() != h5py.h5t.REFERENCE:
            continue
        place = shown(f"{where}:{key}")
        if not kind.equal(h5py.h5t.STD_REF_OBJ):
            raise DataError(
                f"its attribute {place} refers to a region of an array, expected plain values; "
                "write it again with a current version of its tool."
            )
        for reference in np.asarray(item.attrs[key], dtype=object).ravel():
            yield place, reference


def _check_references(file: h5py.File, references: list[tuple[str, Any]], linked: set[Any]) -> None:
    """Refuse a reference to what no link leads to: it was not looked at, and may lead anywhere."""
    for where, reference in references:
        if not reference:
            continue
        found = h5py.h5r.dereference(reference, file.id)
        info = h5py.h5o.get_info(found)
        if (info.fileno, info.addr) not in linked:
            raise DataError(
                f"its attribute {where} holds a reference to an array outside its groups, "
                "expected all data in groups; write it again from the original data."
            )


def _refers(kind: np.dtype) -> bool:
    """Whether a type holds references, alone or in parts."""
    if h5py.check_ref_dtype(kind) is not None:
        return True
    inner = h5py.check_vlen_dtype(kind)
    if isinstance(inner, np.dtype):
        return _refers(inner)
    if kind.subdtype is not None:
        return _refers(kind.subdtype[0])
    return any(_refers(part[0]) for part in (kind.fields or {}).values())


def _identity(item: h5py.HLObject) -> Any:
    info = h5py.h5o.get_info(item.id)
    return (info.fileno, info.addr)


def _check_dataset(dataset: h5py.Dataset, where: str) -> int:
    created = dataset.id.get_create_plist()
    if created.get_external_count() > 0:
        raise DataError(
            f"its array {shown(where)} is stored in another file (external storage), "
            "expected all data in this one; write it again with the data inside."
        )
    if dataset.is_virtual:
        raise DataError(
            f"its array {shown(where)} is a virtual dataset made from other files, expected "
            "all data in this one; write it again with the data inside."
        )
    for number in range(created.get_nfilters()):
        code = int(created.get_filter(number)[0])
        if code not in _FILTERS or not h5py.h5z.filter_avail(code):
            raise DataError(
                f"its array {shown(where)} is packed with HDF5 filter {code}, "
                "expected gzip, LZF or none; write it again with compression='gzip'."
            )
    kind = dataset.dtype  # h5py raises TypeError for types that have no numpy counterpart
    if _refers(kind):
        raise DataError(
            f"its array {shown(where)} holds references to other parts of the file, expected "
            "numbers and texts; leave it out and write the file again."
        )
    width = _OBJECT_BYTES if kind.kind == "O" else max(1, kind.itemsize)
    chunk = 1
    for length in dataset.chunks or (0,):
        chunk *= length
    return max(int(dataset.size or 0), chunk) * width


def _check_sparse_group(group: h5py.Group, where: str) -> None:
    if not {"data", "indices", "indptr"} <= set(group.keys()):
        return
    kind = group.attrs.get("encoding-type", group.attrs.get("h5sparse_format"))
    shape = group.attrs.get("shape", group.attrs.get("h5sparse_shape"))
    if kind is None or shape is None:
        return
    parts = {key: group.get(key, getclass=True) for key in ("data", "indices", "indptr")}
    if any(part is not h5py.Dataset for part in parts.values()):
        raise DataError(
            f"{shown(where)} is a damaged sparse matrix: expected arrays in it; write the "
            "file again from an intact matrix."
        )
    sizes = np.asarray(shape)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iuf":
        raise DataError(
            f"{shown(where)} is a damaged sparse matrix: its shape is not a list of "
            "numbers; write the file again from an intact matrix."
        )
    arrays = {
        key: SimpleNamespace(shape=group[key].shape or (), dtype=group[key].dtype) for key in parts
    }
    check_lengths(
        arrays["data"],
        arrays["indices"],
        arrays["indptr"],
        [int(size) for size in sizes],
        where=shown(where),
        major=1 if "csc" in str(kind) else 0,
    )
