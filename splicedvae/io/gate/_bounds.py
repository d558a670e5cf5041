"""What the child may take for one file, by the size of the file and the memory that is free."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from splicedvae._core.errors import DataError
from splicedvae.io._limits import MAX_BYTES_VARIABLE, Limits, free_memory

#: Environment variable that sets how many seconds of processor time a file may take.
SECONDS_VARIABLE: Final = "SPLICEDVAE_READ_SECONDS"

#: What the caller asks, in the child's folder.
REQUEST: Final = "request.json"
#: Where what the child says of its errors goes.
ERRORS: Final = "errors.txt"
#: How the reading of a file ended, where no signal's number says it: it took too long; unknown.
TIME: Final = 1000
DIED: Final = 1001

_MIB: Final = 1024**2
#: Bytes that any file may take, and for each byte stored. Counts of real files take 2 to 10 times
#: as much as they take packed, a dense matrix of mostly zeros up to 50 times.
_ANY_FILE: Final = 512 * _MIB
_PER_BYTE: Final = 64
#: Bytes that the code of the readers takes, where a setting bounds the arrays.
_READERS: Final = 128 * _MIB
#: Reading holds arrays up to three times: packed, unpacked and as CSR.
_COPIES: Final = 3
#: Share of the free memory that one file may take.
_SHARE: Final = 0.5
#: Seconds of processor time for any file, and bytes read in a second by the slowest reader.
_SECONDS: Final = 8
_BYTES_PER_SECOND: Final = 2 * _MIB
#: Seconds by the clock for each second of processor time, where others use the processors too.
_CLOCK: Final = 4


@dataclass(frozen=True)
class Bounds:
    """What the child may take for one file."""

    #: Bytes of memory, beyond those of the interpreter and its packages.
    memory: int
    #: Bytes that the file's arrays may declare, and a zip may unpack to.
    arrays: int
    #: Seconds of processor time.
    seconds: int
    #: Seconds by the clock.
    clock: float

    @classmethod
    def of(cls, stored: int, max_bytes: int | None = None) -> Bounds:
        """Bounds for a file.

        Parameters
        ----------
        stored
            Bytes of the file or folder.
        max_bytes
            As for `splicedvae.io.read`. Where neither this nor the environment variable
            ``SPLICEDVAE_MAX_BYTES`` is given, a file may take 512 MiB and 64 bytes for each
            byte stored, at most half of the memory that is free.

        Raises
        ------
        DataError
            An environment variable holds no positive number.
        """
        free = int(free_memory() * _SHARE)
        if max_bytes is None and not os.environ.get(MAX_BYTES_VARIABLE):
            arrays = _ANY_FILE + _PER_BYTE * stored
            memory = min(arrays, max(free, _ANY_FILE))
        else:
            arrays = Limits.of(max_bytes).max_bytes
            memory = min(_READERS + _COPIES * arrays, max(free, _ANY_FILE))
        seconds = _seconds() or _SECONDS + stored // _BYTES_PER_SECOND
        return cls(memory, arrays, seconds, 20.0 + _CLOCK * seconds)


def _seconds() -> int | None:
    text = os.environ.get(SECONDS_VARIABLE)
    if not text:
        return None
    if not text.strip().isdigit() or int(text) == 0:
        raise DataError(
            f"{SECONDS_VARIABLE} is set to '{text[:40]}', expected a positive number of seconds; "
            "correct or unset it."
        )
    return int(text)


def stored_bytes(place: Path) -> int:
    """Bytes of a file, or of the files of a folder; links are not followed."""
    if not place.is_dir():
        return place.stat().st_size
    return sum(
        (Path(here) / name).lstat().st_size for here, _, names in os.walk(place) for name in names
    )
