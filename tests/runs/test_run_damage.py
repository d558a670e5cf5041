"""One damaged run never takes down the list of all: it is named with a reason, and deleted."""

from __future__ import annotations

import json
import os
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from hostile_cases import hostile_case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splicedvae._core.errors import RunError
from splicedvae.jobs import estimate, estimate_rest, reconcile, start, stop
from splicedvae.runs import (
    Run,
    RunConfig,
    damaged_runs,
    delete,
    demo_run,
    find_run,
    list_runs,
    resumable,
    runs_folder,
)
from splicedvae.runs.edit import prepare_folder
from splicedvae.runs.status import Status, read_status, write_status
from splicedvae.runs.worker import read_worker, write_worker

RUN = "0123456789abcdef"
CONFIG = RunConfig(data="cells.h5ad", data_sha256="0" * 64, name="mine")

#: Any JSON, with what has broken readers before: huge, negative and odd numbers, half characters.
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 2**31, 2**70, 10**400, 1e308, float("nan"), float("inf")])
    | st.text(max_size=8)
    | st.sampled_from(["yesterday", "../../x", "\ud800", "a\0b", "train", "running", "finished"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def make_run(home: Path, state: str = "stopped") -> Path:
    home.mkdir(parents=True)
    prepare_folder(home, CONFIG)
    write_status(home, Status(state, "training", 0.5, updated=time.time()))  # type: ignore[arg-type]
    return home


def told(run: Run) -> list[object]:
    """All that a list of runs asks of each."""
    kept, reason = resumable(run)
    parts: list[object] = [run.name, run.id, run.created, run.config, run.status, run.pulse]
    parts += [run.annotation, run.notes, run.size, run.has_streams, run.is_judged, kept, reason]
    parts += [run.log_tail(), run.live(), estimate_rest(run)]
    json.dumps([run.name, run.annotation, list(run.notes)], ensure_ascii=False).encode()
    time.localtime(run.created)
    time.localtime(run.status.updated)
    return parts


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    name=st.sampled_from(
        [
            *("config.json", "status.json", "worker.json", "notes.json", "annotation.json"),
            *("live.jsonl", "checkpoint/work.json", "checkpoint/resumed.json"),
        ]
    ),
    data=st.data(),
)
def test_any_json_anywhere_in_a_run_folder_is_a_run_or_a_damaged_one(
    folder: Path, name: str, data: st.DataObject
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    other = make_run(folder / "fedcba9876543210")
    home = make_run(folder / RUN, data.draw(st.sampled_from(["running", "stopped", "finished"])))
    write_worker(home, os.getpid())
    (home / "checkpoint").mkdir()
    file = home / name
    value: Any = data.draw(anything)
    if file.is_file() and data.draw(st.booleans()):
        # One entry of an otherwise good file, at any depth.
        record = json.loads(file.read_text())
        place = record
        while True:
            key = data.draw(st.sampled_from(sorted(place)))
            if not isinstance(place[key], dict) or not place[key] or data.draw(st.booleans()):
                place[key] = value
                break
            place = place[key]
        value = record
    file.write_text(json.dumps(value) + "\n")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list_runs()
        reconcile()
        estimate(CONFIG, n_cells=100, n_genes=100)
    damaged = damaged_runs()
    assert {run.path for run in found} | {item.path for item in damaged} == {home, other}
    assert other in {run.path for run in found}
    for run in found:
        told(run)
    for item in damaged:
        assert item.is_run
        assert item.reason.endswith(".")
        assert str(folder) not in item.reason
        with pytest.raises(RunError):
            find_run(RUN)
        if read_worker(home) is None:
            delete(item)
            assert damaged_runs() == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", '{"format": 1, "id": "0123456789abcdef", "created": "yesterday"}'),
        ("config.json", "[" * 100_000),
        ("config.json", ""),
        ("config.json", None),
        ("config.json", b"\xff\xfe\x00"),
    ],
)
def test_damaged_configuration_is_named_and_deleted(
    folder: Path, name: str, content: str | bytes | None
) -> None:
    make_run(folder / RUN)
    if content is None:
        (folder / RUN / name).unlink()
        (folder / RUN / name).mkdir()
    else:
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / RUN / name).write_bytes(raw)
    with pytest.warns(UserWarning, match="is not listed"):
        assert list_runs() == []
    (item,) = damaged_runs()
    assert item.name == RUN
    delete(item)
    assert not (folder / RUN).exists()


def test_what_has_another_name_than_a_run_is_never_deleted(folder: Path) -> None:
    (folder / "my thesis").mkdir(parents=True)
    (item,) = damaged_runs()
    assert not item.is_run
    with pytest.raises(RunError, match="may be anything"):
        delete(item)
    assert (folder / "my thesis").is_dir()


def test_a_damaged_run_is_not_deleted_under_a_living_worker(folder: Path) -> None:
    home = make_run(folder / RUN)
    write_worker(home, os.getpid())
    (home / "config.json").write_text("{")
    (item,) = damaged_runs()
    with pytest.raises(RunError, match="is running"):
        delete(item)


def test_negative_number_of_a_process_is_nobody(folder: Path) -> None:
    home = make_run(folder / RUN, "running")
    for pid in (-1, 0, 2**40, True, "1", 1.5e300):
        (home / "worker.json").write_text(json.dumps({"pid": pid, "created": 1.0, "host": "x"}))
        assert read_worker(home) is None
        assert Run(home).status.state == "running"  # its heartbeat is fresh


def test_damaged_status_is_rebuilt_from_the_rest_of_the_folder(folder: Path) -> None:
    home = Path(shutil.copytree(demo_run().path, folder / RUN))
    (home / "status.json").write_bytes(b"\x00\x01")
    assert Run(home).status.state == "finished"
    (home / "predictions.h5ad").unlink()
    assert Run(home).status.state == "lost"
    write_worker(home, os.getpid())
    assert Run(home).status.state == "running"
    (home / "worker.json").unlink()
    reconcile_of = Path(shutil.move(home, folder / "fedcba9876543210"))
    record = json.loads((reconcile_of / "config.json").read_text())
    (reconcile_of / "config.json").write_text(json.dumps({**record, "id": reconcile_of.name}))
    assert [run.path for run in reconcile()] == [reconcile_of]
    assert read_status(reconcile_of).state == "lost"
    delete(Run(reconcile_of))


def test_temporary_files_of_a_killed_worker_are_removed(folder: Path) -> None:
    home = make_run(folder / RUN, "running")
    left = [home / ".status-0123abcd.json", home / "velocity" / ".scvi-0123abcd.h5ad"]
    (home / "velocity").mkdir()
    (home / "model").mkdir()
    (home / "model" / ".scvi-0123abcd").mkdir()
    for file in left:
        file.write_text("half")
    (home / ".own-notes.txt").write_text("a person's")
    write_status(home, Status("running", "training"))
    assert [run.id for run in reconcile()] == [Run(home).id]
    assert not any(file.exists() for file in left)
    assert list((home / "model").iterdir()) == []
    assert (home / ".own-notes.txt").exists()


def test_hostile_date_of_a_run(folder: Path) -> None:
    make = hostile_case("config_created_text")
    folder.mkdir()
    make(str(folder))
    with pytest.warns(UserWarning, match="is not listed"):
        assert list_runs() == []
    assert [item.name for item in damaged_runs()] == [RUN]


def test_a_damaged_run_of_the_same_request_is_started_again(
    small_config: RunConfig, folder: Path
) -> None:
    home = make_run(folder / small_config.digest())
    (home / "config.json").write_text("{")
    run = start(small_config)
    try:
        assert run.path == home
        assert runs_folder() == folder
    finally:
        stop(run, timeout=1)
