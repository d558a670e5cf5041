"""Measure the level of chance: cosine of counts without kinetic signal to the measured velocity.

    python benchmarks/balance.py --seeds 0 1 2 3

takes the pancreas counts named by SPLICEDVAE_DATA (default ../shared/data) and half of the cells
for each seed. Two controls have the same totals as the measured counts: molecules drawn with one
ratio per gene for all cells, and the measured ratios permuted within each gene. For each velocity
model the table gives their cosine to the measured velocity, in gene space and in the embedding, and
the cosine of two halves of the measured molecules.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import get_args

import anndata as ad
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from splicedvae._core.keys import Layers, Obs, VelocityMode
from splicedvae.evaluation import shuffle_within_genes, split_cells, thin_counts, velocity_metrics
from splicedvae.velocity import VelocitySettings, compare_velocities, prepare

REPOSITORY = Path(__file__).resolve().parents[1]
PANCREAS = "mouse_pancreas_e15.h5ad"
METRICS = {"velocity_cosine_genes": "genes", "velocity_cosine_umap": "map"}


def drawn_with_one_ratio_per_gene(
    spliced: csr_matrix, unspliced: csr_matrix, seed: int
) -> tuple[csr_matrix, csr_matrix]:
    """Draw each entry's molecules again with the ratio of its gene over all cells."""
    total = csr_matrix(spliced + unspliced)
    ratio = np.asarray(spliced.sum(axis=0) / np.maximum(total.sum(axis=0), 1)).ravel()
    first = total.copy()
    first.data = (
        np.random.default_rng(seed)
        .binomial(total.data.astype(int), ratio[total.indices])
        .astype(np.float32)
    )
    return first, csr_matrix(total - first)


def one_seed(cells: ad.AnnData, seed: int) -> pd.DataFrame:
    """Compare all pairs of layers on half of the cells, for every velocity model."""
    half = split_cells(cells.n_obs, held_out=0.5, stratify=list(cells.obs[Obs.CLUSTERS]), seed=seed)
    apart = cells[half == half[0]].copy()
    measured = [csr_matrix(apart.layers[name]) for name in (Layers.SPLICED, Layers.UNSPLICED)]
    halves = [thin_counts(layer, seed=seed + i) for i, layer in enumerate(measured)]
    pairs = {
        "one ratio per gene": drawn_with_one_ratio_per_gene(*measured, seed),
        "permuted within genes": shuffle_within_genes(*measured, seed=seed),
        "first half": (halves[0][0], halves[1][0]),
        "second half": (halves[0][1], halves[1][1]),
    }
    names = {name: (f"{name} s", f"{name} u") for name in pairs}
    for name, pair in pairs.items():
        for key, layer in zip(names[name], pair, strict=True):
            apart.layers[key] = csr_matrix(layer, dtype=np.float32)
    tables = []
    for mode in get_args(VelocityMode):
        settings = VelocitySettings(mode=mode, seed=seed)
        ground = prepare(apart, settings=settings)
        found = compare_velocities(
            ground, {"measured": (Layers.SPLICED, Layers.UNSPLICED), **names}, settings
        ).results
        for name, (reference, other) in {
            "one ratio per gene": ("measured", "one ratio per gene"),
            "permuted within genes": ("measured", "permuted within genes"),
            "two measured halves": ("first half", "second half"),
        }.items():
            table = velocity_metrics(found[reference], found[other], predictor=name)
            tables.append(table.assign(mode=mode, seed=seed))
    return pd.concat(tables)


def main() -> None:
    """Print mean and standard deviation over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    arguments = parser.parse_args()
    data = Path(os.environ.get("SPLICEDVAE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (data / PANCREAS).is_file():
        raise SystemExit(f"{PANCREAS} is missing: set SPLICEDVAE_DATA to its folder.")
    cells = ad.read_h5ad(data / PANCREAS)
    rows = pd.concat([one_seed(cells, seed) for seed in arguments.seeds])
    rows = rows[rows["metric"].isin(METRICS)].assign(on=lambda r: r["metric"].map(METRICS))
    groups = rows.groupby(["mode", "predictor", "on"], sort=False)["value"]
    wide = (groups.mean().map("{:.2f}".format) + " ± " + groups.std().map("{:.2f}".format)).unstack(
        "on"
    )
    print("| model | counts | gene space | embedding |\n| --- | --- | --- | --- |")
    for (mode, name), row in wide.iterrows():
        print(f"| {mode} | {name} | {row['genes']} | {row['map']} |")


if __name__ == "__main__":
    main()
