"""Which folder of a counting tool's output is read, by its names, its counts and its barcodes.

A name says what a folder should hold. Whether it holds anything, and whether its barcodes are those
of the cells that were called, is looked up before it is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from splicedvae._core.errors import DataError
from splicedvae._core.messages import shown, shown_list
from splicedvae.io._limits import Limits
from splicedvae.io.formats._market_files import CELL_FILE, MATRIX_FILE, Reader
from splicedvae.io.formats._name_lists import cells_of

_DEEPEST = 5
_MOST_FILES = 10_000
#: Folders of one STARsolo run that hold totals, those of all molecules first.
_TOTALS: Final = (re.compile("genefull"), re.compile("genefull_.*"), re.compile("gene"))
#: Own convention: share of the barcodes that two matrices of one run must have in common.
_SHARED = 0.5


@dataclass(frozen=True)
class Chosen:
    """The folder to read, and which of its cells."""

    folder: Path
    #: Barcodes of called cells to cut a raw matrix to; ``None`` keeps all.
    cells: frozenset[str] | None = None


@dataclass(frozen=True)
class _Found:
    """A folder with matrices, by the words of its path."""

    path: Path
    name: str

    @property
    def _parts(self) -> list[str]:
        return self.name.lower().split("/")

    @property
    def is_velocyto(self) -> bool:
        return any(part.startswith("velocyto") for part in self._parts)

    @property
    def is_filtered(self) -> bool:
        return any("filtered" in re.split(r"[^a-z]+", part) for part in self._parts)

    @property
    def rank(self) -> int:
        """Place among the totals of a STARsolo run; the last where it is none of them."""
        kinds = [
            place
            for place, words in enumerate(_TOTALS)
            if any(words.fullmatch(part) for part in self._parts)
        ]
        return min(kinds, default=len(_TOTALS))

    @property
    def run(self) -> str:
        """Path of the run that a STARsolo folder belongs to."""
        return "/".join(self.name.split("/")[:-2])


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
                    f"the folder holds more than {_MOST_FILES:,} files, expected one matrix "
                    "folder; give the folder that holds the .mtx files."
                )
            if any(MATRIX_FILE.search(item.name) and item.is_file() for item in items):
                found.append(here)
            below += [item for item in items if item.is_dir()]
        level = below
    return found


def choose_folder(folder: Path, limits: Limits, notes: list[str]) -> Chosen:
    """Find the folder to read; among several of one run Velocyto's is taken where it is sound.

    Parameters
    ----------
    folder
        Folder given by a person.
    limits
        Bound on what is read to choose.
    notes
        Gets a sentence for each choice made.

    Returns
    -------
    The folder itself or one below it, with the cells to keep.

    Raises
    ------
    DataError
        No matrix, or several folders between which nothing decides.
    """
    paths = matrix_folders(folder)
    if not paths:
        raise DataError(
            "the folder holds no Matrix Market (.mtx) file and is not a zarr store, "
            "expected one of them; give the folder that holds matrix.mtx or spliced.mtx."
        )
    if paths[0] == folder or len(paths) == 1:
        return Chosen(paths[0])
    found = [_Found(path, path.relative_to(folder).as_posix()) for path in paths]
    full = [here for here in found if not _is_empty(here.path, limits)] or found
    empty = [here.name for here in found if here not in full]
    if empty:
        notes.append(f"Of several matrices in the folder, {shown_list(empty)} hold no counts.")
    sound = _sound(full, limits, notes)
    taken = _likeliest(sound)
    others = [here.name for here in found if here is not taken]
    notes.append(
        f"Of several matrices in the folder, {shown(taken.name)} was used and "
        f"{shown_list(others)} left out."
    )
    called = _beside(taken, full) if taken.is_velocyto and not taken.is_filtered else None
    if called is None or not called.is_filtered:
        return Chosen(taken.path)
    cells, listed = (_barcodes(one.path, limits) for one in (called, taken))
    if not cells:
        return Chosen(taken.path)
    notes.append(
        f"{shown(taken.name)} lists all {len(listed):,} barcodes, and the "
        f"{len(cells & listed):,} of {shown(called.name)}, which were called as cells, were kept."
    )
    return Chosen(taken.path, frozenset(cells))


def _likeliest(found: list[_Found]) -> _Found:
    """Velocyto before other matrices, called cells before all droplets, GeneFull before Gene."""
    left = [here for here in found if here.is_velocyto] or found
    left = [here for here in left if here.is_filtered] or left
    best = min(here.rank for here in left)
    if best < len(_TOTALS) and len({here.run for here in left}) == 1:
        left = [here for here in left if here.rank == best]
    if len(left) > 1:
        raise DataError(
            "the folder holds several matrices "
            f"({shown_list(here.name for here in found)}), expected one; give one of "
            "these folders."
        )
    return left[0]


def _sound(found: list[_Found], limits: Limits, notes: list[str]) -> list[_Found]:
    """Leave out Velocyto folders whose barcodes are not those of the same run's totals."""
    sound = []
    for here in found:
        totals = _beside(here, found) if here.is_velocyto else None
        if totals is not None:
            cells, listed = (_barcodes(one.path, limits) for one in (totals, here))
            shared = len(cells & listed) / max(1, min(len(cells), len(listed)))
            if cells and shared < _SHARED:
                notes.append(
                    f"{shown(here.name)} and {shown(totals.name)} have {shared:.0%} of "
                    "their barcodes in common, expected all (STAR without a whitelist "
                    f"writes wrong ones), so {shown(here.name)} was left out."
                )
                continue
        sound.append(here)
    return sound


def _beside(here: _Found, found: list[_Found]) -> _Found | None:
    """Find the totals of the same run, of called cells where there are such, else of all."""
    beside = [
        one
        for one in found
        if one.run == here.run and not one.is_velocyto and one.rank < len(_TOTALS)
    ]
    filtered = [one for one in beside if one.is_filtered]
    return max(filtered or beside, key=lambda one: one.rank, default=None)


def _is_empty(folder: Path, limits: Limits) -> bool:
    reader = Reader(limits)
    files = [item for item in folder.iterdir() if MATRIX_FILE.search(item.name) and item.is_file()]
    return not any(reader.has_counts(item) for item in files)


def _barcodes(folder: Path, limits: Limits) -> set[str]:
    """Barcodes that a folder lists; none where it has no such file."""
    reader = Reader(limits)
    file = next((item for item in sorted(folder.iterdir()) if CELL_FILE.match(item.name)), None)
    return set() if file is None else set(cells_of(reader.names(file)))
