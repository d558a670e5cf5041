"""Each page through Streamlit's own test runner: nothing loaded, demo, failed, lost, at work."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from app_pages import open_page
from scipy import sparse
from streamlit.testing.v1 import AppTest

from splicedvae import io, runs
from splicedvae._core.keys import Layers
from splicedvae.dashboard import pages, uploads
from splicedvae.dashboard.state import coloring
from splicedvae.dashboard.text import moment
from splicedvae.dashboard.widgets import file_source
from splicedvae.datasets import simulate

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = pages.INSPECT.script
TRAIN = pages.TRAIN.script
VELOCITY = pages.VELOCITY.script
RESULTS = {
    page.url: page.script
    for page in (pages.DIAGNOSTICS, pages.LATENT, pages.GENES, pages.PROVENANCE)
}
LOST = "0123456789abcdef"


@pytest.fixture(scope="module")
def cells_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    simulate(n_cells=120, n_genes=50, seed=5).write_h5ad(file)
    return file


def told(app: AppTest) -> str:
    """All that is said on a page."""
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption)
    boxes = (app.info, app.warning, app.error, app.success)
    return "\n".join(str(item.value) for kind in (*kinds, *boxes) for item in kind)


def bar_of(app: AppTest) -> str:
    """The title of the color bar of the first figure on a page."""
    layout = json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]
    return str(layout["coloraxis"]["colorbar"]["title"]["text"])


def prepared_run(cells_file: Path, folder: Path, name: str, status: dict[str, object]) -> Path:
    """A run's folder as a worker leaves it in some state."""
    config = runs.RunConfig(data=str(cells_file), data_sha256=io.sha256(cells_file), name=name)
    home = folder / LOST
    home.mkdir(parents=True)
    record = {"format": runs.FORMAT, "id": LOST, "created": time.time(), "config": config.to_dict()}
    (home / "config.json").write_text(json.dumps(record))
    base = {"stage": "training SplicedVAE", "fraction": 0.4, "pid": 4_000_000, "updated": 1.0}
    (home / "status.json").write_text(json.dumps({**base, "started": 1.0, **status}))
    return home


def test_bare_address_opens_the_demo(runs_folder: Path) -> None:
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=120).run()
    assert not app.exception
    assert "RNA velocity without spliced and unspliced counts" in told(app)
    assert app.query_params["run"] in ("demo", ["demo"])
    said = told(app)
    assert "Smoothness is not correctness" in said
    assert "were used in training" in said


def _accuracy() -> AppTest:
    return open_page(RESULTS["diagnostics"], run="demo")


def test_the_gene_mean_is_told_beside_the_table(runs_folder: Path) -> None:
    app = _accuracy()
    reached = runs.demo_run().metrics.query(
        "predictor == 'gene_mean' and metric == 'pearson' and coverage == 5"
    )["value"]
    assert f"r \\= {reached.iloc[0]:.2f}".replace(".", "\\.") in told(app)
    table = app.dataframe[0].value
    assert {"RMSE", "Pearson r", "skill over gene mean", "within-gene r"} <= set(table.columns)
    assert table.index[0] == "SplicedVAE"
    assert table.index[-1] == "noise ceiling"


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_every_view_of_the_demo_opens(runs_folder: Path, name: str) -> None:
    app = open_page(RESULTS[name], run="demo")
    assert not app.error, told(app)
    if name == "genes":
        app.text_input(key="find-genes").set_value("no such gene").run()
        assert len(app.dataframe[0].value) == 0


def test_data_page_with_nothing_loaded(runs_folder: Path) -> None:
    app = open_page(DATA)
    assert "No file yet" in told(app)
    assert not app.error


def test_train_page_with_nothing_loaded(runs_folder: Path) -> None:
    app = open_page(TRAIN)
    assert "A training starts from a file" in told(app)
    app.button(key="to-file").click().run()
    assert "No file yet" in told(app)


def test_data_page_shows_a_file(runs_folder: Path, cells_file: Path) -> None:
    with cells_file.open("rb") as content:
        stored = uploads.add_upload("cells.h5ad", content)
    app = open_page(DATA, data=stored.id)
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Cells"] == "120"
    assert metrics["Genes"] == "50"
    assert metrics["Spliced and unspliced"] == "yes"
    assert metrics["Unspliced fraction"].endswith("%")
    assert "would fail" not in told(app)
    assert "Doublets and ambient RNA are not checked" in told(app)
    app.button(key="to-train").click().run()
    assert app.text_input(key="form-name").value == "cells"


def test_files_of_one_name_and_minute_are_told_apart() -> None:
    first = uploads.StoredFile("a" * 16, "cells.h5ad", "", "a" * 64, "upload", 1_700_000_000.0)
    second = replace(first, id="b" * 16)
    assert file_source.labels([first]) == {first.id: f"cells.h5ad · {moment(first.added)}"}
    told_apart = file_source.labels([first, second])
    assert [label.rsplit(" · ", 1)[1] for label in told_apart.values()] == ["aaaaaa", "bbbbbb"]


def test_a_file_that_vanished_is_told(runs_folder: Path, cells_file: Path) -> None:
    app = open_page(DATA, data="f" * 16)
    assert "was not found" in told(app)
    assert "No file yet" in told(app)


def test_a_damaged_file_is_one_sentence(runs_folder: Path, cells_file: Path) -> None:
    whole = cells_file.read_bytes()
    half = cells_file.with_name("half.h5ad")
    half.write_bytes(whole[: len(whole) // 2])
    with half.open("rb") as content:
        stored = uploads.add_upload("half.h5ad", content)
    app = open_page(DATA, data=stored.id)
    assert len(app.error) == 1
    said = str(app.error[0].value).replace("\\", "")
    assert "half.h5ad" in said
    assert "Traceback" not in said
    assert str(runs_folder) not in said


def test_a_failed_run_says_why_and_what_to_do(runs_folder: Path, cells_file: Path) -> None:
    reason = "No gene has 20 shared counts: lower min_shared_counts."
    prepared_run(cells_file, runs_folder, "broken", {"state": "failed", "message": reason})
    for page in (TRAIN, VELOCITY, *RESULTS.values()):
        app = open_page(page, run=LOST)
        said = told(app).replace("\\", "")
        assert "This run failed" in said
        assert reason in said
    assert "again" in [button.key for button in open_page(TRAIN, run=LOST).button]


def test_a_failed_run_leads_to_other_settings(runs_folder: Path, cells_file: Path) -> None:
    prepared_run(cells_file, runs_folder, "broken", {"state": "failed", "message": "No."})
    app = open_page(TRAIN, run=LOST)
    assert "other-settings" not in [button.key for button in app.button]
    with cells_file.open("rb") as content:
        uploads.add_upload("cells.h5ad", content)
    app = open_page(TRAIN, run=LOST)
    app.button(key="other-settings").click().run()
    assert app.text_input(key="form-name").value == "cells"
    assert "other-settings" not in [button.key for button in app.button]
    assert not app.exception


def test_a_file_without_shared_counts_is_doubted_before_training(
    runs_folder: Path, tmp_path: Path
) -> None:
    adata = simulate(n_cells=40, n_genes=30, seed=5)
    first = sparse.diags_array((np.arange(40) < 10).astype("float32"))
    rest = sparse.diags_array((np.arange(40) >= 10).astype("float32"))
    adata.layers[Layers.UNSPLICED] = sparse.csr_matrix(first @ adata.layers[Layers.UNSPLICED])
    adata.layers[Layers.SPLICED] = sparse.csr_matrix(rest @ adata.layers[Layers.SPLICED])
    adata.X = adata.layers[Layers.SPLICED] + adata.layers[Layers.UNSPLICED]
    adata.write_h5ad(tmp_path / "apart.h5ad")
    with (tmp_path / "apart.h5ad").open("rb") as content:
        stored = uploads.add_upload("apart.h5ad", content)
    for page in (DATA, TRAIN):
        assert "would fail" in told(open_page(page, data=stored.id))


def test_a_damaged_file_leads_from_training_to_another(runs_folder: Path) -> None:
    stored = uploads.add_upload("cells.h5ad", BytesIO(b"no counts"))
    app = open_page(TRAIN, data=stored.id)
    assert len(app.error) == 1
    app.button(key="to-file").click().run()
    assert "What is in a file" in told(app)


def test_a_lost_run_is_found_at_start(runs_folder: Path, cells_file: Path) -> None:
    home = prepared_run(cells_file, runs_folder, "vanished", {"state": "running"})
    worker = {"pid": 4_000_000, "created": 1.0, "host": os.uname().nodename}
    (home / "worker.json").write_text(json.dumps(worker))
    app = open_page(TRAIN, run=LOST)
    assert "This run was lost" in told(app)
    assert json.loads((home / "status.json").read_text())["state"] == "lost"


def test_a_run_is_renamed_and_deleted(runs_folder: Path, cells_file: Path) -> None:
    prepared_run(cells_file, runs_folder, "first", {"state": "stopped", "message": "Stopped."})
    app = open_page(TRAIN, run=LOST)
    app.text_input(key=f"name-{LOST}").set_value("![x](http://h/p) second").run()
    app.button(key=f"rename-{LOST}").click().run()
    assert runs.find_run(LOST).name == "![x](http://h/p) second"
    assert "![x](http" not in told(app)
    app.checkbox(key=f"sure-{LOST}").check().run()
    app.button(key=f"delete-{LOST}").click().run()
    assert not (runs_folder / LOST).exists()
    assert not app.exception


def test_an_unreadable_run_is_left_out_and_told(runs_folder: Path) -> None:
    (runs_folder / LOST).mkdir(parents=True)
    (runs_folder / LOST / "config.json").write_text("{")
    assert "is not listed" in told(open_page(TRAIN))


@pytest.mark.parametrize(
    "query",
    [
        {"run": "../../etc"},
        {"run": "f" * 16},
        {"k": "1e99"},
        {"color": "<script>alert(1)</script>"},
        {"density": "1e99"},
        {"shown": "![x](http://h/p)"},
        {"data": "../../x"},
    ],
)
def test_an_address_that_means_nothing_is_told(runs_folder: Path, query: dict[str, str]) -> None:
    app = open_page(VELOCITY, **query)
    (remark,) = [
        item.value
        for item in app.warning
        if "ignored" in item.value or "default is shown" in item.value
    ]
    assert "![x](http" not in remark


def test_a_coverage_of_the_address_that_means_nothing_is_told(runs_folder: Path) -> None:
    app = open_page(RESULTS["diagnostics"], coverage="-1")
    assert len(app.warning) == 1, told(app)
    assert "default is shown" in app.warning[0].value


def test_whole_clusters_are_selected_and_cleared(runs_folder: Path) -> None:
    app = open_page(RESULTS["latent"], run="demo")
    assert "cells selected" not in told(app)
    app.multiselect(key="latent-clusters").set_value(["Progenitor"]).run()
    assert not app.exception
    assert "of 900 cells selected" in told(app).replace("\\", "")
    tables = [set(map(str, table.value.columns)) for table in app.dataframe]
    assert {"RMSE", "Pearson r", "skill over gene mean"} in tables
    assert {"log2 fold change"} in tables
    app.button(key="clear-selection").click().run()
    assert "cells selected" not in told(app)
    assert app.multiselect(key="latent-clusters").value == []


def test_latent_maps_are_coloured_by_a_ratio(runs_folder: Path) -> None:
    app = open_page(RESULTS["latent"], run="demo")
    gene = str(runs.demo_run().predictions.var_names[3])
    assert all(box.key != pages.GENE_COLOR_PARAMETER for box in app.selectbox), (
        "genes are offered when asked"
    )
    app.selectbox(key=pages.COLOR_PARAMETER).set_value(coloring.RATIO).run()
    app.selectbox(key=pages.GENE_COLOR_PARAMETER).set_value(gene).run()
    assert not app.exception
    assert not app.error, told(app)
    assert f"{gene}, predicted spliced fraction" in bar_of(app)


@pytest.mark.parametrize("at", [0, 3])
@pytest.mark.parametrize("kind", [coloring.COUNTS, coloring.RATIO])
def test_slides_keep_the_gene_that_was_looked_at(runs_folder: Path, kind: str, at: int) -> None:
    app = open_page(RESULTS["latent"], run="demo")
    gene = str(runs.demo_run().predictions.var_names[at])
    app.selectbox(key=pages.COLOR_PARAMETER).set_value(kind).run()
    app.selectbox(key=pages.GENE_COLOR_PARAMETER).set_value(gene).run()
    app.switch_page(pages.PRESENT.script)
    app.query_params["slide"] = "5"
    app.run()
    assert not app.exception
    assert gene in bar_of(app)
    assert ("spliced fraction" in bar_of(app)) == (kind == coloring.RATIO)
    assert "not available here" not in told(app)


def test_genes_beyond_what_a_box_holds_are_searched(
    runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coloring, "_MOST_OPTIONS", 5)
    monkeypatch.setattr(coloring, "_SHOWN_OPTIONS", 4)
    genes = [str(gene) for gene in runs.demo_run().predictions.var_names]
    app = open_page(RESULTS["latent"], run="demo")
    app.selectbox(key=pages.COLOR_PARAMETER).set_value(coloring.COUNTS).run()
    first, *others = app.selectbox(key=pages.GENE_COLOR_PARAMETER).options
    assert len(others) == 3
    wanted = next(gene for gene in genes if gene not in (first, *others))
    app.text_input(key="find-color").set_value(wanted.upper()).run()
    # The first gene stays: an address without a gene means it.
    assert app.selectbox(key=pages.GENE_COLOR_PARAMETER).options == [first, wanted]
    app.selectbox(key=pages.GENE_COLOR_PARAMETER).set_value(wanted).run()
    app.text_input(key="find-color").set_value("no such gene").run()
    assert app.selectbox(key=pages.GENE_COLOR_PARAMETER).options == [first, wanted]
    assert wanted in bar_of(app)
