"""Measure how long a file takes from the disk to its summary, and from an upload to the page.

    python benchmarks/triage.py --genes 2000 20000
    python benchmarks/triage.py --genes 2000 --browser

makes count files of 10,000 cells as the counting tools write them (h5ad packed with gzip, a loom
of velocyto's, Cell Ranger's h5, a zip of STARsolo's Velocyto folder), reads each with
`splicedvae.io.read` and looks at it with `splicedvae.triage.inspect`. Wall time is what a visitor
waits; CPU time, the sum over cores, is less disturbed by what else the machine does. Every reading
has its own process, so that no file profits from the one before. With ``--browser`` each file
goes through the uploader of the real app in a real browser, which needs the test tools and
Chromium. The numbers of `benchmarks/triage.md` were made so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.io import mmwrite

from splicedvae._core.keys import Layers, Obs

if TYPE_CHECKING:
    from playwright.sync_api import Page

REPOSITORY = Path(__file__).resolve().parents[1]
#: Of a cell; what droplet data of a few years ago have.
DEPTH = 4_000
N_CLUSTERS = 8


def counts(n_cells: int, n_genes: int, seed: int = 0) -> AnnData:
    """Draw counts as sparse and as skewed as those of droplets, with S/U.

    Parameters
    ----------
    n_cells, n_genes
        Shape.
    seed
        Of all draws.

    Returns
    -------
    AnnData, cells x genes: X = S + U, both layers, clusters, CSR float32. Means of genes are
    log-normal with a standard deviation of 2, sizes of cells with one of 0.4, and ratios of
    genes beta-distributed around 0.25: about a tenth of the entries of 20,000 genes are not zero.
    """
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, N_CLUSTERS, n_cells)
    base = rng.lognormal(0, 2.0, n_genes)
    means = base * rng.lognormal(0, 0.5, (N_CLUSTERS, n_genes))
    means /= means.sum(axis=1, keepdims=True)
    sizes = rng.lognormal(np.log(DEPTH), 0.4, n_cells)
    ratio = rng.beta(2, 6, n_genes)
    spliced, unspliced = [], []
    for start in range(0, n_cells, 500):
        some = slice(start, start + 500)
        total = sparse.csr_matrix(rng.poisson(means[clusters[some]] * sizes[some, None]))
        young = total.copy()
        young.data = rng.binomial(total.data, ratio[total.indices])
        old = total - young
        for parts, part in ((unspliced, young), (spliced, old)):
            part = sparse.csr_matrix(part, dtype=np.float32)
            part.eliminate_zeros()
            parts.append(part)
    S = sparse.csr_matrix(sparse.vstack(spliced, format="csr"))
    U = sparse.csr_matrix(sparse.vstack(unspliced, format="csr"))
    return AnnData(
        X=sparse.csr_matrix(S + U),
        obs=pd.DataFrame(
            {Obs.CLUSTERS: pd.Categorical([f"cluster {code}" for code in clusters])},
            index=[f"{number:016d}-1" for number in range(n_cells)],
        ),
        var=pd.DataFrame(
            {"gene_ids": [f"ENSMUSG{number:011d}" for number in range(n_genes)]},
            index=[f"Gm{number + 100}" for number in range(n_genes)],
        ),
        layers={Layers.SPLICED: S, Layers.UNSPLICED: U},
    )


def write_h5ad(cells: AnnData, file: Path) -> None:
    cells.write_h5ad(file, compression="gzip")


def write_loom(cells: AnnData, file: Path) -> None:
    """Write a loom as velocyto does: genes x cells, dense, in packed squares of 64 x 64."""
    matrices = {
        "matrix": (cells.X, np.float32),
        "layers/spliced": (cells.layers[Layers.SPLICED], np.uint32),
        "layers/unspliced": (cells.layers[Layers.UNSPLICED], np.uint32),
        "layers/ambiguous": (sparse.csr_matrix(cells.shape, dtype=np.float32), np.uint32),
    }
    with h5py.File(file, "w") as out:
        for name, (matrix, kind) in matrices.items():
            packed = out.create_dataset(
                name,
                shape=(cells.n_vars, cells.n_obs),
                dtype=kind,
                chunks=(64, 64),
                compression="gzip",
                compression_opts=2,
            )
            for start in range(0, cells.n_obs, 1024):
                some = matrix[start : start + 1024].toarray()
                packed[:, start : start + len(some)] = some.T.astype(kind)
        for name, values in (
            ("col_attrs/CellID", cells.obs_names),
            ("row_attrs/Gene", cells.var_names),
        ):
            out.create_dataset(name, data=np.array(values, dtype="S"))
        out.create_dataset(
            "col_attrs/ClusterName", data=np.array(cells.obs[Obs.CLUSTERS].astype(str), dtype="S")
        )
        out.create_dataset(
            "row_attrs/Accession", data=np.array(cells.var["gene_ids"].astype(str), dtype="S")
        )


def write_tenx(cells: AnnData, file: Path) -> None:
    """Write totals as Cell Ranger 3 and later do."""
    with h5py.File(file, "w") as out:
        group = out.create_group("matrix")
        X = sparse.csr_matrix(cells.X)
        packed = {"compression": "gzip", "chunks": (80_000,)}
        group.create_dataset("data", data=X.data.astype(np.int32), **packed)
        group.create_dataset("indices", data=X.indices.astype(np.int64), **packed)
        group.create_dataset("indptr", data=X.indptr.astype(np.int64), compression="gzip")
        group.create_dataset("shape", data=np.array([cells.n_vars, cells.n_obs], dtype=np.int32))
        group.create_dataset("barcodes", data=np.array(cells.obs_names, dtype="S"))
        features = group.create_group("features")
        features.create_dataset("id", data=np.array(cells.var["gene_ids"].astype(str), dtype="S"))
        features.create_dataset("name", data=np.array(cells.var_names, dtype="S"))
        features.create_dataset(
            "feature_type", data=np.array(["Gene Expression"] * cells.n_vars, dtype="S")
        )
        features.create_dataset("genome", data=np.array(["mm10"] * cells.n_vars, dtype="S"))


def write_zip(cells: AnnData, file: Path) -> None:
    """Write STARsolo's Velocyto folder and pack it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for layer in (Layers.SPLICED, Layers.UNSPLICED):
            place = Path(folder) / f"{layer}.mtx"
            mmwrite(place, sparse.coo_matrix(cells.layers[layer].T.astype(np.int32)))
            out.write(place, f"Velocyto/{place.name}")
        out.writestr("Velocyto/barcodes.tsv", "\n".join(cells.obs_names) + "\n")
        rows = zip(cells.var["gene_ids"], cells.var_names, strict=True)
        out.writestr(
            "Velocyto/features.tsv",
            "".join(f"{gene}\t{name}\tGene Expression\n" for gene, name in rows),
        )


WRITERS: dict[str, tuple[str, Callable[[AnnData, Path], None]]] = {
    "h5ad (gzip)": ("h5ad", write_h5ad),
    "loom (velocyto)": ("loom", write_loom),
    "10x h5": ("h5", write_tenx),
    "zip of mtx": ("zip", write_zip),
}

#: Runs in its own process; imports are not what a warm server waits for.
_READING = """
import json, sys, time
import splicedvae.io as io, scipy.io, anndata, h5py, zipfile
from splicedvae.datasets import simulate
import tempfile, pathlib
with tempfile.TemporaryDirectory() as folder:  # what is loaded with the first file
    warm = pathlib.Path(folder) / "warm.h5ad"
    simulate(50, 20).write_h5ad(warm)
    io.inspect(io.read(warm))
wall, cpu = time.perf_counter(), time.process_time()
result = io.read(sys.argv[1])
middle = time.perf_counter(), time.process_time()
summary = io.inspect(result)
end = time.perf_counter(), time.process_time()
print(json.dumps({
    "read": middle[0] - wall, "inspect": end[0] - middle[0],
    "read_cpu": middle[1] - cpu, "inspect_cpu": end[1] - middle[1],
    "n_cells": summary.n_cells, "n_genes": summary.n_genes,
    "entries": int(result.adata.X.nnz),
}))
"""


def from_disk(file: Path, repeats: int) -> dict[str, float]:
    """Read and inspect a file some times, each in a fresh process, and return the medians."""
    found = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-c", _READING, str(file)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        found.append(json.loads(done.stdout))
    return {key: float(np.median([one[key] for one in found])) for key in found[0]}


@contextmanager
def browser_page(folder: Path) -> Iterator[tuple[str, Page]]:
    """Serve the app, open the data page once, and give its address and a page."""
    import shutil
    import socket
    import urllib.request

    from playwright.sync_api import sync_playwright

    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
        cwd=REPOSITORY,
        env={**os.environ, "SPLICEDVAE_RUNS": str(folder / "runs")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://localhost:{port}"
    try:
        for _ in range(400):
            try:
                with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                    break
            except OSError:
                time.sleep(0.25)
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            page = chromium.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(240_000)
            yield address, page
            chromium.close()
    finally:
        process.terminate()
        process.wait(20)


def from_upload(page: Page, address: str, file: Path) -> float:
    """Upload a file to a fresh page and return the seconds until its numbers appear."""
    page.goto(f"{address}/data")
    page.get_by_text("accept a run folder").wait_for()
    heading = page.get_by_role("heading", name=file.name)
    start = time.perf_counter()
    page.locator("input[type=file]").set_input_files(str(file))
    heading.wait_for()
    page.locator("[data-testid=stMetric]").first.wait_for()
    return time.perf_counter() - start


def first_page(page: Page, address: str, repeats: int) -> float:
    """Return the seconds from the address to drawn streams on a warm server, the median."""
    found = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        page.goto(address)
        page.locator(".st-key-streams .js-plotly-plot .main-svg").first.wait_for()
        found.append(time.perf_counter() - start)
    return float(np.median(found[1:]))


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--genes", type=int, nargs="+", default=[2_000, 20_000])
    parser.add_argument("--formats", nargs="+", choices=list(WRITERS), default=list(WRITERS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--browser", action="store_true", help="also through the real uploader")
    parser.add_argument("--keep", type=Path, help="folder for the files; those there are taken")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="splicedvae-triage-") as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for n_genes in arguments.genes:
            cells = None
            for name in arguments.formats:
                ending, write = WRITERS[name]
                file = folder / f"triage_{arguments.cells}_{n_genes}.{ending}"
                if not file.exists():
                    cells = counts(arguments.cells, n_genes) if cells is None else cells
                    write(cells, file)
                files.append((name, n_genes, file))
        print("| file | genes | MB | entries | read s | inspect s | both s | both, CPU s |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for name, n_genes, file in files:
            took = from_disk(file, arguments.repeats)
            both, cpu = took["read"] + took["inspect"], took["read_cpu"] + took["inspect_cpu"]
            print(
                f"| {name} | {n_genes:,} | {file.stat().st_size / 1e6:.0f} | "
                f"{took['entries'] / 1e6:.1f} M | {took['read']:.2f} | {took['inspect']:.2f} | "
                f"{both:.2f} | {cpu:.2f} |",
                flush=True,
            )
        if arguments.browser:
            with browser_page(Path(scratch)) as (address, page):
                print(f"\nfirst page, warm server: {first_page(page, address, 3):.1f} s")
                print("\n| file | genes | upload to page s |\n| --- | --- | --- |")
                for name, n_genes, file in files:
                    print(
                        f"| {name} | {n_genes:,} | {from_upload(page, address, file):.1f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
