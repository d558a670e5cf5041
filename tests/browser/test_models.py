"""Totals only, from upload to an honest verdict: another species, a time course, hidden S/U."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browser_pages import at_rest, ready
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.real_data, pytest.mark.xdist_group("browser")]

SLOW = 300_000
NewPage = Callable[..., Page]


def test_the_store_has_the_bundled_models(server, new_page: NewPage, look) -> None:
    for width, scheme in ((1400, "light"), (800, "dark")):
        page = new_page(width, 2000, scheme)
        page.goto(f"{server.url}/models")
        ready(page)
        card = page.locator(".st-key-model-mouse-pancreas-e15")
        expect(card.get_by_text("comes with SplicedVAE")).to_be_visible()
        expect(card.get_by_text("Not for:").first).to_be_visible()
        card.get_by_text("Card: data, numbers on held-out cells").click()
        at_rest(page)
        expect(card.get_by_text("held-out cells of a training on")).to_be_visible()
        look(page, f"models-{width}-{scheme}")


def test_human_blood_ends_in_do_not_show(server, new_page: NewPage, look, real_data: Path) -> None:
    # High enough for the whole page: what is below the screen is not in a picture.
    page = new_page(1400, 2600)
    page.goto(f"{server.url}/data")
    ready(page)
    file = real_data / "human_pbmc_400cells_totals_only.h5ad"
    page.locator("input[type=file]").set_input_files(str(file))
    expect(page.get_by_role("heading", name=file.name)).to_be_visible(timeout=SLOW)
    ready(page)
    verdict = page.locator(".st-key-verdict")
    expect(verdict.get_by_text("ratios differ between species")).to_be_visible(timeout=SLOW)
    expect(verdict.get_by_text("The way on")).to_be_visible()
    expect(page.get_by_text("No model here was trained for these cells")).to_be_visible()
    expect(page.get_by_text("one-to-one orthologs of human and mouse").first).to_be_visible()
    look(page, "file")
    page.get_by_role("button", name="Compare with its training cells").click()
    expect(verdict.get_by_text(re.compile(r"novelty 0\.\d+; above"))).to_be_visible(timeout=SLOW)
    at_rest(page)
    page.get_by_role("button", name="Predict with this model").click()
    expect(page.get_by_text("do not show").first).to_be_visible(timeout=SLOW)
    page.goto(re.sub(r"/(train|velocity)", "/velocity", page.url))
    ready(page)
    expect(page.get_by_text("do not show").first).to_be_visible(timeout=SLOW)
    look(page, "velocity")
