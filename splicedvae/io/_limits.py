"""How much a file may declare: known before anything of it is brought into memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from splicedvae._core.errors import DataError

#: Environment variable that sets `Limits.max_bytes`.
MAX_BYTES_VARIABLE = "SPLICEDVAE_MAX_BYTES"
_DEFAULT_BYTES = 16 * 1024**3
_SMALL = 64 * 1024**2
#: Share of the free memory that a file's arrays may take, and bytes that they may always take.
_SHARE, _LEAST = 0.5, 1024**3
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Limits:
    """Bounds on what a file from outside may ask for."""

    #: Bytes that the file's arrays may take once unpacked.
    max_bytes: int = _DEFAULT_BYTES
    #: Groups and arrays in an HDF5 or zarr file.
    max_objects: int = 20_000
    #: Groups within groups.
    max_depth: int = 64
    #: Files within a zip.
    max_entries: int = 100_000
    #: Unpacked bytes for each byte stored: deflate reaches 1,032 at most.
    max_ratio: int = 2_000

    @classmethod
    def of(cls, max_bytes: int | None = None) -> Limits:
        """Limits from an argument, else from the environment, else half of the free memory.

        Parameters
        ----------
        max_bytes
            Bytes that the file's arrays may take once unpacked.

        Raises
        ------
        DataError
            The environment variable holds no positive integer.
        """
        if max_bytes is not None:
            return cls(max_bytes=int(max_bytes))
        text = os.environ.get(MAX_BYTES_VARIABLE)
        if not text:
            return cls(max_bytes=max(_LEAST, int(free_memory() * _SHARE)))
        if not text.strip().isdigit() or int(text) == 0:
            raise DataError(
                f"{MAX_BYTES_VARIABLE} is set to '{text[:40]}', expected a positive number "
                "of bytes; correct or unset it."
            )
        return cls(max_bytes=int(text))

    def check_size(self, declared: int, *, stored: int | None = None) -> None:
        """Refuse a declared size that is too large, or absurd for what is stored.

        Parameters
        ----------
        declared
            Bytes once unpacked.
        stored
            Bytes on disk, where the format cannot pack beyond `max_ratio`.

        Raises
        ------
        DataError
            The size is beyond the limits.
        """
        if stored is not None and declared > _SMALL and declared > self.max_ratio * stored:
            raise DataError(
                f"it declares {size_words(declared)} of data but stores only "
                f"{size_words(stored)}, so its content does not match its header; write it "
                "again from the original data."
            )
        if declared > self.max_bytes:
            raise DataError(
                f"its arrays would take {size_words(declared)} in memory, at most "
                f"{size_words(self.max_bytes)} are accepted here; leave out unneeded layers, keep "
                f"matrices sparse, or raise {MAX_BYTES_VARIABLE}."
            )


def free_memory() -> int:
    """Bytes of memory that this process could take, of the machine's or its container's."""
    free = int(psutil.virtual_memory().available)
    try:
        most = (_CGROUP / "memory.max").read_text("ascii").strip()
        taken = int((_CGROUP / "memory.current").read_text("ascii"))
        stat = dict(
            row.split() for row in (_CGROUP / "memory.stat").read_text("ascii").splitlines()
        )
        # Files that are kept in memory make room.
        taken -= int(stat.get("inactive_file", 0))
    except (OSError, ValueError):  # no container with a bound of its own
        return free
    return free if not most.isdigit() else max(0, min(free, int(most) - taken))


def size_words(count: int) -> str:
    """Bytes in words, such as ``"1.5 GiB"``."""
    value, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
