"""One process at a time decides about the runs folder.

The lock belongs to an open file, so that the system releases it when its holder dies; a lock
made of a file's existence would stay behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from splicedvae._core.errors import RunError
from splicedvae._core.files import why_unwritten


@contextmanager
def locked(folder: Path, refused: str = "nothing was changed") -> Iterator[None]:
    """Hold the lock of a runs folder, waiting for it; it is not reentrant.

    Parameters
    ----------
    folder
        The folder, made if it is not there.
    refused
        What was not done if the folder cannot be written to, as the middle of a sentence.

    Raises
    ------
    RunError
        If the system refuses to write into the folder, in the body too.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            yield
    except OSError as error:
        raise RunError(why_unwritten(error, refused)) from error
