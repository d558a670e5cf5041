"""How much a file may declare: known before anything of it is brought into memory."""

from __future__ import annotations

import os
from dataclasses import dataclass

from splicedvae._core.errors import DataError

#: Environment variable that sets `Limits.max_bytes`.
MAX_BYTES_VARIABLE = "SPLICEDVAE_MAX_BYTES"
_DEFAULT_BYTES = 16 * 1024**3
_SMALL = 64 * 1024**2


@dataclass(frozen=True)
class Limits:
    """Bounds on what a file from outside may ask for."""

    #: Bytes that the file's arrays may take once unpacked.
    max_bytes: int = _DEFAULT_BYTES
    #: Groups and arrays in an HDF5 or zarr file.
    max_objects: int = 100_000
    #: Groups within groups.
    max_depth: int = 64
    #: Files within a zip.
    max_entries: int = 250_000
    #: Unpacked bytes for each byte stored: deflate reaches 1,032 at most.
    max_ratio: int = 2_000

    @classmethod
    def of(cls, max_bytes: int | None = None) -> Limits:
        """Limits from an argument, else from the environment, else the default (16 GiB).

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
            return cls()
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
        if declared > self.max_bytes:
            raise DataError(
                f"its arrays would take {size_words(declared)} in memory, at most "
                f"{size_words(self.max_bytes)} are accepted here; leave out unneeded layers, keep "
                f"matrices sparse, or raise {MAX_BYTES_VARIABLE}."
            )
        if stored is not None and declared > _SMALL and declared > self.max_ratio * stored:
            raise DataError(
                f"it declares {size_words(declared)} of data but stores only "
                f"{size_words(stored)}, so its content does not match its header; write it "
                "again from the original data."
            )


def size_words(count: int) -> str:
    """Bytes in words, such as ``"1.5 GiB"``."""
    value, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
