"""What a person may change in a run in the folder of runs: name, note, deletion."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path
from typing import Final

from splicedvae._core.errors import RunError
from splicedvae.runs import files
from splicedvae.runs.config import FORMAT, RunConfig
from splicedvae.runs.find import DamagedRun, runs_folder
from splicedvae.runs.lock import locked
from splicedvae.runs.run import Run
from splicedvae.runs.status import Status, write_status
from splicedvae.runs.worker import read_worker

_NAME_LENGTH: Final = 120
#: Most characters of a person's note on a run.
NOTE_LENGTH: Final = 2000


def prepare_folder(folder: Path, config: RunConfig) -> None:
    """Write configuration and first status of a run into an existing, empty folder."""
    files.write_json(
        folder / files.CONFIG,
        {
            "format": FORMAT,
            "id": config.digest(),
            "created": time.time(),
            "config": config.to_dict(),
        },
    )
    write_status(folder, Status(updated=time.time()))


def delete(run: Run | DamagedRun) -> None:
    """Remove a run and all its results.

    Parameters
    ----------
    run
        A run of `runs_folder` that is at rest, readable or damaged.

    Raises
    ------
    RunError
        If it is running, or is elsewhere, as the demo is; or the folder is not that of a run.
    """
    _refuse_elsewhere(run)
    if isinstance(run, DamagedRun) and not run.is_run:
        raise RunError(
            f"The folder {run.name!r} does not have a run's name, so it may be anything: look into "
            "it and remove it by hand."
        )
    with locked(run.path.parent, "the run was not deleted"):
        if isinstance(run, Run):
            is_running = not run.status.is_final
        else:
            worker = read_worker(run.path)
            is_running = worker is not None and worker.whereabouts() == "here"
        if is_running:
            raise RunError(f"The run {run.name!r} is running: stop it before you delete it.")
        remove_folder(run.path)


def rename(run: Run, name: str) -> None:
    """Give a run another display name; its id stays.

    Parameters
    ----------
    run
        A run of `runs_folder`.
    name
        The new name, not empty.

    Raises
    ------
    RunError
        If the name is empty, or the run is elsewhere, as the demo is.
    """
    name = clean_name(name)
    _refuse_elsewhere(run)
    with locked(run.path.parent, "the run was not renamed"):
        record = files.read_json(run.path / files.CONFIG, "the configuration")
        record["config"]["name"] = name
        files.write_json(run.path / files.CONFIG, record)


def annotate(run: Run, text: str) -> None:
    """Keep a person's own words about a run; they change no result and not its id.

    Parameters
    ----------
    run
        A run of `runs_folder`, in any state.
    text
        Plain text of any lines, at most `NOTE_LENGTH` characters; empty removes the note.

    Raises
    ------
    RunError
        If the text is too long, or the run is elsewhere, as the demo is.
    """
    lines = [" ".join(line.split()) for line in text.splitlines()]
    cleaned = "\n".join(lines).strip()
    if len(cleaned) > NOTE_LENGTH:
        raise RunError(
            f"The note has {len(cleaned):,} characters, expected at most {NOTE_LENGTH:,}: "
            "shorten it."
        )
    _refuse_elsewhere(run)
    with locked(run.path.parent, "the note was not saved"):
        file = run.path / files.ANNOTATION
        if not cleaned:
            file.unlink(missing_ok=True)
        elif run.path.is_dir():
            files.write_json(file, {"text": cleaned, "written": time.time()})


def clean_name(name: str) -> str:
    """Return a display name on one line, cut to its greatest length."""
    cleaned = " ".join(name.split())
    if not cleaned:
        raise RunError("The name of the run is empty: give it at least one letter.")
    return cleaned[:_NAME_LENGTH]


def _refuse_elsewhere(run: Run | DamagedRun) -> None:
    if run.path.absolute().parent != runs_folder():
        raise RunError(
            f"The run {run.name!r} is not in the folder of runs and is read-only: use a run "
            "of your own."
        )


def remove_folder(folder: Path) -> None:
    """Remove a folder so that nobody sees half of it."""
    trash = folder.with_name(f".trash-{uuid.uuid4().hex[:8]}")
    folder.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)
