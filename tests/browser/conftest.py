"""A real server on a free port, a real browser, and pages that fail on errors of our own."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

REPOSITORY = Path(__file__).absolute().parents[2]
#: First page of a process: imports, then compiled code that other tests may be waiting for too.
SLOW = 180_000


@dataclass
class Server:
    """A running dashboard with a folder of runs of its own."""

    url: str
    runs: Path
    log: Path
    process: subprocess.Popen[bytes]

    def is_alive(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=20) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def start_server(folder: Path, **environment: str) -> Server:
    """Serve app.py as a user does, and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    runs = folder / "runs"
    log = folder / "server.log"
    options = ["--server.port", str(port), "--server.fileWatcherType", "none"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", *options],
            cwd=REPOSITORY,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "SPLICEDVAE_RUNS": str(runs), "OMP_NUM_THREADS": "1", **environment},
        )
    server = Server(f"http://localhost:{port}", runs, log, process)
    for _ in range(240):
        if server.is_alive():
            return server
        if process.poll() is not None:
            break
        time.sleep(0.25)
    process.kill()
    raise RuntimeError(f"the server did not start:\n{log.read_text()[-2000:]}")


def stop_server(server: Server) -> None:
    """End the server, and then the workers that outlive it."""
    server.process.terminate()
    try:
        server.process.wait(15)
    except subprocess.TimeoutExpired:
        server.process.kill()
    for process in psutil.process_iter(["cmdline"]):
        if any(str(server.runs) in part for part in process.info["cmdline"] or []):
            process.kill()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Start servers of this test's own; each call a fresh process on the same runs."""
    servers: list[Server] = []

    def begin() -> Server:
        servers.append(start_server(tmp_path))
        return servers[-1]

    yield begin
    for server in servers:
        stop_server(server)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the journeys of a file: each may go on from what another left."""
    running = start_server(tmp_path_factory.mktemp("server"))
    yield running
    stop_server(running)


@dataclass
class Complaints:
    """What a browser saw that no page of ours may cause."""

    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        """Keep errors; Streamlit's own search for its root below a deep link is none of ours."""
        url = str(message.location.get("url", ""))
        if message.type == "error" and "/_stcore/" not in url:
            self.errors.append(f"{message.text} ({url})")

    def on_request(self, request: Request) -> None:
        """Keep calls to any other host."""
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "localhost":
            self.strangers.append(request.url)


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages; in the end none may have seen an error of ours or called another host."""
    complaints = Complaints()
    contexts = []

    def make(width: int = 1400, height: int = 900, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", complaints.on_console)
        page.on("pageerror", lambda error: complaints.errors.append(str(error)))
        page.on("request", complaints.on_request)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not complaints.errors, complaints.errors
    assert not complaints.strangers, complaints.strangers


@pytest.fixture
def look(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    """Take a picture of a page for people, and see that it is one: nothing broken, cut or blank.

    Pictures go to the folder named by SPLICEDVAE_SCREENSHOTS, to the test's own without it.
    """
    folder = Path(os.environ.get("SPLICEDVAE_SCREENSHOTS", tmp_path / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    test = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name).strip("-")

    def take(page: Page, name: str, *, whole: bool = False) -> Path:
        assert page.get_by_test_id("stException").count() == 0
        inside, screen = page.evaluate(
            "[document.querySelector('[data-testid=stMain]').scrollWidth, window.innerWidth]"
        )
        assert inside <= screen, f"{name}: {inside} pixels wide on a screen of {screen}"
        shot = page.screenshot(full_page=whole, animations="disabled")
        file = folder / f"{test}-{name}.png"
        file.write_bytes(shot)
        pixels = np.asarray(Image.open(io.BytesIO(shot)).convert("L"), dtype=float)
        # A page without text and figures has one color, or bare boxes.
        assert pixels.std() > 5, f"{name} is blank"
        return file

    return take
