"""Pages while a real worker is at it: the first streams are shown, the rest fills in by itself."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from app_pages import open_page
from held_runs import held_at_first_streams, stop_all, wait_until, write_totals
from streamlit.testing.v1 import AppTest

from splicedvae import io, jobs, pipeline, runs
from splicedvae._core.keys import Obs
from splicedvae.dashboard import pages, uploads
from splicedvae.datasets import simulate
from splicedvae.velocity import VelocitySettings

INSPECT = pages.INSPECT.script
TRAIN = pages.TRAIN.script
VELOCITY = pages.VELOCITY.script
DIAGNOSTICS = pages.DIAGNOSTICS.script


def settings(file: Path, name: str, **more: object) -> runs.RunConfig:
    return runs.RunConfig(
        data=str(file),
        data_sha256=io.sha256(file),
        name=name,
        cluster_key=Obs.CLUSTERS,
        velocity=VelocitySettings(n_neighbors=12, min_shared_counts=10),
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def cells_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("first-streams") / "cells.h5ad"
    simulate(260, 60, seed=3).write_h5ad(file)
    return file


@pytest.fixture(autouse=True)
def folder(runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    runs_folder.mkdir()
    yield runs_folder
    stop_all()


def told(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.info, app.warning, app.error)
    return "\n".join(str(item.value) for kind in kinds for item in kind).replace("\\", "")


def test_a_prediction_opens_its_streams_while_it_is_running(cells_file: Path, folder: Path) -> None:
    config = settings(cells_file, "model", max_epochs=2, min_shared_counts=10)
    model = pipeline.execute(config, folder / config.digest())
    file = write_totals(cells_file, folder.parent / "totals.h5ad")
    stored = uploads.add_upload("totals.h5ad", BytesIO(file.read_bytes()))
    app = open_page(INSPECT, data=stored.id)
    assert "Takes " in told(app)
    assert "the first streams after" in told(app)
    app.selectbox(key=f"predict-model-{stored.sha256[:12]}").set_value(model.path.name)
    app.button(key="predict").click().run()
    assert not app.exception, app.exception
    (run,) = [item for item in runs.list_runs() if item.config.kind == "predict"]
    process = held_at_first_streams(run)
    try:
        # The page that watches the run leads on to the streams by itself.
        app.switch_page(TRAIN).run()
        assert not app.exception, app.exception
        assert [item.value for item in app.title] == ["Velocity"]
        said = told(app)
        assert "Still running" in said
        assert "sampling velocities from the posterior" in said
        assert "evaluating against the measured counts" not in said
        assert "not evaluated yet" not in said
        assert len(app.get("plotly_chart")) == 1
        assert not [key for key in (item.key for item in app.segmented_control) if key == "basis"]
        assert not app.get("download_button") or "Report" not in str(app.get("download_button"))
        assert not app.error, told(app)
        # Pages that need the whole run say where its streams are.
        other = open_page(DIAGNOSTICS, run=run.id)
        assert "streams" in str([item.proto for item in other.get("page_link")])
        # A visitor who comes back to the page of runs is not sent away again.
        back = open_page(TRAIN, run=run.id)
        assert [item.value for item in back.title] == ["Train and watch"]
        back.button(key="to-streams").click().run()
        assert [item.value for item in back.title] == ["Velocity"]
    finally:
        process.resume()
    wait_until(lambda: run.status.is_final, "the end of the run")
    assert run.is_finished, run.log_tail(30)
    app.switch_page(VELOCITY).run()
    assert not app.exception, app.exception
    assert not app.error, told(app)
    said = told(app)
    assert "Still running" not in said
    assert app.segmented_control(key="basis").options
    assert "Report" in str([item.proto for item in app.get("download_button")])


def test_a_training_shows_its_streams_unjudged(cells_file: Path) -> None:
    run = jobs.start(settings(cells_file, "training", max_epochs=2, min_shared_counts=10))
    process = held_at_first_streams(run)
    try:
        app = open_page(VELOCITY, run=run.id)
        said = told(app)
        assert not app.error, said
        assert "not evaluated yet" in said
        assert "They are not evaluated yet" in said
        assert "comparing velocities among held-out cells" in said
        assert "is still running" in said
        captions = "\n".join(str(item.value) for item in app.caption)
        assert "has not computed driver genes yet" in captions
        assert "earlier version" not in captions
        assert "no measured spliced and unspliced counts" not in said
        assert len(app.get("plotly_chart")) == 1
    finally:
        process.resume()
    wait_until(lambda: run.status.is_final, "the end of the run")
    said = told(app.run())
    assert "not evaluated yet" not in said
    assert "Cosine to the measured velocity among held-out cells" in said
