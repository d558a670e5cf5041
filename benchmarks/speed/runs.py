"""A default run on the real pancreas files, against scVI's own default training alone.

A run trains both models, evaluates them and computes velocities. scVI trains with its defaults
(400 epochs) on the run's training cells and genes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.speed.alone import REPOSITORY, alone, quiet, threads
from benchmarks.speed.page import Row, table
from benchmarks.speed.training import seconds

KEYS = ("file",)
#: Files of the pancreas, with a column of cell groups.
FILES = ("mouse_pancreas_e15.h5ad", "mouse_pancreas_e15_3548cells_2000genes.h5ad")


def real_data(name: str) -> Path:
    """Find a file of the real counts."""
    folder = Path(os.environ.get("SPLICEDVAE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / name).exists():
        raise SystemExit(f"{name} is not at hand: set SPLICEDVAE_DATA to its folder.")
    return (folder / name).absolute()


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--files", nargs="+", default=list(FILES), metavar="FILE")


def measure(options: argparse.Namespace) -> list[Row]:
    return [alone(one, str(real_data(name))) for name in options.files]


def one(file: str) -> Row:
    """Time a run on a file, and scVI's training on its training cells."""
    import scvi
    import torch
    from scvi.model import SCVI

    from splicedvae import io
    from splicedvae._core.keys import Obs, Split
    from splicedvae.pipeline import execute
    from splicedvae.runs import Run, RunConfig

    torch.set_num_threads(threads())
    path = Path(file)
    config = RunConfig(
        data=file, data_sha256=io.sha256(path), name=path.stem, cluster_key="clusters"
    )
    with tempfile.TemporaryDirectory() as folder:
        whole = seconds(lambda: execute(config, Path(folder) / "run"))
        run = Run(Path(folder) / "run")
        cells, stages = run.predictions, run.provenance["stages"]
    train = cells[cells.obs[Obs.SPLIT] == Split.TRAIN].copy()
    quiet()
    SCVI.setup_anndata(train)
    scvi.settings.seed = 0
    alone_s = seconds(
        lambda: SCVI(train, gene_likelihood="nb").train(
            train_size=1.0, accelerator="cpu", enable_progress_bar=False
        )
    )
    return {
        "file": path.name,
        "cells": int(cells.n_obs),
        "run, s": round(whole, 1),
        "scVI's training, s": round(alone_s, 1),
        "ratio": round(whole / alone_s, 2),
        "stages": stages,
    }


def tables(rows: list[Row]) -> str:
    lines = [table(rows, ["file", "cells", "run, s", "scVI's training, s", "ratio"])]
    for row in rows:
        longest = sorted(row["stages"].items(), key=lambda item: -item[1])[:6]
        told = ", ".join(f"{name} {value:.0f}" for name, value in longest)
        lines.append(f"Longest stages on `{row['file']}`, seconds: {told}.")
    return "\n\n".join(lines)
