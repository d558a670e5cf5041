"""Readers of a run's files: damage is one sentence, whatever a library raises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Uns

if TYPE_CHECKING:
    from anndata import AnnData

#: Columns of the run's tables that hold text whatever they look like.
_TEXT_COLUMNS: Final = ("gene", "predictor", "metric", "note")

#: Columns of the epoch curves.
HISTORY_COLUMNS: Final = ("predictor", "epoch", "metric", "value")
#: More epochs than any training has.
_MOST_EPOCHS: Final = 2**31


def read_live(file: Path) -> pd.DataFrame:
    """Read the epoch curves as a worker reports them.

    Parameters
    ----------
    file
        The file; no rows if it is not there.

    Returns
    -------
    predictor, epoch, metric, value. A line that is still being written, or damaged, is left out.
    """
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    rows = [row for line in text.split("\n")[:-1] for row in _points(line)]
    return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))


def _points(line: str) -> list[dict[str, Any]]:
    """Read the values of one epoch from a line of the live curves, none if it is damaged."""
    try:
        point = json.loads(line)
        metrics = point["metrics"]
        named = {"predictor": point["predictor"], "epoch": point["epoch"]}
        numbers = all(
            value is None or (isinstance(value, int | float) and not isinstance(value, bool))
            for value in metrics.values()
        )
        sound = isinstance(named["predictor"], str) and type(named["epoch"]) is int and numbers
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    if not sound or not 0 < named["epoch"] < _MOST_EPOCHS:
        return []
    return [{**named, "metric": metric, "value": value} for metric, value in metrics.items()]


def read_csv(file: Path) -> pd.DataFrame:
    """Read a table of a run; names stay text.

    Parameters
    ----------
    file
        The file.

    Raises
    ------
    RunError
        If it is damaged.
    """
    try:
        # A gene may be called NA, null or 1: only an empty field is missing, and names are text.
        table = pd.read_csv(
            file,
            keep_default_na=False,
            na_values=[""],
            dtype=dict.fromkeys(_TEXT_COLUMNS, str),
        )
        for name in {"note"} & set(table.columns):
            table[name] = table[name].fillna("")
        return table
    except (ValueError, OSError, KeyError, IndexError) as error:
        raise RunError(
            f"The table {file.name} of the run cannot be read: the folder is damaged, train again."
        ) from error


@contextmanager
def _damage_is_told(file: Path) -> Iterator[None]:
    """Turn whatever a library raises of a damaged h5ad file into one sentence."""
    try:
        yield
    except Exception as error:
        raise RunError(
            f"The file {file.name} of the run cannot be read: the folder is damaged, train again."
        ) from error


def read_h5ad(file: Path) -> AnnData:
    """Read an h5ad file of a run.

    Parameters
    ----------
    file
        The file.

    Raises
    ------
    RunError
        If it is damaged.
    """
    import anndata

    with _damage_is_told(file):
        return anndata.read_h5ad(file)


def read_outline(file: Path) -> AnnData:
    """Read cells, genes, embeddings and record of a velocity, without its matrices.

    Parameters
    ----------
    file
        The file.

    Raises
    ------
    RunError
        If it is damaged.
    """
    import anndata
    import h5py

    with _damage_is_told(file), h5py.File(file, "r") as stored:
        uns = stored.get("uns", {})
        return anndata.AnnData(
            **{name: anndata.io.read_elem(stored[name]) for name in ("obs", "var", "obsm")},
            uns={Uns.ROOT: anndata.io.read_elem(uns[Uns.ROOT])} if Uns.ROOT in uns else {},
        )
