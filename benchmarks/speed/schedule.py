"""Training schedules: what they reach on held-out cells, and their time.

SplicedVAE and scVI train on 80% of the cells of a file with S/U, its 2,000 most variable genes, by
scvi-tools' default schedule and by others. For the other cells: skill of the ratio over the gene
mean, the evidence lower bound and the reconstruction loss of expression per cell (lower is
better), and seconds. The defaults of `splicedvae.model` were chosen so on seeds 0 and 1.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import scvi
import torch
from anndata import AnnData
from lightning.pytorch import Callback, LightningModule, Trainer
from scvi.model import SCVI

from benchmarks.speed.alone import alone, threads
from benchmarks.speed.page import Row, table
from benchmarks.speed.runs import FILES, real_data
from splicedvae import SplicedVAE, io
from splicedvae._core.layers import drop_layers
from splicedvae.evaluation import GeneMean, select_genes
from splicedvae.model import LearningRateDecay

KEYS = ("file", "seed", "model", "epochs", "learning rate", "warm-up", "falls")
#: Epochs, learning rate, epochs over which the KL divergence gains its weight, and whether the rate
#: falls; scvi-tools' own first, ours second.
SCHEDULES = (
    (400, 1e-3, 400, False),
    (100, 6e-3, 50, True),
    (100, 6e-3, 50, False),
    (100, 1e-3, 100, False),
    (60, 5e-3, 30, True),
)


def loss(ratio: np.ndarray, spliced: np.ndarray, counted: np.ndarray) -> float:
    """Return the negative log-likelihood of the ratio per molecule."""
    rho = np.clip(ratio, 1e-6, 1 - 1e-6)
    total = spliced * np.log(rho) + (counted - spliced) * np.log1p(-rho)
    return float(-total.sum() / counted.sum())


def split(adata: AnnData, seed: int) -> tuple[AnnData, AnnData]:
    """Split cells, and choose genes by the training cells alone."""
    order = np.random.default_rng(seed).permutation(adata.n_obs)
    size = int(0.8 * adata.n_obs)
    train, test = (adata[np.sort(part)].copy() for part in (order[:size], order[size:]))
    genes = select_genes(train, n_top_genes=2000, min_shared_counts=20)
    return train[:, genes].copy(), test[:, genes].copy()


class _Constant(Callback):
    """Hold the learning rates where they began, against SplicedVAE's default."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the decay out of the trainer's callbacks."""
        trainer.callbacks = [
            item for item in trainer.callbacks if not isinstance(item, LearningRateDecay)
        ]


def judged(
    train: AnnData, test: AnnData, kind: str, schedule: tuple[int, float, int, bool], seed: int
) -> Row:
    """Train by one schedule and judge the held-out cells."""
    epochs, rate, warm_up, falls = schedule
    scvi.settings.seed = seed
    options = {
        "max_epochs": epochs,
        "plan_kwargs": {"lr": rate, "n_epochs_kl_warmup": warm_up},
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "train_size": 1.0,
    }
    start = time.perf_counter()
    totals = test.copy()
    drop_layers(totals)
    skill = None
    if kind == "scVI":
        SCVI.setup_anndata(train)
        model = SCVI(train, gene_likelihood="nb")
        model.train(callbacks=[LearningRateDecay()] if falls else [], **options)
        seconds = time.perf_counter() - start
    else:
        SplicedVAE.setup_anndata(train)
        model = SplicedVAE(train)
        model.train(callbacks=[] if falls else [_Constant()], **options)
        seconds = time.perf_counter() - start
        spliced = test.layers["spliced"].toarray()
        counted = spliced + test.layers["unspliced"].toarray()
        found = np.concatenate(list(model.iter_splicing_ratio(totals)))
        constant = np.asarray(GeneMean().fit(train).predict(test))
        skill = 1 - loss(found, spliced, counted) / loss(constant, spliced, counted)
    torch.manual_seed(0)
    reconstruction = model.get_reconstruction_error(totals)
    if isinstance(reconstruction, dict):
        reconstruction = reconstruction["reconstruction_loss"]
    return {
        "model": kind,
        "epochs": epochs,
        "learning rate": rate,
        "warm-up": warm_up,
        "falls": falls,
        "skill": None if skill is None else round(float(skill), 5),
        "-ELBO": round(-float(model.get_elbo(totals)), 1),
        "reconstruction": round(float(reconstruction), 1),
        "seconds": round(seconds, 1),
    }


def one(file: str, kind: str, number: int, seed: int) -> Row:
    """Train one model by one of the schedules."""
    torch.set_num_threads(threads())
    train, test = split(io.read(file).adata, seed)
    return {
        "file": Path(file).name,
        "seed": seed,
        **judged(train, test, kind, SCHEDULES[number], seed),
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", help="with S/U; without it, 591 cells of the pancreas")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2])


def measure(options: argparse.Namespace) -> list[Row]:
    file = options.file or str(real_data(FILES[0]))
    return [
        alone(one, str(Path(file).absolute()), kind, number, seed)
        for seed in options.seeds
        for kind in ("SplicedVAE", "scVI")
        for number in range(len(SCHEDULES))
    ]


def tables(rows: list[Row]) -> str:
    return table(rows)
