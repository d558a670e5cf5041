"""What browser tests wait for, in one place."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

#: First page of a process: imports, then compiled code that other tests may be waiting for too.
SLOW = 180_000
#: Stands at the end of every page but the slides.
FOOTER = "accept a run folder"


def at_rest(page: Page) -> None:
    """Wait until no script runs: what is clicked while one runs may be drawn anew and closed."""
    # A click reaches the server a moment later.
    page.wait_for_timeout(200)
    page.wait_for_function(
        "!document.querySelector('[data-testid=stStatusWidget]')"
        " && document.querySelector('[data-testid=stApp]')"
        "?.getAttribute('data-test-script-state') === 'notRunning'",
        timeout=SLOW,
    )


def ready(page: Page) -> None:
    """Wait until a page stands to its end and no script runs."""
    expect(page.get_by_text(FOOTER)).to_be_visible(timeout=SLOW)
    at_rest(page)


def open_list(page: Page, box: Locator) -> None:
    """Open a box of options, once more where a script that ran late drew it anew and closed it."""
    for _ in range(5):
        at_rest(page)
        box.click()
        try:
            expect(page.get_by_role("option").first).to_be_visible()
        except AssertionError:
            continue
        at_rest(page)
        if page.get_by_role("option").count():
            return
    raise AssertionError("The box of options did not stay open.")
