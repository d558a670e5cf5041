"""One digest for a file or a folder: a run recognizes its data by it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from splicedvae._core.errors import DataError
from splicedvae._core.layers import named_layers
from splicedvae._core.messages import about, file_name, shown

if TYPE_CHECKING:
    from anndata import AnnData

_BLOCK = 1 << 20


def refuse_links(folder: Path) -> None:
    """Refuse a folder in which something is a symbolic link, which may lead to any file.

    Parameters
    ----------
    folder
        It may be a link itself: who named it meant what it leads to.

    Raises
    ------
    DataError
        There is a link.
    """
    waiting = [os.fspath(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    place = Path(entry.path).relative_to(folder).as_posix()
                    raise DataError(
                        f"{shown(place)} in the folder is a symbolic link, expected plain files; "
                        "copy the folder with the files themselves (cp -rL)."
                    )
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, or of a folder's sorted contents.

    A folder's digest covers the relative path, length and bytes of every file in it, in the
    order of the paths, so that it does not depend on the file system.

    Parameters
    ----------
    path
        File or folder.

    Returns
    -------
    64 hexadecimal digits.

    Raises
    ------
    DataError
        The path does not exist or cannot be read.

    Examples
    --------
    >>> sha256("cells.h5ad")  # doctest: +SKIP
    '3fb1...'
    """
    name = file_name(os.fspath(path))
    try:
        place = Path(path)
        digest = hashlib.sha256()
        if not place.is_dir():
            _add(digest, place)
            return digest.hexdigest()
        with about(name):
            refuse_links(place)
        files = [file for file in place.rglob("*") if file.is_file()]
        for file in sorted(files, key=lambda file: file.relative_to(place).as_posix()):
            relative = file.relative_to(place).as_posix().encode("utf-8", "surrogateescape")
            digest.update(len(relative).to_bytes(8, "big") + relative)
            digest.update(file.stat().st_size.to_bytes(8, "big"))
            _add(digest, file)
        return digest.hexdigest()
    except DataError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(
            f"{name}: it does not exist or cannot be read; check the name and its permissions."
        ) from error


def _add(digest: hashlib._Hash, file: Path) -> None:
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)


def sha256_of_anndata(adata: AnnData) -> str:
    """SHA-256 of an AnnData's counts and names, for data that never was a file.

    Parameters
    ----------
    adata
        AnnData whose ``X`` and layers are canonical CSR matrices.

    Returns
    -------
    64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for names in (adata.obs_names, adata.var_names):
        for name in names:
            text = str(name).encode("utf-8", "surrogatepass")
            digest.update(len(text).to_bytes(8, "big") + text)
    for key in ("", *sorted(named_layers(adata))):
        matrix = adata.layers[key] if key else adata.X
        digest.update(key.encode() + b"\0")
        parts = (
            (matrix.indptr, matrix.indices, matrix.data)
            if hasattr(matrix, "indptr")
            else (np.asarray(matrix),)
        )
        for part in parts:
            wide = part.astype(np.int64) if part.dtype.kind in "iu" else part
            digest.update(np.ascontiguousarray(wide).tobytes())
    return digest.hexdigest()
