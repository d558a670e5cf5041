"""Measure how fast the dashboard answers, in a real browser, on runs of 50,000 and 500,000 cells.

    python benchmarks/dashboard.py --out numbers.json

writes two finished runs without training (`synthetic_run.py`) into a temporary folder, or takes
those of --runs where they were written before; serves app.py; and drives it with Chromium. It
needs playwright, and a Chromium that it finds or that --chromium names. Times are from the click
to the drawn element, so they hold server, connection and browser. A benchmark, not a test: numbers
are printed as a table and written as JSON; dashboard.md documents a run of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from playwright.sync_api import Browser, Page, WebSocket, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent))
from synthetic_run import write_run

REPOSITORY: Final = Path(__file__).resolve().parents[1]
#: Cells, genes, genes counted in a cell.
SIZES: Final = ((50_000, 2_000, 100), (500_000, 1_000, 50))
#: Views in the order they are visited: label in the navigation, and what is on that page alone.
VIEWS: Final = {
    "Velocity": ".st-key-streams .js-plotly-plot .main-svg",
    "Latent spaces": ".st-key-latents .js-plotly-plot .main-svg",
    "Genes": ".st-key-find-genes",
    "Diagnostics": ".st-key-ratios .js-plotly-plot .main-svg",
    "How it was made": "h1:has-text('How it was made')",
}
LATENT: Final = VIEWS["Latent spaces"]
#: Targets: milliseconds, bytes and megabytes.
TARGETS: Final = {
    "page switch p95": {50_000: 400, 500_000: 1_000},
    "recolor by a gene p95": {50_000: 400, 500_000: 1_000},
    "largest payload of a view": {50_000: 1.5e6, 500_000: 1e6},
    "lasso p95": {500_000: 1_000},
    "first paint of the demo, warm": {0: 3_000},
    "memory per further session": {50_000: 30, 500_000: 30},
}
LONG: Final = 300_000


@dataclass
class Traffic:
    """Bytes that went over the connections of a page."""

    received: int = 0
    sent: list[int] = field(default_factory=list)
    closed: int = 0

    def watch(self, page: Page) -> Traffic:
        """Count from now on what the page's connections carry."""
        page.on("websocket", self._on_socket)
        return self

    def _on_socket(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._on_received)
        socket.on("framesent", lambda frame: self.sent.append(len(frame)))
        socket.on("close", self._on_close)

    def _on_received(self, frame: str | bytes) -> None:
        self.received += len(frame)

    def _on_close(self, *_: object) -> None:
        self.closed += 1


@contextmanager
def server(runs: Path, threads: int | None = 1) -> Iterator[tuple[str, psutil.Process]]:
    """Serve app.py as a user does, by default on one processor thread a library."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    url = f"http://localhost:{port}"
    limit = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    with (runs / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
            cwd=REPOSITORY,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "SPLICEDVAE_RUNS": str(runs), **limit},
        )
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def resident(process: psutil.Process) -> float:
    """Memory of the server in MB."""
    return float(process.memory_info().rss / 1e6)


def timed(act: Callable[[], object], wait: Callable[[], object]) -> float:
    """Milliseconds from an act to what is waited for."""
    start = time.perf_counter()
    act()
    wait()
    return 1e3 * (time.perf_counter() - start)


def quiet(page: Page) -> None:
    """Wait until the script has run to its end, and nothing is left to draw."""
    page.wait_for_function(
        "!document.querySelector('[data-testid=stStatusWidget]')"
        " && document.querySelector('[data-testid=stApp]')"
        "?.getAttribute('data-test-script-state') === 'notRunning'",
        timeout=LONG,
    )
    page.wait_for_timeout(400)


def shown(page: Page, what: str) -> None:
    page.wait_for_selector(what, state="visible", timeout=LONG)


def switches(page: Page, traffic: Traffic, rounds: int) -> dict[str, Any]:
    """Go around all views; the first round fills the server's caches and counts bytes."""
    times: dict[str, list[float]] = {name: [] for name in VIEWS}
    first: dict[str, float] = {}
    payload: dict[str, int] = {}
    for turn in range(rounds + 1):
        for name, mark in VIEWS.items():
            link = page.get_by_test_id("stSidebarNav").get_by_text(name, exact=True)
            before = traffic.received
            if page.locator(mark).count():
                continue
            taken = timed(link.click, lambda mark=mark: shown(page, mark))
            quiet(page)
            if turn:
                times[name].append(taken)
            else:
                first[name] = taken
            payload[name] = max(payload.get(name, 0), traffic.received - before)
    return {"times": times, "first": first, "payload": payload}


def open_view(page: Page, name: str) -> None:
    mark = VIEWS[name]
    if not page.locator(mark).count():
        page.get_by_test_id("stSidebarNav").get_by_text(name, exact=True).click()
        shown(page, mark)
    quiet(page)


def recolor(page: Page, genes: list[str]) -> list[float]:
    """Color the latent embeddings by genes, each for the first time."""
    open_view(page, "Latent spaces")
    drawn = (
        "gene => [...document.querySelectorAll('.st-key-latents .js-plotly-plot')].some("
        "plot => (plot._fullLayout?.coloraxis?.colorbar?.title?.text || '').includes(gene))"
    )
    box = page.get_by_role("combobox", name="Gene", exact=True)
    if not box.count():
        page.get_by_role("combobox", name="Color by").fill("counts of a gene")
        page.get_by_role("option", name="counts of a gene", exact=True).click()
        box.wait_for(timeout=LONG)
        quiet(page)
    times = []
    for gene in genes:
        box.fill(gene)
        page.get_by_role("option", name=gene, exact=True).wait_for(timeout=LONG)
        times.append(
            timed(
                lambda box=box: box.press("Enter"),
                lambda gene=gene: page.wait_for_function(drawn, arg=gene, timeout=LONG),
            )
        )
        quiet(page)
    return times


def lassos(page: Page, traffic: Traffic, repeats: int) -> dict[str, Any]:
    """Draw lines around about half of the cells, each another, until their numbers are there."""
    open_view(page, "Latent spaces")
    times: list[float] = []
    sent: list[int] = []
    for turn in range(repeats + 1):
        page.locator(LATENT).first.scroll_into_view_if_needed()
        box = page.locator(".st-key-latents .js-plotly-plot").bounding_box()
        assert box is not None
        shift = 6 * turn
        left, top = box["x"] + 0.08 * box["width"] + shift, box["y"] + 0.25 * box["height"]
        corners = [(0, 0), (170, -20), (230, 70), (150, 170), (0, 130), (0, 4)]
        before = page.locator(".st-key-selection").inner_text() if turn else ""
        traffic.sent.clear()
        page.mouse.move(left, top)
        page.mouse.down()
        for right, down in corners:
            page.mouse.move(left + right, top + down, steps=10)
        taken = timed(
            page.mouse.up,
            lambda before=before: page.wait_for_function(
                "before => { const box = document.querySelector('.st-key-selection');"
                " return box && box.innerText.includes('cells selected')"
                " && box.innerText.split('\\n')[0] !== before; }",
                arg=before.split("\n")[0],
                timeout=LONG,
            ),
        )
        quiet(page)
        sent.append(max(traffic.sent, default=0))
        if turn:
            times.append(taken)
        else:
            first = taken
    return {"times": times, "first": first, "largest frame sent": max(sent)}


def sessions(browser: Browser, url: str, run: str, process: psutil.Process, n: int) -> float:
    """Memory in MB that each further visitor of the same run costs, over two views."""
    opened = []
    for path in ("velocity", "latent") * 2:
        opened.append(_visit(browser, f"{url}/{path}?run={run}", path))
    before = resident(process)
    for _ in range(n):
        for path in ("velocity", "latent"):
            opened.append(_visit(browser, f"{url}/{path}?run={run}", path))
    after = resident(process)
    for context in opened:
        context.close()
    return (after - before) / (2 * n)


def _visit(browser: Browser, address: str, path: str) -> Any:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.goto(address)
    shown(page, VIEWS["Velocity"] if path == "velocity" else LATENT)
    quiet(page)
    return context


def of_run(
    browser: Browser, url: str, run: str, process: psutil.Process, asked: argparse.Namespace
) -> dict[str, Any]:
    """Measure everything on one run."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    traffic = Traffic().watch(page)
    opening = timed(
        lambda: page.goto(f"{url}/genes?run={run}"), lambda: shown(page, VIEWS["Genes"])
    )
    quiet(page)
    around = switches(page, traffic, asked.rounds)
    names = [f"Gene{index:05d}" for index in range(11, 11 + asked.repeats)]
    recolors = recolor(page, names)
    drawn = lassos(page, traffic, asked.repeats)
    # The session is still there: the page answers without having connected again.
    alive = recolor(page, [f"Gene{500:05d}"])
    context.close()
    return {
        "first opening": opening,
        "first visit of a view": around["first"],
        "page switch": around["times"],
        "payload": around["payload"],
        "recolor": recolors,
        "lasso": drawn,
        "connections lost": traffic.closed,
        "after the lassos": alive,
        "server memory": resident(process),
        "memory per further session": sessions(browser, url, run, process, asked.sessions),
    }


def first_paint(browser: Browser, url: str) -> dict[str, list[float]]:
    """From the bare address to the demo's first words, and to its drawn streams.

    With an empty browser cache each time, and again in the same browser, as on a second visit.
    """
    times: dict[str, list[float]] = {"words": [], "streams": [], "again": []}
    for _ in range(5):
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        page = context.new_page()
        start = time.perf_counter()
        page.goto(url)
        shown(page, "h1:has-text('RNA velocity')")
        times["words"].append(1e3 * (time.perf_counter() - start))
        shown(page, VIEWS["Velocity"])
        times["streams"].append(1e3 * (time.perf_counter() - start))
        page.close()
        page = context.new_page()
        times["again"].append(
            timed(
                lambda page=page: page.goto(url), lambda page=page: shown(page, VIEWS["Velocity"])
            )
        )
        context.close()
    return times


def summary(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Rows of the table: what, cells, measured, target."""
    rows: list[tuple[str, str, str, str]] = []

    def row(what: str, cells: int, value: float, unit: str, scale: float = 1.0) -> None:
        target = TARGETS.get(what, {}).get(cells)
        told = "" if target is None else f"< {target * scale:,.4g} {unit}"
        if target is not None and value >= target:
            told += " (missed)"
        rows.append((what, f"{cells:,}" if cells else "demo", f"{value * scale:,.4g} {unit}", told))

    paint = found["first paint of the demo"]
    row("streams of the demo, fresh server", 0, paint["streams"][0], "ms")
    row("first words of the demo, warm", 0, float(np.median(paint["words"][1:])), "ms")
    row("first paint of the demo, warm", 0, float(np.median(paint["streams"][1:])), "ms")
    row("the same on a second visit", 0, float(np.median(paint["again"][1:])), "ms")
    for cells, one in ((int(key), value) for key, value in found["runs"].items()):
        row("first opening of the run", cells, one["first opening"], "ms")
        every = [taken for times in one["page switch"].values() for taken in times]
        row("page switch p50", cells, float(np.percentile(every, 50)), "ms")
        row("page switch p95", cells, float(np.percentile(every, 95)), "ms")
        for name, times in one["page switch"].items():
            row(f"  to {name}, median", cells, float(np.median(times)), "ms")
        row("recolor by a gene p50", cells, float(np.percentile(one["recolor"], 50)), "ms")
        row("recolor by a gene p95", cells, float(np.percentile(one["recolor"], 95)), "ms")
        row("lasso p50", cells, float(np.percentile(one["lasso"]["times"], 50)), "ms")
        row("lasso p95", cells, float(np.percentile(one["lasso"]["times"], 95)), "ms")
        row("lasso, the first of a run", cells, one["lasso"]["first"], "ms")
        row("largest frame sent by a lasso", cells, one["lasso"]["largest frame sent"], "kB", 1e-3)
        row("connections lost", cells, one["connections lost"], "")
        row("largest payload of a view", cells, max(one["payload"].values()), "MB", 1e-6)
        for name, size in one["payload"].items():
            row(f"  payload of {name}", cells, size, "MB", 1e-6)
        row("server memory", cells, one["server memory"], "MB")
        row("memory per further session", cells, one["memory per further session"], "MB")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, help="folder that keeps the synthetic runs")
    parser.add_argument("--out", type=Path, help="JSON file with all numbers")
    parser.add_argument("--cells", type=int, nargs="*", default=[size[0] for size in SIZES])
    parser.add_argument("--rounds", type=int, default=5, help="rounds through all views")
    parser.add_argument("--repeats", type=int, default=8, help="recolorings and lassos")
    parser.add_argument("--sessions", type=int, default=3, help="further visitors of each view")
    parser.add_argument("--chromium", help="path of a Chromium")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="splicedvae-benchmark-") as scratch:
        runs = asked.runs or Path(scratch)
        runs.mkdir(parents=True, exist_ok=True)
        names = {}
        for n_cells, n_genes, counted in SIZES:
            if n_cells in asked.cells:
                names[n_cells] = f"{n_cells:016x}"
                if not (runs / names[n_cells]).exists():
                    write_run(runs / names[n_cells], n_cells, n_genes, counted=counted)
        found: dict[str, Any] = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "load before": os.getloadavg(),
            "runs": {},
        }
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=asked.chromium,
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            with server(runs) as (url, process):
                found["first paint of the demo"] = first_paint(browser, url)
                for n_cells, run in names.items():
                    found["runs"][n_cells] = of_run(browser, url, run, process, asked)
            browser.close()
        found["load after"] = os.getloadavg()
    print(f"{found['machine']}, load {found['load before'][0]:.1f} to {found['load after'][0]:.1f}")
    for what, cells, value, target in summary(found):
        print(f"| {what} | {cells} | {value} | {target} |")
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
