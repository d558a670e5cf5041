"""Measure a whole velocity (moments, fit, graph, arrows, confidences) against plain scVelo.

    python benchmarks/speed_velocity.py --cells 50000 --genes 2000 --modes deterministic stochastic
    python benchmarks/speed_velocity.py --cells 1000 10000 100000 --only ours --modes balanced

simulates cells with known kinetics, prepares them once (genes, neighbours, UMAP: the same for
both), and then computes the same velocity twice, in a process of its own each: by scVelo's own
functions in their usual order (``pp.moments``, ``tl.velocity``, ``tl.velocity_graph``,
``tl.velocity_embedding``, ``tl.velocity_confidence``), and by `splicedvae.velocity`. Cells, genes,
sizes, neighbour graph, embedding, mode and number of jobs are the same. Printed are the seconds of
each stage and of all, the peak memory of the process, the ratio, and the cosine between the two
velocities of a cell, over genes and in the embedding (mean and smallest). Compilation is not
counted: ours runs once on 300 cells before, as scVelo does.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
from anndata import AnnData
from scipy import sparse

from splicedvae import velocity as vl
from splicedvae._keys import Layers, Obs, Obsm, Obsp, Uns, Var
from splicedvae.datasets import simulate
from splicedvae.velocity import _compute
from splicedvae.velocity._scvelo import quiet_scvelo

REPOSITORY = Path(__file__).resolve().parents[1]
PLAIN, OURS = "scVelo", "SplicedVAE"


def ground_of(n_cells: int, n_genes: int, seed: int = 0) -> AnnData:
    """Simulate cells with S/U and prepare them: all genes, one neighbour graph, one embedding."""
    cells = simulate(n_cells, n_genes, seed=seed)
    cells = AnnData(
        X=sparse.csr_matrix(cells.X, dtype=np.float32),
        layers={name: cells.layers[name] for name in (Layers.SPLICED, Layers.UNSPLICED)},
    )
    settings = vl.VelocitySettings(n_top_genes=None, min_shared_counts=20)
    return vl.prepare(cells, settings=settings)


def plain(ground: AnnData, mode: str, n_jobs: int) -> tuple[AnnData, dict[str, float]]:
    """Compute a velocity by scVelo's functions, and the seconds of each stage."""
    own = AnnData(obs=ground.obs[[]].copy(), var=ground.var[[]].copy())
    for name in (Layers.SPLICED, Layers.UNSPLICED):
        counts = sparse.csr_matrix(ground.layers[name], dtype=np.float32)
        sizes = np.asarray(ground.obs[Obs.INITIAL_SIZE + name], dtype=np.float64)
        factors = np.median(sizes[sizes > 0]) / np.maximum(sizes, 1)
        own.layers[name] = sparse.csr_matrix(sparse.diags(factors) @ counts, dtype=np.float32)
    for name in (Obsp.DISTANCES, Obsp.CONNECTIVITIES):
        own.obsp[name] = ground.obsp[name]
    own.uns[Uns.NEIGHBORS] = dict(ground.uns[Uns.NEIGHBORS])
    own.obsm[Obsm.UMAP] = ground.obsm[Obsm.UMAP]
    seconds = {}
    with quiet_scvelo() as scvelo:
        stages = {
            "moments": lambda: scvelo.pp.moments(own, n_neighbors=None, n_pcs=None),
            "fit": lambda: scvelo.tl.velocity(own, mode=mode),
            "graph": lambda: scvelo.tl.velocity_graph(own, n_jobs=n_jobs, show_progress_bar=False),
            "arrows": lambda: scvelo.tl.velocity_embedding(own, basis="umap"),
            "confidence": lambda: scvelo.tl.velocity_confidence(own),
        }
        for name, stage in stages.items():
            start = time.perf_counter()
            stage()
            seconds[name] = time.perf_counter() - start
            print(f"{PLAIN} {mode} {name}: {seconds[name]:.1f} s", file=sys.stderr, flush=True)
    return own, seconds


def ours(ground: AnnData, mode: str, n_jobs: int) -> tuple[AnnData, dict[str, float]]:
    """Compute a velocity by SplicedVAE, and the seconds of each stage."""
    seconds: dict[str, float] = {}
    kept = {}
    names = {
        "fit_pair": "moments and fit",
        "velocity_graph": "graph",
        "project_onto": "arrows",
        "velocity_confidence": "confidence",
    }

    def timed(function: Any, stage: str) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments, **options)
            seconds[stage] = time.perf_counter() - start
            return result

        return run

    for name, stage in names.items():
        kept[name] = getattr(_compute, name)
        setattr(_compute, name, timed(kept[name], stage))
    start = time.perf_counter()
    try:
        result = vl.compute_velocity(
            ground, settings=vl.VelocitySettings(mode=mode, n_top_genes=None, n_jobs=n_jobs)
        )
    finally:
        for name, function in kept.items():
            setattr(_compute, name, function)
    seconds["rest"] = time.perf_counter() - start - sum(seconds.values())
    return result, seconds


def one(prepared: Path, out: Path, which: str, mode: str, n_jobs: int) -> None:
    """Run one way in this process; write times and velocities."""
    ground = ad.read_h5ad(prepared)
    way = plain if which == PLAIN else ours
    small = simulate(300, 100)
    way(vl.prepare(small, settings=vl.VelocitySettings(n_top_genes=None)), mode, n_jobs)
    # What reading and warming up took is not the velocity's.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result, seconds = way(ground, mode, n_jobs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    used = np.asarray(result.var[Var.VELOCITY_GENES], dtype=bool)
    velocity = np.nan_to_num(np.asarray(result.layers[Layers.VELOCITY], dtype=np.float32))
    np.save(f"{out}_genes.npy", velocity * used)
    np.save(f"{out}_umap.npy", result.obsm[Obsm.VELOCITY_UMAP])
    np.save(f"{out}_confidence.npy", np.asarray(result.obs[Obs.CONFIDENCE]))
    found = {
        "seconds": seconds,
        "n_velocity_genes": int(used.sum()),
        "peak_gb": peak / 1e6,
        "before_gb": before / 1e6,
        "workers_gb": workers / 1e6,
        "entries": int(result.uns[Uns.VELOCITY_GRAPH].nnz + result.uns[Uns.VELOCITY_GRAPH_NEG].nnz),
    }
    Path(f"{out}.json").write_text(json.dumps(found))


def agreement(folder: Path) -> dict[str, float]:
    """Compare what the two ways wrote."""
    found = {}
    for name in ("genes", "umap"):
        first, second = (
            np.load(folder / f"{way}_{name}.npy", mmap_mode="r") for way in (PLAIN, OURS)
        )
        cosines = []
        for start in range(0, len(first), 5_000):
            a, b = (np.asarray(x[start : start + 5_000], np.float64) for x in (first, second))
            lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
            moves = lengths > 0
            cosines.append((a * b).sum(axis=1)[moves] / lengths[moves])
        found[f"cosine_{name}"] = float(np.concatenate(cosines).mean())
        found[f"smallest_{name}"] = float(np.concatenate(cosines).min())
    first, second = (np.load(folder / f"{way}_confidence.npy") for way in (PLAIN, OURS))
    found["confidence_off"] = float(np.nanmax(np.abs(first - second)))
    return found


def rows(
    n_cells: int, n_genes: int, modes: list[str], ways: list[str], n_jobs: int
) -> list[dict[str, Any]]:
    """Measure one size: a row for each mode and way.

    Returns
    -------
    Dictionaries with cells, genes, mode, way, ``seconds`` by stage, ``total``, peak memory in GB
    and, with the second way, the ratio and the agreement of the two.
    """
    table = []
    with tempfile.TemporaryDirectory(prefix="splicedvae-velocity-") as scratch:
        folder = Path(scratch)
        prepared = folder / "prepared.h5ad"
        ground_of(n_cells, n_genes).write_h5ad(prepared)
        for mode in modes:
            totals = {}
            for way in ways:
                command = [sys.executable, __file__, "--one", str(prepared), str(folder / way), way]
                subprocess.run([*command, mode, "--jobs", str(n_jobs)], check=True)
                row = {"cells": n_cells, "genes": n_genes, "mode": mode, "way": way}
                row |= json.loads((folder / f"{way}.json").read_text())
                row["total"] = totals[way] = sum(row["seconds"].values())
                if len(totals) == 2:
                    row["ratio"] = totals[PLAIN] / totals[OURS]
                    row |= agreement(folder)
                table.append(row)
                print(json.dumps(row), flush=True)
    return table


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[50_000])
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--modes", nargs="+", default=["deterministic", "stochastic"])
    parser.add_argument("--only", choices=["ours", "plain"], help="one way alone")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--one", nargs=4, metavar=("PREPARED", "OUT", "WAY", "MODE"))
    arguments = parser.parse_args()
    if arguments.one:
        prepared, out, way, mode = arguments.one
        one(Path(prepared), Path(out), way, mode, arguments.jobs)
        return
    ways = {"ours": [OURS], "plain": [PLAIN], None: [PLAIN, OURS]}[arguments.only]
    found = []
    for n_cells in arguments.cells:
        found += rows(n_cells, arguments.genes, arguments.modes, ways, arguments.jobs)
    print("\n| cells | mode | way | stages, s | all, s | peak GB | ratio | cosine genes, UMAP |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in found:
        stages = ", ".join(f"{name} {value:.1f}" for name, value in row["seconds"].items())
        ratio = f"{row['ratio']:.1f}" if "ratio" in row else ""
        cosine = (
            f"{row['cosine_genes']:.5f}, {row['cosine_umap']:.5f}" if "cosine_genes" in row else ""
        )
        print(
            f"| {row['cells']:,} | {row['mode']} | {row['way']} | {stages} | {row['total']:.1f} | "
            f"{row['peak_gb']:.1f} | {ratio} | {cosine} |"
        )


if __name__ == "__main__":
    main()
