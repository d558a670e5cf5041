"""`read` and `open_counts`: ask a child, watch it, and open what it wrote."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import psutil

from splicedvae._core.errors import ReaderDiedError
from splicedvae._core.keys import Ambiguous
from splicedvae._core.messages import about, file_name, shown
from splicedvae._core.notes import Note
from splicedvae.io._backed import BackedCounts
from splicedvae.io._limits import MAX_BYTES_VARIABLE, size_words
from splicedvae.io._opening import existing, sentences
from splicedvae.io._result import ReadResult
from splicedvae.io.gate import _clean
from splicedvae.io.gate._bounds import (
    ERRORS,
    REQUEST,
    SECONDS_VARIABLE,
    TIME,
    Bounds,
    stored_bytes,
)
from splicedvae.io.gate._reader import reader

_LOG: Final = logging.getLogger(__name__)
_PREFIX: Final = "splicedvae-gate-"
#: C++ code ends its process where it gets no memory, the kernel where there is none left.
_BY_MEMORY: Final = (int(signal.SIGABRT), int(getattr(signal, "SIGKILL", 9)))


def read(
    path: str | os.PathLike[str],
    *,
    total: str | None = None,
    spliced_layer: str | None = None,
    unspliced_layer: str | None = None,
    ambiguous_layer: str | None = None,
    ambiguous: Ambiguous | None = None,
    max_bytes: int | None = None,
) -> ReadResult:
    """Do as `splicedvae.io.read` does, with the file opened in a process of its own.

    Parameters
    ----------
    path
        File or folder.
    total, spliced_layer, unspliced_layer, ambiguous_layer, ambiguous
        As for `splicedvae.io.read`.
    max_bytes
        Bytes that the file's arrays may take in memory; ``None`` takes the environment variable
        ``SPLICEDVAE_MAX_BYTES``, else what `Bounds.of` derives from the size of the file and
        the memory that is free.

    Returns
    -------
    The data in one shape, with notes on what was taken from where.

    Raises
    ------
    DataError
        As for `splicedvae.io.read`.
    ReaderDiedError
        The file ended the process that read it, or took more time than it may.

    Examples
    --------
    >>> result = splicedvae.io.gate.read("cells.h5ad")  # doctest: +SKIP
    """
    options = {
        "total": total,
        "spliced_layer": spliced_layer,
        "unspliced_layer": unspliced_layer,
        "ambiguous_layer": ambiguous_layer,
        "ambiguous": ambiguous,
    }
    with ExitStack() as closing:
        found = _ask(path, options, max_bytes, closing, backed=False)
        assert isinstance(found, ReadResult)
        return found


def open_counts(
    path: str | os.PathLike[str],
    *,
    total: str | None = None,
    spliced_layer: str | None = None,
    unspliced_layer: str | None = None,
    ambiguous_layer: str | None = None,
    ambiguous: Ambiguous | None = None,
    max_bytes: int | None = None,
) -> BackedCounts | ReadResult:
    """Read a file as `read` does, and leave its totals on disk where that can be.

    Parameters
    ----------
    path
        File or folder.
    total, spliced_layer, unspliced_layer, ambiguous_layer, ambiguous, max_bytes
        As for `read`.

    Returns
    -------
    What `splicedvae.io.read_backed` gives of the clean file, to be closed; or, where the file has
    to be read as a whole or a layer is named, what `read` gives.

    Raises
    ------
    DataError
        As for `read`.
    ReaderDiedError
        As for `read`.
    """
    options = {
        "total": total,
        "spliced_layer": spliced_layer,
        "unspliced_layer": unspliced_layer,
        "ambiguous_layer": ambiguous_layer,
        "ambiguous": ambiguous,
    }
    named = any(value for key, value in options.items() if key != "total")
    closing = ExitStack()
    with ExitStack() as guard:
        guard.callback(closing.close)
        found = _ask(path, options, max_bytes, closing, backed=not named)
        if isinstance(found, BackedCounts):  # it closes them itself
            guard.pop_all()
        return found


def _ask(
    path: str | os.PathLike[str],
    options: Mapping[str, Any],
    max_bytes: int | None,
    closing: ExitStack,
    *,
    backed: bool,
) -> BackedCounts | ReadResult:
    name = file_name(os.fspath(path))
    with about(name):
        place = existing(path).absolute()
        with sentences():
            bounds = Bounds.of(stored_bytes(place), max_bytes)
        scratch = _scratch(closing)
        request = {
            "path": str(place),
            "options": dict(options),
            "bounds": asdict(bounds),
            "backed": backed,
        }
        (scratch / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        ended = None
        while ended is None:
            with reader() as reading:
                ended = reading.ask(scratch, bounds)
        answer = _clean.answer_in(scratch)
        _log(name, scratch)
        if ended or answer is None:
            raise ReaderDiedError(_death(ended, bounds))
        if "error" in answer:
            raise _clean.refused(answer)
        answer["notes"] += [_unconfined(left).to_dict() for left in [answer["left"]] if left]
        with sentences():
            if answer["backed"]:
                return _clean.backed_of(answer, scratch, closing)
            return _clean.result_of(answer, scratch)


def _scratch(closing: ExitStack) -> Path:
    """Make a folder for the child, which goes when ``closing`` is closed."""
    owner = psutil.Process()
    prefix = f"{_PREFIX}{owner.pid}-"
    scratch = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
    closing.callback(shutil.rmtree, scratch, ignore_errors=True)
    return scratch


def clear_leftovers() -> None:
    """Delete folders of children whose caller was killed."""
    for place in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = place.name.removeprefix(_PREFIX).split("-")[0]
        if owner.isdigit() and int(owner) != os.getpid() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(place, ignore_errors=True)


def _log(name: str, scratch: Path) -> None:
    """Keep what the child wrote of its errors for whoever looks for it in the log."""
    place = scratch / ERRORS
    if not place.is_file():  # the process broke off before there was one
        return
    text = place.read_bytes()[-4000:].decode("utf-8", "replace").strip()
    if text:
        _LOG.info("reading %s: %s", name, "\n".join(shown(row) for row in text.splitlines()))


def _death(ended: int, bounds: Bounds) -> str:
    if ended == TIME:
        return (
            f"reading it took more than {bounds.seconds} s of processor time, expected less for a "
            "file of its size; write it again from the original data, or set "
            f"{SECONDS_VARIABLE} to more seconds."
        )
    if ended in _BY_MEMORY:
        return (
            f"reading it took more memory than the {size_words(bounds.memory)} that it may take "
            f"here; leave out unneeded layers, keep matrices sparse, or raise {MAX_BYTES_VARIABLE}."
        )
    return (
        "the process that read it broke off, as damaged files make it do, expected a sound file; "
        "copy or download it again, or write it again from the original data."
    )


def _unconfined(left: list[str]) -> Note:
    words = ", ".join(left)
    return Note(
        f"The process that opened the file could not be kept from {words} on this system, so only "
        "files of known origin should be opened here.",
        "gate-open",
    )
