"""The clean file: what the child found in a file from outside, as the caller opens it.

It is an h5ad of plain arrays, not packed. Next to it lies ``answer.json`` with the facts of a
`ReadResult`, or with the sentence that refuses the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import read_elem, write_elem

from splicedvae._core.errors import DataError
from splicedvae._core.notes import Note
from splicedvae.io._backed import BackedCounts
from splicedvae.io._limits import Limits
from splicedvae.io._result import ReadResult
from splicedvae.io._stored import StoredMatrix
from splicedvae.io.formats import _h5ad, _hdf5

ANSWER: Final = "answer.json"
_CLEAN: Final = "clean.h5ad"
#: An answer with more bytes was not written by the child's own code.
_LONGEST: Final = 64 * 1024**2
_CHUNK: Final = 1 << 18
_FACTS: Final = (
    *("name", "sha256", "total_source", "spliced_source", "unspliced_source", "counts"),
    *("layers", "totals_are_sum", "ambiguous_source", "ambiguous", "ambiguous_share"),
)
_TABLES: Final = ("obs", "var")


def write(result: ReadResult | BackedCounts, scratch: Path) -> dict[str, Any]:
    """Write what was read as a clean file.

    Parameters
    ----------
    result
        From `splicedvae.io.read` or `splicedvae.io.read_backed`.
    scratch
        Folder for it.

    Returns
    -------
    The facts of the result as JSON holds them.
    """
    adata = result.adata
    texts = {part: _texts_with_gaps(getattr(adata, part)) for part in _TABLES}
    for part, columns in texts.items():
        table = getattr(adata, part)
        for column in columns:
            table[column] = pd.Categorical(table[column])
    with h5py.File(scratch / _CLEAN, "w", libver="v110") as file:
        write_elem(file, "/", adata)
        if isinstance(result, BackedCounts):
            _write_blocks(file, result)
    facts = {key: getattr(result, key) for key in _FACTS if hasattr(result, key)}
    notes = [Note.of(note).to_dict() for note in result.notes]
    return {"facts": facts, "notes": notes, "texts": texts}


def _texts_with_gaps(table: pd.DataFrame) -> list[str]:
    """Columns of texts of which some are missing: a file holds them as categories only."""
    return [
        str(name)
        for name, column in table.items()
        if column.dtype == object and bool(column.isna().any())
    ]


def _write_blocks(file: h5py.File, result: BackedCounts) -> None:
    """Append the totals of some cells after another."""
    if "X" in file:
        del file["X"]
    group = file.create_group("X")
    group.attrs["encoding-type"] = "csr_matrix"
    group.attrs["encoding-version"] = "0.1.0"
    group.attrs["shape"] = np.array(result.adata.shape, dtype=np.int64)
    parts = {
        key: group.create_dataset(key, (0,), dtype, maxshape=(None,), chunks=(_CHUNK,))
        for key, dtype in (("data", np.float32), ("indices", np.int32))
    }
    pointers = [np.zeros(1, dtype=np.int64)]
    for block in result.blocks():
        start = int(pointers[-1][-1])
        for key, part in parts.items():
            part.resize((start + block.nnz,))
            part[start:] = getattr(block, key)
        pointers.append(block.indptr[1:].astype(np.int64) + start)
    group.create_dataset("indptr", data=np.concatenate(pointers))


def write_answer(answer: Mapping[str, Any], scratch: Path) -> None:
    """Write the answer; its name appears once it is complete."""
    part = scratch / f"{ANSWER}.part"
    part.write_text(json.dumps(answer, default=_plain), encoding="utf-8")
    part.replace(scratch / ANSWER)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def answer_in(scratch: Path) -> dict[str, Any] | None:
    """Return the child's answer; None where it gave none that can be read."""
    place = scratch / ANSWER
    try:
        if place.is_symlink() or place.stat().st_size > _LONGEST:
            return None
        answer = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def refused(answer: Mapping[str, Any]) -> DataError:
    """Return the child's sentence as an error, with the notes that came before it."""
    error = DataError(str(answer["error"]))
    error.notes = tuple(Note.from_json(note) for note in answer.get("notes", ()))
    return error


def result_of(answer: Mapping[str, Any], scratch: Path) -> ReadResult:
    """Read the clean file into memory."""
    place = scratch / _CLEAN
    adata = _h5ad.read(place, Limits(), [])
    for part in _TABLES:
        _restore(getattr(adata, part), answer["texts"][part])
    facts = {**answer["facts"], "layers": tuple(answer["facts"]["layers"])}
    return ReadResult(adata=adata, notes=_notes(answer), **facts)


def backed_of(answer: Mapping[str, Any], scratch: Path, closing: ExitStack) -> BackedCounts:
    """Open the clean file, of which the totals stay on disk until ``closing`` is closed."""
    file = closing.enter_context(_hdf5.opened(scratch / _CLEAN))
    parts = {key: read_elem(file[key]) for key in ("obs", "var", "uns", "obsm", "varm")}
    adata = AnnData(**parts)
    for part in _TABLES:
        _restore(getattr(adata, part), answer["texts"][part])
    facts = answer["facts"]
    return BackedCounts(
        adata,
        _notes(answer),
        facts["name"],
        facts["sha256"],
        facts["total_source"],
        StoredMatrix(file["X"], facts["total_source"]),
        closing,
    )


def _notes(answer: Mapping[str, Any]) -> tuple[Note, ...]:
    return tuple(Note.from_json(note) for note in answer["notes"])


def _restore(table: pd.DataFrame, columns: list[str]) -> None:
    for column in columns:
        values = table[column].astype(object)
        table[column] = values.where(values.notna(), None)
