"""Training against stock scVI, cells per second.

scVI (``nb``, and its default ``zinb``) and SplicedVAE train on the same simulated cells, one after
the other in one process, by ``train()`` as users call it: what SplicedVAE fits before and after its
epochs is part of its time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from anndata import AnnData

from benchmarks.speed import counts
from benchmarks.speed.alone import alone, quiet, threads
from benchmarks.speed.page import Row, table

KEYS = ("cells", "genes", "training")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)


def measure(options: argparse.Namespace) -> list[Row]:
    return alone(training, options.cells, options.genes, options.epochs, options.rounds)


def tables(rows: list[Row]) -> str:
    return table(rows)


def seconds(call: Callable[[], Any]) -> float:
    """Return the wall time of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def training(n_cells: int, n_genes: int, epochs: int, rounds: int) -> list[Row]:
    """Time the trainings, round after round, and keep the median of each.

    Parameters
    ----------
    n_cells, n_genes
        Shape of the data.
    epochs
        Passes over the cells.
    rounds
        How often each is trained; the machine's speed drifts.
    """
    import scvi
    import torch
    from scvi.model import SCVI

    from splicedvae import SplicedVAE

    quiet()
    torch.set_num_threads(threads())
    whole = counts.cells(n_cells, n_genes)
    options = {"max_epochs": epochs, "accelerator": "cpu", "enable_progress_bar": False}

    def stock(data: AnnData, likelihood: str) -> None:
        SCVI.setup_anndata(data)
        SCVI(data, gene_likelihood=likelihood).train(train_size=1.0, **options)

    def ours(data: AnnData) -> None:
        SplicedVAE.setup_anndata(data)
        SplicedVAE(data).train(**options)

    jobs = {
        "scVI nb": lambda data: stock(data, "nb"),
        "scVI zinb": lambda data: stock(data, "zinb"),
        "SplicedVAE": ours,
    }
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    # The first training of a process loads more code.
    few = whole[:300].copy()
    for job in jobs.values():
        job(few)
    for _ in range(rounds):
        for name, job in jobs.items():
            scvi.settings.seed = 0
            taken[name].append(seconds(partial(job, whole)))
    median = {name: float(np.median(values)) for name, values in taken.items()}
    return [
        {
            "cells": n_cells,
            "genes": n_genes,
            "training": name,
            "seconds": round(value, 2),
            "cells/s": round(n_cells * epochs / value),
            "x scVI nb": round(median["scVI nb"] / value, 2),
            "x scVI zinb": round(median["scVI zinb"] / value, 2),
        }
        for name, value in median.items()
    ]
