"""From the upload of 3,000 cells without S/U to their streams, with a trained model at hand.

A model is trained on some cells of the real pancreas. A real server is started, a browser opens
the data page, uploads the totals of 3,000 other cells and presses "Predict with this model" as soon
as the button is there; the first streams open by themselves, and the page fills in as the run goes
on. Each round has a fresh server and other cells. It needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.speed.alone import alone, threads
from benchmarks.speed.page import Row, table
from benchmarks.speed.runs import FILES, real_data

if TYPE_CHECKING:
    from playwright.sync_api import Browser

KEYS = ("cells", "step")
TARGET = 20.0
#: Cells of which a model is trained; others are uploaded, in each round not quite the same.
N_TRAINED = 500
EPOCHS = 30
#: Steps in their order: what the visitor sees, and within it the run's stages.
SEEN = ("upload and first look", "the first streams", "the whole run")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cells", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="path of a Chromium")


def write_files(folder: str, n_cells: int, rounds: int) -> list[str]:
    """Write the file to train on, and for each round one of totals; the latter are returned."""
    import anndata as ad

    cells = ad.read_h5ad(real_data(FILES[1]))
    order = np.random.default_rng(0).permutation(cells.n_obs)
    cells[np.sort(order[:N_TRAINED])].copy().write_h5ad(f"{folder}/trained.h5ad")
    names = []
    for number in range(rounds):
        chosen = np.random.default_rng(1 + number).permutation(order[N_TRAINED:])[:n_cells]
        part = cells[np.sort(chosen)]
        totals = ad.AnnData(X=part.X.copy(), obs=part.obs[["clusters"]].copy(), var=part.var[[]])
        names.append(f"{folder}/totals-{number}.h5ad")
        totals.write_h5ad(names[-1], compression="gzip")
    return names


def train(folder: str, runs: str) -> None:
    """Train a model and leave its run where the server looks."""
    import torch

    from splicedvae import io
    from splicedvae.pipeline import execute
    from splicedvae.runs import RunConfig

    torch.set_num_threads(threads())
    file = Path(folder) / "trained.h5ad"
    config = RunConfig(
        data=str(file),
        data_sha256=io.sha256(file),
        name="pancreas",
        cluster_key="clusters",
        max_epochs=EPOCHS,
    )
    execute(config, Path(runs) / config.digest())


def visit(browser: Browser, url: str, runs: Path, file: str) -> dict[str, float]:
    """Go from the file to its streams and the end of the run; seconds of each step."""
    from benchmarks.dashboard import LONG, VIEWS, quiet
    from splicedvae.runs import Run
    from splicedvae.runs.stages import STAGE_VELOCITIES

    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(LONG)
    page.goto(f"{url}/data")
    quiet(page)
    known = {path.name for path in runs.iterdir()}
    start = time.time()
    page.locator("input[type=file]").set_input_files(file)
    button = page.get_by_role("button", name="Predict with this model")
    button.wait_for()
    looked = time.time()
    button.click()
    streams = page.locator(VIEWS["Velocity"]).first
    at_first = at_last = 0.0
    while not streams.is_visible():
        at_first = max(at_first, processor_time(runs))
        page.wait_for_timeout(100)
    drawn = time.time()
    (name,) = {path.name for path in runs.iterdir() if not path.name.startswith(".")} - known
    run = Run(runs / name)
    while not run.is_finished:
        at_last = max(at_last, processor_time(runs))
        page.wait_for_timeout(200)
    page.wait_for_selector(".st-key-underway", state="hidden")
    filled = time.time()
    page.close()
    made = run.provenance
    order = list(made["stages"])
    before = order[: order.index(STAGE_VELOCITIES) + 1]
    return {
        SEEN[0]: looked - start,
        "  starting the worker": made["started"] - looked,
        **{f"  {stage}": made["stages"][stage] for stage in before},
        "  opening the page": drawn - made["started"] - sum(made["stages"][s] for s in before),
        "  processor time of the worker": at_first,
        SEEN[1]: drawn - start,
        **{f"  {stage}": made["stages"][stage] for stage in order[len(before) :]},
        "  filling in the page": filled - made["finished"],
        "  processor time of the worker in all": max(at_first, at_last),
        SEEN[2]: filled - start,
    }


def processor_time(runs: Path) -> float:
    """Seconds of processor time that the worker of a run in this folder has taken so far."""
    import psutil

    found = 0.0
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "splicedvae.pipeline.worker" in words and str(runs) in words[-1]:
            with contextlib.suppress(psutil.Error):
                used = process.cpu_times()
                found += used.user + used.system
    return found


def measure(options: argparse.Namespace) -> list[Row]:
    from playwright.sync_api import sync_playwright

    from benchmarks.dashboard import server

    taken: dict[str, list[float]] = defaultdict(list)
    with (
        tempfile.TemporaryDirectory(prefix="splicedvae-upload-") as scratch,
        sync_playwright() as playwright,
    ):
        runs = Path(scratch) / "runs"
        runs.mkdir()
        files = alone(write_files, scratch, options.cells, options.rounds)
        alone(train, scratch, runs)
        browser = playwright.chromium.launch(
            executable_path=options.chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for file in files:
            with server(runs, threads=None) as (url, _):
                for step, seconds in visit(browser, url, runs, file).items():
                    taken[step].append(seconds)
        browser.close()
    return [
        {
            "cells": options.cells,
            "step": step,
            "seconds": round(float(np.median(values)), 1),
            "rounds": [round(value, 1) for value in values],
            "load": round(os.getloadavg()[0], 1),
        }
        for step, values in taken.items()
    ]


def tables(rows: list[Row]) -> str:
    shown: list[dict[str, Any]] = []
    for row in rows:
        step = row["step"].replace("  ", "&nbsp;&nbsp;")
        rounds = ", ".join(f"{value:.1f}" for value in row["rounds"])
        shown.append({"step": step, "median, s": f"{row['seconds']:.1f}", "rounds, s": rounds})
    told = [table(shown)]
    for row in rows:
        if row["step"] == SEEN[1]:
            reached = "reached" if row["seconds"] < TARGET else "missed"
            told.append(
                f"{row['cells']:,} cells: first streams after {row['seconds']:.1f} s, "
                f"{TARGET / row['seconds']:.2f} x the speed of the target of {TARGET:.0f} s, "
                f"which is {reached}."
            )
    return "\n\n".join(told)
