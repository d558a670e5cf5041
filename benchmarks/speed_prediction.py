"""Measure streamed prediction: cells per second, peak memory, and what bounds them.

    python benchmarks/speed_prediction.py --cells 1000 10000 100000 1000000 --genes 2000

writes files of totals block by block (13% of the entries are not zero), trains a small model for
one epoch, and predicts each file with `SplicedVAE.reconstruct_to` to h5ad and to zarr, each in a
process of its own. Beside each time are the two bounds: the network alone on the same number of
cells in memory (encoder and decoder of expression as scVI has them, and the pass that gives the
ratios), and writing as many bytes as the output has and forcing them to disk. One million cells
need about 12 GB of disk; the files are deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import sparse_dataset, write_elem
from scipy.sparse import csr_matrix

#: Share of the entries that are not zero.
DENSITY = 0.13
BLOCK = 10_000
MODEL = "model"


def random_totals(n_cells: int, n_genes: int, seed: int) -> csr_matrix:
    """Make totals whose genes differ in how often they are counted."""
    share = np.random.default_rng(0).beta(0.6, 0.6 * (1 - DENSITY) / DENSITY, n_genes)
    rng = np.random.default_rng(seed)
    counted = rng.random((n_cells, n_genes), dtype=np.float32) < share
    totals = csr_matrix(counted, dtype=np.float32)
    totals.data += rng.poisson(0.8, totals.nnz).astype(np.float32)
    return totals


def blocks(n_cells: int, n_genes: int) -> Iterator[csr_matrix]:
    """Yield totals of all cells in blocks."""
    for start in range(0, n_cells, BLOCK):
        yield random_totals(min(BLOCK, n_cells - start), n_genes, 1 + start)


def write_totals(file: Path, n_cells: int, n_genes: int) -> None:
    """Write a file of totals that never is in memory as a whole."""
    obs = pd.DataFrame(index=[f"cell{n}" for n in range(n_cells)])
    var = pd.DataFrame(index=[f"gene{n}" for n in range(n_genes)])
    with h5py.File(file, "w") as root:
        write_elem(root, "/", AnnData(obs=obs, var=var))
        stored = None
        for block in blocks(n_cells, n_genes):
            if stored is None:
                block.indptr = block.indptr.astype(np.int64)
                write_elem(root, "X", block, dataset_kwargs={"chunks": (1 << 18,)})
                stored = sparse_dataset(root["X"])
            else:
                stored.append(block)


def train_model(folder: Path, n_genes: int) -> None:
    """Train a model for one epoch, as the speed of a prediction does not depend on its weights."""
    from splicedvae import SplicedVAE

    totals = random_totals(2_000, n_genes, 0)
    spliced = totals.copy()
    spliced.data = np.random.default_rng(1).binomial(totals.data.astype(int), 0.7).astype("f4")
    cells = AnnData(
        totals,
        var=pd.DataFrame(index=[f"gene{n}" for n in range(n_genes)]),
        layers={"spliced": spliced, "unspliced": csr_matrix(totals - spliced)},
    )
    SplicedVAE.setup_anndata(cells)
    model = SplicedVAE(cells)
    model.train(max_epochs=1, enable_progress_bar=False, accelerator="cpu")
    model.to_folder(folder)


def memory() -> float:
    """Peak resident memory of this process, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count what the parent had before this program was loaded.
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def predict(model: Path, file: Path, out: Path, compression: str | None) -> dict[str, Any]:
    """Predict a file in this process."""
    from splicedvae import SplicedVAE

    trained = SplicedVAE.from_folder(model)
    before, start = memory(), time.perf_counter()
    trained.reconstruct_to(file, out, compression=compression)  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mb": memory(), "peak_before_mb": before}


def network(model: Path, n_cells: int, n_genes: int) -> dict[str, Any]:
    """Time the network alone, on a block in memory as often as the cells ask for."""
    import torch
    from scvi import REGISTRY_KEYS

    from splicedvae import SplicedVAE
    from splicedvae.model._cells import Cells

    module = SplicedVAE.from_folder(model).module.eval()
    size = min(n_cells, BLOCK)
    totals = random_totals(size, n_genes, 5)
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
        whole = seconds(lambda: [module.ratio(tensors) for tensors in dense])
    return {"forward_s": forward, "at_entries_s": at_entries, "dense_s": whole}


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


def in_a_process(what: str, *words: object) -> dict[str, Any]:
    """Call one of the functions above in a new interpreter."""
    command = [sys.executable, __file__, "--one", what, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(
    sizes: list[int], n_genes: int, outputs: list[str], folder: Path
) -> Iterator[dict[str, Any]]:
    """Measure every size and output.

    Parameters
    ----------
    sizes
        Numbers of cells.
    n_genes
        Number of genes.
    outputs
        ``"h5ad"`` (not packed), ``"h5ad:lzf"``, ``"h5ad:gzip"`` or ``"zarr"``.
    folder
        Where to write.

    Yields
    ------
    A row for each size and output: cells, output, seconds, cells_per_s, peak_mb (of the process)
    and peak_before_mb (with the model loaded), gb_read, gb_written, forward_s, at_entries_s and
    dense_s (the network alone), write_s (the same bytes).
    """
    train_model(folder / MODEL, n_genes)
    for n_cells in sizes:
        file = folder / "totals.h5ad"
        write_totals(file, n_cells, n_genes)
        alone = in_a_process("network", folder / MODEL, n_cells, n_genes)
        for output in outputs:
            kind, _, packed = output.partition(":")
            out = folder / f"out.{kind}"
            row = in_a_process("predict", folder / MODEL, file, out, packed or "none")
            written = bytes_of(out)
            in_a_process("remove", out)
            yield {
                "cells": n_cells,
                "output": output,
                **row,
                "cells_per_s": n_cells / row["seconds"],
                "gb_read": bytes_of(file) / 1e9,
                "gb_written": written / 1e9,
                **alone,
                "write_s": write_bytes(folder, written),
            }
        file.unlink()


def one(what: str, words: list[str]) -> dict[str, Any]:
    """Do what `in_a_process` asked for."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    if what == "predict":
        model, file, out, packed = words
        return predict(Path(model), Path(file), Path(out), None if packed == "none" else packed)
    if what == "network":
        return network(Path(words[0]), int(words[1]), int(words[2]))
    import shutil

    place = Path(words[0])
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    return {}


def main() -> None:
    """Print a line for each size and output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--outputs", nargs="+", default=["h5ad", "zarr"])
    parser.add_argument("--folder", type=Path, help="Where to write; a temporary folder.")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.one[0], arguments.one[1:])))
        return
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    columns = (
        *("cells", "output", "seconds", "cells_per_s", "peak_mb", "peak_before_mb"),
        *("gb_read", "gb_written", "forward_s", "at_entries_s", "dense_s", "write_s"),
    )
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns), flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for row in measure(arguments.cells, arguments.genes, arguments.outputs, Path(folder)):
            words = [
                f"{row[name]:,.2f}" if isinstance(row[name], float) else f"{row[name]}"
                for name in columns
            ]
            print("| " + " | ".join(words) + " |", flush=True)


if __name__ == "__main__":
    main()
