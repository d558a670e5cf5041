"""Nobody sees half a file, and a status tells a vanished worker from one at work."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae._core.errors import RunError
from splicedvae._core.files import replacing
from splicedvae.jobs.journal import Journal
from splicedvae.jobs.stopping import StopRequested, StopSignal, stop_signals
from splicedvae.runs import Run, RunConfig, Status, files
from splicedvae.runs.edit import prepare_folder
from splicedvae.runs.status import STALE, is_lost, read_status, write_status
from splicedvae.runs.worker import write_worker

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_plain_leaves_json_as_it_is(value: object) -> None:
    assert files.plain(value) == value


def test_plain_makes_json_of_numpy_and_of_what_is_not_finite() -> None:
    value = {
        "a": np.float32(1.5),
        2: np.arange(2),
        "b": (np.bool_(True), float("nan")),
        "c": Path("x"),
    }
    assert files.plain(value) == {"a": 1.5, "2": [0, 1], "b": [True, None], "c": "x"}
    json.dumps(files.plain(value), allow_nan=False)


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    files.write_json(file, {"a": 1})

    def fail() -> None:
        with replacing(file) as temporary:
            temporary.write_text("half")
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        fail()
    assert json.loads(file.read_text()) == {"a": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("content", ["", "{", "[1]", "\xff\xfe", '{"state": "dancing"}', "{}"])
def test_damaged_status_is_told_in_a_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "status.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(RunError) as error:
        read_status(tmp_path)
    assert str(error.value).endswith(".")
    assert str(tmp_path) not in str(error.value)


@given(
    st.builds(
        Status,
        state=st.sampled_from(["queued", "running", "finished", "failed", "stopped", "lost"]),
        stage=st.text(max_size=20),
        fraction=st.floats(0, 1),
        message=st.text(max_size=50),
        pid=st.none() | st.integers(1, 2**22),
        started=st.none() | st.floats(0, 1e10),
        updated=st.floats(0, 1e10),
        seconds_left=st.none() | st.floats(0, 1e8),
    )
)
def test_status_survives_its_file(tmp_path_factory: pytest.TempPathFactory, status: Status) -> None:
    folder = tmp_path_factory.getbasetemp()
    write_status(folder, status)
    assert read_status(folder) == status


def test_worker_that_ended_is_found_lost_even_before_anyone_waited_for_it(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    running = Status("running", updated=0.0)
    write_worker(tmp_path, child.pid)
    assert not is_lost(tmp_path, running)
    child.kill()
    deadline = time.monotonic() + 20
    while not is_lost(tmp_path, running) and time.monotonic() < deadline:
        time.sleep(0.02)
    # Nobody called wait(): a zombie with this number is still listed.
    assert is_lost(tmp_path, running)
    child.wait()
    assert is_lost(tmp_path, running)
    assert not is_lost(tmp_path, Status("finished"))


def test_another_process_with_the_workers_number_is_not_taken_for_it(tmp_path: Path) -> None:
    worker = {"pid": os.getpid(), "created": 1.0, "host": socket.gethostname()}
    files.write_json(tmp_path / "worker.json", worker)
    assert is_lost(tmp_path, Status("running", updated=time.time()))


def test_worker_of_another_machine_is_judged_by_its_heartbeat(tmp_path: Path) -> None:
    worker = {"pid": os.getpid(), "created": 1.0, "host": "another-machine"}
    files.write_json(tmp_path / "worker.json", worker)
    assert not is_lost(tmp_path, Status("running", updated=time.time()))
    assert is_lost(tmp_path, Status("running", updated=time.time() - 2 * STALE))


def config(**changes: object) -> RunConfig:
    return RunConfig.from_dict({"data": "a", "data_sha256": "0" * 64, "name": "a", **changes})


def test_run_of_another_format_is_refused(tmp_path: Path) -> None:
    prepare_folder(tmp_path, config())
    Run(tmp_path)
    record = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(RunError, match="format 99"):
        Run(tmp_path)


def test_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        Run(tmp_path)


def test_results_of_an_unfinished_run_are_told_to_be_missing(tmp_path: Path) -> None:
    prepare_folder(tmp_path, config())
    write_worker(tmp_path, os.getpid())
    run = Run(tmp_path)
    assert run.status.state == "queued"
    assert run.live().empty
    assert run.log_tail(5) == ""
    assert run.notes == ()
    for part in ("metrics", "history", "genes", "predictions", "velocity_account", "provenance"):
        with pytest.raises(RunError, match="wait until it has finished"):
            getattr(run, part)


def test_gene_names_that_look_like_numbers_or_nothing_stay_names(tmp_path: Path) -> None:
    prepare_folder(tmp_path, config())
    (tmp_path / "genes.csv").write_text("gene,cells\nNA,1\n1,2\n1e5,3\nnull,\n")
    genes = Run(tmp_path).genes
    assert list(genes.index) == ["NA", "1", "1e5", "null"]
    assert genes["cells"].isna().tolist() == [False, False, False, True]


def test_half_a_line_of_the_live_curves_is_left_out(tmp_path: Path) -> None:
    prepare_folder(tmp_path, config())
    with Journal(tmp_path, [("a", 1.0)]) as journal:
        journal.live("splicedvae", 1, {"elbo_train": 2.0, "loss_train": float("nan")})
    with (tmp_path / "live.jsonl").open("a") as file:
        file.write('{"predictor": "splicedvae", "epo')
    live = Run(tmp_path).live()
    assert live[["epoch", "metric"]].values.tolist() == [[1, "elbo_train"], [1, "loss_train"]]
    assert live["value"].isna().tolist() == [False, True]


def test_fraction_grows_over_the_stages_and_ends_at_one(tmp_path: Path) -> None:
    seen: list[Status] = []
    with Journal(tmp_path, [("a", 3.0), ("b", 1.0)], progress=seen.append) as journal:
        journal.stage("a")
        journal.advance(0.5, "half")
        journal.stage("b")
        journal.advance(0.5)
        journal.close("finished")
    assert [round(status.fraction, 3) for status in seen] == [0, 0, 0.375, 0.75, 0.875, 1]
    # One step shows no speed; a long stage that is over does.
    assert seen[2].seconds_left is None
    assert seen[3].seconds_left is not None
    assert read_status(tmp_path).state == "finished"
    assert read_status(tmp_path).seconds_left is None


def test_swallowed_stop_request_is_found_at_the_next_word(tmp_path: Path) -> None:
    stop = StopSignal()
    with Journal(tmp_path, [("a", 1.0)], stop=stop) as journal:
        journal.stage("a")
        with pytest.raises(StopRequested):
            stop.handle(15, None)
        with pytest.raises(StopRequested):
            journal.advance(0.1)


def test_a_stop_inside_a_callback_of_another_library_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    @ctypes.CFUNCTYPE(None)
    def from_c() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    @ctypes.CFUNCTYPE(None)
    def broken() -> None:
        raise ValueError("of another kind")

    hook = sys.unraisablehook
    with stop_signals() as stop:
        from_c()
        with pytest.raises(StopRequested):
            stop.check()
    assert "Traceback" not in capfd.readouterr().err
    assert sys.unraisablehook is hook
    seen: list[str] = []
    try:
        sys.unraisablehook = lambda found: seen.append(str(found.exc_value))
        with stop_signals():
            broken()
    finally:
        sys.unraisablehook = hook
    assert seen == ["of another kind"]
