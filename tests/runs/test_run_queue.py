"""Trainings wait for their turn, limits are kept, and old runs are removed when it is asked for."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from held_runs import stop_all, wait_until

from splicedvae._core.errors import RunError
from splicedvae.jobs import Limits, clean, place_of, queue, start, stop
from splicedvae.jobs.limits import limit_memory
from splicedvae.runs import Run, RunConfig, Status, list_runs
from splicedvae.runs.edit import prepare_folder
from splicedvae.runs.status import write_status
from splicedvae.runs.worker import read_worker

CONFIG = RunConfig(data="a", data_sha256="0" * 64, name="a")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SPLICEDVAE_PARALLEL_RUNS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "runs").mkdir()
    yield tmp_path / "runs"
    stop_all()


def waiting(folder: Path, number: int) -> Path:
    home = folder / f"{number:016x}"
    home.mkdir()
    prepare_folder(home, CONFIG)
    record = json.loads((home / "config.json").read_text())
    (home / "config.json").write_text(json.dumps({**record, "id": home.name}))
    queue.enter(home)
    return home


def test_one_works_and_the_others_have_their_places(folder: Path) -> None:
    homes = [waiting(folder, number) for number in (9, 2, 5)]
    assert [queue.place(home) for home in homes] == [0, 1, 2]
    assert [place_of(Run(home)) for home in homes] == [0, 1, 2]
    assert queue.length(folder) == 2
    # A run that ended in any way, or was deleted, holds nobody up.
    write_status(homes[0], Status("failed", updated=time.time()))
    assert [queue.place(home) for home in homes] == [0, 0, 1]
    write_status(homes[0], Status("queued", updated=time.time()))
    queue.enter(homes[0])
    assert [queue.place(home) for home in homes] == [2, 0, 1]
    queue.give_up_turn(homes[1])
    assert [queue.place(home) for home in homes] == [1, 0, 0]


def test_more_cores_let_more_work_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    homes = [waiting(folder, number) for number in range(4)]
    monkeypatch.setenv("SPLICEDVAE_PARALLEL_RUNS", "2")
    assert [queue.place(home) for home in homes] == [0, 0, 1, 2]
    monkeypatch.delenv("SPLICEDVAE_PARALLEL_RUNS")
    for cores, most in ((1, 1), (2, 1), (8, 1), (16, 2), (64, 8)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert Limits.of_environment().parallel == most


def test_a_second_training_waits_until_the_first_was_killed(small_config: RunConfig) -> None:
    endless = dataclasses.replace(small_config, max_epochs=1_000_000)
    first = start(endless)
    second = start(dataclasses.replace(endless, seed=1))
    third = start(dataclasses.replace(endless, seed=2))
    wait_until(lambda: first.status.state == "running", "the first one works")
    wait_until(lambda: second.status.beat is not None, "the second one waits")
    assert [place_of(run) for run in (first, second, third)] == [0, 1, 2]
    assert second.status.state == third.status.state == "queued"
    stop(third, timeout=5)
    assert third.status.state == "stopped"
    worker = read_worker(first.path)
    assert worker is not None
    os.killpg(worker.pid, signal.SIGKILL)
    wait_until(lambda: second.status.state == "running", "the second one works")
    assert first.status.state == "lost"
    assert place_of(second) == 0


def test_limits_are_told_in_a_sentence(
    folder: Path, small_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        waiting(folder, number)
    for variable, value, words in (
        ("SPLICEDVAE_MAX_WAITING", "2", "2 trainings are waiting, the most"),
        ("SPLICEDVAE_MAX_RUNS", "3", "There are 3 runs, the most"),
        ("SPLICEDVAE_MAX_DISK_GB", "0.000001", "this server allows"),
        ("SPLICEDVAE_MIN_FREE_GB", "1000000", "this server needs"),
        ("SPLICEDVAE_MAX_RUNS", "many", "expected a number"),
        ("SPLICEDVAE_PARALLEL_RUNS", "0", "expected a number of at least 1"),
        ("SPLICEDVAE_KEEP_DAYS", "nan", "expected a number"),
    ):
        with monkeypatch.context() as only:
            only.setenv(variable, value)
            with pytest.raises(RunError, match=words):
                start(small_config)
    assert len(list_runs()) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its memory")
def test_a_run_is_held_to_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLICEDVAE_RUN_MEMORY_GB", "0.5")
    script = (
        "from splicedvae.jobs.limits import limit_memory; limit_memory()\n"
        "try: bytearray(2 << 30); print('had it')\n"
        "except MemoryError: print('refused')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "refused"
    monkeypatch.delenv("SPLICEDVAE_RUN_MEMORY_GB")
    limit_memory()


def test_old_runs_are_removed_and_others_stay(folder: Path) -> None:
    now = 1.8e9
    for number, (state, days) in enumerate(
        [("finished", 40.0), ("finished", 1.0), ("failed", 40.0), ("running", 40.0)]
    ):
        home = folder / f"{number:016x}"
        home.mkdir()
        prepare_folder(home, CONFIG)
        record = json.loads((home / "config.json").read_text())
        changed = {**record, "created": 1.0, "id": home.name}
        (home / "config.json").write_text(json.dumps(changed))
        write_status(home, Status(state, updated=now - days * 86_400))  # type: ignore[arg-type]
    from splicedvae.runs.worker import write_worker

    write_worker(folder / f"{3:016x}", os.getpid())
    old = clean(30 * 86_400, dry_run=True, clock=lambda: now)
    assert {run.path.name[-1] for run in old} == {"0", "2"}
    assert len(list_runs()) == 4
    clean(30 * 86_400, clock=lambda: now)
    assert {run.path.name[-1] for run in list_runs()} == {"1", "3"}
    write_worker(folder / f"{3:016x}", 2**22 + 1)
