"""One process at a time decides about the runs folder.

The lock belongs to an open file, so that the system releases it when its holder dies; a lock
made of a file's existence would stay behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a runs folder, waiting for it; it is not reentrant.

    Parameters
    ----------
    folder
        The folder, made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield
