"""Make docs/images from the real app on the demo run: `python docs/make_screenshots.py`.

It serves app.py on a free port with an empty folder of runs, drives it with Chromium (CHROMIUM
names another one), and writes small PNG files. The test tools must be installed
(tests/requirements.txt); Pillow comes with the app.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
WIDTH = 1400
#: Maximum size of an image.
MOST_BYTES = 400_000
WAIT = 240_000


@contextmanager
def served(runs: Path) -> Iterator[str]:
    """Serve the app, give its address, and end it."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.port",
            str(port),
            "--server.fileWatcherType",
            "none",
        ],
        cwd=ROOT,
        env={**os.environ, "SPLICEDVAE_RUNS": str(runs)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://localhost:{port}"
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def settle(page: Page) -> None:
    """Wait until a page is drawn."""
    page.get_by_text("accept a run folder").wait_for(timeout=WAIT)
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSpinner]')",
        timeout=WAIT,
    )
    page.wait_for_timeout(2500)


def opened(browser: Browser, scheme: Literal["light", "dark"], height: int) -> Page:
    """Open an empty page."""
    return browser.new_page(
        viewport={"width": WIDTH, "height": height}, color_scheme=scheme, device_scale_factor=1.5
    )


def save(page: Page, name: str, height: int) -> None:
    """Write what the page shows as a PNG of a small palette, within the limit."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    # Away from the figures, whose tools appear under the pointer.
    page.mouse.move(20, height - 20)
    page.wait_for_timeout(2000)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    IMAGES.mkdir(parents=True, exist_ok=True)
    file = IMAGES / f"{name}.png"
    for colors in (256, 128, 64, 32):
        picture.quantize(colors).save(file, optimize=True)
        if file.stat().st_size <= MOST_BYTES:
            print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB")
            return
    raise SystemExit(f"{file.name} is larger than {MOST_BYTES:,} bytes: make its view smaller.")


def main() -> None:
    """Make all pictures."""
    named = os.environ.get("CHROMIUM")
    chromium = shutil.which(named) if named else shutil.which("chromium")
    if chromium is None:
        raise SystemExit("There is no Chromium: install it, or name one in CHROMIUM.")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with (
        tempfile.TemporaryDirectory(prefix="splicedvae-screenshots-") as runs,
        served(Path(runs)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = opened(browser, "light", 900)
        page.goto(address)
        settle(page)
        save(page, "velocity", 1460)
        page = opened(browser, "dark", 900)
        page.goto(f"{address}/diagnostics?run=demo")
        settle(page)
        save(page, "diagnostics-dark", 1400)
        page = opened(browser, "light", 900)
        page.goto(f"{address}/latent?run=demo")
        settle(page)
        save(page, "latent-spaces", 1160)
        page.goto(f"{address}/data")
        settle(page)
        page.get_by_role("button", name="Simulated example").click()
        page.get_by_role("button", name="Train SplicedVAE and scVI").wait_for(timeout=WAIT)
        settle(page)
        save(page, "data", 1240)
        page.get_by_role("button", name="Train SplicedVAE and scVI").click()
        page.get_by_role("heading", name="New training").wait_for(timeout=WAIT)
        settle(page)
        epochs = page.get_by_role("spinbutton", name="Epochs")
        epochs.fill("80")
        epochs.press("Tab")
        page.get_by_role("button", name="Start training").click()
        page.wait_for_url(re.compile("run=[0-9a-f]{16}"), timeout=WAIT)
        page.get_by_text("Training scVI").wait_for(timeout=WAIT)
        page.wait_for_timeout(5000)
        save(page, "train", 1100)
        page.get_by_role("button", name="Stop …").click()
        page.get_by_role("button", name="Stop", exact=True).click()
        page.get_by_text("This run was stopped").wait_for(timeout=WAIT)
        browser.close()


if __name__ == "__main__":
    main()
