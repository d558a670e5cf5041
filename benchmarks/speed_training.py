"""Measure training against stock scVI, and a whole run against scVI's training.

    python benchmarks/speed_training.py
    python benchmarks/speed_training.py --runs

trains scVI (``nb``, and its default ``zinb``) and SplicedVAE on the same simulated cells, one after
the other in one process, by ``train()`` as users call it: what SplicedVAE fits before and after its
epochs is part of its time. With ``--runs`` a default run (both models, evaluation, velocities) on
the pancreas files of ``SPLICEDVAE_DATA`` is compared with scVI's own default training on the same
cells and genes. The table of `benchmarks/speed.md` was made so.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scvi
import torch
from anndata import AnnData
from scipy import sparse
from scvi.model import SCVI

from splicedvae import SplicedVAE, io
from splicedvae.runs import RunConfig, execute

#: Files of the pancreas, with a column of cell groups.
RUNS = ("mouse_pancreas_e15.h5ad", "mouse_pancreas_e15_3548cells_2000genes.h5ad")


def cells(n_cells: int, n_genes: int, seed: int = 0) -> AnnData:
    """Draw counts with eight directions of variation, of which about 14% are not zero.

    Parameters
    ----------
    n_cells, n_genes
        Shape.
    seed
        Of all draws.

    Returns
    -------
    AnnData, cells x genes: X = S + U and both layers, CSR float32.
    """
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(n_cells, 8))
    slopes = rng.normal(size=(8, n_genes)) * 0.3
    level = rng.normal(-2.6, 1.3, n_genes)
    spliced, unspliced = [], []
    for start in range(0, n_cells, 1000):
        some = state[start : start + 1000]
        mean = np.exp(level + some @ slopes)
        x = rng.poisson(mean * rng.gamma(2, 0.5, mean.shape))
        s = rng.binomial(x, 1 / (1 + np.exp(-(1.5 + 0.3 * some[:, :1]))))
        spliced.append(sparse.csr_matrix(s, dtype=np.float32))
        unspliced.append(sparse.csr_matrix(x - s, dtype=np.float32))
    layers = {
        "spliced": sparse.vstack(spliced, "csr"),
        "unspliced": sparse.vstack(unspliced, "csr"),
    }
    return AnnData(X=sparse.csr_matrix(layers["spliced"] + layers["unspliced"]), layers=layers)


def seconds(call: Callable[[], Any]) -> float:
    """Return the wall time of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def training(n_cells: int, n_genes: int, epochs: int, rounds: int) -> list[dict[str, Any]]:
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
    data = cells(n_cells, n_genes)
    options = {"max_epochs": epochs, "accelerator": "cpu", "enable_progress_bar": False}

    def stock(likelihood: str) -> None:
        SCVI.setup_anndata(data)
        SCVI(data, gene_likelihood=likelihood).train(train_size=1.0, **options)

    def ours() -> None:
        SplicedVAE.setup_anndata(data)
        SplicedVAE(data).train(**options)

    jobs = {
        "scVI nb": lambda: stock("nb"),
        "scVI zinb": lambda: stock("zinb"),
        "SplicedVAE": ours,
    }
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            scvi.settings.seed = 0
            taken[name].append(seconds(job))
    median = {name: float(np.median(values)) for name, values in taken.items()}
    return [
        {
            "training": name,
            "seconds": round(value, 2),
            "cells/s": round(n_cells * epochs / value),
            "x scVI nb": round(median["scVI nb"] / value, 2),
            "x scVI zinb": round(median["scVI zinb"] / value, 2),
        }
        for name, value in median.items()
    ]


def runs(folder: Path) -> list[dict[str, Any]]:
    """Time a default run on each file, and scVI's default training on its training cells.

    Parameters
    ----------
    folder
        That of the real counts.
    """
    rows = []
    for path in [folder / name for name in RUNS]:
        name = path.name
        config = RunConfig(
            data=str(path), data_sha256=io.sha256(path), name=name, cluster_key="clusters"
        )
        with tempfile.TemporaryDirectory() as out:
            run = None

            def work(config: RunConfig = config, out: str = out) -> None:
                nonlocal run
                run = execute(config, Path(out) / "run")

            whole = seconds(work)
            assert run is not None
            modelled, stages = run.predictions, run.provenance["stages"]
            train = modelled[modelled.obs["split"] == "train"].copy()
        SCVI.setup_anndata(train)
        scvi.settings.seed = 0
        alone = seconds(
            lambda train=train: SCVI(train, gene_likelihood="nb").train(
                train_size=1.0, accelerator="cpu", enable_progress_bar=False
            )
        )
        rows.append(
            {
                "file": name,
                "run, s": round(whole),
                "scVI's training, s": round(alone),
                "ratio": round(whole / alone, 2),
                "stages, s": stages,
            }
        )
        print(rows[-1], flush=True)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Write rows as a table in Markdown."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "| " + " | ".join("---" for _ in names) + " |"]
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", action="store_true", help="default runs on the pancreas instead")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in ("lightning", "lightning.pytorch", "scvi"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    if options.runs:
        folder = Path(os.environ.get("SPLICEDVAE_DATA", "../shared/data"))
        print(table(runs(folder)))
    else:
        print(table(training(options.cells, options.genes, options.epochs, options.rounds)))


if __name__ == "__main__":
    main()
