"""Measure the server's computations for an embedding, in processor time, without a browser.

    python benchmarks/dashboard_server.py RUN

takes a finished run's folder, such as one that `synthetic_run.py` wrote. Processor time does not
depend on what else the machine does, so these numbers hold on a busy machine, where those of
`dashboard.py`, from the click to the drawn element, do not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil

from splicedvae import plotting, views
from splicedvae.runs import Run

T = TypeVar("T")


def spent(what: str, act: Callable[[], T]) -> T:
    """Print the processor time of an act and return what it gave."""
    before = time.process_time()
    given = act()
    taken = 1e3 * (time.process_time() - before)
    memory = psutil.Process().memory_info().rss / 1e6
    print(f"| {what} | {taken:,.0f} ms | {memory:,.0f} MB |", flush=True)
    return given


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    run = Run(parser.parse_args().run)
    print("| step | processor time | memory after |\n| --- | --- | --- |")
    spent("read the predictions, once a run", lambda: run.predictions)
    spent(
        "read the velocities without matrices, once a run",
        lambda: [run.velocity_outline(source) for source in run.velocity_sources],
    )
    spent("add up the depths, once a run", lambda: run.depths)
    maps = spent("align the embeddings, once per run", lambda: views.latent_maps(run))
    gene = str(run.predictions.var_names[5])
    for by in (None, gene, f"{views.RATIO_PREFIX}{gene}", views.CELL_DEPTH):

        def draw(by: str | None = by) -> object:
            return views.latent_figure(run, by, maps=maps)

        spent(f"draw both embeddings by {by or 'cluster'}", draw)
        figure = views.latent_figure(run, by, maps=maps)
        text = spent("  write it as JSON", figure.to_json)
        print(f"| | {len(text) / 1e6:.2f} MB | |")
    points = maps[0].embedding
    angles = np.linspace(0, 2 * np.pi, 200)
    middle, size = points.mean(axis=0), points.std(axis=0)
    line = plotting.Outline(
        0,
        tuple(middle[0] + size[0] * np.cos(angles)),
        tuple(middle[1] + size[1] * np.sin(angles)),
    )
    both = [panel.embedding for panel in maps]
    inside = spent(
        "find the cells inside a line of 200 corners", lambda: views.cells_within([line], both)
    )
    print(f"| | {int(inside.sum()):,} cells | |")
    scores = spent("add up the entries, once a run", lambda: views.selection_scores(run))
    for turn in ("first", "again"):
        spent(
            f"all numbers of these cells, {turn}",
            lambda: views.summarise_selection(run, inside, scores),
        )
    spent(
        "draw both embeddings with these cells",
        lambda: views.latent_figure(run, maps=maps, selected=inside, outlines=[line]),
    )
    spent("stream lines of one velocity", lambda: views.stream_lines(run, "splicedvae", density=1))


if __name__ == "__main__":
    main()
