"""Where runs lie, and how one is found: by folder, by id, or the demo that is shipped."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from splicedvae._core.errors import RunError
from splicedvae._core.messages import shown
from splicedvae._core.places import user_folder
from splicedvae.runs import files
from splicedvae.runs.run import Run

#: Environment variable that names the folder of runs.
RUNS_VARIABLE: Final = "SPLICEDVAE_RUNS"
#: Name by which the shipped run is requested.
DEMO: Final = "demo"
_ID: Final = re.compile(r"[0-9a-f]{16}")


def runs_folder() -> Path:
    """Return the folder that holds the runs of this user.

    Returns
    -------
    What the environment variable ``SPLICEDVAE_RUNS`` names, else the system's place for a
    user's data. It may not exist yet.
    """
    return user_folder(RUNS_VARIABLE, "runs")


def demo_run() -> Run:
    """Return the finished run that is shipped with the package; it is read-only.

    Raises
    ------
    RunError
        If the package was built without it.
    """
    folder = Path(__file__).parents[1] / "demo"
    if not (folder / files.CONFIG).is_file():
        raise RunError(
            "The demo run is not in this installation: make it with `splicedvae demo --out FOLDER`."
        )
    return Run(folder)


def find_run(run_id: str) -> Run:
    """Return the run of an id, which may come from a URL.

    Parameters
    ----------
    run_id
        16 hexadecimal digits, or ``"demo"``.

    Raises
    ------
    RunError
        If it is not an id, or there is no such run.
    """
    if run_id == DEMO:
        return demo_run()
    if not _ID.fullmatch(run_id) or not (runs_folder() / run_id).is_dir():
        raise RunError(
            f"There is no run {run_id[:40]!r}: choose one from the list of runs, or start it."
        )
    return Run(runs_folder() / run_id)


def open_run(name: str | Path) -> Run:
    """Return the run of a folder, of an id, or the demo.

    Parameters
    ----------
    name
        A run folder; or an id, or ``"demo"``, if there is no such folder here.

    Raises
    ------
    RunError
        If there is no such run.
    """
    if (Path(name) / files.CONFIG).is_file():
        return Run(name)
    if Path(name).exists():
        raise RunError(
            f"{Path(name).name!r} is not a run folder, it has no {files.CONFIG}: name a "
            "folder made by `splicedvae train`."
        )
    return find_run(str(name))


def list_runs() -> list[Run]:
    """Return the runs of `runs_folder`, the newest first; the demo is not among them.

    Warns
    -----
    UserWarning
        For each folder that is not a readable run, which is left out; see `damaged_runs`.
    """
    found, damaged = all_runs()
    for item in damaged:
        warnings.warn(f"The run {item.name} is not listed: {item.reason}", stacklevel=2)
    return found


@dataclass(frozen=True)
class DamagedRun:
    """A folder among the runs that cannot be read as one.

    Attributes
    ----------
    path
        The folder.
    reason
        What is wrong with it, a sentence.
    """

    path: Path
    reason: str

    @property
    def name(self) -> str:
        """Name of the folder on one line."""
        return shown(self.path.name, longest=40)

    @property
    def is_run(self) -> bool:
        """Whether the folder has a run's name; another may be anything and is never deleted."""
        return bool(_ID.fullmatch(self.path.name))


def damaged_runs() -> list[DamagedRun]:
    """Return the folders of `runs_folder` that cannot be read as runs, by name."""
    return all_runs()[1]


def all_runs() -> tuple[list[Run], list[DamagedRun]]:
    """Return the runs of `runs_folder`, the newest first, and the folders that are damaged.

    Raises
    ------
    RunError
        If the folder of runs cannot be read.
    """
    found: list[tuple[float, Run]] = []
    damaged: list[DamagedRun] = []
    folder = runs_folder()
    try:
        places = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise RunError(
            "The folder of runs cannot be read: make it readable, or set another one with "
            f"{RUNS_VARIABLE}."
        ) from error
    for path in places:
        if path.name.startswith("."):
            continue
        try:
            if not path.is_dir():
                continue
            run = Run(path)
            found.append((run.created, run))
        except (RunError, OSError) as error:
            reason = str(error) if isinstance(error, RunError) else "Its folder cannot be read."
            damaged.append(DamagedRun(path, reason))
    found.sort(key=lambda item: item[0], reverse=True)
    return [run for _, run in found], damaged
