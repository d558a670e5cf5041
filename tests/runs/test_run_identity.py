"""A worker is known whatever the clock does, and one that stands still is seen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from held_runs import wait_until
from hostile_cases import hostile_case

from splicedvae import jobs, runs
from splicedvae.jobs import resume, stop
from splicedvae.runs import Pulse, Run, RunConfig, Status
from splicedvae.runs.edit import prepare_folder
from splicedvae.runs.status import SILENT, current_status, is_lost, pulse, write_status
from splicedvae.runs.worker import Worker, read_worker, write_worker

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is there on Linux alone")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.send_signal(signal.SIGCONT)
        process.kill()


@pytest.fixture
def run(tmp_path: Path, child: subprocess.Popen[bytes]) -> Run:
    prepare_folder(tmp_path, RunConfig(data="a", data_sha256="0" * 64, name="a"))
    write_worker(tmp_path, child.pid)
    status = Status("running", "training", 0.4, seconds_left=120.0, pid=child.pid)
    write_status(tmp_path, replace(status, updated=time.time(), beat=time.monotonic()))
    return Run(tmp_path)


@linux
@pytest.mark.parametrize("step", [-86_400.0, -5.0, 5.0, 86_400.0])
def test_a_step_of_the_clock_changes_no_worker(
    run: Run, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # psutil computes the creation time from the clock: after a step it gives another one.
    before, now = psutil.Process.create_time, time.time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: before(process) + step)
    monkeypatch.setattr(time, "time", lambda: now() + step)
    assert run.status.state == "running"
    assert run.pulse.responds
    assert resume(run).status.state == "running"


def test_another_process_of_the_same_number_is_another(run: Run) -> None:
    worker = read_worker(run.path)
    assert worker is not None
    assert worker.whereabouts() == "here"
    if worker.start is not None:
        assert replace(worker, start=worker.start + 1).whereabouts() == "gone"
        elsewhere = replace(worker, boot="another start of another machine")
        assert elsewhere.whereabouts() == "elsewhere"
        assert elsewhere.process() is None
    # As a version before this noted it, and systems other than Linux do.
    old = Worker(worker.pid, worker.host, worker.created)
    assert old.whereabouts() == "here"
    assert replace(old, created=(worker.created or 0) - 10).whereabouts() == "gone"
    assert replace(old, host="another").whereabouts() == "elsewhere"


def test_a_suspended_worker_is_seen_and_can_be_stopped(
    run: Run, child: subprocess.Popen[bytes]
) -> None:
    assert not run.pulse.suspended
    child.send_signal(signal.SIGSTOP)
    wait_until(lambda: run.pulse.suspended, "it is suspended")
    assert not run.pulse.responds
    assert run.status.state == "running"
    child.send_signal(signal.SIGCONT)
    wait_until(lambda: run.pulse.responds, "it was continued")


def test_a_silent_worker_is_seen_by_the_time_since_the_start_of_the_machine(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = run.status
    beat = status.beat
    assert beat is not None
    write_status(run.path, replace(status, beat=beat - SILENT - 1))
    assert run.pulse.silent > SILENT
    assert not run.pulse.responds
    # A clock a year ahead makes nobody silent.
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3.2e7)
    write_status(run.path, replace(status, beat=time.monotonic()))
    assert run.pulse.responds


def test_a_worker_of_another_machine_has_no_pulse(run: Run) -> None:
    worker = json.loads((run.path / "worker.json").read_text())
    (run.path / "worker.json").write_text(json.dumps({**worker, "boot": "x", "host": "x"}))
    assert pulse(run.path, replace(run.status, beat=0.0)) == Pulse()
    assert not is_lost(run.path, Status("running", updated=time.time()))


def test_a_lost_run_says_resume_where_something_was_kept(
    run: Run, child: subprocess.Popen[bytes]
) -> None:
    child.kill()
    child.wait()
    assert current_status(run.path).state == "lost"
    assert "restart the run" in run.status.message
    (run.path / "checkpoint").mkdir()
    (run.path / "checkpoint" / "splicedvae.safetensors").write_bytes(b"x")
    assert "resume the run" in run.status.message


def test_hostile_step_of_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = hostile_case("clock_step")
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path))
    monkeypatch.setattr(runs, "start", jobs.start, raising=False)
    # The case waits until the training is under way; a status says so sooner.
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    found = Run(make(str(tmp_path)))
    try:
        assert found.status.state in ("queued", "running")
        worker = read_worker(found.path)
        assert worker is not None
        assert worker.whereabouts() == "here"
        again = resume(found)
        same = read_worker(again.path)
        assert same is not None
        assert same.pid == worker.pid
        assert os.getpid() != worker.pid
    finally:
        monkeypatch.undo()
        monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path))
        stop(found, timeout=2)
