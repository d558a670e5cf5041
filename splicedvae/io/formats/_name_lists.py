"""Lists of cells and genes beside a matrix, with or without a header, whoever wrote them.

Cell Ranger, STARsolo and kb write a name or two on each line and no header. R and pandas add one,
quote names, number the rows, separate them by commas, or end lines as Windows does. Whether the
first line is a header is decided by the size of the matrix, and only then by its words.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from splicedvae._core.errors import DataError
from splicedvae._core.gene_identity import ENTREZ_COLUMNS, ID_COLUMNS, SYMBOL_COLUMNS, name_numbers
from splicedvae._core.keys import Var
from splicedvae._core.messages import shown, shown_list
from splicedvae.io._features import kinds_of

Row = tuple[str, ...]


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")


_IDS: Final = (*map(_plain, (*ID_COLUMNS, *ENTREZ_COLUMNS)), "id", "ids", "geneid", "feature")
_SYMBOLS: Final = (
    *map(_plain, SYMBOL_COLUMNS),
    *("name", "names", "gene", "genes", "feature", "features", "genename", "genesymbol"),
)
_CELLS: Final = (
    *("barcode", "barcodes", "cell_barcode", "cell_barcodes", "bc", "bc_wells", "cell", "cells"),
    *("cell_id", "cell_ids", "cell_name", "cell_names", "cellid", "cellname", "obs_names"),
)
#: What R and pandas call columns and rows without a name.
_UNNAMED: Final = ("", "x", "v1", "v2", "v3", "0", "1", "2", "index", "unnamed_0", "var_names")
_ROWS: Final = ("rownames", "row_names", "row_name", "rowname")
_HEADER: Final = frozenset({*_IDS, *_SYMBOLS, *_CELLS, *_UNNAMED, *_ROWS})
#: What barcodes and identifiers begin with: a first line unlike all others is a header as well.
_KNOWN: Final = re.compile(r"[ACGTN]{8,}|(ENS[A-Z]{0,6}G|FBgn|WBGene|AT[1-5CM]G)\d{5,}")


@dataclass(frozen=True)
class NameList:
    """The lines of a file of names, cut into fields."""

    #: Name of the file, as messages show it.
    file: str
    rows: tuple[Row, ...]
    header: Row | None = None

    @classmethod
    def of(cls, lines: Sequence[str], file: str) -> NameList:
        """Cut lines into fields.

        Parameters
        ----------
        lines
            Of the file, without their ends.
        file
            Its name.
        """
        separator = _separator(lines, file)
        return cls(file, tuple(_fields(line, separator) for line in lines))

    def __len__(self) -> int:
        return len(self.rows)

    def fitted(self, size: int) -> NameList | None:
        """Return the list with one line for each cell or gene of a matrix.

        Parameters
        ----------
        size
            Cells or genes of the matrix.

        Returns
        -------
        The list without its header and without a column that only numbers the lines; ``None``
        where it has another number of lines.
        """
        header: Row | None = None
        rows = self.rows
        if len(rows) == size + 1 and self._begins_with_header:
            header, rows = rows[0], rows[1:]
        if len(rows) != size:
            return None
        if header is not None and rows and len(header) == len(rows[0]) - 1:
            header = ("", *header)  # R writes no name for the column of row names
        if _is_numbered(rows):
            rows = tuple(row[1:] for row in rows)
            header = None if header is None else header[1:]
        return replace(self, rows=rows, header=header)

    def off_by_a_line(self, size: int) -> str:
        """Say what is wrong with a list that has one line more than a matrix has names.

        Parameters
        ----------
        size
            Cells or genes of the matrix.

        Returns
        -------
        A part of a sentence; empty where it has another number of lines.
        """
        if len(self.rows) != size + 1:
            return ""
        return (
            f" ({self.file} has one line more than the matrix, and line 1, "
            f"'{shown(' '.join(self.rows[0]), longest=40)}', is no header that is known: take it "
            "out if it is one)"
        )

    @property
    def _begins_with_header(self) -> bool:
        """Whether the first line is a header, where it is one line too many."""
        first, others = self.rows[0], self.rows[1:]
        words = {_plain(field) for field in first[:2]}
        if words <= _HEADER or words & {*_IDS, *_SYMBOLS, *_CELLS}:
            # Cells that are only numbered have no header of a number.
            return not all(word.isdigit() for word in words) or not all(
                row[0].isdigit() for row in others
            )
        return not any(map(_KNOWN.match, first[:2])) and all(
            any(map(_KNOWN.match, row[:2])) for row in others
        )

    def column(self, words: Sequence[str]) -> int | None:
        """Return the place of the first column that the header calls by one of some words."""
        names = [_plain(name) for name in self.header or ()]
        return next((names.index(word) for word in words if word in names), None)

    def at(self, place: int) -> list[str]:
        """Return a column; empty text where a line has none."""
        return [row[place] if place < len(row) else "" for row in self.rows]


def cells_of(listed: NameList) -> list[str]:
    """Return the names of the cells: the column that says so, else the first."""
    return listed.at(listed.column(_CELLS) or 0)


def genes_of(listed: NameList, symbols: Sequence[str] = ()) -> pd.DataFrame:
    """Return the table of genes: identifiers, symbols as index, and what kind each feature is.

    Parameters
    ----------
    listed
        Fitted to the matrix.
    symbols
        Names from another file, where there is one with as many.
    """
    ids_at, names_at = listed.column(_IDS), listed.column(_SYMBOLS)
    if ids_at is None or names_at is None or ids_at == names_at:
        ids_at, names_at = 0, 1
    ids = listed.at(ids_at)
    found = symbols if len(symbols) == len(ids) else listed.at(names_at)
    names = [name or gene for name, gene in zip(found, ids, strict=True)]
    var = pd.DataFrame({Var.GENE_IDS: ids}, index=pd.Index(names, dtype=object))
    if listed.header is not None:
        for place, name in enumerate(listed.header):
            if place not in (ids_at, names_at) and name and name not in var:
                var[name] = listed.at(place)
    elif listed.rows and all(len(row) > 2 for row in listed.rows):
        third = pd.Series(listed.at(2), index=var.index)
        # Others than Cell Ranger and STARsolo write biotypes, chromosomes or lengths there.
        is_kind = kinds_of(third, "feature_types") is not None
        var["feature_types" if is_kind else "feature_annotation"] = third
    return var


def header_note(listed: NameList) -> list[str]:
    """Say that the first line of a list was a header; nothing where it was not."""
    if listed.header is None:
        return []
    words = shown_list(name for name in listed.header if name) or "without words"
    return [f"The first line of {listed.file} ({words}) is a header and was read as such."]


def refuse_hidden_header(listed: NameList) -> None:
    """Refuse a list that begins with a header and has as many lines as the matrix has names.

    Raises
    ------
    DataError
        All its names would stand one line too low.
    """
    first = [_plain(field) for field in listed.rows[0]] if listed.rows else []
    if listed.header is None and len(first) > 1 and set(first) <= {*_IDS, *_SYMBOLS, *_CELLS}:
        raise DataError(
            f"{listed.file} begins with a header (line 1: {shown_list(listed.rows[0])}) and has "
            f"{len(listed) - 1:,} lines after it, {len(listed):,} were expected as in the matrix; "
            "give the list that was written with it."
        )


def _separator(lines: Sequence[str], file: str) -> str | None:
    """Return what stands between the fields of most lines; ``None`` where a line is one name."""
    some = lines[:1000]
    if not some:
        return None
    for mark, needed in (("\t", True), (",", ".csv" in file.lower()), (" ", False)):
        has = sum(mark in line for line in some)
        # Without tabs, and in no .csv file, only quotes tell a separator from a part of a name.
        quoted = sum(f'"{mark}"' in line for line in some)
        if (has if needed else quoted) > len(some) / 2:
            return mark
    return None


def _fields(line: str, separator: str | None) -> Row:
    if separator is None:
        return (_unquoted(line),)
    if '"' in line:
        parsed = next(csv.reader([line], delimiter=separator), [])
        return tuple(_unquoted(field) for field in parsed) or ("",)
    return tuple(field.strip() for field in line.split(separator))


def _unquoted(field: str) -> str:
    text = field.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' else text


def _is_numbered(rows: Sequence[Row]) -> bool:
    """Whether the first of several columns counts the lines, from 0 or 1."""
    if not rows or any(len(row) < 2 or not row[0].isdigit() for row in rows):
        return False
    numbers = [int(row[0]) for row in rows]
    if numbers[0] > 1 or numbers != list(range(numbers[0], numbers[0] + len(rows))):
        return False
    return not name_numbers(pd.DataFrame(index=[row[1] for row in rows])).any()
