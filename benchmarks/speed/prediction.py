"""Prediction from a file to a file: cells per second, peak memory, and what bounds them.

Files of totals are predicted with `SplicedVAE.reconstruct_to` to h5ad and to zarr, each in a
process of its own, by a small model of one epoch. Each time comes with two bounds: the network
alone on the same number of cells in memory (encoder and decoder of expression as scVI has them, and
the pass that gives the ratios), and writing as many bytes as the output has and forcing them to
disk. One million cells need about 12 GB of disk; the files are deleted at the end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import counts
from benchmarks.speed.alone import alone, peak
from benchmarks.speed.page import Row, table
from benchmarks.speed.stages import clocks, since

KEYS = ("cells", "genes", "output")
MODEL = "model"
#: Cells on which the network alone is timed.
BLOCK = 10_000


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cells", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument(
        "--outputs",
        nargs="+",
        default=["h5ad", "zarr"],
        help="h5ad (not packed), h5ad:lzf, h5ad:gzip or zarr",
    )
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder")


def measure(options: argparse.Namespace) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = Path(scratch)
        model = folder / MODEL
        alone(train_model, model, options.genes)
        for n_cells in options.cells:
            file = folder / "totals.h5ad"
            alone(write_totals, file, n_cells, options.genes)
            network_alone = alone(network, model, n_cells, options.genes)
            for output in options.outputs:
                kind, _, packed = output.partition(":")
                out = folder / f"out.{kind}"
                found = alone(predict, model, file, out, packed or None)
                written = bytes_of(out)
                shutil.rmtree(out) if out.is_dir() else out.unlink()
                bytes_s = write_bytes(folder, written)
                rows.append(
                    {
                        "cells": n_cells,
                        "genes": options.genes,
                        "output": output,
                        "seconds": round(found["seconds"], 1),
                        "cells/s": round(n_cells / found["seconds"]),
                        "peak, GB": round(found["peak"], 2),
                        "loaded, GB": round(found["before"], 2),
                        "read, GB": round(bytes_of(file) / 1e9, 2),
                        "written, GB": round(written / 1e9, 2),
                        "network, s": round(
                            network_alone["forward"] + network_alone["at_entries"], 1
                        ),
                        "writing, s": round(bytes_s, 1),
                        "x both": round(
                            found["seconds"]
                            / (network_alone["forward"] + network_alone["at_entries"] + bytes_s),
                            2,
                        ),
                    }
                )
            file.unlink()
    return rows


def tables(rows: list[Row]) -> str:
    return table(rows)


def write_totals(file: str, n_cells: int, n_genes: int) -> None:
    """Write a file without measured layers."""
    counts.write(Path(file), n_cells, n_genes, layers=False)


def train_model(folder: str, n_genes: int) -> None:
    """Train a model for one epoch, as the speed of a prediction does not depend on its weights."""
    from splicedvae import SplicedVAE

    cells = counts.cells(2_000, n_genes)
    SplicedVAE.setup_anndata(cells)
    model = SplicedVAE(cells)
    model.train(max_epochs=1, enable_progress_bar=False, accelerator="cpu")
    model.to_folder(folder)


def predict(model: str, file: str, out: str, compression: str | None) -> dict[str, float]:
    """Predict a file in this process."""
    from splicedvae import SplicedVAE

    trained = SplicedVAE.from_folder(model)
    before, start = peak(), clocks()
    trained.reconstruct_to(file, out, compression=compression)  # type: ignore[arg-type]
    return {**since(start), "peak": peak(), "before": before}


def network(model: str, n_cells: int, n_genes: int) -> dict[str, float]:
    """Time the network alone, on a block in memory as often as the cells ask for."""
    import torch
    from scvi import REGISTRY_KEYS

    from splicedvae import SplicedVAE
    from splicedvae.model._cells import Cells

    module = SplicedVAE.from_folder(model).module.eval()
    size = min(n_cells, BLOCK)
    totals = counts.cells(size, n_genes, seed=5).X
    fields = {
        key: np.zeros((size, 1)) for key in (REGISTRY_KEYS.BATCH_KEY, REGISTRY_KEYS.LABELS_KEY)
    }
    (parts,) = (list(some) for _, some in Cells(fields, lambda: iter([totals])).minibatches())
    dense = [
        {**tensors, REGISTRY_KEYS.X_KEY: torch.from_numpy(totals[first : first + 128].toarray())}
        for first, (tensors, _) in zip(range(0, size, 128), parts, strict=True)
    ]

    def seconds(act: Any) -> float:
        act()
        start = time.perf_counter()
        act()
        return (time.perf_counter() - start) * n_cells / size

    with torch.inference_mode():
        forward = seconds(lambda: [module(tensors, compute_loss=False) for tensors in dense])
        at_entries = seconds(lambda: [module.counted_ratios(*part) for part in parts])
    return {"forward": forward, "at_entries": at_entries}


def write_bytes(folder: Path, count: int) -> float:
    """Seconds to write so many bytes in order and force them to disk."""
    piece = np.random.default_rng(0).bytes(16 << 20)
    file = folder / "bytes"
    start = time.perf_counter()
    with file.open("wb") as stream:
        for _ in range(max(1, count // len(piece))):
            stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())
    seconds = time.perf_counter() - start
    file.unlink()
    return seconds


def bytes_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
