"""A run that was stopped or killed goes on, and ends where the uninterrupted one does."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Layers, Obs, Sources
from splicedvae.jobs import checkpoint_callback, resume, start, stop
from splicedvae.pipeline import _training, execute
from splicedvae.runs import Run, RunConfig, Status, checkpoint, resumable
from splicedvae.runs.checkpoint import Record
from splicedvae.runs.sealed import sealed
from splicedvae.runs.worker import read_worker

EVALUATING = "evaluating on held-out cells"
SAMPLING = "sampling velocities from the posterior"
#: Seconds after which something never happens.
NEVER = 180.0


def interrupted(config: RunConfig, folder: Path, stage: str, message: str = "") -> Run:
    """A run that SIGTERM stopped when it told of a stage and an epoch."""

    def progress(status: Status) -> None:
        if status.state == "running" and (status.stage, status.message) == (stage, message):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        execute(config, folder, progress=progress)
    run = Run(folder)
    assert run.status.state == "stopped"
    assert run.status.stage == stage
    return run


def losses(run: Run) -> pd.DataFrame:
    """All curves of a run, those of monitored cells included."""
    history = run.history
    assert not history.duplicated(["predictor", "epoch", "metric"]).any()
    return history


@pytest.fixture
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_callback, "SNAPSHOT_EVERY", 0.0)


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize(
    ("stage", "training", "message", "epoch"),
    [
        (_training.STAGE_SPLICEDVAE, "splicedvae", "epoch 3 of 4", 2),
        (_training.STAGE_SCVI, "scvi", "epoch 2 of 4", 1),
        (_training.STAGE_HEAD, "scvi_head", "epoch 4 of 4", 3),
        (EVALUATING, "scvi_head", "", 4),
        (SAMPLING, "scvi_head", "draw 3 of 10", 4),
    ],
)
def test_interrupted_run_ends_as_the_uninterrupted_one(
    small_config: RunConfig,
    finished_run: Run,
    tmp_path: Path,
    stage: str,
    training: str,
    message: str,
    epoch: int,
) -> None:
    folder = tmp_path / "run"
    run = interrupted(small_config, folder, stage, message)
    record, reason = resumable(run)
    assert reason == ""
    assert record is not None
    assert (record.training, record.epoch, record.epochs) == (training, epoch, 4)
    assert record.finished == (epoch == 4)
    # Streams that were there when it was interrupted are not those of a run at work.
    assert not run.has_streams

    run = execute(run.config, folder, resume=True)

    assert run.is_finished
    assert not (folder / "checkpoint").exists()
    assert resumable(run) == (None, "")
    for predictor in (Sources.SPLICEDVAE, Sources.SCVI):
        name = f"model/{predictor}/weights.safetensors"
        ours, theirs = load_file(folder / name), load_file(finished_run.path / name)
        assert set(ours) == set(theirs)
        for weight in ours:
            assert torch.equal(ours[weight], theirs[weight]), (predictor, weight)
    for layer in (Layers.RATIO, Layers.RATIO_SCVI):
        difference = run.predictions.layers[layer] - finished_run.predictions.layers[layer]
        assert abs(difference).max() == 0
    pd.testing.assert_frame_equal(run.metrics, finished_run.metrics)
    assert run.velocity_account == finished_run.velocity_account
    for source in finished_run.velocity_sources:
        here, there = run.velocity(source), finished_run.velocity(source)
        # ARPACK goes on with its own random numbers, which show in the last digits of this one.
        time_of = [found.obs.pop(Obs.PSEUDOTIME) for found in (here, there)]
        np.testing.assert_allclose(*time_of, atol=1e-4)
        pd.testing.assert_frame_equal(here.obs, there.obs, check_exact=True)
        for name in there.obsm:
            np.testing.assert_array_equal(here.obsm[name], there.obsm[name], err_msg=name)
    assert not (folder / "outlines").exists()
    # No epoch is told twice, none is missing.
    pd.testing.assert_frame_equal(losses(run), losses(finished_run))
    told = run.provenance["resumed"]
    assert [(item["training"], item["epoch"]) for item in told] == [(training, epoch)]
    assert f"after epoch {epoch} of 4 of training" in run.notes[0]
    assert finished_run.provenance["resumed"] == []


@pytest.mark.usefixtures("every_epoch")
def test_run_goes_on_more_than_once(
    small_config: RunConfig, finished_run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    run = interrupted(small_config, folder, _training.STAGE_SPLICEDVAE, "epoch 2 of 4")

    def progress(status: Status) -> None:
        if (status.stage, status.message) == (_training.STAGE_SCVI, "epoch 3 of 4"):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        execute(run.config, folder, resume=True, progress=progress)
    run = execute(run.config, folder, resume=True)
    pd.testing.assert_frame_equal(run.metrics, finished_run.metrics)
    assert [item["epoch"] for item in run.provenance["resumed"]] == [1, 2]
    assert len([note for note in run.notes if "interrupted" in note]) == 2
    assert run.provenance["seconds"] >= run.provenance["stages"][_training.STAGE_SPLICEDVAE]


@pytest.fixture(scope="module")
def stopped_once(small_config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("stopped") / "run"
    return interrupted(small_config, folder, _training.STAGE_SPLICEDVAE, "epoch 2 of 4")


@pytest.fixture
def stopped_run(stopped_once: Run, tmp_path: Path) -> Run:
    return Run(shutil.copytree(stopped_once.path, tmp_path / "run"))


def rewritten(stopped: Run, changes: dict[str, object]) -> Path:
    """The run's newest checkpoint with another record."""
    file = stopped.path / "checkpoint" / "splicedvae.safetensors"
    tensors = load_file(file)
    with safe_open(file, framework="numpy") as opened:
        record = json.loads(opened.metadata()["record"])
    metadata = {"record": json.dumps({**record, **changes})}
    file.write_bytes(sealed(save(tensors, metadata=metadata)))
    return file


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"code": "0.0.1+00000000"}, "version 0.0.1+00000000 of the code"),
        ({"run": "0" * 16}, "another data file or other settings"),
        ({"packages": {"torch": "1.0", "scvi-tools": "1.0"}}, "another version of"),
        ({"format": 99}, "format 99"),
        ({"training": "scvi"}, "cannot be read"),
        ({"epoch": 5}, "cannot be read"),
        ({"surprise": 1}, "cannot be read"),
    ],
)
def test_checkpoint_of_something_else_is_refused(
    stopped_run: Run, changes: dict[str, object], words: str
) -> None:
    rewritten(stopped_run, changes)
    record, reason = resumable(stopped_run)
    assert record is None
    assert words in reason
    for attempt in (
        lambda: resume(stopped_run),
        lambda: execute(stopped_run.config, stopped_run.path, resume=True),
    ):
        with pytest.raises(RunError, match=r"restart (the run|it)") as caught:
            attempt()
        assert words in str(caught.value)
    assert stopped_run.status.state == "stopped"


def test_damaged_checkpoint_is_refused(stopped_run: Run) -> None:
    file = stopped_run.path / "checkpoint" / "splicedvae.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in resumable(stopped_run)[1]
    file.write_bytes(whole)
    # A loaded tensor is a view of the file, which is written again below.
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    with safe_open(file, framework="numpy") as opened:
        header = opened.metadata()
    for missing in ("random.cpu", "weights.ratio_head.intercept"):
        assert missing in tensors
        kept = {k: v for k, v in tensors.items() if k != missing}
        file.write_bytes(sealed(save(kept, metadata={"record": header["record"]})))
        with pytest.raises(RunError, match="it is damaged: restart the run"):
            execute(stopped_run.config, stopped_run.path, resume=True)
        assert stopped_run.status.state == "failed"


def test_run_without_a_checkpoint_does_not_go_on(stopped_run: Run, finished_run: Run) -> None:
    with pytest.raises(RunError, match="splicedvae resume`, or restart it"):
        _ = stopped_run.metrics
    shutil.rmtree(stopped_run.path / "checkpoint")
    with pytest.raises(RunError, match=r"'stopped': restart it\."):
        _ = stopped_run.metrics
    with pytest.raises(RunError, match="run 'small' has no checkpoint"):
        resume(stopped_run)
    with pytest.raises(RunError, match="is finished, and only a stopped, failed or lost run"):
        execute(finished_run.config, finished_run.path, resume=True)


def test_run_does_not_go_on_without_its_data(stopped_run: Run) -> None:
    record = json.loads((stopped_run.path / "config.json").read_text())
    record["config"]["data"] += ".gone"
    (stopped_run.path / "config.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="no longer there"):
        resume(stopped_run)


def test_diverged_training_leaves_nothing_to_go_on_from(
    small_config: RunConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(small_config, learning_rate=1e9, max_epochs=50)
    with pytest.raises(RunError, match="diverged"):
        execute(config, tmp_path / "run")
    assert resumable(Run(tmp_path / "run")) == (None, "")
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_torch_draws_the_same_after_its_state_is_put_back() -> None:
    torch.rand(3)
    state = checkpoint_callback.random_state()
    first = torch.rand(5)
    checkpoint_callback.set_random_state(state)
    assert torch.equal(torch.rand(5), first)


# Real processes ------------------------------------------------------------------------------


@pytest.fixture
def own_runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield tmp_path / "runs"
    for path in (tmp_path / "runs").glob("[0-9a-f]*"):
        stop(Run(path), timeout=1)


def wait_for(run: Run, what: str) -> None:
    deadline = time.monotonic() + NEVER
    file = run.path / "checkpoint" / what
    while not file.exists():
        assert not run.status.is_final, (run.status, run.log_tail(30))
        assert time.monotonic() < deadline, f"never written: {what}"
        time.sleep(0.02)


def kill(run: Run) -> None:
    worker = read_worker(run.path)
    assert worker is not None
    os.killpg(worker.pid, signal.SIGKILL)
    deadline = time.monotonic() + NEVER
    while run.status.state != "lost":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_killed_worker_is_gone_on_with(small_config: RunConfig, own_runs_folder: Path) -> None:
    config = dataclasses.replace(small_config, max_epochs=400)
    run = start(config)
    wait_for(run, "splicedvae.safetensors")
    kill(run)
    # What a writer that was killed leaves behind.
    (run.path / "checkpoint" / ".splicedvae-0.safetensors").write_bytes(b"half")
    record, _ = resumable(run)
    assert record is not None
    assert 0 < record.epoch <= record.epochs == 400

    again = resume(run)
    assert again.id == run.id
    assert resume(run).status.state in ("queued", "running")
    wait_for(run, "scvi.safetensors")
    kill(run)
    after, _ = resumable(run)
    assert after is not None
    assert after.training == "scvi"
    assert Record.read(run.path / "checkpoint" / "splicedvae.safetensors").finished

    resume(run)
    deadline = time.monotonic() + NEVER
    while not run.status.is_final:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert run.is_finished, (run.status, run.log_tail(30))
    assert not (run.path / "checkpoint").exists()
    assert len(run.provenance["resumed"]) == 2
    for predictor, metric in (
        (Sources.SPLICEDVAE, "loss_train"),
        (Sources.SCVI, "loss_train"),
        (Sources.SCVI, "ratio_loss_train"),
    ):
        rows = run.history.query("predictor == @predictor and metric == @metric")
        assert list(rows["epoch"]) == list(range(1, 401)), (predictor, metric)
        assert np.isfinite(rows["value"]).all()


def test_checkpoint_needs_no_torch_to_be_asked_for() -> None:
    assert checkpoint.newest(Path("nowhere")) is None
