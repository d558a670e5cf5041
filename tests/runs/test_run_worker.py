"""Real worker processes: started once, really stopped, really killed."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from held_runs import stop_all

from splicedvae._core.errors import RunError
from splicedvae.jobs import reconcile, start, stop
from splicedvae.runs import (
    Run,
    RunConfig,
    delete,
    find_run,
    list_runs,
    open_run,
    rename,
    runs_folder,
)
from splicedvae.runs.edit import prepare_folder
from splicedvae.runs.status import read_status
from splicedvae.runs.worker import read_worker

#: Enough epochs that no machine finishes them before it is stopped.
ENDLESS = 1_000_000
#: Seconds after which something never happens.
NEVER = 120.0


@pytest.fixture(autouse=True)
def own_runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield tmp_path / "runs"
    stop_all()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + NEVER
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)


def is_training(run: Run) -> bool:
    status = run.status
    assert not status.is_final, (status, run.log_tail(30))
    return len(run.live()) > 0


def process_of(run: Run) -> psutil.Process:
    worker = read_worker(run.path)
    assert worker is not None
    process = worker.process()
    assert process is not None
    return process


def test_worker_is_stopped_while_it_trains(small_config: RunConfig) -> None:
    run = start(dataclasses.replace(small_config, max_epochs=ENDLESS), name="  to be\nstopped ")
    assert run.name == "to be stopped"
    assert run.status.state in ("queued", "running")
    wait_until(lambda: is_training(run), "the first epoch")
    status = run.status
    assert status.state == "running"
    assert status.pid == process_of(run).pid
    assert os.getsid(process_of(run).pid) == status.pid != os.getsid(0)
    assert 0 < status.fraction < 1
    wait_until(lambda: run.status.seconds_left is not None, "an estimate of the time left")
    assert run.status.message.startswith("epoch ")
    process = process_of(run)

    status = stop(run, timeout=60)

    assert status.state == "stopped"
    assert not process.is_running()
    # The worker said so itself: it was not ended by force.
    assert "stopped: Stopped before it was finished." in run.log_tail(5)
    assert "Traceback" not in run.log_tail(50)
    assert not [item.name for item in run.path.iterdir() if item.name.startswith(".")]
    assert stop(run).state == "stopped"

    again = start(dataclasses.replace(small_config, max_epochs=ENDLESS))
    assert again.id == run.id
    assert again.status.state in ("queued", "running")
    assert again.live().empty


def test_killed_worker_is_found_lost_and_can_be_started_again(small_config: RunConfig) -> None:
    config = dataclasses.replace(small_config, max_epochs=ENDLESS)
    run = start(config)
    wait_until(lambda: run.status.state == "running", "the worker's first word")
    with pytest.raises(RunError, match="is running"):
        delete(run)
    process = process_of(run)
    os.killpg(process.pid, signal.SIGKILL)
    wait_until(lambda: run.status.state == "lost", "the loss is seen")
    # The file still says what the worker said last; reconciling writes the truth.
    assert read_status(run.path).state == "running"
    assert [lost.id for lost in reconcile()] == [run.id]
    assert read_status(run.path).state == "lost"
    assert "restart the run" in run.status.message
    assert reconcile() == []
    again = start(config)
    assert again.status.state in ("queued", "running")
    stop(again, timeout=1)
    delete(again)
    assert list_runs() == []


def test_worker_that_does_not_listen_is_ended_by_force(small_config: RunConfig) -> None:
    run = start(dataclasses.replace(small_config, max_epochs=ENDLESS))
    wait_until(lambda: run.status.state == "running", "the worker's first word")
    process = process_of(run)
    process.suspend()
    assert stop(run, timeout=0.5).state == "stopped"
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_same_request_from_many_tabs_and_processes_is_one_run(small_config: RunConfig) -> None:
    config = dataclasses.replace(small_config, max_epochs=ENDLESS)
    script = (
        "import json, sys; from splicedvae.jobs import start; "
        "from splicedvae.runs import RunConfig; "
        "print(start(RunConfig.from_dict(json.load(sys.stdin))).id)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    found: list[Run] = []
    threads = [threading.Thread(target=lambda: found.append(start(config))) for _ in range(6)]
    for thread in threads:
        thread.start()
    told, _ = other.communicate(json.dumps(config.to_dict()), timeout=NEVER)
    for thread in threads:
        thread.join()
    assert {run.id for run in found} | {told.strip()} == {config.digest()}
    assert [run.id for run in list_runs()] == [config.digest()]
    at_work = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(found[0].path) in (process.info["cmdline"] or [])
    ]
    assert at_work == [process_of(found[0]).pid]


def test_run_that_cannot_work_fails_with_its_sentence_and_never_imports_streamlit(
    small_config: RunConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    prepare_folder(folder, dataclasses.replace(small_config, cluster_key="no such column"))
    script = (
        "import sys; from splicedvae.pipeline.worker import main; code = main(sys.argv[1:]); "
        "sys.exit(100 if 'streamlit' in sys.modules else code)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(folder)], check=False)
    assert ended.returncode == 1
    run = Run(folder)
    assert run.status.state == "failed"
    assert "no column 'no such column'" in run.status.message
    assert str(tmp_path) not in run.status.message
    with pytest.raises(RunError, match=r": restart it\."):
        _ = run.metrics


def test_worker_that_cannot_begin_says_so(small_config: RunConfig, tmp_path: Path) -> None:
    prepare_folder(tmp_path, small_config)
    # An entry of None in sys.modules is how Python marks a package that cannot be imported.
    script = (
        "import sys; sys.modules['scvi'] = None; from splicedvae.pipeline.worker import main; "
        "main(sys.argv[1:])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "ModuleNotFoundError" in ended.stderr
    status = Run(tmp_path).status
    assert status.state == "failed"
    assert "could not start" in status.message
    assert "Traceback" not in status.message


def test_start_refuses_what_is_not_there(small_config: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no longer there"):
        start(dataclasses.replace(small_config, data=str(tmp_path / "gone.h5ad")))
    with pytest.raises(RunError, match="no run"):
        start(dataclasses.replace(small_config, kind="predict", model_run="0" * 16))
    assert list_runs() == []


def test_finished_run_is_returned_and_renamed_and_deleted(
    small_config: RunConfig, finished_run: Run
) -> None:
    runs_folder().mkdir(parents=True)
    copy = runs_folder() / small_config.digest()
    shutil.copytree(finished_run.path, copy)
    run = start(small_config, name="another name")
    assert run.is_finished
    assert run.name == "small"
    rename(run, "  renamed ")
    assert run.name == find_run(run.id).name == open_run(copy).name == "renamed"
    assert run.id == small_config.digest()
    with pytest.raises(RunError, match="empty"):
        rename(run, " ")
    for change in (lambda: rename(finished_run, "x"), lambda: delete(finished_run)):
        with pytest.raises(RunError, match="read-only"):
            change()
    delete(run)
    assert not copy.exists()


@pytest.mark.parametrize("name", ["../../x", "..", "", "ABCDEF0123456789", "0" * 16, "a\0b", "."])
def test_id_from_a_url_finds_runs_alone(name: str) -> None:
    with pytest.raises(RunError):
        find_run(name)


def test_what_is_no_run_is_left_out_of_the_list(own_runs_folder: Path) -> None:
    (own_runs_folder / "abc").mkdir(parents=True)
    (own_runs_folder / ".trash-1").mkdir()
    with pytest.warns(UserWarning, match="is not listed"):
        assert list_runs() == []
    with pytest.warns(UserWarning, match="is not listed"):
        assert reconcile() == []
    assert [item.name for item in own_runs_folder.iterdir() if item.is_dir()] == ["abc"]
