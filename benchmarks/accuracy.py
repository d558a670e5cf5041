"""Make every number of docs/results.md: accuracy of ratios and velocities over several seeds.

    python benchmarks/accuracy.py --out accuracy --jobs 2

takes the counts named by SPLICEDVAE_DATA (default ../shared/data) and simulations that anybody can
make, all with the package's defaults, and writes docs/results.md and docs/depth.svg. The parts can
be asked for one by one (--parts), and each goes on where it was interrupted:

    cells     pancreas, a fifth of the cells held out
    default   pancreas, a tenth held out, SplicedVAE(adata).train() and nothing else
    halves    pancreas in two halves, the protocol for velocities
    transfer  the pancreas models of `cells` on cells of the dentate gyrus
    back      a model of the dentate gyrus on the pancreas
    stock     expression of scVI with its own defaults, on the split of `cells`
    depth     simulations with known velocity, by topology and depth
    page      docs/results.md from what the other parts wrote
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("SPLICEDVAE_DATA", REPOSITORY.parent / "shared" / "data"))
PANCREAS = DATA / "mouse_pancreas_e15.h5ad"
DENTATE = DATA / "mouse_dentate_gyrus_100cells.h5ad"
TRANSITIONS = (
    ("Ductal", "Ngn3 low EP"),
    ("Ngn3 low EP", "Ngn3 high EP"),
    ("Ngn3 high EP", "Pre-endocrine"),
    ("Pre-endocrine", "Alpha"),
    ("Pre-endocrine", "Beta"),
    ("Pre-endocrine", "Delta"),
    ("Pre-endocrine", "Epsilon"),
)
#: Genes of the issue of accuracy: both layers seen in so many training cells.
SEEN = {"min_shared_counts": 0, "n_top_genes": None}
TOPOLOGIES = ("linear", "bifurcation", "tree")
#: Counts per cell and gene, on average; 0.86 is the pancreas experiment's.
DEPTHS = (0.22, 0.43, 0.86, 1.7)


def cells(out: Path, seeds: list[int]) -> None:
    """Hold out a fifth of the pancreas cells."""
    from splicedvae import benchmark

    benchmark.run(
        PANCREAS,
        out / "cells",
        seeds=seeds,
        cluster_key="clusters",
        transitions=TRANSITIONS,
        min_cells=20,
        **SEEN,
    )


def halves(out: Path, seeds: list[int]) -> None:
    """Train on one half of the pancreas cells, judge velocities in the other."""
    from splicedvae import benchmark

    benchmark.run(
        PANCREAS,
        out / "halves",
        design="halves",
        seeds=seeds,
        cluster_key="clusters",
        transitions=TRANSITIONS,
        min_cells=10,
        **SEEN,
    )


def default(out: Path, seeds: list[int]) -> None:
    """Train with nothing but `SplicedVAE(adata).train()` on nine tenths of the cells."""
    rows = []
    for seed in seeds:
        file = out / "default" / f"{seed}.csv"
        if not file.is_file():
            train, test, baselines = _split(seed, held_out=0.1)
            ratio = {"splicedvae": _trained(train, seed).get_splicing_ratio(test).to_numpy()}
            _write(_ratio_rows(train, test, {**ratio, **baselines(test)}).assign(seed=seed), file)
        rows.append(pd.read_csv(file))
    _write(pd.concat(rows), out / "default.csv")


def stock(out: Path, seeds: list[int]) -> None:
    """Train scVI as it comes out of the box on the cells and genes of `cells`."""
    import scvi

    rows = []
    for seed in seeds:
        file = out / "stock" / f"{seed}.csv"
        if not file.is_file():
            train, test, _ = _split(seed, held_out=0.2)
            scvi.settings.seed = seed
            known = train.copy()
            scvi.model.SCVI.setup_anndata(known)
            model = scvi.model.SCVI(known)
            model.train(enable_progress_bar=False)
            query = _totals(test)
            losses = [
                float(model.get_reconstruction_error(query)["reconstruction_loss"])
                for _ in range(5)
            ]
            _write(pd.DataFrame({"seed": [seed], "expression_nll": [np.mean(losses)]}), file)
        rows.append(pd.read_csv(file))
    _write(pd.concat(rows), out / "stock.csv")


def transfer(out: Path, seeds: list[int]) -> None:
    """Ask the pancreas models of `cells` about another experiment."""
    from splicedvae import io
    from splicedvae.runs import Run, evaluate_on

    other = io.read(DENTATE)
    rows = []
    for seed in seeds:
        metrics, _ = evaluate_on(Run(out / "cells" / "runs" / f"seed{seed}_fold0"), other)
        rows.append(metrics.assign(seed=seed))
    _write(pd.concat(rows), out / "transfer.csv")


def back(out: Path, seeds: list[int]) -> None:
    """Train on the dentate gyrus and ask about the pancreas."""
    from splicedvae import benchmark

    benchmark.run(
        DENTATE,
        out / "back",
        design="transfer",
        seeds=seeds,
        test=PANCREAS,
        min_cells=10,
        keep_runs=False,
        **SEEN,
    )


def depth(out: Path, seeds: list[int]) -> None:
    """Compare velocities from totals and from measured S/U with the truth, by depth."""
    rows = []
    for topology in TOPOLOGIES:
        for per_gene in DEPTHS:
            for seed in seeds[:2]:
                file = out / "depth" / f"{topology}_{per_gene}_{seed}.csv"
                if not file.is_file():
                    _write(_one_depth(topology, per_gene, seed), file)
                rows.append(pd.read_csv(file))
    _write(pd.concat(rows), out / "depth.csv")


def _one_depth(topology: str, per_gene: float, seed: int) -> pd.DataFrame:
    from splicedvae import datasets
    from splicedvae.evaluation import (
        select_genes,
        shuffle_within_genes,
        split_cells,
        velocity_metrics,
    )
    from splicedvae.reconstruction import reconstruct_counts
    from splicedvae.velocity import VelocitySettings, compare_velocities, prepare, true_velocity

    n_genes = 400
    adata = datasets.simulate(
        1600, n_genes, topology=topology, mean_depth=per_gene * n_genes, seed=seed
    )
    apart = split_cells(adata.n_obs, held_out=0.5, stratify=adata.obs["clusters"], seed=seed)
    train, test = adata[apart == "train"].copy(), adata[apart != "train"].copy()
    # At the lowest depth a training cell may have nothing left.
    keep = select_genes(train, min_shared_counts=10, n_top_genes=None)
    train, test = train[:, keep].copy(), test[:, keep].copy()
    train = train[np.asarray(train.X.sum(axis=1)).ravel() > 0].copy()
    test = test[np.asarray(test.X.sum(axis=1)).ravel() > 0].copy()
    ratio = _trained(train, seed).get_counted_splicing_ratio(_totals(test))
    pairs = {"splicedvae": reconstruct_counts(test.X, ratio)}
    pairs["shuffled"] = shuffle_within_genes(*pairs["splicedvae"], seed=seed)
    names = {"measured": ("spliced", "unspliced")}
    for name, pair in pairs.items():
        names[name] = (f"{name}_s", f"{name}_u")
        test.layers.update(zip(names[name], pair, strict=True))
    rows = []
    for mode in ("balanced", "stochastic"):
        settings = VelocitySettings(mode=mode, seed=seed, min_shared_counts=0, n_top_genes=None)
        ground = prepare(test, settings=settings)
        found = compare_velocities(ground, names, settings)
        true = true_velocity(ground, layer="true_velocity", settings=settings)
        for name, result in found.results.items():
            table = velocity_metrics(true, result, predictor=name)
            rows.append(table.assign(mode=mode))
    table = pd.concat(rows)
    return table.assign(topology=topology, depth=per_gene, seed=seed)


def _trained(train, seed: int):  # type: ignore[no-untyped-def]
    import scvi

    from splicedvae import SplicedVAE

    scvi.settings.seed = seed
    known = train.copy()
    SplicedVAE.setup_anndata(known)
    model = SplicedVAE(known)
    model.train(enable_progress_bar=False)
    return model


def _totals(cells):  # type: ignore[no-untyped-def]
    bare = cells.copy()
    for name in list(bare.layers):
        del bare.layers[name]
    return bare


def _split(seed: int, held_out: float):  # type: ignore[no-untyped-def]
    import anndata as ad

    from splicedvae.evaluation import (
        GeneMean,
        NearestNeighbours,
        RidgeOnPCA,
        select_genes,
        split_cells,
    )

    cells = ad.read_h5ad(PANCREAS)
    apart = split_cells(
        cells.n_obs, held_out=held_out, stratify=list(cells.obs["clusters"]), seed=seed
    )
    train, test = cells[apart == "train"].copy(), cells[apart != "train"].copy()
    keep = select_genes(train, min_cells=20, **SEEN)
    train, test = train[:, keep].copy(), test[:, keep].copy()

    def baselines(other):  # type: ignore[no-untyped-def]
        return {
            "ridge": RidgeOnPCA(seed=seed).fit(train).predict(other),
            "knn": NearestNeighbours(seed=seed).fit(train).predict(other),
            "gene_mean": GeneMean().fit(train).predict(other),
        }

    return train, test, baselines


def _ratio_rows(train, test, predictions) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    from splicedvae.evaluation import ratio_metrics

    return ratio_metrics(
        test.layers["spliced"],
        test.layers["unspliced"],
        predictions,
        gene_mean=predictions["gene_mean"][0],
        clusters=list(test.obs["clusters"]),
    )


def _write(table: pd.DataFrame, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".partial")
    table.to_csv(temporary, index=False)
    temporary.replace(file)


PARTS: dict[str, Callable[[Path, list[int]], None]] = {
    "cells": cells,
    "halves": halves,
    "default": default,
    "depth": depth,
    "stock": stock,
    "transfer": transfer,
    "back": back,
}


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("accuracy"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS])
    arguments = parser.parse_args()
    for name in arguments.parts:
        print(name, flush=True)
        PARTS[name](arguments.out, arguments.seeds)


if __name__ == "__main__":
    main()
