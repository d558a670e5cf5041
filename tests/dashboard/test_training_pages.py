"""Pages around training: going on, notes, a long list of runs, layers, two runs."""

from __future__ import annotations

import json
import shutil
import socket
import time
from pathlib import Path

import pytest
import torch
from app_pages import open_page
from safetensors.torch import save
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from splicedvae import io, jobs, runs
from splicedvae._core.errors import RunError
from splicedvae._core.keys import Layers
from splicedvae.cli import app as command_line
from splicedvae.dashboard import pages, uploads
from splicedvae.datasets import simulate
from splicedvae.runs.checkpoint import Record
from splicedvae.runs.sealed import sealed
from splicedvae.runs.stages import Work, stage_seconds

TRAIN = pages.TRAIN.script
PROVENANCE = pages.PROVENANCE.script
TWO_RUNS = pages.TWO_RUNS.script
HOSTILE = "![x](http://h/p) [a](b)"


@pytest.fixture(scope="module")
def cells_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    adata = simulate(n_cells=90, n_genes=40, seed=5)
    adata.layers["nascent copy"] = adata.layers[Layers.UNSPLICED].copy()
    adata.write_h5ad(file)
    return file


@pytest.fixture
def folder(runs_folder: Path) -> Path:
    runs_folder.mkdir()
    return runs_folder


def told(app: AppTest) -> str:
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.info, app.warning, app.error)
    return "\n".join(str(item.value) for kind in kinds for item in kind)


def test_the_form_and_the_command_line_ask_for_the_same_run(
    folder: Path, cells_file: Path, tmp_path: Path
) -> None:
    with cells_file.open("rb") as content:
        stored = uploads.add_upload("cells.h5ad", content)
    app = open_page(TRAIN, data=stored.id)
    asked = {"epochs": 1, "genes": 30, "shared": 5, "seed": 3}
    for key, value in asked.items():
        app.number_input(key=f"form-{key}").set_value(value)
    app.selectbox(key="form-mode").select("deterministic")
    app.button(key="start-training").click().run()
    assert not app.exception
    (by_form,) = runs.list_runs()
    jobs.stop(by_form, timeout=5)
    out = tmp_path / "by-command"
    options = "--max-epochs 1 --n-top-genes 30 --min-shared-counts 5 --seed 3"
    words = ["train", str(cells_file), "--out", str(out), *options.split()]
    done = CliRunner().invoke(command_line, [*words, "--velocity-mode", "deterministic"])
    assert done.exit_code == 0, done.output
    by_command = runs.Run(out)
    assert by_command.config.velocity == by_form.config.velocity
    assert by_command.id == by_form.id


def stopped_run(folder: Path, cells_file: Path, *, code: str | None = None) -> str:
    """A run that was stopped in training, with its checkpoint."""
    config = runs.RunConfig(
        data=str(cells_file), data_sha256=io.sha256(cells_file), name="halted", max_epochs=40
    )
    run_id = config.digest()
    home = folder / run_id
    (home / "checkpoint").mkdir(parents=True)
    record = {"format": runs.FORMAT, "id": run_id, "created": 1.7e9, "config": config.to_dict()}
    (home / "config.json").write_text(json.dumps(record))
    status = {"state": "stopped", "stage": "training SplicedVAE", "fraction": 0.3, "updated": 2.0}
    (home / "status.json").write_text(json.dumps({**status, "started": 1.0}))
    kept = Record("splicedvae", 12, 40, run=run_id, code=code or runs.code_version(), device="cpu")
    file = home / "checkpoint" / "splicedvae.safetensors"
    file.write_bytes(sealed(save({"weights.x": torch.zeros(1)}, metadata=kept.to_header())))
    return run_id


def test_a_stopped_run_can_go_on(folder: Path, cells_file: Path) -> None:
    run_id = stopped_run(folder, cells_file)
    app = open_page(TRAIN, run=run_id)
    assert "SplicedVAE after epoch 12 of 40" in told(app)
    app.button(key="go-on").click().run()
    assert not app.exception
    run = runs.find_run(run_id)
    try:
        assert run.status.state in ("queued", "running") or "cannot be read" in run.status.message
        assert (folder / run_id / "worker.json").exists()
    finally:
        jobs.stop(run, timeout=5)


def test_a_run_of_other_code_says_why_it_cannot_go_on(folder: Path, cells_file: Path) -> None:
    app = open_page(TRAIN, run=stopped_run(folder, cells_file, code="0.0.1+00000000"))
    assert "The run cannot be resumed" in told(app)
    keys = [button.key for button in app.button]
    assert "go-on" not in keys
    assert "again" in keys


def finished_runs(folder: Path, n: int) -> list[str]:
    """Copies of the shipped run under ids and names of their own."""
    ids = []
    for index in range(n):
        run_id = f"{index:016x}"
        home = Path(shutil.copytree(runs.demo_run().path, folder / run_id))
        record = json.loads((home / "config.json").read_text())
        record["id"], record["created"] = run_id, 1.7e9 + index
        record["config"].update(name=f"run {'edcba'[index % 5]}{index}", n_latent=5 + index)
        (home / "config.json").write_text(json.dumps(record))
        ids.append(run_id)
    return ids


def test_a_note_is_kept_shown_and_found(folder: Path) -> None:
    first, *_ = finished_runs(folder, 1)
    app = open_page(TRAIN)
    app.text_area(key=f"note-{first}").set_value(f"  wrong   batch\n{HOSTILE} ").run()
    app.button(key=f"annotate-{first}").click().run()
    run = runs.find_run(first)
    assert run.annotation == f"wrong batch\n{HOSTILE}"
    assert json.loads((run.path / "annotation.json").read_text())["written"] <= time.time()
    assert "wrong batch" in told(app)
    assert "![x](" not in told(app)
    app = open_page(PROVENANCE, run=first)
    assert "Note on this run" in told(app)
    assert "![x](" not in told(app)
    runs.annotate(run, " \n ")
    assert run.annotation == ""
    assert not (run.path / "annotation.json").exists()
    with pytest.raises(RunError, match="shorten"):
        runs.annotate(run, "x" * (runs.NOTE_LENGTH + 1))


def listed(app: AppTest) -> list[str]:
    return [item.value for item in app.markdown if str(item.value).startswith("**run ")]


def test_many_runs_are_searched_and_sorted(folder: Path) -> None:
    ids = finished_runs(folder, 5)
    runs.annotate(runs.find_run(ids[3]), "the odd one")
    app = open_page(TRAIN)
    assert listed(app) == [f"**run {name}**" for name in ("a4", "b3", "c2", "d1", "e0")]
    assert any(" MB" in str(item.value) for item in app.caption)
    app.text_input(key="find-runs").set_value("ODD one").run()
    assert listed(app) == ["**run b3**"]
    app.text_input(key="find-runs").set_value("was not found").run()
    assert listed(app) == []
    assert "No run has this" in told(app)


def test_two_runs_stand_beside_each_other(folder: Path) -> None:
    first, second = finished_runs(folder, 2)
    app = open_page(TWO_RUNS, run=first, other=second)
    said = told(app)
    assert "This run" in said
    assert "may come from the seed" in said
    settings, numbers = (table.value for table in app.dataframe[:2])
    assert list(settings.index) == ["n_latent"]
    assert list(settings.iloc[0]) == ["5", "6"]
    assert (numbers["difference"] == 0).all()
    assert not app.error
    assert app.query_params["other"] in (second, [second])
    app = open_page(TWO_RUNS, run=first, other="../../etc")
    assert "it was ignored" in told(app)


def test_one_run_alone_has_nothing_beside_it(folder: Path) -> None:
    assert "no other finished run" in told(open_page(TWO_RUNS, run="demo"))


def test_layers_are_chosen_where_a_file_has_more(folder: Path, cells_file: Path) -> None:
    with cells_file.open("rb") as content:
        stored = uploads.add_upload("cells.h5ad", content)
    app = open_page(TRAIN, data=stored.id)
    box = app.selectbox(key="form-layer-unspliced")
    assert box.options[0] == "as found: unspliced"
    assert {"nascent copy", "spliced", "unspliced"} <= set(box.options)
    assert "X" in app.selectbox(key="form-layer-total").options
    box.select("spliced")
    app.selectbox(key="form-layer-spliced").select("spliced")
    start = next(button for button in app.button if button.label == "Start training")
    start.click().run()
    assert "The same layer was chosen" in told(app)
    assert runs.list_runs() == []


def expected(app: AppTest) -> str:
    """What the form says of how long the run would take."""
    return next((item.value for item in app.caption if ":material/schedule:" in item.value), "")


def test_the_form_says_how_long_a_training_will_take(folder: Path, cells_file: Path) -> None:
    with cells_file.open("rb") as content:
        stored = uploads.add_upload("cells.h5ad", content)
    app = open_page(TRAIN, data=stored.id)
    first = expected(app)
    assert "seconds on a computer with two cores" in first
    app.number_input(key="form-epochs").set_value(20_000).run()
    assert not app.exception
    assert "minutes" in expected(app)
    # What no run can be asked has no estimate, and an error only once it is asked for.
    app.number_input(key="form-shrinkage").set_value(1e13).run()
    assert expected(app) == ""
    assert not app.error
    app.button(key="start-training").click().run()
    assert "shrinkage" in app.error[0].value
    assert runs.list_runs() == []
    app.number_input(key="form-shrinkage").set_value(None).run()
    app.number_input(key="form-epochs").set_value(None).run()
    assert expected(app) == first


def test_the_form_goes_by_the_speed_of_earlier_runs(folder: Path, cells_file: Path) -> None:
    with cells_file.open("rb") as content:
        stored = uploads.add_upload("cells.h5ad", content)
    run = folder / stopped_run(folder, cells_file)
    work = Work("train", 90, 72, 40, 40, 128)
    seconds = 3 * sum(stage_seconds(work).values())
    made = {"work": work.to_dict(), "seconds": seconds, "resumed": []}
    worker = {"pid": 1, "created": None, "host": socket.gethostname()}
    (run / "provenance.json").write_text(json.dumps(made))
    (run / "worker.json").write_text(json.dumps(worker))
    status = {"state": "finished", "stage": "finished", "fraction": 1.0, "updated": 2.0}
    (run / "status.json").write_text(json.dumps(status))
    assert "on this computer" in expected(open_page(TRAIN, data=stored.id))


def test_three_layers_are_chosen_and_where_ambiguous_counts_go(
    folder: Path, cells_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cells_file.open("rb") as content:
        stored = uploads.add_upload("cells.h5ad", content)
    asked: list[runs.RunConfig] = []

    def keep(config: runs.RunConfig) -> None:
        asked.append(config)
        raise RunError("Nothing is started here.")

    monkeypatch.setattr(jobs, "start", keep)
    app = open_page(TRAIN, data=stored.id)
    assert "form-ambiguous" not in [box.key for box in app.selectbox]
    app.selectbox(key="form-layer-ambiguous").select("nascent copy").run()
    app.selectbox(key="form-ambiguous").select("spliced").run()
    next(button for button in app.button if button.label == "Start training").click().run()
    assert [(one.ambiguous_layer, one.ambiguous) for one in asked] == [("nascent copy", "spliced")]
