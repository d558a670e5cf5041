"""How time and peak memory of each stage grow with cells and with genes.

Each point is measured in a process of its own, on files of simulated counts; the files that are
predicted hold totals alone. A stage that takes
longer than --limit, or more memory than there is, is stopped there and not asked about more cells.
The exponent is the slope of the logarithms over the last three points: 1 is linear. Times are those
of the processor, all threads together, which other work on the machine changes less than those on
the clock; speed.json has both. Compilation is not counted. Peak memory contains the data and 0.6 GB
of loaded libraries.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.sparse import csr_matrix

from benchmarks.speed import counts, prediction
from benchmarks.speed.alone import REPOSITORY, StoppedError, alone, peak, threads
from benchmarks.speed.page import Row, table
from benchmarks.speed.stages import Stage, clocks, measured, since, stages
from benchmarks.speed.velocity import STAGES as OF_VELOCITY
from benchmarks.speed.velocity import velocity_stages

KEYS = ("stage", "cells", "genes")
CELLS = (1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000)
GENES = (500, 1_000, 2_000, 4_000)
#: Genes where cells grow, and cells where genes grow.
USUAL_GENES, USUAL_CELLS = 2_000, 10_000
READ, EPOCH, AFTER, PREDICT = (
    "reading a file",
    "training, an epoch",
    "fitting after training",
    "prediction to disk",
)
NEIGHBOURS, UMAP = "neighbours", "UMAP"
STAGES = (READ, EPOCH, AFTER, PREDICT, NEIGHBOURS, *OF_VELOCITY, UMAP)
#: Cells of a first call, whose compilation is not measured: among 8,192 and more, scanpy searches
#: neighbours by compiled code of its own.
WARM_UP = 9_000
#: Points over which the exponent is fitted.
LAST = 3
EPOCHS = 2
FIGURE = REPOSITORY / "docs" / "images" / "growth.svg"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cells", type=int, nargs="*", default=list(CELLS))
    parser.add_argument("--genes", type=int, nargs="*", default=list(GENES))
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--limit", type=float, default=180, help="seconds for a point")
    parser.add_argument("--million", type=float, default=580, help="the same for 1,000,000 cells")


# One point, in a process of its own ---------------------------------------------------------


def read(file: str) -> dict[str, Stage]:
    """Read a file as the dashboard and a run do."""
    from splicedvae import io

    return {READ: measured(lambda: io.read(file))}


def train(file: str) -> dict[str, Stage]:
    """Train for some epochs, and fit what follows."""
    import anndata as ad
    import torch
    from lightning.pytorch import Callback

    from splicedvae import SplicedVAE

    torch.set_num_threads(threads())
    begun: list[tuple[float, float]] = []
    spent: list[Stage] = []

    class Epochs(Callback):
        """Note when epochs begin and end."""

        def on_train_epoch_start(self, *_: Any) -> None:
            """Note the time."""
            begun.append(clocks())

        def on_train_epoch_end(self, *_: Any) -> None:
            """Note the times and the memory."""
            spent.append({**since(begun[-1]), "peak": peak()})

    cells = ad.read_h5ad(file)
    epochs = 1 if cells.n_obs > counts.MOST_DRAWN else EPOCHS
    SplicedVAE.setup_anndata(cells)
    model = SplicedVAE(cells)
    with stages(model, {"_fit_after_training": AFTER}) as found:
        model.train(
            max_epochs=epochs, accelerator="cpu", enable_progress_bar=False, callbacks=[Epochs()]
        )
    return {EPOCH: min(spent, key=lambda one: one["processor"]), **found}


def predict(file: str, model: str, out: str) -> dict[str, Stage]:
    """Predict a file to a file."""
    import torch

    torch.set_num_threads(threads())
    return {PREDICT: prediction.predict(model, file, out, None)}


def velocity(file: str) -> dict[str, Stage]:
    """Find neighbours and compute the default velocity of all genes."""
    import anndata as ad

    from splicedvae import velocity as vl
    from splicedvae._core.keys import Obsm

    def compute(cells: ad.AnnData) -> dict[str, Stage]:
        # The embedding is a stage of its own, and arrows take as long on any.
        cells.obsm[Obsm.UMAP] = np.random.default_rng(0).normal(size=(cells.n_obs, 2))
        settings = vl.VelocitySettings(n_top_genes=None, min_shared_counts=0, n_jobs=threads())
        kept = []
        found = {
            NEIGHBOURS: measured(
                lambda: kept.append(vl.prepare(cells, settings=settings, keep_umap=True))
            )
        }
        with velocity_stages() as of_velocity:
            vl.compute_velocity(kept[0], settings=settings)
        return found | of_velocity

    compute(counts.cells(WARM_UP, 200))
    return compute(ad.read_h5ad(file))


def umap(file: str) -> dict[str, Stage]:
    """Embed cells of ten dimensions."""
    import anndata as ad
    from sklearn.decomposition import TruncatedSVD

    from splicedvae.pipeline._prediction import umap as embed

    read = ad.read_h5ad(file).X
    # scikit-learn takes no long indices.
    short = (read.indices.astype(np.int32), read.indptr.astype(np.int32))
    totals = csr_matrix((np.log1p(read.data), *short), shape=read.shape)
    space = TruncatedSVD(10, random_state=0).fit_transform(totals)
    embed(np.random.default_rng(0).normal(size=(WARM_UP, 10)), seed=0)
    return {UMAP: measured(lambda: embed(space, seed=0))}


def write_counts(file: str, n_cells: int, n_genes: int) -> None:
    """Write a file with measured layers."""
    counts.write(Path(file), n_cells, n_genes)


#: Stages that are measured together, and the function that does.
JOBS: dict[str, tuple[Callable[..., dict[str, Stage]], tuple[str, ...]]] = {
    "read": (read, (READ,)),
    "train": (train, (EPOCH, AFTER)),
    "predict": (predict, (PREDICT,)),
    "velocity": (velocity, (NEIGHBOURS, *OF_VELOCITY)),
    "umap": (umap, (UMAP,)),
}
#: What is measured on more cells than are drawn.
ON_A_MILLION = ("predict", "train")


# All points ---------------------------------------------------------------------------------


def measure(options: argparse.Namespace) -> list[Row]:
    shapes = {(n_cells, USUAL_GENES) for n_cells in options.cells}
    shapes |= {(USUAL_CELLS, n_genes) for n_genes in options.genes}
    rows: list[Row] = []
    stopped: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="splicedvae-growth-") as scratch:
        names = ("cells.h5ad", "totals.h5ad", "model", "out.h5ad")
        file, totals, model, out = (Path(scratch) / name for name in names)
        for n_cells, n_genes in sorted(shapes, key=lambda shape: shape[0] * shape[1]):
            is_million = n_cells > counts.MOST_DRAWN
            jobs = [
                job
                for job in options.jobs
                if job not in stopped and (not is_million or job in ON_A_MILLION)
            ]
            if not jobs:
                continue
            if set(jobs) - {"predict"}:
                alone(write_counts, file, n_cells, n_genes)
            if "predict" in jobs:
                # A file with measured layers would be read as a whole.
                alone(prediction.write_totals, totals, n_cells, n_genes)
                alone(prediction.train_model, model, n_genes)
            for job in jobs:
                function, names = JOBS[job]
                given = (totals, model, out) if job == "predict" else (file,)
                limit = options.million if is_million else options.limit
                try:
                    found = alone(function, *given, seconds=limit)
                except StoppedError as reason:
                    stopped.add(job)
                    found = {name: {"note": str(reason)} for name in names}
                for name, stage in found.items():
                    rows.append(_row(name, n_cells, n_genes, stage))
                    print(rows[-1], flush=True)
                out.unlink(missing_ok=True)
    return rows


def _row(name: str, n_cells: int, n_genes: int, stage: dict[str, Any]) -> Row:
    row = {"stage": name, "cells": n_cells, "genes": n_genes}
    if "note" in stage:
        return row | {"processor, s": None, "peak, GB": None, "note": stage["note"]}
    return row | {
        "processor, s": float(f"{stage['processor']:.3g}"),
        "clock, s": float(f"{stage['seconds']:.3g}"),
        "peak, GB": round(stage["peak"], 2),
    }


# What follows from them ---------------------------------------------------------------------


def exponent(sizes: Sequence[float], values: Sequence[float], last: int = LAST) -> float:
    """Fit how values grow with sizes: the slope of their logarithms over the largest sizes.

    Parameters
    ----------
    sizes, values
        Above zero, in any order.
    last
        How many of the largest sizes to fit.

    Returns
    -------
    1 for linear growth; NaN with fewer than two sizes.
    """
    pairs = sorted(zip(sizes, values, strict=True))[-last:]
    if len({size for size, _ in pairs}) < 2:
        return math.nan
    x, y = np.log(np.asarray(pairs, dtype=float)).T
    return float(np.polyfit(x, y, 1)[0])


def points(rows: Sequence[Row], stage: str, along: str) -> list[Row]:
    """Rows of a stage that were measured, along the cells or along the genes."""
    fixed, value = ("genes", USUAL_GENES) if along == "cells" else ("cells", USUAL_CELLS)
    found = [
        row
        for row in rows
        if row["stage"] == stage and row[fixed] == value and row["processor, s"] is not None
    ]
    return sorted(found, key=lambda row: row[along])


def tables(rows: list[Row]) -> str:
    draw(rows)
    return "\n\n".join(
        [
            f"Processor time by cells, seconds, {USUAL_GENES:,} genes; exponents are of the "
            f"last {LAST} points:",
            _wide(rows, "cells", "processor, s"),
            "Peak memory of the same, GB:",
            _wide(rows, "cells", "peak, GB"),
            f"Processor time by genes, seconds, {USUAL_CELLS:,} cells:",
            _wide(rows, "genes", "processor, s"),
            "Peak memory of the same, GB:",
            _wide(rows, "genes", "peak, GB"),
        ]
    )


def _wide(rows: Sequence[Row], along: str, what: str) -> str:
    fixed, value = ("genes", USUAL_GENES) if along == "cells" else ("cells", USUAL_CELLS)
    sizes = sorted({row[along] for row in rows if row[fixed] == value})
    lines: list[Row] = []
    for stage in STAGES:
        known = points(rows, stage, along)
        notes = {
            f"{row[along]:,}": row["note"]
            for row in rows
            if row["stage"] == stage and row[fixed] == value and row.get("note")
        }
        line: Row = {"stage": stage, **dict.fromkeys([f"{size:,}" for size in sizes]), **notes}
        line |= {f"{row[along]:,}": f"{row[what]:.3g}" for row in known}
        if what == "processor, s":
            found = exponent([row[along] for row in known], [row[what] for row in known])
            line["exponent"] = None if math.isnan(found) else f"{found:.2f}"
        lines.append(line)
    return table(lines)


def figure(rows: Sequence[Row]) -> go.Figure:
    """Draw time and memory along the cells, and time along the genes."""
    from splicedvae.plotting._theme import CATEGORICAL, describe, log_axis, template

    panels = (
        ("cells", "processor, s", f"time, {USUAL_GENES:,} genes"),
        ("cells", "peak, GB", f"peak memory, {USUAL_GENES:,} genes"),
        ("genes", "processor, s", f"time, {USUAL_CELLS:,} cells"),
    )
    drawn = make_subplots(
        rows=1, cols=3, subplot_titles=[f"<b>{title}</b>" for *_, title in panels]
    )
    for column, (along, what, _) in enumerate(panels, 1):
        values: list[float] = []
        sizes: list[int] = []
        for stage, color in zip(STAGES, CATEGORICAL, strict=False):
            known = points(rows, stage, along)
            sizes += [row[along] for row in known]
            values += [row[what] for row in known]
            drawn.add_trace(
                go.Scatter(
                    x=[row[along] for row in known],
                    y=[row[what] for row in known],
                    name=stage,
                    legendgroup=stage,
                    showlegend=column == 1,
                    mode="lines+markers",
                    line={"color": color, "width": 2},
                    marker={"color": color, "size": 6},
                ),
                row=1,
                col=column,
            )
        for axis, ends, title in (
            ("xaxis", sizes, along),
            ("yaxis", values, "seconds" if what == "processor, s" else "GB"),
        ):
            low, high = min(ends, default=1) / 1.4, max(ends, default=10) * 1.4
            drawn.update_layout(
                {
                    f"{axis}{column}": {
                        **log_axis(low, high),
                        "range": [math.log10(low), math.log10(high)],
                        "title": title,
                    }
                }
            )
    drawn.update_layout(template=template(), height=420)
    return describe(
        drawn, f"Time and peak memory over cells and genes of {', '.join(STAGES)}; both axes are "
        "logarithmic.",
    )  # fmt: skip


def draw(rows: Sequence[Row]) -> None:
    """Write the figure of docs/images."""
    from splicedvae.plotting import print_figure

    FIGURE.write_bytes(print_figure(figure(rows), "svg", width=200))
