"""Folders of Matrix Market files, as each counting tool leaves them.

Read here: Cell Ranger and STARsolo (``matrix.mtx`` with barcodes and features), STARsolo
Velocyto (``spliced.mtx``, ``unspliced.mtx``, ``ambiguous.mtx``), kallisto | bustools
(``cells_x_genes.mature.mtx`` and its like, or ``spliced.mtx`` with its own barcodes and genes) and
alevin-fry (``quants_mat.mtx``; in USA mode the genes stand three times).
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.io import mmread

from splicedvae._errors import DataError
from splicedvae.io._limits import Limits
from splicedvae.io._messages import file_name, shown, shown_list
from splicedvae.io._names import find_pairs, total_names
from splicedvae.io._tenx import only_gene_expression

_MATRIX = re.compile(r"\.mtx(\.gz)?$", re.IGNORECASE)
_CELLS = re.compile(
    r"^(?P<stem>.*?)(barcodes?|cells|quants_mat_rows)\.(tsv|txt|csv)(\.gz)?$", re.IGNORECASE
)
_GENES = re.compile(
    r"^(?P<stem>.*?)(features?|genes(?P<names>\.names)?|quants_mat_cols)\.(tsv|txt|csv)(\.gz)?$",
    re.IGNORECASE,
)
#: alevin-fry's own words for its three matrices.
_USA = ("S", "U", "A")
_DEEPEST = 5
_MOST_FILES = 10_000
_BANNER = b"%%matrixmarket"
_SKIPPED = re.compile(r"^uniqueandmult", re.IGNORECASE)


def matrix_folders(folder: Path) -> list[Path]:
    """Folders at or below the given one that hold Matrix Market files, nearest first."""
    found: list[Path] = []
    level = [folder]
    seen = 0
    for _ in range(_DEEPEST):
        below: list[Path] = []
        for here in level:
            items = sorted(here.iterdir())
            seen += len(items)
            if seen > _MOST_FILES:
                raise DataError(
                    f"the folder holds more than {_MOST_FILES:,} files, one matrix folder was "
                    "expected; give the folder that holds the .mtx files."
                )
            if any(_MATRIX.search(item.name) and item.is_file() for item in items):
                found.append(here)
            below += [item for item in items if item.is_dir()]
        level = below
    return found


def choose_folder(folder: Path, notes: list[str]) -> Path:
    """Find the folder to read; among several of one run Velocyto's is taken.

    Parameters
    ----------
    folder
        Folder given by a person.
    notes
        Gets a sentence when a choice was made.

    Returns
    -------
    The folder itself or one below it.

    Raises
    ------
    DataError
        No matrix, or several folders between which nothing decides.
    """
    found = matrix_folders(folder)
    if not found:
        raise DataError(
            "the folder holds no Matrix Market (.mtx) file and is no zarr store, one of them was "
            "expected; give the folder that holds matrix.mtx or spliced.mtx."
        )
    if found[0] == folder or len(found) == 1:
        return found[0]
    names = {here: here.relative_to(folder).as_posix() for here in found}
    left = found
    for word in ("velocyto", "filtered"):
        hits = [here for here in left if word in names[here].lower()]
        left = hits or left
    if len(left) > 1:
        raise DataError(
            f"the folder holds several matrices ({shown_list(names.values())}), one was expected; "
            "give one of these folders."
        )
    others = [names[here] for here in found if here != left[0]]
    notes.append(
        f"Of several matrices in the folder, {shown(names[left[0]])} was taken and "
        f"{shown_list(others)} left out."
    )
    return left[0]


def read_market_folder(folder: Path, limits: Limits, notes: list[str]) -> AnnData:
    """Read the matrices of one folder.

    Parameters
    ----------
    folder
        Folder that directly holds the ``.mtx`` files.
    limits
        Bound on the unpacked bytes of all its files.
    notes
        Gets a sentence for whatever was chosen or left out.

    Returns
    -------
    AnnData, cells x genes. ``X`` is the total matrix where there is one; the others are layers
    under the names of their files.

    Raises
    ------
    DataError
        Names are missing, sizes do not fit together, or a file is damaged.
    """
    reader = _Reader(limits)
    files = sorted(item for item in folder.iterdir() if item.is_file())
    matrices = {_stem(f.name): f for f in files if _MATRIX.search(f.name)}
    for stem in [s for s in matrices if _SKIPPED.search(s)]:
        if len(matrices) > 1:
            notes.append(f"{shown(stem)}.mtx holds estimated counts and was left out.")
            del matrices[stem]
    quants = matrices.get("quants_mat")
    if quants is not None:
        return _read_alevin(reader, quants, files)
    roles, total = _roles(matrices)
    adata: AnnData | None = None
    parts: dict[str, _Part] = {}
    for stem in [*([total] if total is not None else []), *roles]:
        parts[stem] = _read_part(reader, matrices[stem], stem, files, alone=len(matrices) == 1)
    unused = sorted(set(matrices) - set(parts))
    if unused:
        notes.append(f"Matrices {shown_list(unused)} were left out: their names say no role.")
    cells, genes = _common(list(parts.values()), notes)
    for stem, part in parts.items():
        matrix = part.aligned(cells, genes)
        if adata is None:
            adata = AnnData(
                obs=pd.DataFrame(index=pd.Index(cells, dtype=object)),
                var=part.var.iloc[genes] if isinstance(genes, np.ndarray) else part.var,
            )
        if stem == total:
            adata.X = matrix
        else:
            adata.layers[roles[stem]] = matrix
    if adata is None:  # _roles gives at least one
        raise DataError("the folder holds no matrix that could be read.")
    return only_gene_expression(adata, notes)


def _stem(name: str) -> str:
    return _MATRIX.sub("", name)


def _roles(matrices: dict[str, Path]) -> tuple[dict[str, str], str | None]:
    """Layer name of each spliced, unspliced or ambiguous file, and the stem of the totals."""
    shared = _shared_prefix(list(matrices))
    short = {stem[len(shared) :].lstrip("._-"): stem for stem in matrices}
    short |= {stem: stem for stem in matrices}
    pairs = find_pairs(short)
    roles: dict[str, str] = {}
    if pairs:
        pair = pairs[0]
        words = [pair.spliced, pair.unspliced, *([pair.ambiguous] if pair.ambiguous else [])]
        roles = {short[word]: word for word in words}
    free = {stem for stem in matrices if stem not in roles}
    totals = [short[name] for name in total_names(short) if short[name] in free]
    totals += [stem for stem in free if re.search(r"(^|[._-])matrix$", stem, re.IGNORECASE)]
    distinct = list(dict.fromkeys(totals))
    if len(distinct) > 1 or (not distinct and not roles and len(free) > 1):
        raise DataError(
            f"the folder holds several matrices ({shown_list(sorted(free))}) of which each could "
            "be the total counts, one was expected; put each sample into a folder of its own."
        )
    if not distinct and not roles:
        distinct = list(free)
    return roles, distinct[0] if distinct else None


def _shared_prefix(names: list[str]) -> str:
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)
    length = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    cut = max(first[:length].rfind(mark) for mark in "._-")
    return first[: cut + 1]


@dataclass
class _Part:
    """One matrix with its own cells and genes."""

    matrix: sparse.csr_matrix
    cells: list[str]
    var: pd.DataFrame

    def aligned(self, cells: list[str], genes: Any) -> sparse.csr_matrix:
        out = self.matrix
        if cells != self.cells:
            place = {cell: row for row, cell in enumerate(self.cells)}
            out = out[[place[cell] for cell in cells]]
        return sparse.csr_matrix(out[:, genes] if isinstance(genes, np.ndarray) else out)


def _common(parts: list[_Part], notes: list[str]) -> tuple[list[str], None]:
    """Cells that all matrices have, in the order of the first; the genes must be the same."""
    first = parts[0]
    for part in parts[1:]:
        if not part.var.index.equals(first.var.index):
            raise DataError(
                "its matrices list different genes, one list for all was expected; count them "
                "with one reference."
            )
    if all(part.cells == first.cells for part in parts):
        return first.cells, None
    if any(len(set(part.cells)) != len(part.cells) for part in parts):
        raise DataError(
            "its matrices list different cells and some barcodes twice, so cells cannot be "
            "matched; make the barcodes unique."
        )
    shared = set(first.cells).intersection(*(set(part.cells) for part in parts[1:]))
    if not shared:
        raise DataError(
            "its matrices have no barcode in common, the same cells were expected in all; give "
            "matrices of one sample."
        )
    most = max(len(part.cells) for part in parts)
    notes.append(
        f"The matrices list different cells; the {len(shared):,} of up to {most:,} that all have "
        "were kept."
    )
    return [cell for cell in first.cells if cell in shared], None


def _read_part(reader: _Reader, file: Path, stem: str, files: list[Path], *, alone: bool) -> _Part:
    cell_file = _names_for(stem, files, _CELLS, "barcodes", alone=alone)
    gene_file = _names_for(stem, files, _GENES, "genes", alone=alone)
    cells = [line.split("\t")[0].strip() for line in reader.lines(cell_file)]
    var = _genes(reader, gene_file, files)
    cells_first = re.match(r"cells?_x_", stem, re.IGNORECASE) is not None
    matrix = _oriented(reader.matrix(file), len(cells), len(var), file, cells_first=cells_first)
    return _Part(matrix, cells, var)


def _names_for(
    stem: str, files: list[Path], pattern: re.Pattern[str], what: str, *, alone: bool
) -> Path:
    """Find the file with names that goes with a matrix: of the longest common beginning."""
    hits: list[tuple[int, Path]] = []
    for file in files:
        match = pattern.match(file.name)
        if match is None or (match.groupdict().get("names")):
            continue
        own = match.group("stem").rstrip("._-").lower()
        if stem.lower().startswith(own) or alone:
            hits.append((len(own) if stem.lower().startswith(own) else -1, file))
    if not hits:
        raise DataError(
            f"the folder holds {shown(stem)}.mtx but no {what} file, {what}.tsv or .txt was "
            "expected beside it; add it to the folder."
        )
    best = max(score for score, _ in hits)
    chosen = [file for score, file in hits if score == best]
    # features.tsv replaces genes.tsv in newer versions; both together hold the same
    return chosen[0]


def _genes(reader: _Reader, file: Path, files: list[Path]) -> pd.DataFrame:
    rows = [line.split("\t") for line in reader.lines(file)]
    ids = [row[0].strip() for row in rows]
    names = [row[1].strip() if len(row) > 1 and row[1].strip() else row[0].strip() for row in rows]
    beside = re.sub(r"genes\.(tsv|txt)", r"genes.names.\1", file.name)
    extra = next((f for f in files if f.name == beside and beside != file.name), None)
    if extra is not None:
        listed = [line.strip() for line in reader.lines(extra)]
        if len(listed) == len(ids):
            names = [name or gene for name, gene in zip(listed, ids, strict=True)]
    var = pd.DataFrame({"gene_ids": ids}, index=pd.Index(names, dtype=object))
    if rows and all(len(row) > 2 for row in rows):
        var["feature_types"] = [row[2].strip() for row in rows]
    return var


def _oriented(
    matrix: sparse.coo_matrix, n_cells: int, n_genes: int, file: Path, *, cells_first: bool
) -> sparse.csr_matrix:
    fits = {
        "cells": matrix.shape == (n_cells, n_genes),
        "genes": matrix.shape == (n_genes, n_cells),
    }
    if not any(fits.values()):
        raise DataError(
            f"{file_name(file)} is {matrix.shape[0]:,} x {matrix.shape[1]:,} but "
            f"{n_cells:,} barcodes and {n_genes:,} genes stand beside it, equal numbers were "
            "expected; give files of one run."
        )
    as_cells = fits["cells"] and (cells_first or not fits["genes"])
    return sparse.csr_matrix(matrix if as_cells else matrix.T)


def _read_alevin(reader: _Reader, file: Path, files: list[Path]) -> AnnData:
    by_name = {item.name.lower(): item for item in files}
    names = {}
    for part in ("rows", "cols"):
        hit = by_name.get(f"quants_mat_{part}.txt") or by_name.get(f"quants_mat_{part}.txt.gz")
        if hit is None:
            raise DataError(
                f"the folder holds quants_mat.mtx but no quants_mat_{part}.txt; add it to the "
                "folder."
            )
        names[part] = [line.split("\t")[0].strip() for line in reader.lines(hit)]
    cells, columns = names["rows"], names["cols"]
    matrix = _oriented(reader.matrix(file), len(cells), len(columns), file, cells_first=True)
    obs = pd.DataFrame(index=pd.Index(cells, dtype=object))
    third = len(columns) // 3
    genes = columns[:third]
    usa = (
        third > 0
        and len(columns) == 3 * third
        and columns[third : 2 * third] == [f"{gene}-U" for gene in genes]
        and columns[2 * third :] == [f"{gene}-A" for gene in genes]
    )
    if not usa:
        return AnnData(X=matrix, obs=obs, var=pd.DataFrame(index=pd.Index(columns, dtype=object)))
    csc = matrix.tocsc()
    return AnnData(
        obs=obs,
        var=pd.DataFrame(index=pd.Index(genes, dtype=object)),
        layers={
            key: sparse.csr_matrix(csc[:, number * third : (number + 1) * third])
            for number, key in enumerate(_USA)
        },
    )


class _Counted(io.RawIOBase):
    """A stream that stops when more comes out of it than may."""

    def __init__(self, stream: IO[bytes], reader: _Reader) -> None:
        self._stream = stream
        self._reader = reader

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size if size > 0 else 1 << 20)
        self._reader.spend(len(block))
        return block


class _Reader:
    """Reads the folder's files within one bound on unpacked bytes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = limits.max_bytes
        self.exhausted: DataError | None = None

    def spend(self, count: int) -> None:
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
        parts: list[bytes] = []
        try:
            with self._open(file) as stream:
                while block := stream.read(1 << 20):
                    self.spend(len(block))
                    parts.append(block)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{file_name(file)} cannot be unpacked or read to its end; copy it again."
            ) from error
        text = b"".join(parts).decode("utf-8", "replace")
        lines = text.removeprefix("\ufeff").splitlines()
        while lines and not lines[-1].strip():
            lines.pop()
        return lines

    def matrix(self, file: Path) -> sparse.coo_matrix:
        name = file_name(file)
        try:
            self._check_header(file, name)
            if file.suffix.lower() == ".gz":
                with self._open(file) as stream:
                    found = mmread(_Counted(stream, self))
            else:
                # From the file itself it is read in large blocks, by as many threads as there are.
                self.spend(file.stat().st_size)
                found = mmread(file)
        except DataError:
            raise
        except (OSError, EOFError, zlib.error, ValueError, OverflowError, MemoryError) as error:
            if self.exhausted is not None:
                raise self.exhausted from error
            reason = shown(str(error).rstrip("."), longest=100)
            raise DataError(
                f"{name} is a damaged Matrix Market file ({reason}); copy or write it again."
            ) from error
        return sparse.coo_matrix(found)

    def _check_header(self, file: Path, name: str) -> None:
        with self._open(file) as stream:
            banner = stream.readline(1024)
            if not banner.lower().startswith(_BANNER):
                raise DataError(
                    f"{name} does not begin as a Matrix Market file does; give the file as the "
                    "counting tool wrote it."
                )
            words = banner.decode("ascii", "replace").lower().split()
            if words[1:3] != ["matrix", "coordinate"] or words[-1] != "general":
                raise DataError(
                    f"{name} is a Matrix Market file of kind {shown(' '.join(words[1:]))}, "
                    "'matrix coordinate integer general' was expected; write it sparse."
                )
            if words[3] not in ("integer", "real", "unsigned-integer"):
                raise DataError(
                    f"{name} holds {shown(words[3])} values, numbers were expected; give counts."
                )
            line = stream.readline(4096)
            while line.startswith(b"%") or (line and not line.strip()):
                line = stream.readline(4096)
            numbers = line.split()
            if len(numbers) != 3 or not all(number.isdigit() for number in numbers):
                raise DataError(f"{name} has no line of sizes; copy or write it again.")
            rows, columns, entries = (int(number) for number in numbers)
            if max(rows, columns) >= 1 << 31:
                raise DataError(
                    f"{name} declares {rows:,} x {columns:,} entries, fewer than 2,147,483,648 in "
                    "each direction were expected; check what wrote it."
                )
            self._limits.check_size(entries * 16)
