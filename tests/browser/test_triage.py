"""A first visit in a real browser: the first page, files of every kind, what is wrong."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from anndata import AnnData
from browser_pages import ready
from playwright.sync_api import Page, expect
from scipy import sparse
from scipy.io import mmwrite

from splicedvae import io, runs
from splicedvae._core.keys import Layers, Obs
from splicedvae.datasets import simulate

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SLOW = 180_000
FAILED = "0123456789abcdef"
N_CELLS = 230

NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def cells() -> AnnData:
    return simulate(n_cells=N_CELLS, n_genes=60, seed=9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def write_h5ad(cells: AnnData, file: Path) -> None:
    cells.write_h5ad(file, compression="gzip")


def write_totals(cells: AnnData, file: Path) -> None:
    AnnData(X=cells.X, obs=cells.obs[[Obs.CLUSTERS]].copy(), var=cells.var[[]].copy()).write_h5ad(
        file
    )


def write_loom(cells: AnnData, file: Path) -> None:
    with h5py.File(file, "w") as out:
        out["matrix"] = cells.X.toarray().T
        for layer in (Layers.SPLICED, Layers.UNSPLICED):
            out[f"layers/{layer}"] = cells.layers[layer].toarray().T
        out["col_attrs/CellID"] = np.array(cells.obs_names, dtype="S")
        out["col_attrs/clusters"] = np.array(cells.obs[Obs.CLUSTERS].astype(str), dtype="S")
        out["row_attrs/Gene"] = np.array(cells.var_names, dtype="S")


def write_tenx(cells: AnnData, file: Path) -> None:
    X = sparse.csr_matrix(cells.X)
    with h5py.File(file, "w") as out:
        group = out.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(X, name)
        group["shape"] = np.array([cells.n_vars, cells.n_obs])
        group["barcodes"] = np.array(cells.obs_names, dtype="S")
        for name in ("id", "name"):
            group[f"features/{name}"] = np.array(cells.var_names, dtype="S")
        group["features/feature_type"] = np.array(["Gene Expression"] * cells.n_vars, dtype="S")


def write_zip(cells: AnnData, file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for layer in (Layers.SPLICED, Layers.UNSPLICED):
            place = file.with_name(f"{layer}.mtx")
            mmwrite(place, sparse.coo_matrix(cells.layers[layer].T.astype(int)))
            out.write(place, f"Velocyto/{place.name}")
        out.writestr("Velocyto/barcodes.tsv", "\n".join(cells.obs_names) + "\n")
        out.writestr("Velocyto/features.tsv", "\n".join(cells.var_names) + "\n")


def upload(page: Page, file: Path) -> None:
    page.locator("input[type=file]").set_input_files(str(file))


@pytest.mark.parametrize(
    ("width", "height", "scheme"),
    [
        (1400, 900, "light"),
        (1920, 1080, "dark"),
        (800, 900, "light"),
        (683, 512, "light"),
        (390, 844, "dark"),
    ],
)
def test_first_page_explains_itself_in_one_screen(
    server, new_page: NewPage, width: int, height: int, scheme: str
) -> None:
    page = new_page(width, height, scheme)
    page.goto(server.url)
    ready(page)
    expect(page.get_by_role("heading", name="RNA velocity without")).to_be_in_viewport()
    expect(page.get_by_text("predicts both where only totals exist")).to_be_in_viewport()
    for step in ("1 · Bring your file", "2 · Train or predict", "3 · Compare"):
        expect(page.get_by_text(step)).to_be_in_viewport()
    page.get_by_text("1 · Bring your file").click()
    expect(page.get_by_text("No file yet")).to_be_visible(timeout=SLOW)


@pytest.mark.parametrize(
    ("name", "write", "measured"),
    [
        ("packed.h5ad", write_h5ad, True),
        ("velocyto.loom", write_loom, True),
        ("cellranger.h5", write_tenx, False),
        ("starsolo.zip", write_zip, True),
        ("totals.h5ad", write_totals, False),
    ],
)
def test_every_format_through_the_uploader(
    server,
    new_page: NewPage,
    cells: AnnData,
    folder: Path,
    name: str,
    write: Callable[[AnnData, Path], None],
    measured: bool,
) -> None:
    file = folder / name
    write(cells, file)
    page = new_page()
    page.goto(f"{server.url}/data")
    ready(page)
    upload(page, file)
    expect(page.get_by_role("heading", name=name)).to_be_visible(timeout=SLOW)
    ready(page)
    verdict = page.locator(".st-key-verdict")
    expect(verdict.get_by_text("Is a velocity worth computing?")).to_be_visible()
    expect(verdict.get_by_text("no guarantee")).to_be_visible()
    # A busy browser draws skeletons first.
    expect(page.get_by_test_id("stMetric")).to_have_count(5, timeout=SLOW)
    metrics = page.get_by_test_id("stMetric").all_inner_texts()
    assert any(f"{N_CELLS}" in text for text in metrics), metrics
    assert any("Spliced" in text and ("yes" if measured else "no") in text for text in metrics)
    if measured:
        expect(verdict.get_by_text("were measured")).to_be_visible()
        expect(page.get_by_role("button", name="Train SplicedVAE and scVI")).to_be_visible()
    else:
        expect(page.get_by_text("cannot be used for training")).to_be_visible()
        ways_on = re.compile("Predict with this model|How to get a model that fits")
        expect(page.get_by_text(ways_on).first).to_be_visible(timeout=SLOW)
    assert page.get_by_test_id("stException").count() == 0


def test_garbage_is_refused_and_the_next_file_is_taken(
    server, new_page: NewPage, cells: AnnData, folder: Path
) -> None:
    garbage = folder / "letter.loom"
    garbage.write_text("Dear colleague,\n" * 40)
    page = new_page()
    page.goto(f"{server.url}/data")
    ready(page)
    upload(page, garbage)
    alert = page.get_by_test_id("stAlert").filter(has_text="letter.loom")
    expect(alert).to_be_visible(timeout=SLOW)
    assert "it holds text although its name ends in .loom" in alert.inner_text()
    ready(page)
    better = folder / "better.h5ad"
    write_h5ad(cells[:210].copy(), better)
    upload(page, better)
    expect(page.get_by_role("heading", name="better.h5ad")).to_be_visible(timeout=SLOW)
    expect(alert).to_have_count(0)


def test_a_stored_file_is_deleted_in_one_tab_and_told_in_the_other(
    server, new_page: NewPage, cells: AnnData, folder: Path
) -> None:
    file = folder / "short_lived.h5ad"
    write_h5ad(cells[:205].copy(), file)
    first, second = new_page(), new_page()
    first.goto(f"{server.url}/data")
    ready(first)
    upload(first, file)
    expect(first.get_by_role("heading", name=file.name)).to_be_visible(timeout=SLOW)
    ready(first)
    key = re.search(r"data=([0-9a-f]{16})", first.url)
    assert key
    second.goto(f"{server.url}/data?data={key[1]}")
    ready(second)
    expect(second.get_by_role("heading", name=file.name)).to_be_visible()
    first.get_by_text(re.compile("Stored files: ")).click()
    first.locator(f".st-key-drop-{key[1]} button").first.click()
    first.get_by_text("Delete this file permanently").click()
    first.locator(f".st-key-drop-yes-{key[1]} button").click()
    expect(first.get_by_role("heading", name=file.name)).to_have_count(0, timeout=SLOW)
    second.reload()
    ready(second)
    expect(second.get_by_text("which was not found")).to_be_visible()
    expect(second.get_by_text("No file yet")).to_be_visible()


@pytest.fixture(scope="module")
def failed_run(server, cells: AnnData, folder: Path) -> str:
    """A run that failed, as its worker leaves it."""
    file = folder / "failed.h5ad"
    write_h5ad(cells, file)
    config = runs.RunConfig(data=str(file), data_sha256=io.sha256(file), name="a bad day")
    home = server.runs / FAILED
    home.mkdir(parents=True)
    record = {"format": runs.FORMAT, "id": FAILED, "created": 1.0, "config": config.to_dict()}
    status = {
        "state": "failed",
        "stage": "choosing genes",
        "message": "No gene has 20 shared counts: lower min_shared_counts.",
        "started": 1.0,
        "updated": 2.0,
    }
    (home / "config.json").write_text(json.dumps(record))
    (home / "status.json").write_text(json.dumps(status))
    return FAILED


@pytest.mark.parametrize(
    "path", ["train", "velocity", "diagnostics", "latent", "genes", "provenance"]
)
def test_a_link_to_a_failed_run_says_why_on_every_page(
    server, new_page: NewPage, failed_run: str, path: str
) -> None:
    page = new_page()
    page.goto(f"{server.url}/{path}?run={failed_run}")
    ready(page)
    alert = page.get_by_test_id("stAlert").filter(has_text="This run failed")
    expect(alert).to_be_visible()
    assert "lower min_shared_counts" in alert.inner_text()
    assert str(server.runs) not in page.content()
    if path != "train":
        page.get_by_text("Show its log, or restart it").click()
        expect(page.get_by_role("button", name="Restart")).to_be_visible(timeout=SLOW)


def test_a_run_deleted_in_one_tab_is_told_in_the_other(server, new_page: NewPage) -> None:
    gone = "fedcba9876543210"
    shutil.copytree(runs.demo_run().path, server.runs / gone)
    record = json.loads((server.runs / gone / "config.json").read_text())
    (server.runs / gone / "config.json").write_text(json.dumps({**record, "id": gone}))
    page = new_page()
    page.goto(f"{server.url}/latent?run={gone}")
    ready(page)
    expect(page.locator(".st-key-latents .js-plotly-plot")).to_be_visible(timeout=SLOW)
    shutil.rmtree(server.runs / gone)
    page.reload()
    ready(page)
    expect(page.get_by_text("was not found or cannot be read")).to_be_visible()
