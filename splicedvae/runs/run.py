"""A run's folder as an object: each part is read on access.

Pages and the report read nothing else, so everything they show is in the folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Sources
from splicedvae._core.notes import Note
from splicedvae.runs import files, results
from splicedvae.runs.checkpoint import Record, newest
from splicedvae.runs.config import FORMAT, RunConfig
from splicedvae.runs.readers import read_csv, read_h5ad, read_live, read_outline
from splicedvae.runs.stages import JUDGING
from splicedvae.runs.status import Pulse, Status, current_status, pulse

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from splicedvae.model import SplicedVAE

_ID: Final = re.compile(r"[0-9a-f]{16}")

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
        If the folder is not a run, was written in another format, or its configuration is damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        # Whoever has a run can read what it was asked to do: a damaged one is never made.
        _ = self.config, self.created

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
        known = isinstance(record.get("id"), str) and _ID.fullmatch(record["id"])
        if not isinstance(record.get("config"), dict) or not known:
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
        created = self._record().get("created")
        return 0.0 if created is None else files.read_number(created, "the date of the run")

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
        return current_status(self._path)

    @property
    def pulse(self) -> Pulse:
        """Whether the worker of a running run reports."""
        return pulse(self._path, self.status)

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
            results.check(self._path, name)
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

    def check(self, *names: str) -> None:
        """Refuse results that were damaged after the run had finished.

        Parameters
        ----------
        *names
            Of files, or of folders whose files are checked, in the run folder.

        Raises
        ------
        RunError
            If one does not match its digest; a run without digests is not checked.
        """
        for name in names:
            results.check(self._path, name)

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
        return read_csv(self._need(files.METRICS, "metrics"))

    @cached_property
    def history(self) -> pd.DataFrame:
        """Epoch curves of both models: predictor, epoch (from 1), metric, value.

        If the table is damaged, they are read from the live curves; `notes` says so.
        """
        return self._history[0]

    @cached_property
    def _history(self) -> tuple[pd.DataFrame, str]:
        """The epoch curves, and what was done because their table is damaged."""
        try:
            return read_csv(self._need(files.HISTORY, "training history")), ""
        except RunError:
            live = self.live()
            if not self.is_finished or live.empty:
                raise
        return live, (
            f"The table of the training curves ({files.HISTORY}) is damaged; they were read from "
            f"those that the worker reported ({files.LIVE})."
        )

    @cached_property
    def genes(self) -> pd.DataFrame:
        """One row per model gene, the gene's name as index."""
        table = read_csv(self._need(files.GENES, "gene table"))
        return table.set_index(table.columns[0])

    @cached_property
    def predictions(self) -> AnnData:
        """Cells x model genes: totals, measured layers if any, ratios, split, embeddings.

        The object is shared between calls: treat it as read-only.
        """
        return read_h5ad(self._need(files.PREDICTIONS, "predictions"))

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
        return read_h5ad(self._velocity_file(source))

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
            self._outlines[source] = read_outline(self._outline_file(source))
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
        """What was read from the file, dropped or replaced, and is damaged, one sentence each."""
        return (*self._stored_notes(), *self._found_damaged())

    def _stored_notes(self) -> tuple[Note, ...]:
        file = self._path / files.NOTES
        if not file.exists():
            return ()
        try:
            results.check(self._path, files.NOTES)
            stored = files.read_json(file, "the notes").get("notes", [])
        except RunError as error:
            return (Note(str(error), "run-damaged"),)
        if not isinstance(stored, list):
            return (Note("The notes of the run are no list and are not shown.", "run-damaged"),)
        return tuple(Note.from_json(note) for note in stored)

    def _found_damaged(self) -> Iterator[Note]:
        """Say what of a finished run is damaged although its results can be shown."""
        if not self.is_finished:
            return
        if not results.is_sealed(self._path):
            yield Note(
                "The run was made by a version that wrote no digests, so damage to its results "
                "would not be noticed.",
                "digests-missing",
            )
        with contextlib.suppress(RunError):
            # A prediction trains nothing; results that are refused say so where they are asked for.
            if self._history[1]:
                yield Note(self._history[1], "run-damaged")
        try:
            self._read_annotation()
        except RunError as error:
            yield Note(str(error), "run-damaged")

    @property
    def annotation(self) -> str:
        """What a person wrote about the run, plain text; empty if nothing can be read."""
        try:
            return self._read_annotation()
        except RunError:
            # `notes` says so.
            return ""

    def _read_annotation(self) -> str:
        file = self._path / files.ANNOTATION
        if not file.exists():
            return ""
        return str(files.read_json(file, "a person's note on the run").get("text", ""))

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
        being written, or damaged, is left out.
        """
        return read_live(self._path / files.LIVE)

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
