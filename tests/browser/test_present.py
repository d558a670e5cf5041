"""A presentation by keyboard, and a report without a network, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browser_pages import at_rest, ready
from playwright.sync_api import Browser, Page, expect

from splicedvae.report import write_report
from splicedvae.runs import demo_run

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SLOW = 180_000


def on_slide(page: Page, at: int) -> None:
    page.wait_for_url(re.compile(rf"[?&]slide={at}(&|$)"), timeout=SLOW)
    expect(page.get_by_text(re.compile(rf"^{at} / \d+$"))).to_be_visible(timeout=SLOW)
    # Buttons are loaded after the text, and hear their keys from then on.
    expect(page.get_by_role("button", name=re.compile("^Next"))).to_be_visible(timeout=SLOW)
    at_rest(page)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080)])
def test_a_presentation_by_keyboard(
    server, new_page: Callable[..., Page], look: Callable[..., Path], width: int, height: int
) -> None:
    page = new_page(width=width, height=height)
    page.goto(f"{server.url}/latent?run=demo")
    page.get_by_test_id("stSidebarNav").get_by_text("Present").click(timeout=SLOW)
    on_slide(page, 1)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.get_by_test_id("stHeader")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    on_slide(page, 2)
    page.keyboard.press("PageDown")
    on_slide(page, 3)
    expect(page.locator(".st-key-slide-streams .js-plotly-plot")).to_be_visible(timeout=SLOW)
    look(page, "slide-3")
    # All of the slide is on the screen, also after a reload.
    page.reload()
    on_slide(page, 3)
    buttons = page.get_by_role("button", name=re.compile("^Next")).bounding_box()
    assert buttons is not None
    assert buttons["y"] + buttons["height"] <= height
    page.keyboard.press("ArrowLeft")
    on_slide(page, 2)
    page.keyboard.press("PageUp")
    on_slide(page, 1)
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile("/(latent|velocity)"), timeout=SLOW)
    assert "slide=" not in page.url


def test_a_report_opens_without_a_network(browser: Browser, tmp_path: Path) -> None:
    file = write_report(demo_run(), tmp_path / "report.html")
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    plots = page.locator(".js-plotly-plot .main-svg")
    expect(plots.first).to_be_visible(timeout=SLOW)
    figures = page.locator("figure")
    page.wait_for_function(
        "document.querySelectorAll('figure .js-plotly-plot .main-svg').length >= "
        "document.querySelectorAll('figure').length",
        timeout=SLOW,
    )
    assert figures.count() >= 9
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert not errors
    expect(page.get_by_role("note", name="Cautions")).to_be_visible()
    page.get_by_text("Python of this figure").first.click()
    expect(page.get_by_text("from splicedvae import views").first).to_be_visible()
    context.close()


def test_a_link_to_a_slide_keeps_the_gene_that_was_looked_at(
    server, new_page: Callable[..., Page]
) -> None:
    title = (
        "() => (document.querySelector('.js-plotly-plot')"
        "?._fullLayout?.coloraxis?.colorbar?.title?.text || '').match(/Gene\\d+/)?.[0]"
    )
    page = new_page()
    # The first gene: the address names the kind of color alone.
    page.goto(f"{server.url}/latent?run=demo&color=counts+of+a+gene")
    ready(page)
    gene = page.wait_for_function(title, timeout=SLOW).json_value()
    bar = f"() => ({title})() === '{gene}'"
    page.get_by_test_id("stSidebarNav").get_by_text("Present", exact=True).click()
    on_slide(page, 1)
    for at in (2, 3, 4, 5):
        page.keyboard.press("ArrowRight")
        on_slide(page, at)
    page.wait_for_function(bar, timeout=SLOW)
    page.get_by_role("button", name="Copy link").click()
    link = page.get_by_test_id("stPopoverBody").get_by_test_id("stCode")
    expect(link).to_contain_text("color=counts+of+a+gene", timeout=SLOW)

    other = new_page()
    other.goto(link.inner_text().strip())
    on_slide(other, 5)
    other.wait_for_function(bar, timeout=SLOW)
