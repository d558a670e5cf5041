"""A full or read-only disk is a sentence, and what was written before can still be read."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_disks import make_read_only, mounted

from splicedvae._core.errors import RunError
from splicedvae._core.files import is_full
from splicedvae.jobs import reconcile, start, stop
from splicedvae.runs import (
    Run,
    RunConfig,
    Status,
    annotate,
    delete,
    demo_run,
    find_run,
    list_runs,
    rename,
)
from splicedvae.runs.edit import prepare_folder
from splicedvae.runs.status import read_status, write_status

RUN = "0123456789abcdef"


def fill(disk: Path) -> None:
    """Write until nothing fits any more."""
    with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    assert not shutil.disk_usage(disk).free


def test_a_run_on_a_full_disk_fails_with_its_reason(
    small_config: RunConfig, tmp_path: Path
) -> None:
    with mounted(tmp_path / "small", "1100k") as disk:
        (disk / "run").mkdir()
        prepare_folder(disk / "run", dataclasses.replace(small_config, max_epochs=1))
        # In a process of its own: HDF5 keeps a file that it could not finish.
        worker = [sys.executable, "-m", "splicedvae.pipeline.worker", str(disk / "run")]
        ended = subprocess.run(worker, check=False, capture_output=True, text=True)
        assert ended.returncode == 1
        run = Run(disk / "run")
        assert run.status.state == "failed"
        assert "The disk is full" in run.status.message
        assert "free some space" in run.status.message
        assert str(disk) not in run.status.message


def test_a_full_disk_is_known_by_its_number_whoever_says_so() -> None:
    assert is_full(OSError(errno.ENOSPC, "x"))
    assert is_full(ValueError("Error while serializing: I/O error: no space (os error 28)"))
    assert is_full(RuntimeError("Can't decrement id (file write failed: errno = 28, ...)"))
    assert not is_full(OSError(errno.EACCES, "x"))
    assert not is_full(ValueError("28 cells, os error 2"))


def test_a_final_status_finds_its_place_on_a_full_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "64k") as disk:
        prepare_folder(disk, RunConfig(data="a", data_sha256="0" * 64, name="a"))
        write_status(disk, Status("running", "training SplicedVAE", message="epoch 3 of 100"))
        fill(disk)
        with pytest.raises(OSError, match="No space"):
            write_status(disk, Status("running", "training SplicedVAE"))
        write_status(disk, Status("failed", "training", message="The disk is full."))
        assert read_status(disk).message == "The disk is full."
        assert not [item for item in disk.iterdir() if item.name.startswith(".")]


def test_a_start_on_a_full_disk_is_refused_in_a_sentence(
    small_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "small", "64k") as disk:
        monkeypatch.setenv("SPLICEDVAE_RUNS", str(disk / "runs"))
        (disk / "runs").mkdir()
        fill(disk)
        with pytest.raises(RunError, match="disk is full, so the run was not started"):
            start(small_config)
        assert list_runs() == []


def test_a_read_only_folder_of_runs_can_be_read_and_nothing_else(
    small_config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "disk", "20m") as disk:
        monkeypatch.setenv("SPLICEDVAE_RUNS", str(disk))
        shutil.copytree(demo_run().path, disk / RUN)
        record = json.loads((disk / RUN / "config.json").read_text())
        (disk / RUN / "config.json").write_text(json.dumps({**record, "id": RUN}))
        make_read_only(disk)
        (run,) = list_runs()
        assert run.is_finished
        assert run.predictions.n_obs == 900
        assert find_run(RUN).metrics is not None
        for change, words in (
            (lambda: start(small_config), "the run was not started"),
            (lambda: delete(run), "the run was not deleted"),
            (lambda: rename(run, "x"), "the run was not renamed"),
            (lambda: annotate(run, "x"), "the note was not saved"),
            (lambda: stop(run), "the run was not stopped"),
            (reconcile, "lost runs were not marked"),
        ):
            with pytest.raises(RunError, match=f"is read-only, so {words}") as caught:
                change()
            assert str(disk) not in str(caught.value)
