"""Read files that other tools' own writers made: one throw-away environment for each tool.

    python benchmarks/written_by.py                     # all tools, needs a package index
    python benchmarks/written_by.py --tool loompy kb    # some of them
    python benchmarks/written_by.py --envs envs         # keep the environments for the next time

Each tool is installed into an environment of its own, writes the same small counts in each of its
forms, and `splicedvae.io.read` reads them here. Cells, genes, totals, spliced and unspliced counts
must be equal to what was written. Prints the table of docs/user-guide/what-is-read.md; ends with 1
if a file is read otherwise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

#: What is installed for each tool, and the function below that writes with it.
TOOLS = {
    "loompy": (["loompy", "numpy<2"], "write_loompy"),
    "anndata-0.10": (
        ["anndata==0.10.*", "zarr<3", "loompy", "numpy<2", "pandas<3"],
        "write_anndata",
    ),
    "anndata-0.11": (["anndata==0.11.*", "zarr<3", "loompy", "pandas<3"], "write_anndata"),
    "anndata-0.12": (["anndata==0.12.*", "loompy"], "write_anndata"),
    "scanpy": (["scanpy"], "write_scanpy"),
    "kb": (["kb_python"], "write_kb"),
    "pyroe": (["pyroe", "numpy<2"], "write_pyroe"),
}
N_CELLS, N_GENES = 40, 25


def counts() -> dict[str, Any]:
    """Spliced, unspliced and ambiguous counts, cells x genes, with names."""
    rng = np.random.default_rng(0)
    shape = (N_CELLS, N_GENES)
    return {
        "s": rng.poisson(1.0, shape),
        "u": rng.poisson(0.6, shape),
        "a": rng.poisson(2.0, shape),
        "cells": ["".join(rng.choice(list("ACGT"), 16)) for _ in range(N_CELLS)],
        "genes": [f"ENSMUSG{i:011d}" for i in range(N_GENES)],
        "symbols": [f"Gene{i}" for i in range(N_GENES)],
    }


# --- Writers: they run in the tool's environment, and import nothing of ours ---------------------


def write_loompy(c: dict[str, Any], out: Path) -> dict[str, str]:
    """Write loom as velocyto does."""
    import loompy

    layers = {"": c["s"] + c["u"], "spliced": c["s"], "unspliced": c["u"]}
    loompy.create(
        str(out / "velocyto.loom"),
        {key: value.T for key, value in layers.items()},
        {"Gene": np.array(c["symbols"]), "Accession": np.array(c["genes"])},
        {"CellID": np.array(c["cells"])},
    )
    return {"velocyto.loom": "S+U"}


def _adata(c: dict[str, Any], kind: str = "csr") -> Any:
    import anndata
    import pandas as pd
    from scipy import sparse

    make: Callable[[Any], Any] = {
        "csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": np.asarray
    }[kind]  # fmt: skip
    groups = pd.Categorical(["a", "b"] * (N_CELLS // 2))
    return anndata.AnnData(
        X=make((c["s"] + c["u"]).astype("f4")),
        obs=pd.DataFrame({"group": groups, "text": "x"}, index=c["cells"]),
        var=pd.DataFrame({"gene_ids": c["genes"]}, index=c["symbols"]),
        layers={"spliced": make(c["s"].astype("f4")), "unspliced": make(c["u"].astype("f4"))},
    )


def write_anndata(c: dict[str, Any], out: Path) -> dict[str, str]:
    """Write h5ad, zarr and loom with anndata."""
    made = {}
    for kind in ("csr", "csc", "dense"):
        _adata(c, kind).write_h5ad(out / f"{kind}.h5ad")
        made[f"{kind}.h5ad"] = "S+U"
    _adata(c).write_zarr(out / "store.zarr")
    _adata(c).write_loom(out / "written.loom")
    return {**made, "store.zarr": "S+U", "written.loom": "S+U"}


def write_scanpy(c: dict[str, Any], out: Path) -> dict[str, str]:
    """Write what scanpy's tutorials leave: logged values in X, counts in raw or a layer."""
    import scanpy as sc

    for name in ("raw", "layer"):
        adata = _adata(c)
        adata.layers.clear()
        if name == "raw":
            adata.raw = adata.copy()
        else:
            adata.layers["counts"] = adata.X.copy()
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
        sc.pp.pca(adata, n_comps=5)
        sc.pp.neighbors(adata, n_neighbors=5)
        sc.write(out / f"{name}.h5ad", adata[:, :15].copy() if name == "raw" else adata)
    return {"raw.h5ad": "totals S+U", "layer.h5ad": "totals S+U"}


def write_kb(c: dict[str, Any], out: Path) -> dict[str, str]:
    """Write with the functions that `kb count` ends with."""
    from kb_python.count import convert_matrices, matrix_to_cellranger
    from scipy import sparse
    from scipy.io import mmwrite

    made = {}
    for name, parts in (("nac", "sua"), ("lamanno", "su"), ("nucleus", "su")):
        folder = out / name
        folder.mkdir()
        files = []
        for part, word in zip(parts, ("mature", "nascent", "ambiguous"), strict=False):
            files.append(str(folder / f"cells_x_genes.{word}.mtx"))
            mmwrite(files[-1], sparse.coo_matrix(c[part]).astype("f4"), field="real")
        cells, genes = (str(folder / f"cells_x_genes.{what}.txt") for what in ("barcodes", "genes"))
        Path(cells).write_text("".join(f"{cell}\n" for cell in c["cells"]))
        Path(genes).write_text("".join(f"{gene}\n" for gene in c["genes"]))
        n = len(files)
        convert_matrices(
            str(folder), files, [cells] * n, genes_paths=[genes] * n, loom=True, h5ad=True,
            nucleus=name == "nucleus",
        )  # fmt: skip
        told = {"nac": "S+A,U", "lamanno": "S+U", "nucleus": "totals S+U"}[name]
        made |= {f"{name}/adata.h5ad": told, f"{name}/adata.loom": told}
    mtx = out / "nucleus" / "total.mtx"
    mmwrite(str(mtx), sparse.coo_matrix(c["s"] + c["u"]).astype("f4"), field="real")
    rows = zip(c["genes"], c["symbols"], strict=True)
    (out / "t2g.txt").write_text("".join(f"t{gene}\t{gene}\t{name}\n" for gene, name in rows))
    matrix_to_cellranger(str(mtx), cells, genes, str(out / "t2g.txt"), str(out / "cellranger"))
    return {**made, "cellranger": "totals S+U"}


def write_pyroe(c: dict[str, Any], out: Path) -> dict[str, str]:
    """Write each form of `load_fry`, from a folder as alevin-fry leaves it."""
    from pyroe import load_fry
    from scipy import sparse
    from scipy.io import mmwrite

    alevin = out / "fry" / "alevin"
    alevin.mkdir(parents=True)
    whole = np.hstack([c["s"], c["u"], c["a"]])
    mmwrite(str(alevin / "quants_mat.mtx"), sparse.coo_matrix(whole).astype("f4"))
    columns = [*c["genes"], *(f"{g}-U" for g in c["genes"]), *(f"{g}-A" for g in c["genes"])]
    (alevin / "quants_mat_cols.txt").write_text("".join(f"{name}\n" for name in columns))
    (alevin / "quants_mat_rows.txt").write_text("".join(f"{name}\n" for name in c["cells"]))
    (out / "fry" / "quant.json").write_text(
        json.dumps({"num_genes": len(columns), "usa_mode": True, "alt_resolved_cell_numbers": []})
    )
    made = {"fry": "S+A,U"}
    for form, told in (
        ("velocity", "S+A,U"), ("raw", "S+A,U"), ("scRNA", "S+A,U"), ("snRNA", "totals S+U+A")
    ):  # fmt: skip
        load_fry(str(out / "fry"), output_format=form, quiet=True).write_h5ad(out / f"{form}.h5ad")
        made[f"{form}.h5ad"] = told
    return made


# --- Reading here -------------------------------------------------------------------------------


def outcome(file: Path, told: str, c: dict[str, Any]) -> str:
    """Read a file and say what is wrong with it; nothing where all is right."""
    from splicedvae import io
    from splicedvae._core.errors import DataError

    try:
        result = io.read(file)
    except DataError as error:
        return f"refused: {error}"
    adata = result.adata
    s, u, a = c["s"], c["u"], c["a"]
    wanted = {
        "S+U": (s + u, s, u),
        "S+A,U": (s + u + a, s + a, u),
        "totals S+U": (s + u, None, None),
        "totals S+U+A": (s + u + a, None, None),
    }[told]
    # kb writes barcodes in Cell Ranger's form, with the number of a sample.
    adata.obs_names = adata.obs_names.str.removesuffix("-1")
    if set(adata.obs_names) != set(c["cells"]):
        return "other cells"
    names = set(adata.var_names) | set(adata.var.get("gene_ids", ()))
    if not set(c["genes"]) <= names and not set(c["symbols"]) <= names:
        return "other genes"
    adata = adata[c["cells"]]
    found = [adata.X, *(adata.layers.get(name) for name in ("spliced", "unspliced"))]
    for word, ours, theirs in zip(("totals", "spliced", "unspliced"), found, wanted, strict=True):
        if (ours is None) != (theirs is None):
            return f"{word} {'missing' if ours is None else 'made up'}"
        if ours is not None and not np.array_equal(np.asarray(ours.todense()), theirs):
            return f"other {word}"
    return ""


def run(tool: str, envs: Path) -> list[tuple[str, str, str]]:
    """Write with one tool and read here.

    Returns
    -------
    Version of the tool, file, and what is wrong with it.
    """
    packages, writer = TOOLS[tool]
    python = envs / tool / "bin" / "python"
    if not python.exists():
        venv.create(envs / tool, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    main = packages[0].split("=")[0]
    asked = f"import importlib.metadata as m; print(m.version({main!r}))"
    version = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        command = [str(python), __file__, "--write", writer, "--out", folder]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return [(f"{main} {version.stdout.strip()}", "-", f"not written: {done.stderr[-500:]}")]
        made = json.loads((out / "made.json").read_text())
        return [
            (f"{main} {version.stdout.strip()}", name, outcome(out / name, told, counts()))
            for name, told in made.items()
        ]


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", nargs="*", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--envs", type=Path, help="Folder of environments to make or use again.")
    parser.add_argument("--write", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.write:
        made = globals()[asked.write](counts(), asked.out)
        (asked.out / "made.json").write_text(json.dumps(made))
        return
    with tempfile.TemporaryDirectory() as folder:
        envs = asked.envs or Path(folder)
        rows = [row for tool in asked.tool for row in run(tool, envs.absolute())]
    print("| written by | file | read |\n| --- | --- | --- |")
    for version, name, wrong in rows:
        print(f"| {version} | `{name}` | {wrong or 'equal'} |")
    sys.exit(any(wrong for _, _, wrong in rows))


if __name__ == "__main__":
    main()
