"""The child's side: ``python -m splicedvae.io.gate._child``, started and spoken to by `_reader`.

The process imports the readers once and then waits for requests, one line each: a folder with
``request.json``. Each is answered by a fork of its own, which takes all rights from itself, reads
the file, writes the clean one and ends; so an import is paid once, and no file meets what another
left behind. Where a process cannot fork safely it answers one request itself.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import psutil

from splicedvae import io
from splicedvae._core.errors import DataError
from splicedvae._core.messages import about, file_name
from splicedvae._core.notes import Note
from splicedvae.io import _opening
from splicedvae.io.gate import _clean
from splicedvae.io.gate._bounds import ERRORS, REQUEST, TIME, Bounds
from splicedvae.io.gate._confine import bound, confine, end_with_parent

#: Seconds without a request after which the process ends.
_IDLE: Final = 60.0
#: Bytes beyond its bound that a fork may be seen to hold: packages, and pages not yet counted.
_SLACK: Final = 1024**3


def serve() -> None:
    """Answer requests until there are no more for a while, or the caller is gone."""
    forks = sys.platform.startswith("linux")
    gc.freeze()
    while True:
        if forks and not select.select([sys.stdin], [], [], _IDLE)[0]:
            return
        line = sys.stdin.readline()
        if not line:
            return
        scratch = Path(json.loads(line))
        if not forks:
            answer(scratch)
            _say(0)
            return
        child = os.fork()
        if child == 0:
            _answer_and_end(scratch)
        code = _watch(child, Bounds(**_request(scratch)["bounds"]))
        if code is None:
            return
        _say(code)


def _say(code: int) -> None:
    print(code, flush=True)


def _request(scratch: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((scratch / REQUEST).read_text("utf-8"))
    return found


def _answer_and_end(scratch: Path) -> NoReturn:
    """Be the fork: whatever is raised, it never returns to the requests."""
    code = 1
    try:
        _begin(scratch)
        answer(scratch)
        code = 0
    except MemoryError:
        code = int(signal.SIGABRT)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        # What was read is let go with the process; taking it apart takes a second.
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def _begin(scratch: Path) -> None:
    """Turn a fork into a process of its own, with no way to its parent."""
    end_with_parent()
    os.setsid()
    errors = os.open(scratch / ERRORS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (errors, 1), (errors, 2)):
        os.dup2(source, target)
    os.closerange(3, 256)
    os.chdir(scratch)


def _watch(child: int, bounds: Bounds) -> int | None:
    """Wait for a fork, and end it where it takes more time or memory than it may.

    Returns
    -------
    0, the number of the signal that ended it, or `TIME`; None where the caller is gone.
    """
    ends = time.monotonic() + bounds.clock
    pause = 0.002
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return TIME if code == -signal.SIGXCPU else abs(code)
        why = None
        if time.monotonic() > ends:
            why = TIME
        elif _held(child) > bounds.memory + _SLACK:
            why = int(signal.SIGKILL)
        gone = bool(select.select([sys.stdin], [], [], pause)[0])
        if why is not None or gone:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None if gone else why
        pause = min(0.2, pause * 1.3)


def _held(child: int) -> int:
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(child).memory_info().rss)
    return 0


def answer(scratch: Path) -> None:
    """Read a file and leave a clean one, or a sentence."""
    request = _request(scratch)
    tempfile.tempdir = str(scratch)
    left = [*confine(Path(request["path"]), scratch), *bound(Bounds(**request["bounds"]))]
    told: dict[str, Any]
    try:
        with about(file_name(request["path"])), _opening.sentences():
            told = _read(request, scratch)
    except DataError as error:
        traceback.print_exc()
        notes = [Note.of(note).to_dict() for note in error.notes]
        told = {"error": str(error), "notes": notes}
    _clean.write_answer({**told, "left": left}, scratch)


def _read(request: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    path, most, options = request["path"], request["bounds"]["arrays"], request["options"]
    if request["backed"]:
        opened = io.read_backed(path, total=options["total"], max_bytes=most)
        if opened is not None:
            return {**_clean.write(opened, scratch), "backed": True}
    result = io.read(path, **options, max_bytes=most)
    return {**_clean.write(result, scratch), "backed": False}


if __name__ == "__main__":
    serve()
