"""Journeys of a visitor through the real app: real server, real worker, real browser."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from anndata import AnnData
from browser_pages import ready
from playwright.sync_api import Locator, Page, expect

from splicedvae._core.keys import Obs
from splicedvae.dashboard import serving
from splicedvae.dashboard.pages import PAGES, PRESENT, VELOCITY
from splicedvae.datasets import simulate

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SLOW = 180_000
#: A run of a few epochs takes half a minute on two idle cores.
WHOLE_RUN = 300_000
#: A name that makes careless pages call another host, color text and end a formula.
HOSTILE = "![x](http://stranger.example/p.png) :red[y] $z$ <b>"

NewPage = Callable[..., Page]
Look = Callable[..., Path]


@pytest.fixture(scope="module")
def cells() -> AnnData:
    adata = simulate(n_cells=260, n_genes=70, seed=3)
    first = adata.obs[Obs.CLUSTERS].cat.categories[0]
    adata.obs[Obs.CLUSTERS] = adata.obs[Obs.CLUSTERS].cat.rename_categories({first: HOSTILE})
    return adata


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def counts_file(cells: AnnData, folder: Path) -> Path:
    file = folder / "cells with both.h5ad"
    cells.write_h5ad(file)
    return file


@pytest.fixture(scope="module")
def totals_file(cells: AnnData, folder: Path) -> Path:
    file = folder / "totals.h5ad"
    AnnData(X=cells.X, obs=cells.obs[[Obs.CLUSTERS]].copy(), var=cells.var[[]].copy()).write_h5ad(
        file
    )
    return file


def chart(page: Page, key: str) -> Locator:
    """A figure of the page by its key, drawn."""
    drawn = page.locator(f".st-key-{key} .js-plotly-plot")
    expect(drawn).to_be_visible(timeout=SLOW)
    return drawn


def traces(page: Page, key: str) -> list[dict[str, object]]:
    """Name and number of points of each trace of a figure."""
    found = chart(page, key).evaluate(
        "plot => plot._fullData.map(t => ({name: t.name, n: (t.x || []).length}))"
    )
    assert isinstance(found, list)
    return found


def upload(page: Page, file: Path) -> None:
    page.locator("input[type=file]").set_input_files(str(file))


def run_of(page: Page) -> str:
    found = re.search(r"[?&]run=([0-9a-f]{16})", page.url)
    assert found, page.url
    return found[1]


def start_training(page: Page, base: str, file: Path, epochs: int) -> None:
    page.goto(f"{base}/data")
    ready(page)
    upload(page, file)
    page.get_by_role("button", name="Train SplicedVAE and scVI").click(timeout=SLOW)
    field = page.get_by_role("spinbutton", name="Epochs")
    field.fill(str(epochs))
    field.press("Tab")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile(r"run=[0-9a-f]{16}"), timeout=SLOW)


def test_first_visit_shows_the_streams_of_the_demo(server, new_page: NewPage, look: Look) -> None:
    page = new_page()
    page.goto(server.url)
    ready(page)
    assert "/velocity" in page.url
    assert "run=demo" in page.url
    expect(page.get_by_text("1 · Bring your file")).to_be_visible()
    drawn = traces(page, "streams")
    lines = [trace for trace in drawn if trace["name"] == "stream lines"]
    assert len(lines) >= 3, drawn
    assert all(int(str(trace["n"])) > 100 for trace in lines)
    described = page.locator(".st-key-streams [aria-label*='stream lines'], .st-key-streams [alt]")
    expect(described.first).to_be_attached()
    expect(page.get_by_text("Smoothness is not correctness").first).to_be_visible()
    look(page, "first-visit")


#: The page opens on the demo run, and says then what the app does.
WELCOME = "RNA velocity without spliced and unspliced counts"


@pytest.mark.parametrize(
    ("path", "title"),
    [
        (page.url, WELCOME if page is VELOCITY else page.title)
        for page in PAGES
        if page is not PRESENT
    ],
)
def test_deep_link_into_a_fresh_process(serve, new_page: NewPage, path: str, title: str) -> None:
    fresh = serve()
    page = new_page()
    page.goto(f"{fresh.url}/{path}")
    ready(page)
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    expect(page.get_by_test_id("stSidebarNav").get_by_text("Train and watch")).to_be_visible()


def test_values_of_the_address_that_mean_nothing_are_told(server, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{server.url}/velocity?run=../../&k=1e99&color=<script>&density=9")
    ready(page)
    said = page.get_by_test_id("stAlert").all_inner_texts()
    assert len(said) >= 4, said
    assert sum("ignored" in text or "default is shown" in text for text in said) >= 4, said
    assert page.get_by_test_id("stException").count() == 0
    assert len(traces(page, "streams")) > 3


def test_upload_train_refresh_compare(
    server, new_page: NewPage, look: Look, counts_file: Path
) -> None:
    page = new_page()
    page.goto(f"{server.url}/data")
    ready(page)
    upload(page, counts_file)
    expect(page.get_by_role("heading", name="cells_with_both.h5ad")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("260", exact=True)).to_be_visible()
    chart(page, "unspliced")
    look(page, "what-is-in-it")
    page.get_by_role("button", name="Train SplicedVAE and scVI").click()
    page.get_by_role("spinbutton", name="Epochs").fill("25")
    page.get_by_role("spinbutton", name="Epochs").press("Tab")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile(r"run=[0-9a-f]{16}"), timeout=SLOW)
    run = run_of(page)
    expect(page.get_by_role("progressbar")).to_be_visible(timeout=SLOW)
    look(page, "training")

    page.reload()
    ready(page)
    assert run_of(page) == run
    heading = page.get_by_role("heading", name="cells with both")
    expect(heading).to_be_visible()
    other_tab = new_page()
    other_tab.goto(f"{server.url}/train?run={run}")
    ready(other_tab)
    expect(other_tab.get_by_role("heading", name="cells with both")).to_be_visible()

    page.locator(".st-key-to-compare button").click(timeout=WHOLE_RUN)
    page.wait_for_url(re.compile(rf"/velocity\?.*run={run}"), timeout=SLOW)
    ready(page)
    drawn = traces(page, "streams")
    assert sum(trace["name"] == "stream lines" for trace in drawn) >= 3
    look(page, "compared")
    with page.expect_download(timeout=SLOW) as waited:
        page.get_by_role("button", name="Metrics (.csv)").click()
    assert "velocity_cosine" in Path(waited.value.path()).read_text()
    with page.expect_download(timeout=SLOW) as waited:
        page.get_by_role("button", name="Report (.html)").click()
    report = Path(waited.value.path()).read_text()
    assert report.lstrip().lower().startswith("<!doctype html")
    for view, key in (("Latent spaces", "latents"), ("Diagnostics", "ratios")):
        page.get_by_test_id("stSidebarNav").get_by_text(view).click()
        chart(page, key)
        assert run_of(page) == run
    page.get_by_test_id("stSidebarNav").get_by_text("Genes").click()
    expect(page.get_by_text(re.compile(r"\d+ genes, numbers from held-out"))).to_be_visible()


def test_a_training_outlives_its_server(serve, new_page: NewPage, counts_file: Path) -> None:
    first = serve()
    page = new_page()
    start_training(page, first.url, counts_file, 60)
    run = run_of(page)
    expect(page.get_by_role("progressbar")).to_be_visible(timeout=SLOW)
    page.context.close()
    first.process.kill()
    first.process.wait()
    second = serve()
    again = new_page()
    again.goto(f"{second.url}/train?run={run}")
    expect(again.get_by_role("heading", name="cells with both")).to_be_visible(timeout=SLOW)
    again.locator(".st-key-to-compare button").click(timeout=WHOLE_RUN)
    again.wait_for_url(re.compile(rf"/velocity\?.*run={run}"), timeout=SLOW)
    ready(again)
    assert sum(trace["name"] == "stream lines" for trace in traces(again, "streams")) >= 3


def test_a_training_is_stopped(server, new_page: NewPage, counts_file: Path) -> None:
    page = new_page()
    start_training(page, server.url, counts_file, 50_000)
    page.get_by_role("button", name="Stop …").click(timeout=SLOW)
    page.get_by_role("button", name="Keep running").click()
    expect(page.get_by_role("button", name="Keep running")).to_have_count(0, timeout=SLOW)
    page.get_by_role("button", name="Stop …").click(timeout=SLOW)
    # Not the button "Stop …", which is there until the page is drawn again.
    page.get_by_role("button", name="Stop", exact=True).click(timeout=SLOW)
    expect(page.get_by_text("This run was stopped")).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("button", name="Restart")).to_be_visible()
    ready(page)
    page.goto(f"{server.url}/velocity?run={run_of(page)}")
    ready(page)
    expect(page.get_by_text("This run was stopped")).to_be_visible()


def test_answers_of_the_server_are_guarded(server) -> None:
    with urllib.request.urlopen(f"{server.url}/", timeout=20) as answer:
        assert {name: answer.headers[name] for name in serving.HEADERS} == serving.HEADERS
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{server.url}/_stcore/metrics", timeout=20)
    assert server.is_alive()


def test_garbage_gets_one_sentence(server, new_page: NewPage, look: Look, folder: Path) -> None:
    file = folder / "garbage.h5ad"
    file.write_bytes(b"these are no counts\n" * 50)
    page = new_page()
    page.goto(f"{server.url}/data")
    ready(page)
    upload(page, file)
    alert = page.get_by_test_id("stAlert").filter(has_text="garbage.h5ad")
    expect(alert).to_be_visible(timeout=SLOW)
    ready(page)
    text = alert.inner_text()
    look(page, "garbage")
    assert "Traceback" not in text
    assert str(server.runs) not in text
    assert text.count(". ") == 0, text
    assert page.get_by_test_id("stException").count() == 0
    assert server.is_alive()
    assert not list((server.runs / ".uploads").glob("*/garbage.h5ad"))


def test_totals_are_predicted_with_the_trained_model(
    server, new_page: NewPage, look: Look, totals_file: Path
) -> None:
    page = new_page()
    page.goto(f"{server.url}/data")
    ready(page)
    upload(page, totals_file)
    expect(page.get_by_text("cannot be used for training")).to_be_visible(timeout=SLOW)
    model = page.get_by_role("combobox", name="Model")
    expect(model).to_have_value(re.compile("cells with both: .* genes"))
    page.get_by_role("button", name="Predict with this model").click()
    # The streams open by themselves, and what comes after them fills in.
    page.wait_for_url(re.compile(r"/velocity\?.*run=[0-9a-f]{16}"), timeout=WHOLE_RUN)
    page.locator(".st-key-streams .js-plotly-plot").wait_for(timeout=SLOW)
    drawn = traces(page, "streams")
    assert sum(trace["name"] == "stream lines" for trace in drawn) == 2
    expect(page.locator(".st-key-underway")).to_be_hidden(timeout=WHOLE_RUN)
    expect(page.get_by_role("button", name="Report")).to_be_visible(timeout=SLOW)
    ready(page)
    expect(page.get_by_text("no velocity could be compared")).to_be_visible()
    look(page, "totals-alone")
    page.get_by_test_id("stSidebarNav").get_by_text("Diagnostics").click()
    expect(
        page.get_by_text("the predictions cannot be compared with a measurement")
    ).to_be_visible()
