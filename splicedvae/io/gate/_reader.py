"""Processes that read files: started when first needed, used again, and never trusted."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from splicedvae.io.gate._bounds import DIED, TIME, Bounds

#: What the process keeps of the environment.
_KEPT: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV"),
    *("SYSTEMROOT", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONUTF8"),
)
_ONE_THREAD: Final = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
#: Seconds that a process gets beyond the bound of its file, to start and to end.
_GRACE: Final = 60.0


class Reader:
    """A process that reads one file at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}._child"],
            cwd=tempfile.gettempdir(),
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    @property
    def is_alive(self) -> bool:
        """Whether the process waits for a request."""
        return self._process.poll() is None

    def ask(self, scratch: Path, bounds: Bounds) -> int | None:
        """Have a file read.

        Parameters
        ----------
        scratch
            Folder with the request, and for the answer.
        bounds
            What it may take.

        Returns
        -------
        0, or what ended the process that read it: a signal, `TIME` or `DIED`; None where the
        process had ended by itself before it took the request, after a while without any.
        """
        overstayed = threading.Event()

        def end() -> None:
            overstayed.set()
            self._process.kill()

        clock = threading.Timer(bounds.clock + _GRACE, end)
        clock.daemon = True
        clock.start()
        said = ""
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            with contextlib.suppress(OSError):
                self._process.stdin.write(f"{json.dumps(str(scratch))}\n")
                self._process.stdin.flush()
                said = self._process.stdout.readline().strip()
        except BaseException:
            # Whatever interrupts the caller ends the process, and with it the fork.
            self.close()
            raise
        finally:
            clock.cancel()
        if said.isdigit():
            return int(said)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        ended_idle = self._process.returncode == 0
        self.close()
        if ended_idle:
            return None
        return TIME if overstayed.is_set() else DIED

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[3])
    paths = [root, *(str(Path(one).absolute()) for one in sys.path if one)]
    return {
        **{key: os.environ[key] for key in _KEPT if key in os.environ},
        **dict.fromkeys(_ONE_THREAD, "1"),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        # Each thread's own pool of memory would count against the bound.
        "MALLOC_ARENA_MAX": "2",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "HDF5_PLUGIN_PATH": os.devnull,
        "HDF5_USE_FILE_LOCKING": "FALSE",
    }


_waiting: list[Reader] = []
_lock: Final = threading.Lock()
#: Files read at a time: each may take half of the memory that is free when it starts.
_at_once: Final = threading.BoundedSemaphore(max(2, (os.cpu_count() or 2) // 2))


@contextmanager
def reader() -> Iterator[Reader]:
    """Lend a process that reads files; a new one where none waits."""
    with _at_once:
        with _lock:
            found = next((one for one in _waiting if one.is_alive), None)
            for one in [one for one in _waiting if one is found or not one.is_alive]:
                _waiting.remove(one)
                if one is not found:
                    one.close()
        found = found or Reader()
        try:
            yield found
        finally:
            with _lock:
                if found.is_alive:
                    _waiting.append(found)


@atexit.register
def _end_all() -> None:
    with _lock:
        while _waiting:
            _waiting.pop().close()


def _forget() -> None:
    """Leave the processes to the parent: a fork of the caller shares its pipes."""
    _waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
