"""Files of a Matrix Market folder: lists of names, and matrices with one or three counts a line.

scipy reads the third field of a line and ignores what follows, so fields are counted here: a file
with more of them is read for what it is or refused, never cut.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.io import mmread

from splicedvae._core.errors import DataError
from splicedvae._core.messages import file_name, shown
from splicedvae.io._limits import Limits
from splicedvae.io.formats._name_lists import NameList

MATRIX_FILE = re.compile(r"\.mtx(\.gz)?$", re.IGNORECASE)
CELL_FILE = re.compile(
    r"^(?P<stem>.*?)(barcodes?|cells|cell_metadata|quants_mat_rows)\.(tsv|txt|csv)(\.gz)?$",
    re.IGNORECASE,
)
_BANNER = b"%%matrixmarket"
_BLOCK = 1 << 20
#: Row, column and count; or row, column and three counts.
_FIELDS = (3, 5)
_SPACE = 32


class FieldCount:
    """Counts fields, separated by any white space, in blocks of bytes."""

    def __init__(self) -> None:
        self.fields = 0
        self._in_field = False

    def add(self, block: bytes) -> None:
        """Count the fields that begin in the next block."""
        if not block:
            return
        inside = np.frombuffer(block, dtype=np.uint8) > _SPACE
        starts = int(np.count_nonzero(inside[1:] & ~inside[:-1]))
        self.fields += starts + int(inside[0] and not self._in_field)
        self._in_field = bool(inside[-1])


class _Counted(io.RawIOBase):
    """A stream that counts its fields and stops when more comes out of it than may."""

    def __init__(self, stream: IO[bytes], reader: Reader) -> None:
        self._stream = stream
        self._reader = reader
        self.count = FieldCount()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size if size > 0 else _BLOCK)
        self._reader.spend(len(block))
        self.count.add(block)
        return block


@dataclass(frozen=True)
class _Header:
    rows: int
    columns: int
    entries: int
    #: Lines up to and with that of the sizes, and fields in them.
    lines: int
    fields: int
    #: Fields of the first entry; 3 where there is none.
    per_entry: int


class Reader:
    """Reads the folder's files within one bound on unpacked bytes.

    Parameters
    ----------
    limits
        Holds the bound.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = limits.max_bytes
        self.exhausted: DataError | None = None
        self._names: dict[Path, NameList] = {}

    def spend(self, count: int) -> None:
        """Take bytes off the bound.

        Raises
        ------
        DataError
            It is used up.
        """
        self._left -= count
        if self._left < 0:
            try:
                self._limits.check_size(self._limits.max_bytes + 1)
            except DataError as error:
                self.exhausted = error
                raise

    def _open(self, file: Path) -> IO[bytes]:
        return gzip.open(file, "rb") if file.suffix.lower() == ".gz" else file.open("rb")  # type: ignore[return-value]

    def lines(self, file: Path) -> list[str]:
        """Read the lines of a file without empty ones at its end."""
        parts: list[bytes] = []
        try:
            with self._open(file) as stream:
                while block := stream.read(_BLOCK):
                    self.spend(len(block))
                    parts.append(block)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{file_name(file)} cannot be unpacked or read to its end; copy it again."
            ) from error
        text = b"".join(parts).decode("utf-8", "replace")
        lines = re.split(r"\r\n?|\n", text.removeprefix("\ufeff"))
        while lines and not lines[-1].strip():
            lines.pop()
        return lines

    def names(self, file: Path) -> NameList:
        """Read a list of cells or genes, once for all matrices that it goes with."""
        if file not in self._names:
            self._names[file] = NameList.of(self.lines(file), file_name(file))
        return self._names[file]

    def matrices(self, file: Path, *, most: int = 3) -> list[sparse.coo_matrix]:
        """Read a Matrix Market file.

        Parameters
        ----------
        file
            The file, packed by gzip or not.
        most
            Counts that a line may hold: 1, or 3.

        Returns
        -------
        One matrix for each count of a line.

        Raises
        ------
        DataError
            The file is damaged, of another kind, too large, or its lines hold other numbers of
            fields.
        """
        name = file_name(file)
        try:
            header = self._header(file, name)
            if header.per_entry not in _FIELDS or header.per_entry > 2 + most:
                raise DataError(
                    f"{name} holds {header.per_entry} fields per line, expected 3 (row, "
                    f"column and count){(', or 5 with three counts' if most == 3 else '')}; "
                    "write one file for each matrix."
                )
            if header.per_entry > 3:
                return self._columns(file, header, name)
            return [self._matrix(file, header, name)]
        except DataError:
            raise
        except (OSError, EOFError, zlib.error, ValueError, OverflowError, MemoryError) as error:
            if self.exhausted is not None:
                raise self.exhausted from error
            reason = shown(" ".join(str(error).split()).rstrip("."), longest=100)
            raise DataError(
                f"{name} is a damaged Matrix Market file ({reason}); copy or write it again."
            ) from error

    def has_counts(self, file: Path) -> bool:
        """Look for an entry of a Matrix Market file that is not zero.

        Raises
        ------
        DataError
            It is damaged or of another kind.
        """
        name = file_name(file)
        try:
            header = self._header(file, name)
            if not header.entries:
                return False
            with self._open(file) as stream:
                entries = islice(_lines(stream), header.lines, None)
                return any(field.strip(b"0.") for line in entries for field in line.split()[2:])
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{name} cannot be unpacked or read; copy it again.") from error

    def _matrix(self, file: Path, header: _Header, name: str) -> sparse.coo_matrix:
        if file.suffix.lower() == ".gz":
            with self._open(file) as stream:
                counted = _Counted(stream, self)
                found, count = mmread(counted), counted.count
        else:
            # From the file itself it is read in large blocks, by as many threads as there are.
            self.spend(file.stat().st_size)
            found, count = mmread(file), FieldCount()
            with file.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    count.add(block)
        expected = header.fields + 3 * header.entries
        if count.fields != expected:
            raise DataError(
                f"{name} holds {count.fields - header.fields:,} fields in "
                f"{header.entries:,} entries, expected {3 * header.entries:,} (row, column "
                "and count of each); write it again with one count per line."
            )
        return sparse.coo_matrix(found)

    def _columns(self, file: Path, header: _Header, name: str) -> list[sparse.coo_matrix]:
        """Read a file with several counts on each line."""
        self._limits.check_size(header.entries * 8 * header.per_entry)
        with self._open(file) as stream:
            table = pd.read_csv(
                _Counted(stream, self),
                sep=r"\s+",
                header=None,
                names=range(header.per_entry),
                index_col=False,
                skiprows=header.lines,
                dtype=np.float64,
                on_bad_lines="error",
            )
        values = table.to_numpy()
        rows, columns = values[:, 0] - 1, values[:, 1] - 1
        sound = (
            len(values) == header.entries
            and bool(np.isfinite(values).all())
            and all(
                index.min(initial=0) >= 0 and index.max(initial=0) < size
                for index, size in ((rows, header.rows), (columns, header.columns))
            )
        )
        if not sound:
            raise DataError(
                f"{name} is a damaged Matrix Market file: expected {header.entries:,} "
                f"entries of {header.per_entry} fields within {header.rows:,} x "
                f"{header.columns:,}; copy or write it again."
            )
        place = (rows.astype(np.int64), columns.astype(np.int64))
        shape = (header.rows, header.columns)
        return [
            sparse.coo_matrix((values[:, column], place), shape=shape)
            for column in range(2, header.per_entry)
        ]

    def _header(self, file: Path, name: str) -> _Header:
        with self._open(file) as stream:
            count, lines = FieldCount(), 1
            banner = stream.readline(1024)
            count.add(banner)
            _check_banner(banner, name)
            line = stream.readline(4096)
            while line.startswith(b"%") or (line and not line.strip()):
                count.add(line)
                lines += line.endswith(b"\n")
                line = stream.readline(4096)
            numbers = line.split()
            if len(numbers) != 3 or not all(number.isdigit() for number in numbers):
                raise DataError(f"{name} has no line of sizes; copy or write it again.")
            count.add(line)
            rows, columns, entries = (int(number) for number in numbers)
            if max(rows, columns) >= 1 << 31:
                raise DataError(
                    f"{name} declares {rows:,} x {columns:,} entries, expected fewer than "
                    "2,147,483,648 in each direction; check the program that wrote it."
                )
            self._limits.check_size(entries * 16)
            first = next((text for text in _lines(stream) if text.strip()), b"")
            per_entry = len(first.split()) if entries and first else 3
            return _Header(rows, columns, entries, lines + 1, count.fields, per_entry)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the next lines of a file, none longer than a line of counts can be."""
    return iter(lambda: stream.readline(4096), b"")


def _check_banner(banner: bytes, name: str) -> None:
    if not banner.lower().startswith(_BANNER):
        raise DataError(
            f"{name} does not begin as a Matrix Market file does; give the file as the "
            "counting tool wrote it."
        )
    words = banner.decode("ascii", "replace").lower().split()
    if words[1:3] != ["matrix", "coordinate"] or words[-1] != "general":
        raise DataError(
            f"{name} is a Matrix Market file of kind {shown(' '.join(words[1:]))}, expected "
            "'matrix coordinate integer general'; write it sparse."
        )
    if words[3] not in ("integer", "real", "unsigned-integer"):
        raise DataError(f"{name} holds {shown(words[3])} values, expected numbers; give counts.")
