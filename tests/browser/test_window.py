"""Streams in windows of all sizes: the first map above the fold, nothing printed over another."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import browser_pages
import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

NewPage = Callable[..., Page]
Look = Callable[..., Path]
SLOW = 180_000
PLOT = ".st-key-streams .js-plotly-plot"
#: The last is 1024 x 768 at 150 %.
WINDOWS = [(390, 844), (800, 900), (1024, 768), (1400, 900), (1920, 1080), (683, 512)]
#: How a figure's panels are laid out in the browser.
PLACED = """() => {
  const plot = document.querySelector('.st-key-streams .js-plotly-plot');
  const layout = plot._fullLayout;
  const axes = Object.keys(layout).filter(name => /^xaxis[0-9]*$/.test(name));
  return {
    panels: layout._subplots.cartesian.length,
    columns: new Set(axes.map(name => layout[name].domain[0].toFixed(3))).size,
    width: layout.xaxis._length,
    height: layout.yaxis._length,
    top: plot.getBoundingClientRect().top + layout._size.t,
    whole: plot.clientWidth,
    words: [...plot.querySelectorAll('.annotation')].map(node => {
      const box = node.getBoundingClientRect();
      return [box.left, box.right, box.top, box.bottom];
    }),
  };
}"""


def settled(page: Page) -> dict[str, Any]:
    """Wait until the figure has been drawn for this window, and say where its panels are."""
    browser_pages.ready(page)
    expect(page.locator(f"{PLOT} .main-svg").first).to_be_visible(timeout=SLOW)
    before = None
    for _ in range(40):
        page.wait_for_timeout(600)
        now = page.evaluate(PLACED)
        if now == before:
            break
        before = now
    assert before is not None
    return dict(before)


@pytest.mark.parametrize(("width", "height"), WINDOWS)
def test_the_first_map_is_above_the_fold_and_titles_stay_apart(
    server, new_page: NewPage, look: Look, width: int, height: int
) -> None:
    page = new_page(width, height, "dark" if width in (390, 1400) else "light")
    page.goto(f"{server.url}/velocity?run=demo")
    drawn = settled(page)
    columns = drawn["columns"]
    assert columns == (1 if drawn["whole"] < 600 else 2)
    # All of the width is used, and most of the first panel is on the first screen.
    assert columns * drawn["width"] > 0.9 * drawn["whole"]
    assert drawn["top"] + 0.7 * drawn["height"] < height
    words = drawn["words"]
    assert len(words) == drawn["panels"] == 4
    for one, other in itertools.combinations(words, 2):
        beside = one[1] <= other[0] or other[1] <= one[0]
        assert beside or one[3] <= other[2] or other[3] <= one[2], (width, words)
    look(page, f"{width}")


def test_a_window_that_changes_draws_the_panels_again(server, new_page: NewPage) -> None:
    page = new_page(1400, 900)
    page.goto(f"{server.url}/velocity?run=demo")
    assert settled(page)["columns"] == 2
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function(f"() => ({PLACED})().columns === 1", timeout=SLOW)


def test_one_panel_opens_large_and_its_address_keeps_it(server, new_page: NewPage) -> None:
    page = new_page(1400, 900)
    page.goto(f"{server.url}/velocity?run=demo")
    small = settled(page)
    page.get_by_role("combobox", name="Panels").fill("SplicedVAE")
    page.get_by_role("option", name="SplicedVAE", exact=True).click()
    page.wait_for_function(f"() => ({PLACED})().panels === 1", timeout=SLOW)
    large = settled(page)
    assert large["width"] > 1.8 * small["width"]
    assert "large=SplicedVAE" in page.url
