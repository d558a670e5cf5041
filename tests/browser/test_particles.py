"""Particles in a real browser: they move, stop when told, and stand still where that is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SLOW = 180_000
NewPage = Callable[..., Page]


def opened(page: Page, url: str) -> None:
    page.goto(f"{url}/velocity?run=demo&style=particles", timeout=SLOW)
    expect(page.get_by_text("accept a run folder")).to_be_visible(timeout=SLOW)
    expect(page.locator("canvas.flow").first).to_be_visible(timeout=SLOW)
    page.locator(".panels").scroll_into_view_if_needed()


def pictures(page: Page) -> list[str]:
    found = page.locator("canvas.flow").evaluate_all("all => all.map(one => one.toDataURL())")
    assert isinstance(found, list)
    return [str(item) for item in found]


def inked(page: Page) -> list[int]:
    """Number of pixels with ink on each canvas of particles."""
    return page.locator("canvas.flow").evaluate_all(  # type: ignore[no-any-return]
        """all => all.map(one => {
            const all = one.getContext('2d').getImageData(0, 0, one.width, one.height).data;
            let n = 0;
            for (let i = 3; i < all.length; i += 4) n += all[i] > 20;
            return n;
        })"""
    )


def test_particles_move_and_stop(server, new_page: NewPage) -> None:
    page = new_page()
    opened(page, server.url)
    panels = page.locator(".panels")
    expect(panels).to_have_attribute("data-state", "playing", timeout=SLOW)
    page.wait_for_function(
        """() => {
            const find = (root) => {
                for (const item of root.querySelectorAll('*')) {
                    if (item.matches('canvas.flow')) return item;
                    const inner = item.shadowRoot && find(item.shadowRoot);
                    if (inner) return inner;
                }
                return null;
            };
            const canvas = find(document);
            return canvas && Number(canvas.dataset.frames || 0) > 20;
        }""",
        timeout=SLOW,
    )
    assert all(n > 100 for n in inked(page)), inked(page)
    before = pictures(page)
    page.wait_for_timeout(1500)
    assert all(one != other for one, other in zip(before, pictures(page), strict=True))
    described = page.locator(".stage[role=img]").first.get_attribute("aria-label")
    assert described is not None
    assert "particles that follow the measured velocity" in described
    button = page.get_by_role("button", name="Pause")
    button.focus()
    page.keyboard.press("Enter")
    expect(panels).to_have_attribute("data-state", "paused")
    before = pictures(page)
    page.wait_for_timeout(800)
    assert pictures(page) == before


def test_particles_stand_still_where_less_motion_is_asked_for(server, new_page: NewPage) -> None:
    page = new_page(scheme="dark")
    page.emulate_media(reduced_motion="reduce", color_scheme="dark")
    opened(page, server.url)
    expect(page.locator(".panels")).to_have_attribute("data-state", "still", timeout=SLOW)
    expect(page.get_by_text("Your system asks for less motion")).to_be_visible()
    assert all(n > 500 for n in inked(page)), inked(page)
    before = pictures(page)
    page.wait_for_timeout(1500)
    assert pictures(page) == before
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".panels")).to_have_attribute("data-state", "playing")
