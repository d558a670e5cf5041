"""Writing so that a name never holds half a file or half a store."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` and put what was written there in its place.

    Parameters
    ----------
    path
        The final name of a file or folder. The folder it is in must exist.

    Yields
    ------
    The temporary name, with the suffix of ``path``. If the body raises, what was written is
    removed and ``path`` keeps its old content.
    """
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            # A folder that is not empty cannot be replaced in one step.
            old = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
            os.replace(path, old)
            os.replace(temporary, path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) in one step; see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
