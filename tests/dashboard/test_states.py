"""Every page in every state a run or file can be in: what happened, what to do, no traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import anndata
import pytest
from app_pages import REPOSITORY, open_page
from small_disks import make_read_only, mounted
from streamlit.testing.v1 import AppTest

from splicedvae import io, runs
from splicedvae._core.errors import DataError, RunError
from splicedvae._core.keys import Layers, Obs, Sources
from splicedvae.dashboard import pages, server, uploads
from splicedvae.dashboard.state import selection
from splicedvae.datasets import simulate

PAGES = [page.script for page in pages.PAGES]
RESULTS = [page.script for page in pages.PAGES if page.section == "results"]
#: What stands on pages that show no run.
ELSEWHERE = {pages.INSPECT.script: "No file yet", pages.MODELS.script: "Add a model"}
RUN = "0123456789abcdef"
#: What no page may say: a traceback, a folder of the machine, a type of Python's errors.
FORBIDDEN = re.compile(
    rf"Traceback|File \"|/tmp/|/home/|{re.escape(str(REPOSITORY))}|\w+Error\b|site-packages"
)


@pytest.fixture(scope="module")
def cells_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    simulate(n_cells=120, n_genes=50, seed=5).write_h5ad(file)
    return file


@pytest.fixture
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("SPLICEDVAE_DATA_PATHS", raising=False)
    # What a server does once; all else is kept by folder and time, and each test has its own.
    server.begin.clear()
    return tmp_path / "runs"


def opened(page: str, **query: str) -> AppTest:
    """Open a page by a link; the bare address leads to the first page with the same run."""
    return open_page(page, from_link=True, **query)


def said(app: AppTest) -> str:
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption)
    boxes = (app.info, app.warning, app.error, app.success)
    text = "\n".join(str(item.value) for kind in (*kinds, *boxes) for item in kind)
    return text.replace("\\", "")


def told_well(app: AppTest) -> str:
    text = said(app)
    assert FORBIDDEN.search(text) is None, text
    assert app.title, "a page without a title"
    return text


def waiting_run(cells_file: Path, folder: Path, **status: object) -> None:
    """A run's folder as a worker leaves it before it is finished."""
    config = runs.RunConfig(data=str(cells_file), data_sha256=io.sha256(cells_file), name="mine")
    home = folder / RUN
    home.mkdir(parents=True)
    record = {"format": runs.FORMAT, "id": RUN, "created": 1.0, "config": config.to_dict()}
    (home / "config.json").write_text(json.dumps(record))
    base = {"stage": "training SplicedVAE", "fraction": 0.4, "started": 1.0, "updated": time.time()}
    (home / "status.json").write_text(json.dumps({**base, **status}))


def at_work(cells_file: Path, folder: Path) -> None:
    """A run whose worker, this very process, lives."""
    import psutil

    waiting_run(cells_file, folder, state="running", pid=os.getpid())
    worker = {
        "pid": os.getpid(),
        "created": psutil.Process().create_time(),
        "host": os.uname().nodename,
    }
    (folder / RUN / "worker.json").write_text(json.dumps(worker))


def lost(cells_file: Path, folder: Path) -> None:
    waiting_run(cells_file, folder, state="running", pid=4_000_000)
    worker = {"pid": 4_000_000, "created": 1.0, "host": os.uname().nodename}
    (folder / RUN / "worker.json").write_text(json.dumps(worker))


def finished(folder: Path) -> Path:
    """A finished run of the visitor's own: the demo under another id."""
    home = folder / RUN
    shutil.copytree(runs.demo_run().path, home)
    record = json.loads((home / "config.json").read_text())
    record["config"]["name"] = "mine"
    (home / "config.json").write_text(json.dumps({**record, "id": RUN}))
    return home


def change_results(home: Path) -> None:
    """Let a test change what a run wrote: a run of an earlier version, without digests."""
    (home / "SHA256SUMS").unlink()


def prediction(cells_file: Path, folder: Path) -> None:
    """A finished prediction on totals: nothing measured, no metrics, no training."""
    home = finished(folder)
    change_results(home)
    record = json.loads((home / "config.json").read_text())
    record["config"].update(kind="predict", model_run="demo")
    (home / "config.json").write_text(json.dumps(record))
    for name in ("metrics.csv", "genes.csv", "history.csv"):
        (home / name).unlink()
    shutil.rmtree(home / "model")
    cells = anndata.read_h5ad(home / "predictions.h5ad")
    for layer in (Layers.SPLICED, Layers.UNSPLICED, Layers.TRUE_VELOCITY):
        if layer in cells.layers:
            del cells.layers[layer]
    del cells.obs[Obs.SPLIT]
    cells.write_h5ad(home / "predictions.h5ad")
    account = json.loads((home / "velocity.json").read_text())
    kept = {source: account[source] for source in (Sources.SPLICEDVAE, Sources.SCVI)}
    (home / "velocity.json").write_text(json.dumps(kept))


def damaged(name: str, content: bytes | None) -> Callable[[Path, Path], None]:
    """A finished run of which one file is gone, or holds something else."""

    def make(cells_file: Path, folder: Path) -> None:
        file = finished(folder) / name
        if name.startswith("velocity") or content in (None, b"cut"):
            change_results(file.parent)
        if content is None:
            file.unlink()
        elif content == b"cut":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        else:
            file.write_bytes(content)

    return make


REASON = "No gene has 20 shared counts: lower min_shared_counts."
DAMAGED = "damaged"
#: State: how it is made, what each results page must say, and what the page of runs must say.
STATES: dict[str, tuple[Callable[[Path, Path], None], str, str]] = {
    "failed": (
        lambda file, folder: waiting_run(file, folder, state="failed", message=REASON),
        REASON,
        "This run failed",
    ),
    "stopped": (
        lambda file, folder: waiting_run(file, folder, state="stopped", message="Stopped."),
        "This run was stopped",
        "This run was stopped",
    ),
    "lost": (lost, "This run was lost", "restart"),
    "at work": (at_work, "still running", "progress_activity: running"),
    "deleted": (lambda file, folder: None, "was not found", "was not found"),
    "without metrics": (damaged("metrics.csv", None), DAMAGED, "mine"),
    "without predictions": (damaged("predictions.h5ad", None), DAMAGED, "mine"),
    "predictions cut off": (damaged("predictions.h5ad", b"cut"), DAMAGED, "mine"),
    "account is garbage": (damaged("velocity.json", b"{no json"), DAMAGED, "mine"),
    "account is a list": (damaged("velocity.json", b'{"splicedvae": [1]}'), DAMAGED, "mine"),
    "metrics changed": (
        damaged("metrics.csv", b"predictor\n"),
        "does not match its digest",
        "mine",
    ),
    "digests are garbage": (damaged("SHA256SUMS", b"\x00"), "list of digests", "mine"),
    # What a status says is found in the rest of the folder, so the results open.
    "status is garbage": (damaged("status.json", b"\x00\x01"), "", "mine"),
    "configuration is garbage": (damaged("config.json", b"{"), "was not found", DAMAGED),
    "date is text": (
        damaged("config.json", b'{"format": 1, "created": "yesterday"}'),
        "was not found",
        DAMAGED,
    ),
}


def test_every_script_is_declared_as_a_page() -> None:
    scripts = (REPOSITORY / "pages").glob("*/*.py")
    assert set(PAGES) == {file.relative_to(REPOSITORY).as_posix() for file in scripts}
    assert {page.section for page in pages.PAGES} == set(pages.SECTIONS)
    assert len({page.url for page in pages.PAGES}) == len(pages.PAGES)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_tells_what_happened_to_a_run(
    runs_folder: Path, cells_file: Path, page: str, state: str
) -> None:
    make, on_results, on_training = STATES[state]
    make(cells_file, runs_folder)
    text = told_well(opened(page, run=RUN))
    if page in RESULTS:
        assert on_results in text
    elif page == pages.TRAIN.script:
        assert on_training in text
    else:
        assert ELSEWHERE[page] in text


@pytest.mark.parametrize("page", PAGES)
def test_a_prediction_without_measured_counts_opens_everywhere(
    runs_folder: Path, cells_file: Path, page: str
) -> None:
    prediction(cells_file, runs_folder)
    app = opened(page, run=RUN)
    text = told_well(app)
    assert not app.error, text
    if page == pages.DIAGNOSTICS.script:
        assert "no measured spliced and unspliced counts" in text


@pytest.mark.parametrize("page", PAGES)
def test_nothing_loaded_and_no_demo(
    runs_folder: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    def hidden() -> runs.Run:
        raise RunError("The demo run is not in this installation.")

    monkeypatch.setattr(selection, "demo_run", hidden)
    app = opened(page)
    text = told_well(app)
    assert not app.error, text
    expected = {**ELSEWHERE, pages.TRAIN.script: "No runs yet"}
    assert expected.get(page, "upload a file and train a model") in text


@pytest.mark.parametrize("page", PAGES)
def test_a_file_that_cannot_be_read_breaks_no_page(runs_folder: Path, page: str) -> None:
    stored = uploads.add_upload("cells.h5ad", BytesIO(b"no counts at all\n" * 9))
    app = opened(page, data=stored.id, run="demo")
    told_well(app)
    if page in (pages.INSPECT.script, pages.TRAIN.script):
        (error,) = app.error
        assert "it holds text although its name ends in .h5ad" in str(error.value).replace("\\", "")


def test_the_shelf_deletes_a_file_and_refuses_one_in_use(
    runs_folder: Path, cells_file: Path
) -> None:
    with cells_file.open("rb") as content:
        stored = uploads.add_upload("cells.h5ad", content)
    at_work(cells_file, runs_folder)
    app = opened(pages.INSPECT.script, data=stored.id)
    (shelf,) = [item for item in app.expander if "Stored files" in item.label]
    assert "1, " in shelf.label
    assert "used" in shelf.label
    app.checkbox(key=f"drop-sure-{stored.id}").check().run()
    app.button(key=f"drop-yes-{stored.id}").click().run()
    (refusal,) = app.error
    assert "is running" in refusal.value
    assert "then delete the file" in refusal.value
    assert uploads.find(stored.id) == stored
    status = runs_folder / RUN / "status.json"
    status.write_text(json.dumps({**json.loads(status.read_text()), "state": "stopped"}))
    app = opened(pages.INSPECT.script, data=stored.id)
    app.checkbox(key=f"drop-sure-{stored.id}").check().run()
    app.button(key=f"drop-yes-{stored.id}").click().run()
    assert not app.exception
    assert not uploads.stored_files()
    assert "No file yet" in said(app)


def test_a_damaged_run_is_deleted_on_the_page_of_runs(runs_folder: Path, cells_file: Path) -> None:
    damaged("config.json", b"{")(cells_file, runs_folder)
    app = opened(pages.TRAIN.script)
    assert "is not valid JSON" in said(app)
    app.checkbox(key=f"sure-{RUN}").check().run()
    app.button(key=f"delete-{RUN}").click().run()
    assert not app.exception
    assert not (runs_folder / RUN).exists()
    assert "is not valid JSON" not in said(app)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB; only root may mount one."""
    with mounted(tmp_path / "small", "1m") as place:
        yield place


@pytest.mark.parametrize("page", [pages.VELOCITY.script, pages.TRAIN.script])
def test_a_read_only_folder_of_runs_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    with mounted(tmp_path / "disk", "20m") as disk:
        monkeypatch.setenv("SPLICEDVAE_RUNS", str(disk))
        server.begin.clear()
        finished(disk)
        make_read_only(disk)
        app = opened(page, run=RUN)
        assert "is read-only, so" in told_well(app)
        assert not app.error


def test_a_full_disk_is_told_and_leaves_nothing_behind(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(small_disk / "runs"))
    with pytest.raises(DataError, match=r"disk is full.*free some space"):
        uploads.add_upload("large.h5ad", BytesIO(os.urandom(3 << 20)))
    assert not list(uploads.folder().iterdir())
    assert uploads.add_upload("little.h5ad", BytesIO(b"x" * 100)).size == 100
