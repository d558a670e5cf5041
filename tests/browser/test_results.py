"""The result pages in a real browser: what a visitor does with a finished run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browser_pages import at_rest, ready
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SLOW = 180_000

NewPage = Callable[..., Page]
Look = Callable[..., Path]


def choose(page: Page, key: str, label: str) -> None:
    """Press a button of a segmented control."""
    page.locator(f".st-key-{key}").get_by_text(label, exact=True).click()
    page.wait_for_url(re.compile(rf"[?&]{key}="), timeout=SLOW)
    page.wait_for_timeout(300)
    ready(page)


def names(page: Page, key: str) -> list[str]:
    """Names of a figure's traces, drawn."""
    drawn = page.locator(f".st-key-{key} .js-plotly-plot")
    expect(drawn).to_be_visible(timeout=SLOW)
    found = drawn.evaluate("plot => plot._fullData.map(trace => trace.name)")
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (800, "dark")])
def test_every_result_page_is_whole(
    server, new_page: NewPage, look: Look, width: int, scheme: str
) -> None:
    page = new_page(width=width, scheme=scheme)
    for path in ("velocity", "diagnostics", "latent", "genes", "two-runs", "provenance", "present"):
        page.goto(f"{server.url}/{path}?run=demo")
        page.wait_for_load_state("networkidle", timeout=SLOW)
        at_rest(page)
        if path != "present":
            ready(page)
        page.wait_for_timeout(500)
        look(page, path)


def test_velocities_are_drawn_as_wished_and_the_address_says_how(
    server, new_page: NewPage, look: Look
) -> None:
    page = new_page()
    page.goto(f"{server.url}/velocity?run=demo")
    ready(page)
    assert "stream lines" in names(page, "streams")
    page.get_by_role("button", name="View").click()
    choose(page, "style", "arrows")
    assert "stream lines" not in names(page, "streams")
    look(page, "arrows")
    choose(page, "style", "grid")
    grid = names(page, "streams")
    assert "stream lines" not in grid
    choose(page, "basis", "each model's own")
    expect(page.get_by_text("Positions in different embeddings cannot be compared")).to_be_visible()
    choose(page, "density", "dense")
    address = page.url
    assert {"style=grid", "density=dense"} <= set(address.split("?")[1].split("&"))
    look(page, "grid-own-dense")
    again = new_page()
    again.goto(address)
    ready(again)
    assert names(again, "streams") == names(page, "streams")
    expect(
        again.get_by_text("Positions in different embeddings cannot be compared")
    ).to_be_visible()


def test_numbers_baselines_and_each_part_of_diagnostics(
    server, new_page: NewPage, look: Look
) -> None:
    page = new_page()
    page.goto(f"{server.url}/diagnostics?run=demo")
    ready(page)
    expect(page.locator(".st-key-ratios .js-plotly-plot")).to_be_visible(timeout=SLOW)
    sentence = page.get_by_test_id("stAlert").filter(has_text="gene mean").first
    expect(sentence).to_be_visible()
    tabs = page.locator(".st-key-part").get_by_role("tab")
    labels = tabs.all_inner_texts()
    assert len(labels) >= 7
    for label in labels:
        page.get_by_role("tab", name=label, exact=True).click()
        ready(page)
        page.wait_for_timeout(400)
        panel = page.get_by_role("tabpanel", name=label, exact=True)
        expect(panel).to_be_visible(timeout=SLOW)
        assert len(panel.inner_text()) > 60, f"{label} says nothing"
        look(page, label.lower().replace(" ", "-"))


def test_a_gene_is_found_and_shown(server, new_page: NewPage, look: Look) -> None:
    page = new_page()
    page.goto(f"{server.url}/genes?run=demo")
    ready(page)
    box = page.get_by_role("combobox", name="Gene")
    before = page.locator(".st-key-phase .js-plotly-plot")
    expect(before).to_be_visible(timeout=SLOW)
    box.click()
    options = page.get_by_role("option")
    expect(options.first).to_be_visible()
    gene = options.nth(3).inner_text().strip()
    options.nth(3).click()
    page.wait_for_url(re.compile(rf"[?&]gene={re.escape(gene)}(&|$)"), timeout=SLOW)
    ready(page)
    expect(page.get_by_role("heading", name=gene, exact=True)).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("How far to trust this gene")).to_be_visible()
    look(page, "gene", whole=True)


@pytest.mark.parametrize(
    ("form", "start"), [("PDF", b"%PDF-"), ("SVG", b"<?xml"), ("PNG", b"\x89PNG")]
)
def test_a_figure_is_saved_for_paper(server, new_page: NewPage, form: str, start: bytes) -> None:
    page = new_page()
    page.goto(f"{server.url}/velocity?run=demo")
    ready(page)
    page.get_by_role("button", name="Save figure").first.click()
    page.locator(".st-key-save-form-streams").get_by_text(form, exact=True).click()
    button = page.get_by_role("button", name=f"Save {form}")
    expect(button).to_be_visible(timeout=SLOW)
    with page.expect_download(timeout=SLOW) as waited:
        button.click()
    assert waited.value.suggested_filename.endswith(f".{form.lower()}")
    assert Path(waited.value.path()).read_bytes().startswith(start)
