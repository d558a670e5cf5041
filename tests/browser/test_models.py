"""Totals only, from upload to an honest verdict: another species, a time course, hidden S/U."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import anndata
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


def hidden(file: Path, folder: Path) -> Path:
    """Write the cells of a file without their S/U."""
    cells = anndata.read_h5ad(file)
    out = folder / f"totals_{file.name}"
    columns = [name for name in ("clusters", "hours") if name in cells.obs]
    anndata.AnnData(X=cells.X, obs=cells.obs[columns].copy(), var=cells.var).write_h5ad(out)
    return out


@pytest.mark.parametrize(
    ("name", "fits", "judged"),
    [
        ("human_pbmc_400cells_totals_only.h5ad", False, "do not show"),
        (
            "human_myoblast_271cells_timecourse_pseudocounts_totals_only.h5ad",
            False,
            "do not show",
        ),
        ("mouse_pancreas_e15.h5ad", True, "look closer"),
    ],
)
def test_totals_from_upload_to_verdict(
    server,
    new_page: NewPage,
    look,
    real_data: Path,
    tmp_path: Path,
    name: str,
    fits: bool,
    judged: str,
) -> None:
    # High enough for the whole page: what is below the screen is not in a picture.
    page = new_page(1400, 2600)
    page.goto(f"{server.url}/data")
    ready(page)
    file = hidden(real_data / name, tmp_path)
    page.locator("input[type=file]").set_input_files(str(file))
    expect(page.get_by_role("heading", name=file.name)).to_be_visible(timeout=SLOW)
    ready(page)
    verdict = page.locator(".st-key-verdict")
    if fits:
        expect(page.get_by_text("Proposed:")).to_be_visible(timeout=SLOW)
        expect(page.get_by_text("mouse-pancreas-e15-more-genes (mouse)").first).to_be_visible()
    else:
        expect(verdict.get_by_text("ratios differ between species")).to_be_visible(timeout=SLOW)
        expect(verdict.get_by_text("The way on")).to_be_visible()
        expect(page.get_by_text("No model here was trained for these cells")).to_be_visible()
        through = page.get_by_text("one-to-one orthologs of human and mouse")
        expect(through.first).to_be_visible()
    page.get_by_role("button", name="Compare with its training cells").click()
    words = r"novelty 0\.\d+, below" if fits else r"novelty 0\.\d+; above"
    expect(verdict.get_by_text(re.compile(words))).to_be_visible(timeout=SLOW)
    at_rest(page)
    look(page, "file")
    page.get_by_role("button", name="Predict with this model").click()
    expect(page.get_by_text("Velocity").first).to_be_visible(timeout=SLOW)
    expect(page.get_by_text(judged).first).to_be_visible(timeout=SLOW)
    at_rest(page)
    if fits:
        # The weights were trained on these very cells, which the page must not hide.
        expect(page.get_by_text("have the names of training cells of the model")).to_be_visible()
        expect(page.get_by_text("None of the 591 cells was used")).to_have_count(0)
    look(page, "velocity")
