"""A line around cells on the latent maps, through a real browser: as points, and as a picture."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import browser_pages
import pandas as pd
import pytest
from playwright.sync_api import Locator, Page, WebSocket, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SLOW = 180_000
SYNTHETIC = Path(__file__).absolute().parents[2] / "benchmarks" / "synthetic_run.py"
N_CELLS = 40_000
RUN = f"{N_CELLS:016x}"

NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def many_cells(server) -> str:
    """A finished run of more cells than are drawn as points."""
    found = importlib.util.spec_from_file_location("synthetic_run", SYNTHETIC)
    assert found is not None
    assert found.loader is not None
    writer = importlib.util.module_from_spec(found)
    found.loader.exec_module(writer)
    writer.write_run(server.runs / RUN, N_CELLS, 60, counted=12)
    return RUN


def ready(page: Page) -> None:
    """Wait until the script has run to its end."""
    browser_pages.ready(page)
    expect(page.locator(".st-key-latents .js-plotly-plot .main-svg").first).to_be_visible(
        timeout=SLOW
    )


def settled_box(page: Page, plot: Locator) -> dict[str, float]:
    """Where a figure stands once nothing above it grows any more."""
    box = plot.bounding_box()
    for _ in range(60):
        page.wait_for_timeout(500)
        now = plot.bounding_box()
        if now is not None and now == box:
            break
        box = now
    assert box is not None
    return dict(box)


def draw(page: Page, corners: list[tuple[float, float]]) -> None:
    """Draw a line through corners given as shares of the figure's width and height."""
    plot = page.locator(".st-key-latents .js-plotly-plot")
    plot.scroll_into_view_if_needed()
    box = settled_box(page, plot)
    places = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in [*places[1:], places[0]]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def selected_of(page: Page) -> tuple[int, int]:
    said = page.locator(".st-key-selection").get_by_text("cells selected").first
    expect(said).to_be_visible(timeout=SLOW)
    found = re.search(r"([\d,]+) of ([\d,]+) cells selected", said.inner_text())
    assert found
    chosen, everyone = (int(number.replace(",", "")) for number in found.groups())
    return chosen, everyone


LEFT = [(0.02, 0.15), (0.24, 0.15), (0.24, 0.8), (0.02, 0.8)]


def test_a_line_in_one_map_selects_in_both(server, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{server.url}/latent?run=demo")
    ready(page)
    draw(page, LEFT)
    chosen, everyone = selected_of(page)
    ready(page)
    assert 0 < chosen < everyone == 900
    grey = page.locator(".st-key-latents .js-plotly-plot").evaluate(
        "plot => plot._fullData.filter(t => t.name === 'not selected')"
        ".map(t => [t.xaxis, t.customdata.length])"
    )
    assert grey == [["x", everyone - chosen], ["x2", everyone - chosen]]
    for words in ("How well ratios are predicted here", "Genes with different expression here"):
        expect(page.get_by_text(words)).to_be_visible()
    with page.expect_download(timeout=SLOW) as waited:
        page.get_by_role("button", name="Download these cells (.csv)").click()
    table = pd.read_csv(waited.value.path())
    assert len(table) == chosen

    page.get_by_test_id("stSidebarNav").get_by_text("Genes").click()
    expect(page.get_by_text(re.compile(r"genes, numbers from held-out"))).to_be_visible(
        timeout=SLOW
    )
    page.get_by_test_id("stSidebarNav").get_by_text("Latent spaces").click()
    ready(page)
    assert selected_of(page) == (chosen, everyone)

    page.get_by_role("button", name="Clear the selection").click()
    expect(page.locator(".st-key-selection")).to_have_count(0, timeout=SLOW)
    ready(page)
    # In a corner of the first map, where no cell lies.
    draw(page, [(0.01, 0.16), (0.03, 0.16), (0.03, 0.19)])
    expect(page.get_by_text("The line encloses no cell")).to_be_visible(timeout=SLOW)
    assert page.get_by_test_id("stException").count() == 0


def test_both_maps_move_as_one(server, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{server.url}/latent?run=demo")
    ready(page)
    plot = page.locator(".st-key-latents .js-plotly-plot")
    plot.hover()
    ranges = "plot => [plot._fullLayout.xaxis.range, plot._fullLayout.xaxis2.range]"
    before = plot.evaluate(ranges)
    page.locator(".st-key-latents [data-title='Zoom in']").click()
    page.wait_for_function(
        "before => document.querySelector('.st-key-latents .js-plotly-plot')"
        "._fullLayout.xaxis.range[0] !== before",
        arg=before[0][0],
    )
    first, second = plot.evaluate(ranges)
    assert first == second


def test_many_cells_are_a_picture_whose_line_is_laid_on_the_server(
    server, many_cells: str, new_page: NewPage
) -> None:
    page = new_page()
    sent: list[int] = []
    closed: list[WebSocket] = []

    def watch(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(len(frame)))
        socket.on("close", lambda gone: closed.append(gone))

    page.on("websocket", watch)
    page.goto(f"{server.url}/latent?run={many_cells}")
    ready(page)
    expect(page.get_by_text(f"{N_CELLS:,} cells are drawn as an image")).to_be_visible()
    plot = page.locator(".st-key-latents .js-plotly-plot")
    pictures = "plot => plot._fullLayout.images.map(image => image.source)"
    first = plot.evaluate(pictures)
    assert len(first) == 2
    sent.clear()
    # Around the right half of the second map, crossing itself on the way back.
    draw(page, [(0.76, 0.2), (0.98, 0.2), (0.98, 0.75), (0.76, 0.75), (0.98, 0.45)])
    chosen, everyone = selected_of(page)
    assert 0 < chosen < everyone == N_CELLS
    assert max(sent) < 10_000, "a line was sent, not cells"
    ready(page)
    assert plot.evaluate(pictures) != first
    expect(page.get_by_text("How well ratios are predicted here")).to_be_visible()

    page.get_by_role("combobox", name="Color by").fill("counts of a gene")
    page.get_by_role("option", name="counts of a gene", exact=True).click()
    box = page.get_by_role("combobox", name="Gene", exact=True)
    box.fill("Gene00007")
    page.get_by_role("option", name="Gene00007", exact=True).click()
    page.wait_for_function(
        "() => (document.querySelector('.st-key-latents .js-plotly-plot')"
        "?._fullLayout?.coloraxis?.colorbar?.title?.text || '').includes('Gene00007')",
        timeout=SLOW,
    )
    assert selected_of(page) == (chosen, everyone)
    assert "color-gene=Gene00007" in page.url
    assert not closed
