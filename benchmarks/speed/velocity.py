"""A whole velocity (moments, fit, graph, arrows, confidences) against plain scVelo.

Cells with known kinetics are prepared once (genes, neighbours, UMAP: the same for both), and then
the same velocity is computed twice, in a process of its own each: by scVelo's own functions in
their usual order (``pp.moments``, ``tl.velocity``, ``tl.velocity_graph``,
``tl.velocity_embedding``, ``tl.velocity_confidence``), and by `splicedvae.velocity`. Cells, genes,
sizes, neighbour graph, embedding, mode and number of jobs are the same. Compilation is not
counted: both run on 300 cells before.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path

import anndata as ad
import numpy as np
from anndata import AnnData

from benchmarks.plain_scvelo import for_scvelo
from benchmarks.speed import counts
from benchmarks.speed.alone import alone, threads
from benchmarks.speed.page import Row, table
from benchmarks.speed.stages import Stage, measured, stages
from splicedvae import velocity as vl
from splicedvae._core.keys import Layers, Obsm, Var
from splicedvae.datasets import simulate
from splicedvae.velocity import _compute
from splicedvae.velocity._scvelo import quiet_scvelo

KEYS = ("cells", "genes", "mode", "way")
PLAIN, OURS = "scVelo", "SplicedVAE"
STAGES = ("moments and fit", "graph", "arrows", "confidence")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cells", type=int, nargs="+", default=[20_000])
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--modes", nargs="+", default=["deterministic"])
    parser.add_argument("--only", choices=[OURS, PLAIN], help="one way alone")
    parser.add_argument("--jobs", type=int, default=threads())


def measure(options: argparse.Namespace) -> list[Row]:
    ways = [options.only] if options.only else [PLAIN, OURS]
    rows = []
    for n_cells in options.cells:
        with tempfile.TemporaryDirectory(prefix="splicedvae-velocity-") as folder:
            prepared = Path(folder) / "prepared.h5ad"
            alone(write_prepared, prepared, n_cells, options.genes)
            for mode in options.modes:
                found = {
                    way: alone(one, prepared, Path(folder) / way, way, mode, options.jobs)
                    for way in ways
                }
                both = agreement(Path(folder)) if len(ways) == 2 else {}
                for way, row in found.items():
                    rows.append({"cells": n_cells, "genes": options.genes, "mode": mode, **row})
                    if both:
                        rows[-1]["ratio"] = round(found[PLAIN]["in all, s"] / row["in all, s"], 2)
                        rows[-1] |= both if way == OURS else {}
    return rows


def tables(rows: list[Row]) -> str:
    columns = [
        *("cells", "genes", "mode", "way", *(f"{stage}, s" for stage in STAGES), "in all, s"),
        *("peak, GB", "ratio"),
    ]
    lines = [table(rows, columns)]
    lines += [
        f"{row['cells']:,} cells, {row['mode']}: the cosine between the two velocities of a cell "
        f"is {row['cosine_genes']:.7f} in gene space in the mean (smallest "
        f"{row['smallest_genes']:.5f}) and {row['cosine_umap']:.5f} in the embedding."
        for row in rows
        if "cosine_genes" in row
    ]
    return "\n\n".join(lines)


def write_prepared(file: str, n_cells: int, n_genes: int) -> None:
    """Draw cells and prepare them: all genes, one neighbour graph, one embedding."""
    settings = vl.VelocitySettings(n_top_genes=None, min_shared_counts=20)
    vl.prepare(counts.cells(n_cells, n_genes), settings=settings).write_h5ad(file)


def plain(ground: AnnData, mode: str, n_jobs: int) -> tuple[AnnData, dict[str, Stage]]:
    """Compute a velocity by scVelo's functions, and the seconds of each stage."""
    own = for_scvelo(ground)
    found = {}
    with quiet_scvelo() as scvelo:

        def moments_and_fit() -> None:
            scvelo.pp.moments(own, n_neighbors=None, n_pcs=None)
            scvelo.tl.velocity(own, mode=mode)

        stages = {
            "moments and fit": moments_and_fit,
            "graph": lambda: scvelo.tl.velocity_graph(own, n_jobs=n_jobs, show_progress_bar=False),
            "arrows": lambda: scvelo.tl.velocity_embedding(own, basis="umap"),
            "confidence": lambda: scvelo.tl.velocity_confidence(own),
        }
        for name, stage in stages.items():
            found[name] = measured(stage)
    return own, found


def ours(ground: AnnData, mode: str, n_jobs: int) -> tuple[AnnData, dict[str, Stage]]:
    """Compute a velocity by SplicedVAE, and the seconds of each stage."""
    with velocity_stages() as found:
        result = vl.compute_velocity(
            ground, settings=vl.VelocitySettings(mode=mode, n_top_genes=None, n_jobs=n_jobs)
        )
    return result, found


def velocity_stages() -> AbstractContextManager[dict[str, Stage]]:
    """Measure the stages of `compute_velocity` while this is open."""
    functions = ("fit_pair", "velocity_graph", "project_onto", "velocity_confidence")
    return stages(_compute, dict(zip(functions, STAGES, strict=True)))


def one(prepared: str, out: str, which: str, mode: str, n_jobs: int) -> Row:
    """Compute a velocity in one way in this process, and write it for `agreement`."""
    ground = ad.read_h5ad(prepared)
    way = plain if which == PLAIN else ours
    small = simulate(300, 100)
    way(vl.prepare(small, settings=vl.VelocitySettings(n_top_genes=None)), mode, n_jobs)
    start = time.perf_counter()
    result, found = way(ground, mode, n_jobs)
    whole = time.perf_counter() - start
    used = np.asarray(result.var[Var.VELOCITY_GENES], dtype=bool)
    velocity = np.nan_to_num(np.asarray(result.layers[Layers.VELOCITY], dtype=np.float32))
    np.save(f"{out}_genes.npy", velocity * used)
    np.save(f"{out}_umap.npy", result.obsm[Obsm.VELOCITY_UMAP])
    return {
        "way": which,
        **{f"{stage}, s": round(found[stage]["seconds"], 1) for stage in STAGES},
        "in all, s": round(whole, 1),
        "peak, GB": round(max(stage["peak"] for stage in found.values()), 1),
        "velocity genes": int(used.sum()),
    }


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
    return found
