"""Writing so that a reader never sees half a file, and reading with errors in words.

A page polls a run while its worker writes it, so each file is written atomically; see
`splicedvae._core.files.replacing`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from splicedvae._core.errors import RunError
from splicedvae._core.files import replacing, write_text
from splicedvae._core.messages import shown

if TYPE_CHECKING:
    from anndata import AnnData

#: Names of the files of a run folder, as docs/architecture.md lists them.
CONFIG: Final = "config.json"
PROVENANCE: Final = "provenance.json"
STATUS: Final = "status.json"
WORKER: Final = "worker.json"
LIVE: Final = "live.jsonl"
LOG: Final = "log.txt"
MODEL: Final = "model"
HISTORY: Final = "history.csv"
METRICS: Final = "metrics.csv"
GENES: Final = "genes.csv"
PREDICTIONS: Final = "predictions.h5ad"
#: Counts of the file's genes that the model does not have; see `splicedvae.runs.unmodelled`.
OTHER_GENES: Final = "other_genes.h5"
VELOCITY: Final = "velocity"
VELOCITY_ACCOUNT: Final = "velocity.json"
#: Velocities without matrices, which figures are drawn from until `VELOCITY` holds them whole.
OUTLINES: Final = "outlines"
NOTES: Final = "notes.json"
CHECKPOINT: Final = "checkpoint"
ANNOTATION: Final = "annotation.json"


def plain(value: Any) -> Any:
    """Turn NumPy scalars and arrays, paths, tuples and NaN into what JSON holds.

    Parameters
    ----------
    value
        Any nesting of dictionaries, lists, tuples, NumPy values, numbers, strings and None.

    Returns
    -------
    The same with dictionaries (string keys), lists, str, int, float, bool and None only. Numbers
    that are not finite become None, as JSON has none.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write a JSON file atomically; numbers that are not finite are written as null."""
    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text, durable=durable)


def write_h5ad(path: Path, adata: AnnData, *, fast: bool = False) -> None:
    """Write an h5ad file atomically; fast takes more space on disk and a fifth of the time."""
    with replacing(path) as temporary:
        adata.write_h5ad(temporary, compression="lzf" if fast else "gzip")


#: Seconds since 1970, or numbers of a process, beyond which a value is damaged.
_BEYOND: Final = 2.0**40


def read_number(value: Any, what: str) -> float:
    """Return a number of a run folder that is 0 or more, such as a time.

    Parameters
    ----------
    value
        What JSON held.
    what
        The words for it in an error, such as ``"the date"``.

    Raises
    ------
    RunError
        If it is not a number, or no time or process has such a one.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < _BEYOND:
        raise RunError(
            f"{what.capitalize()} is {shown(value, longest=40)}, expected a number from 0 to "
            "10^12: the run folder is damaged, train again."
        )
    return float(value)


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object of a run folder.

    Parameters
    ----------
    path
        The file.
    what
        The words for it in an error, such as ``"the configuration"``.

    Returns
    -------
    The object.

    Raises
    ------
    RunError
        If the file is missing or does not hold a JSON object.
    """
    try:
        if path.exists() and not path.is_file():
            raise IsADirectoryError
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
        if "\\ud" in text.lower():
            # Half a pair of surrogates is no text: it can be neither shown nor written.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{what.capitalize()} ({path.name}) is missing, so this is not a run folder or "
            "it is incomplete: choose a folder written by SplicedVAE, or train again."
        ) from error
    except OSError as error:
        raise RunError(
            f"{what.capitalize()} ({path.name}) cannot be read by this user, or is no file: check "
            "its permissions, or train again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{what.capitalize()} ({path.name}) is not valid JSON: the run folder is "
            "damaged, train again."
        ) from error
    if not isinstance(value, dict):
        raise RunError(
            f"{what.capitalize()} ({path.name}) is not a JSON object: the run folder is "
            "damaged, train again."
        )
    return value
