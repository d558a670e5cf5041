"""Write a finished run of any size without training: what the dashboard's speed is measured on.

    python benchmarks/synthetic_run.py FOLDER --cells 50000 --genes 2000

The cells are those of the shipped demo run, drawn many times over with jitter in every embedding;
the genes repeat the demo's under new names with other depths. Counts, spliced fractions and
velocities are drawn again, so the folder holds what a run of that size holds, in the same files,
written by the same functions. Its numbers mean nothing. Moments and graphs of the velocities are
left out, which pages do not read.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from splicedvae._core.keys import Layers, Obs, Obsm, Sources, Split, Uns, Var
from splicedvae.pipeline import _execute
from splicedvae.runs import Run, RunConfig, demo_run, edit, files
from splicedvae.runs.status import Status, write_status

SOURCES = (Sources.MEASURED, Sources.SPLICEDVAE, Sources.SCVI)


def write_run(
    folder: Path, n_cells: int, n_genes: int, *, counted: int = 100, seed: int = 0
) -> Run:
    """Write a finished run.

    Parameters
    ----------
    folder
        Where to write; made if it is not there.
    n_cells, n_genes
        Its size.
    counted
        Genes with a count in a cell, on average.
    seed
        Of everything drawn.

    Returns
    -------
    The run, as the dashboard reads it.
    """
    rng = np.random.default_rng(seed)
    demo = demo_run()
    small = demo.predictions
    folder.mkdir(parents=True, exist_ok=True)
    config = RunConfig.from_dict(
        {
            **demo.config.to_dict(),
            "name": f"Synthetic: {n_cells:,} cells x {n_genes:,} genes",
            "n_top_genes": n_genes,
            "seed": seed,
        }
    )
    edit.prepare_folder(folder, config)
    source = np.sort(rng.integers(0, small.n_obs, n_cells))
    cells = _cells(small, source, n_genes, counted, rng)
    for key in small.obsm:
        points = np.asarray(small.obsm[key], dtype=np.float32)
        jitter = 0.05 * points.std(axis=0) * rng.normal(size=(n_cells, points.shape[1]))
        cells.obsm[key] = (points[source] + jitter).astype(np.float32)
    _execute._write_predictions(folder, cells)
    (folder / files.VELOCITY).mkdir(exist_ok=True)
    for name in SOURCES:
        files.write_h5ad(
            folder / files.VELOCITY / f"{name}.h5ad",
            _velocity(demo.velocity(name), cells, source, rng),
        )
    account = {name: demo.velocity_account[name] for name in SOURCES}
    files.write_json(
        folder / files.VELOCITY_ACCOUNT,
        {name: {**told, "n_cells": n_cells, "n_genes": n_genes} for name, told in account.items()},
    )
    for name in (files.METRICS, files.HISTORY, files.NOTES, files.PROVENANCE):
        shutil.copy(demo.path / name, folder / name)
    genes = demo.genes.iloc[np.arange(n_genes) % len(demo.genes)].copy()
    genes.index = pd.Index(cells.var_names, name="gene")
    _execute._write_table(folder / files.GENES, genes, index=True)
    write_status(
        folder,
        Status(state="finished", stage="finished", fraction=1.0, message="", updated=time.time()),
    )
    return Run(folder)


def _cells(
    small: AnnData, source: np.ndarray, n_genes: int, counted: int, rng: np.random.Generator
) -> AnnData:
    n_cells = len(source)
    # As in real data, few genes are counted in most cells and most in few.
    weights = rng.lognormal(0, 1.2, n_genes)
    per_cell = np.maximum(rng.poisson(counted, n_cells), 1)
    rows = np.repeat(np.arange(n_cells, dtype=np.int32), per_cell)
    genes = rng.choice(n_genes, size=len(rows), p=weights / weights.sum()).astype(np.int32)
    values = rng.geometric(0.5, len(rows)).astype(np.float32)
    totals = sparse.csr_matrix((values, (rows, genes)), shape=(n_cells, n_genes), dtype=np.float32)
    totals.sum_duplicates()
    rows = np.repeat(np.arange(n_cells, dtype=np.int32), np.diff(totals.indptr))
    genes = totals.indices
    means = rng.uniform(0.3, 0.9, n_genes).astype(np.float32)
    codes = small.obs[Obs.CLUSTERS].cat.codes.to_numpy()[source]
    effects = 0.08 * rng.normal(size=(codes.max() + 1, n_genes)).astype(np.float32)
    ratio = np.clip(means[genes] + effects[codes[rows], genes], 0.02, 0.98)
    spliced = totals.copy()
    spliced.data = rng.binomial(totals.data.astype(np.int32), ratio).astype(np.float32)
    unspliced = totals - spliced
    spliced.eliminate_zeros()
    unspliced.eliminate_zeros()
    layers = {Layers.SPLICED: spliced, Layers.UNSPLICED: sparse.csr_matrix(unspliced)}
    for layer, noise in ((Layers.RATIO, 0.02), (Layers.RATIO_SCVI, 0.03)):
        predicted = totals.copy()
        drawn = ratio + noise * rng.normal(size=len(ratio)).astype(np.float32)
        predicted.data = np.clip(drawn, 0.01, 0.99).astype(np.float32)
        layers[layer] = predicted
    obs = small.obs.iloc[source].copy()
    obs.index = pd.Index([f"cell{index:06d}" for index in range(n_cells)])
    held_out = rng.random(n_cells) < 0.2
    obs[Obs.SPLIT] = pd.Categorical(
        np.where(held_out, Split.HELD_OUT, Split.TRAIN), categories=[Split.TRAIN, Split.HELD_OUT]
    )
    var = pd.DataFrame(
        {Var.GENE_MEAN: means}, index=pd.Index([f"Gene{index:05d}" for index in range(n_genes)])
    )
    return AnnData(X=totals, obs=obs, var=var, layers=layers)


def _velocity(
    small: AnnData, cells: AnnData, source: np.ndarray, rng: np.random.Generator
) -> AnnData:
    n_cells, n_genes = cells.shape
    var = small.var.iloc[np.arange(n_genes) % small.n_vars].copy()
    var.index = cells.var_names
    obs = small.obs.iloc[source].copy()
    obs.index = cells.obs_names
    obs[Obs.SPLIT] = cells.obs[Obs.SPLIT]
    velocity = sparse.random(
        n_cells, n_genes, density=20 / n_genes, format="csr", dtype=np.float32, rng=rng
    )
    return AnnData(
        obs=obs,
        var=var,
        layers={Layers.VELOCITY: sparse.csr_matrix(velocity)},
        obsm={
            Obsm.UMAP: cells.obsm[Obsm.UMAP],
            Obsm.VELOCITY_UMAP: np.asarray(small.obsm[Obsm.VELOCITY_UMAP], np.float32)[source],
        },
        uns={Uns.ROOT: small.uns[Uns.ROOT]},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", type=int, default=50_000)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--counted", type=int, default=100)
    asked = parser.parse_args()
    print(write_run(asked.folder, asked.cells, asked.genes, counted=asked.counted))


if __name__ == "__main__":
    main()
