"""A run's folder as an object: each part is read on access.

Pages and the report read nothing else, so everything they show is in the folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import stat
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Sources, Uns
from splicedvae._core.notes import Note
from splicedvae.runs import files
from splicedvae.runs.checkpoint import Record, newest
from splicedvae.runs.config import FORMAT, RunConfig
from splicedvae.runs.stages import JUDGING
from splicedvae.runs.status import Status, is_lost, read_status

if TYPE_CHECKING:
    from anndata import AnnData

    from splicedvae.model import SplicedVAE

#: Columns of the run's tables that hold text whatever they look like.
_TEXT_COLUMNS: Final = ("gene", "predictor", "metric", "note")

#: Columns of the epoch curves.
HISTORY_COLUMNS: Final = ("predictor", "epoch", "metric", "value")

#: States of a run that came to rest before its end.
UNFINISHED: Final = ("failed", "stopped", "lost")


class Run:
    """A run folder, read lazily.

    Parameters
    ----------
    path
        The folder.

    Raises
    ------
    RunError
        If the folder is not a run, or was written in another format.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._record()

    def __repr__(self) -> str:
        return f"Run({self.id!r}, name={self.name!r}, state={self.status.state!r})"

    @property
    def path(self) -> Path:
        """The folder."""
        return self._path

    def _record(self) -> dict[str, Any]:
        record = files.read_json(self._path / files.CONFIG, "the configuration")
        version = record.get("format")
        if version != FORMAT:
            raise RunError(
                f"The run folder has format {str(version)[:20]}, but this version of "
                f"SplicedVAE reads format {FORMAT}: open it with the version that wrote it, "
                "or train again."
            )
        if not isinstance(record.get("config"), dict) or not isinstance(record.get("id"), str):
            raise RunError(
                "The configuration of the run (config.json) is incomplete: the run folder is "
                "damaged, train again."
            )
        return record

    @property
    def id(self) -> str:
        """Digest of data, parameters and code version (16 hexadecimal digits)."""
        return str(self._record()["id"])

    @property
    def created(self) -> float:
        """When the run was requested, in seconds since 1970."""
        return float(self._record().get("created") or 0.0)

    @property
    def config(self) -> RunConfig:
        """What the run was asked to do."""
        return RunConfig.from_dict(self._record()["config"])

    @property
    def name(self) -> str:
        """Display name."""
        return str(self._record()["config"].get("name", self.id))

    @property
    def status(self) -> Status:
        """What the run is doing now; a run whose worker is gone says ``"lost"``."""
        status = read_status(self._path)
        if not is_lost(self._path, status):
            return status
        # The worker may have finished between the two looks.
        status = read_status(self._path)
        return status if status.is_final else lost(status)

    @property
    def is_finished(self) -> bool:
        """Whether all results are there."""
        return self.status.state == "finished"

    @property
    def has_streams(self) -> bool:
        """Whether there are velocities to draw: final ones, or the first ones of a running run."""
        status = self.status
        return status.state == "finished" or (
            status.state == "running" and status.written is not None
        )

    @property
    def is_judged(self) -> bool:
        """Whether all is done that a verdict on a velocity rests on."""
        status = self.status
        return status.state == "finished" or (
            status.written is not None and JUDGING.isdisjoint(status.pending)
        )

    def _need(self, name: str, what: str) -> Path:
        file = self._path / name
        if file.exists():
            return file
        status = self.status
        if status.state == "finished":
            raise RunError(
                f"The run {self.name!r} has no {what} ({name}): the folder is incomplete, or a run "
                f"of kind {self.config.kind!r} makes none; train again if it should have them."
            )
        raise RunError(
            f"The run {self.name!r} has no {what} yet, its state is {status.state!r}: "
            f"{self._way_on}."
        )

    def need_finished(self, why: str) -> None:
        """Refuse a run that is not finished.

        Parameters
        ----------
        why
            What needs a finished run, as the middle of a sentence.

        Raises
        ------
        RunError
            If it is not finished; the sentence says what to do.
        """
        if not self.is_finished:
            raise RunError(
                f"The run {self.name!r} is {self.status.state}, and {why}: {self._way_on}."
            )

    @property
    def _way_on(self) -> str:
        """What to do with a run that is not finished, as the end of a sentence."""
        if not self.status.is_final:
            return "wait until it has finished"
        kept, _ = resumable(self)
        if kept is not None:
            return "resume it with `splicedvae resume`, or restart it"
        return "restart it"

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, code version, platform and times."""
        return files.read_json(self._need(files.PROVENANCE, "provenance"), "the provenance")

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Tidy metrics: predictor, metric, coverage, value, ceiling, n, note."""
        return _read_csv(self._need(files.METRICS, "metrics"))

    @cached_property
    def history(self) -> pd.DataFrame:
        """Epoch curves of both models: predictor, epoch (from 1), metric, value."""
        return _read_csv(self._need(files.HISTORY, "training history"))

    @cached_property
    def genes(self) -> pd.DataFrame:
        """One row per model gene, the gene's name as index."""
        table = _read_csv(self._need(files.GENES, "gene table"))
        return table.set_index(table.columns[0])

    @cached_property
    def predictions(self) -> AnnData:
        """Cells x model genes: totals, measured layers if any, ratios, split, embeddings.

        The object is shared between calls: treat it as read-only.
        """
        return _read_h5ad(self._need(files.PREDICTIONS, "predictions"))

    @cached_property
    def velocity_account(self) -> dict[str, dict[str, Any]]:
        """What became of each velocity, by source.

        Each entry holds ``state`` (``"ok"`` or ``"refused"``), ``message`` (the reason of a
        refusal), ``settings``, ``fallbacks`` and ``notes``.
        """
        return files.read_json(
            self._need(files.VELOCITY_ACCOUNT, "velocity record"), "the velocity record"
        )

    @property
    def velocity_sources(self) -> tuple[str, ...]:
        """Sources that have a velocity: of measured, splicedvae, scvi and true, in this order."""
        account = self.velocity_account
        return tuple(
            source for source in Sources.VELOCITIES if account.get(source, {}).get("state") == "ok"
        )

    def velocity(self, source: str) -> AnnData:
        """Read one velocity, with scVelo's names.

        Parameters
        ----------
        source
            One of `velocity_sources`.

        Returns
        -------
        AnnData of cells x genes, new at each call.

        Raises
        ------
        RunError
            If the run has no velocity of this source; the message holds the reason.
        """
        return _read_h5ad(self._velocity_file(source))

    def velocity_outline(self, source: str) -> AnnData:
        """Read what figures need of one velocity: cells, genes, embeddings and record, no matrices.

        That is about a hundredth of the file, which is all that is read of it.

        Parameters
        ----------
        source
            One of `velocity_sources`.

        Returns
        -------
        AnnData of cells x genes without ``X``, layers and graphs; shared between calls, treat it
        as read-only.

        Raises
        ------
        RunError
            If the run has no velocity of this source; the message holds the reason.
        """
        if source not in self._outlines:
            self._outlines[source] = _read_outline(self._outline_file(source))
        return self._outlines[source]

    @cached_property
    def _outlines(self) -> dict[str, AnnData]:
        return {}

    @cached_property
    def depths(self) -> NDArray[np.float64]:
        """Total counts of each cell of the predictions over the model's genes; read-only."""
        return np.asarray(self.predictions.X.sum(axis=1), dtype=np.float64).ravel()

    def _outline_file(self, source: str) -> Path:
        """Return the velocity, or its outline while it is incomplete."""
        first = self._path / files.OUTLINES / f"{source}.h5ad"
        whole = self._path / files.VELOCITY / f"{source}.h5ad"
        return first if first.exists() and not whole.exists() else self._velocity_file(source)

    def _velocity_file(self, source: str) -> Path:
        entry = self.velocity_account.get(source)
        if entry is None:
            raise RunError(
                f"The run {self.name!r} has no velocity from {source!r}: choose one of "
                f"{', '.join(self.velocity_sources) or 'none'}."
            )
        if entry.get("state") != "ok":
            raise RunError(str(entry.get("message") or f"The velocity from {source} was refused."))
        return self._need(f"{files.VELOCITY}/{source}.h5ad", f"{source} velocity")

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was read from the file, dropped or replaced, one sentence each."""
        file = self._path / files.NOTES
        if not file.exists():
            return ()
        stored = files.read_json(file, "the notes").get("notes", ())
        return tuple(Note.from_json(note) for note in stored)

    @property
    def annotation(self) -> str:
        """What a person wrote about the run, plain text; empty if nothing was written."""
        file = self._path / files.ANNOTATION
        if not file.exists():
            return ""
        return str(files.read_json(file, "the note").get("text", ""))

    @property
    def size(self) -> int:
        """Bytes that the folder takes on disk."""
        total = 0
        for file in self._path.rglob("*"):
            # A worker may replace or remove a file between the two looks.
            with contextlib.suppress(FileNotFoundError):
                told = file.lstat()
                total += told.st_size if stat.S_ISREG(told.st_mode) else 0
        return total

    def model(self, predictor: str = Sources.SPLICEDVAE) -> SplicedVAE:
        """Load a trained model.

        Parameters
        ----------
        predictor
            ``"splicedvae"``, or ``"scvi"`` for the baseline.

        Returns
        -------
        The model, ready to answer on AnnData without S/U.

        Raises
        ------
        RunError
            If the run holds no such model.
        """
        from splicedvae.model import SplicedVAE

        folder = self._need(f"{files.MODEL}/{predictor}", f"{predictor} model")
        return SplicedVAE.from_folder(folder)

    def live(self) -> pd.DataFrame:
        """Read the epoch curves as far as they have come, in the form of `history`.

        Returns
        -------
        predictor, epoch, metric, value; no rows before the first epoch. A line that is still
        being written is left out.

        Raises
        ------
        RunError
            If a line is damaged.
        """
        rows: list[dict[str, Any]] = []
        try:
            text = (self._path / files.LIVE).read_text(encoding="utf-8")
        except FileNotFoundError:
            text = ""
        for line in text.split("\n")[:-1]:
            try:
                point = json.loads(line)
                rows.extend(
                    {
                        "predictor": point["predictor"],
                        "epoch": point["epoch"],
                        "metric": metric,
                        "value": value,
                    }
                    for metric, value in point["metrics"].items()
                )
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise RunError(
                    "The training curves of the run (live.jsonl) hold a damaged line: "
                    "restart the run."
                ) from error
        return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))

    def log_tail(self, n: int = 50) -> str:
        """Return the end of the log, at most 200 kB; empty if there is none.

        Parameters
        ----------
        n
            Lines to return.
        """
        try:
            with (self._path / files.LOG).open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(file.tell() - 200_000, 0))
                text = file.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-n:]) if n > 0 else ""


def resumable(run: Run) -> tuple[Record | None, str]:
    """Return whether a run can be resumed, and from where.

    Parameters
    ----------
    run
        Any run.

    Returns
    -------
    record
        Its last checkpoint; None if the run cannot be resumed.
    reason
        Why it cannot although something was kept; empty otherwise.
    """
    if run.status.state not in UNFINISHED:
        return None, ""
    try:
        record = newest(run.path)
        refusal = None if record is None else record.refusal(run.config)
    except RunError as error:
        return None, str(error)
    return (record, "") if refusal is None else (None, refusal)


def lost(status: Status) -> Status:
    """Return the status of a run whose worker vanished."""
    return dataclasses.replace(
        status,
        state="lost",
        message=(
            "The process of this run no longer exists, it was killed or ran out of memory: "
            "restart the run, with fewer cells or genes if this happens again."
        ),
        seconds_left=None,
    )


def _read_csv(file: Path) -> pd.DataFrame:
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
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise RunError(
            f"The table {file.name} of the run cannot be read: the folder is damaged, train again."
        ) from error


def _read_h5ad(file: Path) -> AnnData:
    import anndata

    try:
        return anndata.read_h5ad(file)
    except (OSError, KeyError, ValueError) as error:
        raise RunError(
            f"The file {file.name} of the run cannot be read: the folder is damaged, train again."
        ) from error


def _read_outline(file: Path) -> AnnData:
    import anndata
    import h5py

    try:
        with h5py.File(file, "r") as stored:
            uns = stored.get("uns", {})
            return anndata.AnnData(
                **{name: anndata.io.read_elem(stored[name]) for name in ("obs", "var", "obsm")},
                uns={Uns.ROOT: anndata.io.read_elem(uns[Uns.ROOT])} if Uns.ROOT in uns else {},
            )
    except (OSError, KeyError, ValueError) as error:
        raise RunError(
            f"The file {file.name} of the run cannot be read: the folder is damaged, train again."
        ) from error
