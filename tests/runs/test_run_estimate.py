"""How long a run is said to take before it starts; no time is measured here."""

from __future__ import annotations

import dataclasses
import json
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from splicedvae.jobs import Estimate, estimate, estimate_rest
from splicedvae.runs import Record, Run, RunConfig
from splicedvae.runs.sealed import sealed
from splicedvae.runs.stages import STAGE_SPLICEDVAE, STARTING, Work, stage_seconds

CONFIG = RunConfig(data="cells.h5ad", data_sha256="0" * 64, name="cells")
SIZES = st.tuples(st.integers(2, 50_000), st.integers(1, 3_000))


def of(n_cells: int = 2_000, n_genes: int = 1_000, **settings: object) -> Estimate:
    config = dataclasses.replace(CONFIG, **settings)  # type: ignore[arg-type]
    found = estimate(config, n_cells=n_cells, n_genes=n_genes, runs=[])
    assert found is not None
    return found


def finished(folder: Path, work: Work | None, seconds: object, **changed: object) -> Run:
    """The files of a finished run that tell of its speed, and no others."""
    folder.mkdir()
    record = {"format": 1, "id": "0" * 16, "created": 1.0, "config": CONFIG.to_dict()}
    made = {"work": None if work is None else work.to_dict(), "seconds": seconds, "resumed": []}
    parts = {
        "config": record,
        "provenance": made,
        "status": {"state": "finished", "updated": 2.0},
        "worker": {"pid": 1, "created": None, "host": socket.gethostname()},
    }
    for name, content in parts.items():
        content = {**content, **changed.get(name, {})}  # type: ignore[dict-item]
        (folder / f"{name}.json").write_text(json.dumps(content))
    return Run(folder)


@given(size=SIZES, more=st.integers(0, 20_000), epochs=st.integers(1, 500))
def test_more_cells_genes_and_epochs_never_take_less(
    size: tuple[int, int], more: int, epochs: int
) -> None:
    n_cells, n_genes = size
    least = of(n_cells, n_genes, max_epochs=epochs).seconds
    assert least > STARTING
    assert of(n_cells + more, n_genes, max_epochs=epochs).seconds >= least
    assert of(n_cells, n_genes + min(more, 1000), max_epochs=epochs).seconds >= least
    assert of(n_cells, n_genes, max_epochs=epochs + 1).seconds > least


@given(size=SIZES, batch_size=st.integers(2, 1_000))
def test_smaller_steps_never_take_less(size: tuple[int, int], batch_size: int) -> None:
    usual = of(*size, batch_size=2 * batch_size).seconds
    assert of(*size, batch_size=batch_size).seconds >= usual * (1 - 1e-9)


def test_the_measured_runs_are_met_again() -> None:
    """The runs of benchmarks/speed.md: the second file has 1,102 genes that pass the filter."""
    assert of(591, 2_000).seconds == pytest.approx(39 + STARTING, rel=0.15)
    assert of(3_548, 1_102).seconds == pytest.approx(161 + STARTING, rel=0.15)


@pytest.mark.parametrize(
    "option",
    [
        {"ratio_likelihood": "beta-binomial"},
        {"ratio_likelihood": "weighted-squared-error"},
        {"ratio_head": "mlp"},
    ],
    ids=str,
)
def test_options_without_a_step_by_hand_take_longer(option: dict[str, object]) -> None:
    assert of(**option).seconds > of().seconds  # type: ignore[arg-type]


def test_streams_come_before_the_end_and_totals_take_less() -> None:
    asked = {"kind": "predict", "model_run": "demo"}
    config = dataclasses.replace(CONFIG, **asked)  # type: ignore[arg-type]
    whole = of(**asked)
    totals = estimate(config, n_cells=2_000, n_genes=1_000, measured=False, runs=[])
    assert totals is not None
    assert totals.streams is not None
    assert whole.streams is not None
    assert STARTING < totals.streams < whole.streams < totals.seconds < whole.seconds
    assert totals.with_streams.startswith(f"{totals}; the first streams after about ")
    assert dataclasses.replace(totals, streams=None).with_streams == str(totals)


def begun(folder: Path, work: Work, records: list[Record], host: str | None = None) -> Run:
    """The files of an interrupted training that tell how far it had come."""
    run = finished(
        folder,
        work,
        1.0,
        status={"state": "stopped"},
        worker={} if host is None else {"host": host},
    )
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "work.json").write_text(json.dumps(work.to_dict()))
    for record in records:
        file = folder / "checkpoint" / f"{record.training}.safetensors"
        file.write_bytes(sealed(save({"w": np.zeros(1)}, metadata=record.to_header())))
    return run


def test_the_rest_of_a_training_is_what_was_not_done(tmp_path: Path) -> None:
    work = Work.of(CONFIG, n_cells=2_000, n_genes=1_000)
    stages = stage_seconds(work)
    whole = sum(stages.values())
    training = stages[STAGE_SPLICEDVAE]
    half = Record("splicedvae", 50, 100)
    found = estimate_rest(begun(tmp_path / "half", work, [half]), runs=[])
    assert found is not None
    assert found.n_runs == 0
    assert found.seconds == pytest.approx(STARTING + whole - training / 2)
    done = [Record("splicedvae", 100, 100, finished=True), Record("scvi", 0, 100)]
    found = estimate_rest(begun(tmp_path / "one", work, done), runs=[])
    assert found is not None
    assert found.seconds == pytest.approx(STARTING + whole - training)
    assert found.streams is None


def test_the_rest_goes_at_the_speed_of_what_was_done(tmp_path: Path) -> None:
    work = Work.of(CONFIG, n_cells=2_000, n_genes=1_000)
    stages = stage_seconds(work)
    slow = Record("splicedvae", 50, 100, seconds=3 * stages[STAGE_SPLICEDVAE] / 2)
    found = estimate_rest(begun(tmp_path / "here", work, [slow]), runs=[])
    usual = estimate_rest(begun(tmp_path / "there", work, [slow], host="another"), runs=[])
    assert found is not None
    assert usual is not None
    assert (found.n_runs, usual.n_runs) == (1, 0)
    assert found.seconds == pytest.approx(3 * usual.seconds)


def test_nothing_is_said_of_a_rest_that_is_not_known(tmp_path: Path) -> None:
    work = Work.of(CONFIG, n_cells=2_000, n_genes=1_000)
    assert estimate_rest(finished(tmp_path / "none", work, 1.0), runs=[]) is None
    kept = begun(tmp_path / "kept", work, [Record("splicedvae", 5, 100)])
    note = kept.path / "checkpoint" / "work.json"
    note.write_text('{"kind": "train"}')
    # A damaged note serves an estimate alone: there is none.
    assert estimate_rest(kept, runs=[]) is None
    note.unlink()
    assert estimate_rest(kept, runs=[]) is None


def test_genes_that_are_not_modelled_take_no_time() -> None:
    assert of(n_genes=30_000) == of(n_genes=2_000)
    assert of(n_genes=3_000, n_top_genes=None).seconds > of(n_genes=3_000).seconds


def test_a_prediction_trains_nothing() -> None:
    asked = of(kind="predict", model_run="demo")
    assert asked.seconds < of().seconds
    assert asked == of(kind="predict", model_run="demo", max_epochs=5_000)


@pytest.mark.parametrize(("n_cells", "n_genes"), [(0, 100), (1, 100), (100, 0), (10**8, 2_000)])
def test_nothing_is_said_where_nothing_is_known(n_cells: int, n_genes: int) -> None:
    assert estimate(CONFIG, n_cells=n_cells, n_genes=n_genes, runs=[]) is None


def test_earlier_runs_of_this_computer_say_how_fast_it_is(tmp_path: Path) -> None:
    work = Work.of(CONFIG, n_cells=2_000, n_genes=1_000)
    seconds = sum(stage_seconds(work).values())
    runs = [finished(tmp_path / str(pace), work, pace * seconds) for pace in (2.0, 2.2, 3.0)]
    found = estimate(CONFIG, n_cells=2_000, n_genes=1_000, runs=runs)
    assert found is not None
    assert found.n_runs == 3
    assert found.seconds == pytest.approx(2.2 * of().seconds)
    assert 2 * of().seconds > found.low
    assert 3 * of().seconds < found.high
    assert "on this computer" in str(found)
    assert "two cores" in str(of())
    # Runs that differ give a range; so does a run that is far longer than the earlier ones.
    assert " to " in str(found)
    alone = estimate(CONFIG, n_cells=2_000, n_genes=1_000, runs=runs[:1])
    assert str(alone).startswith("about ")
    assert " to " in str(estimate(CONFIG, n_cells=40_000, n_genes=2_000, runs=runs[:1]))


@pytest.mark.parametrize(
    "changed",
    [
        {"provenance": {"resumed": [{"epoch": 3}]}},
        {"provenance": {"work": None}},
        {"provenance": {"work": Work("predict", 2_000, 0, 1_000, 0, 128).to_dict()}},
        {"provenance": {"work": {"kind": "train"}}},
        {"provenance": {"work": "much"}},
        {"provenance": {"seconds": None}},
        {"provenance": {"seconds": 1e9}},
        {"status": {"state": "stopped"}},
        {"worker": {"host": "another computer"}},
    ],
    ids=range(9),
)
def test_runs_that_say_nothing_of_the_speed_are_left_out(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    work = Work.of(CONFIG, n_cells=2_000, n_genes=1_000)
    run = finished(tmp_path / "run", work, 1_000.0, **changed)
    assert estimate(CONFIG, n_cells=2_000, n_genes=1_000, runs=[run]) == of()


@given(st.integers(2, 10**5), st.integers(1, 4_000), st.booleans())
def test_work_is_taken_back_as_it_was_noted(n_cells: int, n_genes: int, train: bool) -> None:
    config = CONFIG if train else dataclasses.replace(CONFIG, kind="predict", model_run="demo")
    work = Work.of(config, n_cells=n_cells, n_genes=n_genes)
    assert Work.from_dict(json.loads(json.dumps(work.to_dict()))) == work


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (12, "about 10 seconds"),
        (48, "about 50 seconds"),
        (70, "about 1 minute"),
        (124, "about 2 minutes"),
        (1_300, "about 20 minutes"),
        (3_500, "about 1 hour"),
        (9_000, "about 2.5 hours"),
    ],
)
def test_a_known_computer_is_told_one_number(seconds: float, words: str) -> None:
    told = str(Estimate(seconds, 0.9 * seconds, 1.1 * seconds, 2))
    assert told.startswith(f"{words} on this computer")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (27, 75, "30 to 80 seconds"),
        (75, 200, "1 to 3 minutes"),
        (30, 130, "1 to 2 minutes"),
        (1_000, 2_700, "15 to 45 minutes"),
        (3_000, 9_000, "1 to 2.5 hours"),
        (118, 122, "about 2 minutes"),
    ],
)
def test_an_unknown_computer_is_told_a_range(low: float, high: float, words: str) -> None:
    assert str(Estimate((low + high) / 2, low, high, 0)).startswith(
        f"{words} on a computer with two"
    )


@given(st.floats(1, 1e6), st.floats(1, 3))
def test_a_range_never_runs_backwards(low: float, wider: float) -> None:
    words = str(Estimate(low, low, wider * low, 0)).split()
    if words[0] != "about":
        assert float(words[0]) < float(words[2])


def test_a_finished_run_notes_its_work(finished_run: Run) -> None:
    work = Work.from_dict(finished_run.provenance["work"])
    cells = finished_run.predictions
    assert (work.n_cells, work.n_genes) == cells.shape
    assert work.n_train == int((cells.obs["split"] == "train").sum())
    assert work.epochs == finished_run.config.max_epochs
    stages = finished_run.provenance["stages"]
    assert [*stages, "writing the results"] == list(stage_seconds(work))
    found = estimate(CONFIG, n_cells=2_000, n_genes=1_000, runs=[finished_run])
    assert found is None or found.n_runs in (0, 1)
