"""Checkpoints, from which a stopped or killed run is resumed.

One file a training, replaced atomically: weights, optimizer and random numbers as safetensors,
everything else as JSON in the file's header. Nothing of it runs when read. This half needs neither
torch nor scvi-tools, so that a page can ask how far a run had come; `_keeper` fills the files.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

from safetensors import SafetensorError, safe_open

from splicedvae._core.errors import RunError
from splicedvae._core.files import sweep
from splicedvae.runs import files
from splicedvae.runs.config import RunConfig, code_version
from splicedvae.runs.sealed import is_intact
from splicedvae.runs.stages import Work

FORMAT: Final = 2
RESUMED: Final = "resumed.json"
WORK: Final = "work.json"

#: The trainings of a run in their order, and what a person reads.
TRAININGS: Final = {
    "splicedvae": "SplicedVAE",
    "scvi": "scVI",
    "scvi_head": "the ratio head on scVI",
}
#: Packages whose version determines how a training continues.
_PACKAGES: Final = ("torch", "scvi-tools")
_HEADER: Final = "record"


def _packages() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


@dataclass(frozen=True)
class Record:
    """The metadata of a checkpoint.

    Attributes
    ----------
    training
        One of `TRAININGS`.
    epoch
        Epochs that were done.
    epochs
        Epochs there will be.
    finished
        Whether the training is done; the file then holds the weights alone.
    run
        Digest of data, parameters and code version, as a run's id.
    code
        Code version.
    packages
        Versions of the packages that train.
    device
        ``"cpu"`` or ``"cuda"``.
    steps
        Steps of the optimizer that were done.
    live_bytes
        Length of the live curves at this moment.
    seconds
        Time spent on this training.
    format
        Version of this file's layout.
    """

    training: str
    epoch: int
    epochs: int
    finished: bool = False
    run: str = ""
    code: str = ""
    packages: dict[str, str] = field(default_factory=_packages)
    device: str = "cpu"
    steps: int = 0
    live_bytes: int = 0
    seconds: float = 0.0
    format: int = FORMAT

    def to_header(self) -> dict[str, str]:
        """Return what safetensors keeps in a file's header."""
        return {_HEADER: json.dumps(asdict(self), sort_keys=True)}

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the header of a checkpoint; its numbers are left alone.

        Parameters
        ----------
        file
            The checkpoint, named as its training.

        Raises
        ------
        RunError
            If the file is damaged or of another layout.
        """
        try:
            with safe_open(file, framework="numpy") as opened:
                values: dict[str, Any] = json.loads((opened.metadata() or {})[_HEADER])
            found = values.get("format")
            record = cls(**values) if found == FORMAT else None
            sound = record is None or (
                record.training == file.stem and 0 <= record.epoch <= record.epochs
            )
        except (
            SafetensorError,
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise damaged(file) from error
        if record is None:
            raise RunError(
                f"The checkpoint {file.name} has format {str(found)[:20]}, but this version "
                f"reads {FORMAT}: restart the run."
            )
        if not sound:
            raise damaged(file)
        return record

    def refusal(self, config: RunConfig) -> str | None:
        """Return why a run cannot be resumed from here, or None.

        Parameters
        ----------
        config
            What the run is asked to do now.
        """
        if self.code != code_version():
            return (
                f"The run was started with version {self.code} of the code, but this is "
                f"{code_version()}, so it cannot be resumed: restart it."
            )
        if self.run != config.digest():
            return (
                "The checkpoint belongs to another data file or other settings than the "
                "run: restart it."
            )
        other = sorted(set(self.packages.items()) ^ set(_packages().items()))
        if other:
            return (
                f"The run was started with another version of {other[0][0]}, so it cannot "
                "be resumed: restart it."
            )
        return None


def damaged(file: Path) -> RunError:
    """Return the error that says that a checkpoint is not what was written."""
    return RunError(
        f"The checkpoint {file.name} of the run cannot be read or does not match its digest, it is "
        "damaged: restart the run."
    )


def newest(folder: Path) -> Record | None:
    """Return how far the trainings of a run had come, None if nothing was kept.

    Parameters
    ----------
    folder
        The run folder.

    Raises
    ------
    RunError
        If a checkpoint is damaged; each is read as a whole, for its digest.
    """
    found = None
    for training in TRAININGS:
        file = folder / files.CHECKPOINT / f"{training}.safetensors"
        if file.is_file():
            found = Record.read(file)
            if not is_intact(file):
                raise damaged(file)
    return found


def kept_work(folder: Path) -> Work | None:
    """Return how much an interrupted run had to do, None if that was not noted or is damaged.

    Parameters
    ----------
    folder
        The run folder.
    """
    file = folder / files.CHECKPOINT / WORK
    try:
        return Work.from_dict(files.read_json(file, "the note on the work"))
    except (RunError, KeyError, TypeError, ValueError, OverflowError):
        # It serves an estimate of time alone, and there is none without it.
        return None


def _is_resumption(value: Any) -> bool:
    """Whether a value is an entry of the list of resumptions."""
    if not isinstance(value, dict) or value.get("training") not in list(TRAININGS):
        return False
    counts = [value.get("epoch"), value.get("epochs")]
    try:
        files.read_number(value.get("time"), "the time")
    except RunError:
        return False
    whole = all(type(count) is int and 0 <= count < 2**31 for count in counts)
    return whole and isinstance(value.get("device"), str)


class Checkpoints:
    """The checkpoints of one run, for the process that works on it.

    Parameters
    ----------
    folder
        The run folder.
    config
        What the run was asked to do.

    Raises
    ------
    RunError
        If there are checkpoints that this run cannot be resumed from.
    """

    def __init__(self, folder: Path, config: RunConfig) -> None:
        self._run = folder
        self._folder = folder / files.CHECKPOINT
        self._digest = config.digest()
        self._records: dict[str, Record] = {}
        for training in TRAININGS:
            file = self.file(training)
            if not file.is_file():
                continue
            record = Record.read(file)
            refusal = record.refusal(config)
            if refusal is not None:
                raise RunError(refusal)
            self._records[training] = record
        #: Why resumptions before this one are not known; empty otherwise.
        self.complaint = ""
        # A worker that was killed while it wrote leaves half a file under another name.
        sweep(folder)

    def file(self, training: str) -> Path:
        """Return the file of a training."""
        return self._folder / f"{training}.safetensors"

    def record(self, training: str) -> Record | None:
        """Return how far a training had come before this process, None if it had not begun."""
        return self._records.get(training)

    @property
    def live_file(self) -> Path:
        """The live curves."""
        return self._run / files.LIVE

    def new_record(self, training: str, **values: Any) -> Record:
        """Make a record of this run."""
        try:
            live = self.live_file.stat().st_size
        except FileNotFoundError:
            live = 0
        return Record(training, run=self._digest, code=code_version(), live_bytes=live, **values)

    def ready(self) -> None:
        """Make the folder, if need be."""
        self._folder.mkdir(exist_ok=True)

    def go_on(self) -> list[dict[str, Any]]:
        """Cut the live curves at the newest checkpoint, and record that the run is resumed.

        Returns
        -------
        Each resumption of the run, including the present one: ``time`` (s since 1970),
        ``training``, ``epoch``, ``epochs`` and ``device``. Empty if the run begins.
        """
        if not self._records:
            return []
        last = list(self._records.values())[-1]
        with self.live_file.open("ab") as live:
            live.truncate(min(last.live_bytes, live.tell()))
        told = self.resumed()
        told.append(
            {
                "time": time.time(),
                "training": last.training,
                "epoch": last.epoch,
                "epochs": last.epochs,
                "device": last.device,
            }
        )
        files.write_json(self._folder / RESUMED, {"resumed": told})
        return told

    def keep_work(self, work: Work) -> None:
        """Note how much the run has to do, by which the time of its rest is estimated."""
        self.ready()
        files.write_json(self._folder / WORK, work.to_dict())

    def resumed(self) -> list[dict[str, Any]]:
        """Return each resumption of the run, as `go_on`; `complaint` says if some are not known."""
        file = self._folder / RESUMED
        if not file.is_file():
            return []
        try:
            listed = files.read_json(file, "the list of resumptions").get("resumed")
        except RunError:
            listed = None
        if not isinstance(listed, list):
            listed = [None]
        found = [item for item in listed if _is_resumption(item)]
        if len(found) < len(listed):
            self.complaint = (
                "The list of earlier interruptions of the run (resumed.json) is damaged; those "
                "that cannot be read are left out."
            )
        return found

    def clear(self) -> None:
        """Remove all checkpoints, as when the run is finished."""
        if self._folder.exists():
            shutil.rmtree(self._folder)
