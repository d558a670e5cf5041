"""Measure what the gate costs: a file read in this process, and through a process of its own.

    python benchmarks/gate.py --megabytes 1000

writes an h5ad of about that size with counts in CSR, as large as its arrays, and prints a table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem

from splicedvae import io
from splicedvae.io import gate

N_GENES = 30_000
PER_CELL = 2500


def write(path: Path, megabytes: int) -> tuple[int, int]:
    """Write counts of as many cells as fill a file, some thousand cells at a time."""
    n_cells = max(10, megabytes * 1_000_000 // (8 * PER_CELL))
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for part, name, size in (("obs", "cell", n_cells), ("var", "Gene", N_GENES)):
            names = pd.Index([f"{name}{number}" for number in range(size)])
            write_elem(file, part, pd.DataFrame(index=names))
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        x.attrs["shape"] = np.array([n_cells, N_GENES])
        data = x.create_dataset("data", (n_cells * PER_CELL,), "f4")
        indices = x.create_dataset("indices", (n_cells * PER_CELL,), "i4")
        x["indptr"] = np.arange(n_cells + 1) * PER_CELL
        for start in range(0, n_cells, 2000):
            rows = min(2000, n_cells - start)
            part = slice(start * PER_CELL, (start + rows) * PER_CELL)
            gaps = rng.integers(1, 2 * N_GENES // PER_CELL - 1, (rows, PER_CELL), dtype=np.int32)
            indices[part] = (np.cumsum(gaps, axis=1) % N_GENES).ravel()
            data[part] = 1 + rng.poisson(0.5, rows * PER_CELL).astype(np.float32)
    return n_cells, path.stat().st_size


def timed(what: str, act: Callable[[], object]) -> None:
    began = time.perf_counter()
    found = act()
    print(f"| {what} | {time.perf_counter() - began:.1f} s |", flush=True)
    if isinstance(found, io.BackedCounts):
        found.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        n_cells, size = write(path, asked.megabytes)
        small = Path(folder) / "small.h5ad"
        write(small, 1)
        print(f"{n_cells:,} cells x {N_GENES:,} genes, {size / 1e6:,.0f} MB\n")
        print("| what | time |\n| --- | --- |")
        timed("1 MB through the gate, with the start of its process", lambda: gate.read(small))
        timed("1 MB through the gate again", lambda: gate.read(small))
        timed("1 MB in this process", lambda: io.read(small))
        timed("read in this process", lambda: io.read(path))
        timed("read through the gate", lambda: gate.read(path))
        timed("totals left on disk, in this process", lambda: io.read_backed(path))
        timed("totals left on disk, through the gate", lambda: gate.open_counts(path))


if __name__ == "__main__":
    main()
