"""Damage to a checkpoint, a result or weights is noticed before a number is used."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from hostile_cases import hostile_case
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

from splicedvae import SplicedVAE, jobs, runs
from splicedvae._core.errors import RunError
from splicedvae._core.files import SUMS, parse_sums, replacing, sums_text, sweep, write_text
from splicedvae.jobs import checkpoint_callback, resume
from splicedvae.runs import Run, RunConfig, Status, demo_run, open_run, resumable
from splicedvae.runs.sealed import is_intact, sealed

RESULTS = [
    *("predictions.h5ad", "metrics.csv", "genes.csv", "velocity.json", "provenance.json"),
    *("velocity/splicedvae.h5ad", "model/splicedvae/model.json"),
    "model/splicedvae/weights.safetensors",
]


def flip(file: Path, at: float = 0.5, length: int = 1) -> None:
    """Change some bytes of a file without changing its size."""
    raw = bytearray(file.read_bytes())
    start = min(int(at * len(raw)), len(raw) - 1)
    raw[start : start + length] = bytes(byte ^ 16 for byte in raw[start : start + length])
    file.write_bytes(bytes(raw))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo_run().path, tmp_path / "run"))


def read(run: Run, name: str) -> object:
    """What a reader of a file of results gets."""
    part = {
        "predictions.h5ad": lambda: run.predictions,
        "metrics.csv": lambda: run.metrics,
        "genes.csv": lambda: run.genes,
        "velocity.json": lambda: run.velocity_account,
        "provenance.json": lambda: run.provenance,
        "velocity/splicedvae.h5ad": lambda: run.velocity("splicedvae"),
    }.get(name, lambda: run.model("splicedvae"))
    return part()


@pytest.mark.parametrize("name", RESULTS)
def test_a_flipped_bit_in_a_result_is_refused(copy: Path, name: str) -> None:
    read(Run(copy), name)
    flip(copy / name)
    with pytest.raises(RunError, match="does not match its digest") as caught:
        read(Run(copy), name)
    assert name in str(caught.value)
    assert str(copy) not in str(caught.value)


def test_weights_that_are_gone_or_added_are_refused(copy: Path) -> None:
    (copy / "model" / "splicedvae" / "weights.safetensors").rename(copy / "model" / "elsewhere")
    with pytest.raises(RunError, match="does not match its digest"):
        Run(copy).model()


def test_a_run_without_digests_opens_with_a_note(copy: Path) -> None:
    assert not any(note.code == "digests-missing" for note in Run(copy).notes)
    (copy / SUMS).unlink()
    run = Run(copy)
    (note,) = [note for note in run.notes if note.code == "digests-missing"]
    assert "no digests" in note
    assert run.predictions.n_obs
    assert len(run.model().genes)


def test_damaged_curves_are_read_from_what_the_worker_reported(
    finished_run: Run, tmp_path: Path
) -> None:
    home = Path(shutil.copytree(finished_run.path, tmp_path / "run"))
    flip(home / "history.csv")
    run = Run(home)
    assert run.history["value"].notna().any()
    assert len(run.history) == len(finished_run.history)
    assert "read from those that the worker reported" in " ".join(run.notes)
    assert not any(note.code == "run-damaged" for note in finished_run.notes)
    (home / "live.jsonl").unlink()
    with pytest.raises(RunError, match="does not match its digest"):
        _ = Run(home).history
    # The rest of the run is not concerned.
    assert len(Run(home).metrics)


def test_damaged_notes_and_annotation_are_set_aside(copy: Path) -> None:
    (copy / "annotation.json").write_text("[1")
    flip(copy / "notes.json")
    run = Run(copy)
    assert run.annotation == ""
    assert [note.code for note in run.notes] == ["run-damaged", "run-damaged"]


# Checkpoints --------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_any_changed_byte_of_a_checkpoint_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int
) -> None:
    tensors = {"a": torch.arange(40.0), "b": torch.ones(3, dtype=torch.int64)}
    whole = sealed(save(tensors, metadata={"record": '{"epoch": 3}'}))
    file = tmp_path_factory.getbasetemp() / "sealed.safetensors"
    file.write_bytes(whole)
    assert is_intact(file)
    assert torch.equal(load_file(file)["a"], tensors["a"])
    changed = bytearray(whole)
    changed[place % len(whole)] ^= change
    file.write_bytes(bytes(changed))
    # A blank of the header may be another blank.
    same = is_intact(file) and torch.equal(load_file(file)["a"], tensors["a"])
    assert not is_intact(file) or same


@pytest.fixture(scope="module")
def stopped_once(small_config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    import signal

    def progress(status: Status) -> None:
        if status.message == "epoch 3 of 4":
            os.kill(os.getpid(), signal.SIGTERM)

    folder = tmp_path_factory.mktemp("stopped") / "run"
    before, checkpoint_callback.SNAPSHOT_EVERY = checkpoint_callback.SNAPSHOT_EVERY, 0.0
    try:
        with pytest.raises(KeyboardInterrupt):
            jobs_execute(small_config, folder, progress)
    finally:
        checkpoint_callback.SNAPSHOT_EVERY = before
    return Run(folder)


def jobs_execute(config: RunConfig, folder: Path, progress: object) -> None:
    from splicedvae.pipeline import execute

    execute(config, folder, progress=progress)  # type: ignore[arg-type]


@pytest.mark.parametrize("at", [0.02, 0.5, 0.99])
def test_flipped_bits_of_a_checkpoint_are_not_resumed(
    stopped_once: Run, tmp_path: Path, at: float
) -> None:
    run = Run(shutil.copytree(stopped_once.path, tmp_path / "run"))
    assert resumable(run)[0] is not None
    flip(run.path / "checkpoint" / "splicedvae.safetensors", at, 4000 if at == 0.5 else 1)
    record, reason = resumable(run)
    assert record is None
    assert reason.endswith("restart the run.")
    with pytest.raises(RunError, match="damaged: restart the run"):
        resume(run)


def test_a_checkpoint_without_a_digest_is_not_resumed(stopped_once: Run, tmp_path: Path) -> None:
    run = Run(shutil.copytree(stopped_once.path, tmp_path / "run"))
    file = run.path / "checkpoint" / "splicedvae.safetensors"
    with safe_open(file, framework="numpy") as opened:
        header = {"record": opened.metadata()["record"]}
    save_file(load_file(file), file, metadata=header)
    assert "does not match its digest" in resumable(run)[1]


@pytest.mark.parametrize("content", ["[1", '{"resumed": 3}', '{"resumed": [{"time": "x"}]}'])
def test_damaged_list_of_resumptions_is_set_aside(
    stopped_once: Run, tmp_path: Path, content: str
) -> None:
    from splicedvae.runs.checkpoint import Checkpoints, kept_work

    run = Run(shutil.copytree(stopped_once.path, tmp_path / "run"))
    (run.path / "checkpoint" / "resumed.json").write_text(content)
    (run.path / "checkpoint" / "work.json").write_text(content)
    checkpoints = Checkpoints(run.path, run.config)
    assert len(checkpoints.go_on()) == 1
    assert "resumed.json" in checkpoints.complaint
    assert kept_work(run.path) is None
    assert resumable(run)[0] is not None


def test_hostile_bits_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = hostile_case("checkpoint_bits_flipped")
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path))
    # Where the case's script looks for it.
    monkeypatch.setattr(runs, "start", jobs.start, raising=False)
    run = open_run(make(str(tmp_path)))
    with pytest.raises(RunError, match="damaged: restart the run"):
        resume(run)


# Weights ------------------------------------------------------------------------------------


@pytest.fixture
def loose_model(copy: Path) -> Path:
    """A model's folder of an earlier version, which has no digest."""
    folder = copy / "model" / "splicedvae"
    described = json.loads((folder / "model.json").read_text())
    described.pop("weights_sha256", None)
    (folder / "model.json").write_text(json.dumps(described))
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensor: tensor.int(), "of type int32, expected"),
        (lambda tensor: tensor.double(), "of type float64, expected"),
        (lambda tensor: tensor.float() * 0 + 1e38, "which no training gives"),
        (lambda tensor: tensor.float() * float("nan"), "not all finite"),
        (lambda tensor: tensor[:1].clone() if tensor.ndim else tensor, "expected"),
    ],
)
def test_weights_of_another_kind_are_refused(loose_model: Path, change, words: str) -> None:
    SplicedVAE.from_folder(loose_model)
    file = loose_model / "weights.safetensors"
    floats = {
        name: change(tensor).contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in load_file(file).items()
    }
    save_file(floats, file)
    with pytest.raises(RunError, match=words):
        SplicedVAE.from_folder(loose_model)


def test_weights_have_a_digest_of_their_own(finished_run: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished_run.path / "model" / "splicedvae", tmp_path / "model"))
    SplicedVAE.from_folder(folder)
    flip(folder / "weights.safetensors", 0.9)
    with pytest.raises(RunError, match="do not match their digest"):
        SplicedVAE.from_folder(folder)


@pytest.mark.parametrize("case", ["weights_1e38", "weights_int_dtype"])
def test_hostile_weights(case: str, finished_run: Run, tmp_path: Path) -> None:
    make = hostile_case(case)
    # The case trains a run of its own; here it is given one, and damages it.
    make.__globals__["run"] = lambda folder: shutil.copytree(finished_run.path, f"{folder}/run")
    run = open_run(make(str(tmp_path)))
    with pytest.raises(RunError, match="does not match its digest"):
        run.model()
    (run.path / SUMS).unlink()
    described = json.loads((run.path / "model" / "splicedvae" / "model.json").read_text())
    described.pop("weights_sha256")
    (run.path / "model" / "splicedvae" / "model.json").write_text(json.dumps(described))
    with pytest.raises(RunError, match=r"no training gives|of type int32"):
        run.model()


# Lists of digests, and writing --------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "0" * 64 + "  ../x",
        "0" * 64 + "  /etc/passwd",
        "0" * 63 + "  x",
        "0" * 64 + "  .hidden",
        "0" * 64 + "  a/b/c/d/e",
    ],
)
def test_list_of_digests_names_files_of_the_folder_alone(line: str) -> None:
    assert parse_sums(f"{line}\n".encode()) is None
    assert parse_sums(("0" * 64 + "  x\n").encode() * 2) is None


def test_list_of_digests_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.json").write_text("1")
    text = sums_text(tmp_path, ["model/a.json"])
    assert parse_sums(text.encode()) == {"model/a.json": text[:64]}


def test_a_write_waits_for_the_disk_before_and_after_the_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    flushed, moved = os.fsync, os.replace

    def fsync(handle: int) -> None:
        done.append(f"flush {Path(os.readlink(f'/proc/self/fd/{handle}')).suffix}")
        flushed(handle)

    def replace(source: Path, target: Path) -> None:
        done.append("move")
        moved(source, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("there is no /proc to see which file is flushed")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_text(tmp_path / "a.json", "1")
    assert done == ["flush .json", "move", "flush "]
    done.clear()
    write_text(tmp_path / "a.json", "1", durable=False)
    assert done == ["move"]
    done.clear()
    with replacing(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "b.txt").write_text("x")
    assert done == ["flush .txt", "flush ", "move", "flush "]


def test_a_folder_that_cannot_be_flushed_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(errno.EINVAL, "no fsync here")

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "a.json", "1")
    assert (tmp_path / "a.json").read_text() == "1"


def test_only_temporary_files_of_writers_are_swept(tmp_path: Path) -> None:
    for name in (".a-0123abcd.json", ".hidden", ".git-lfs", "a-0123abcd.json"):
        (tmp_path / name).write_text("x")
    assert sweep(tmp_path) == 1
    assert not (tmp_path / ".a-0123abcd.json").exists()


def test_demo_is_what_it_was_made_as() -> None:
    run = demo_run()
    run.check("predictions.h5ad", "velocity", "model", "history.csv", "notes.json")
