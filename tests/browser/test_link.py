"""A link that one visitor copies shows another the same view, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browser_pages import open_list, ready
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SLOW = 180_000


def test_a_copied_link_leads_to_the_velocity_that_was_looked_at(
    server, new_page: Callable[..., Page]
) -> None:
    page = new_page()
    page.goto(f"{server.url}/velocity?run=demo")
    ready(page)
    page.get_by_role("tab", name="Start, end and time").click()
    ready(page)
    open_list(page, page.locator(".st-key-time-source input"))
    page.get_by_role("option", name="measured").click()
    page.wait_for_url("**time-source=measured**", timeout=SLOW)
    ready(page)
    page.get_by_role("button", name="Copy link").click()
    link = page.get_by_test_id("stPopoverBody").get_by_test_id("stCode")
    expect(link).to_contain_text("time-source=measured", timeout=SLOW)
    copied = link.inner_text().strip()
    assert copied.startswith(f"{server.url}/velocity?")

    other = new_page()
    other.goto(copied)
    ready(other)
    chosen = other.locator(".st-key-time-source input")
    expect(chosen).to_have_attribute("value", "measured", timeout=SLOW)


def test_a_presenter_finds_the_link_on_the_slide(server, new_page: Callable[..., Page]) -> None:
    page = new_page(width=1280, height=720)
    page.goto(f"{server.url}/present?run=demo&slide=2")
    page.get_by_role("button", name="Copy link").click(timeout=SLOW)
    link = page.get_by_test_id("stPopoverBody").get_by_test_id("stCode")
    expect(link).to_contain_text(f"{server.url}/present?run=demo&slide=2", timeout=SLOW)
