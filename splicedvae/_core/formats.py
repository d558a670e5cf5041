"""The file formats that are read, each declared once.

Texts about formats, the files that a page offers, and the checks of the gate are derived from
these declarations. Each format's module recognizes it by its content and reads it;
see `splicedvae.io.formats`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Final, Literal

#: Name endings that say nothing of what is in a file.
GENERAL_ENDINGS: Final = frozenset({".h5", ".zip"})


@dataclass(frozen=True)
class FileFormat:
    """A format in which counts come.

    Attributes
    ----------
    name
        What it is called in results and notes.
    label
        What it is called where a file or folder is asked for.
    upload
        What it is called where one file is asked for: how a folder is brought as one.
    container
        What its module is asked about: an open HDF5 file, a folder, or the first bytes of a file.
    module
        Name of its module in `splicedvae.io.formats`.
    endings
        Of names of its files or folders.
    in_blocks
        Whether totals can stay on disk and be read some cells at a time.
    """

    name: str
    label: str
    upload: str
    container: Literal["hdf5", "folder", "file"]
    module: str
    endings: tuple[str, ...] = ()
    in_blocks: bool = False

    @property
    def code(self) -> ModuleType:
        """The module that recognizes and reads it."""
        return importlib.import_module(f"splicedvae.io.formats.{self.module}")


#: All formats, in the order in which they are told and tried.
FORMATS: Final = (
    FileFormat("h5ad", "h5ad", "h5ad", "hdf5", "_h5ad", (".h5ad",), in_blocks=True),
    FileFormat("loom", "loom", "loom", "hdf5", "_loom", (".loom",)),
    FileFormat("10x h5", "10x h5", "10x h5", "hdf5", "_tenx", (".h5",)),
    FileFormat("zarr", "zarr", "zarr.zip", "folder", "_zarr", (".zarr",), in_blocks=True),
    # Whatever no other format recognizes in a folder is refused by this one.
    FileFormat(
        "mtx folder",
        "a folder (or zip) of Matrix Market files",
        "a zip of a matrix folder (mtx)",
        "folder",
        "_mtx",
    ),
)


def _listed(labels: Iterable[str]) -> str:
    *first, last = labels
    return f"{', '.join(first)} or {last}"


#: What is expected of a file or folder, and of one file.
ACCEPTED: Final = _listed(one.label for one in FORMATS)
UPLOADS: Final = _listed(one.upload for one in FORMATS)
#: Name endings of files that can be brought, folders as a zip.
FILE_ENDINGS: Final = (
    *(ending for one in FORMATS if one.container != "folder" for ending in one.endings),
    ".zip",
)
#: Name endings of folders.
FOLDER_ENDINGS: Final = tuple(
    ending for one in FORMATS if one.container == "folder" for ending in one.endings
)


def format_of_ending(ending: str) -> FileFormat | None:
    """Return the format that a name's ending claims; None where it claims none.

    Parameters
    ----------
    ending
        With its dot, such as ``".loom"``.
    """
    if ending.lower() in GENERAL_ENDINGS:
        return None
    return next((one for one in FORMATS if ending.lower() in one.endings), None)
