"""The counts that all parts of the benchmark draw, in memory or as a file of any size."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import sparse_dataset, write_elem
from scipy.sparse import csr_matrix

from splicedvae._core.keys import Layers
from splicedvae.datasets import simulate

#: Counts per gene in a cell: about 13% of the entries are not zero.
DEPTH = 0.17
#: A file of more cells than this repeats them.
MOST_DRAWN = 100_000
#: Cells that are appended to a file at once.
BLOCK = 10_000
LAYERS = (Layers.SPLICED, Layers.UNSPLICED)


def cells(n_cells: int, n_genes: int, seed: int = 0) -> AnnData:
    """Draw cells of a branching lineage with splicing kinetics.

    Parameters
    ----------
    n_cells, n_genes
        Shape.
    seed
        Seed of all draws.

    Returns
    -------
    AnnData, cells x genes: X = S + U and both layers, CSR float32. About 13% of the entries are
    not zero.
    """
    drawn = simulate(n_cells, n_genes, mean_depth=DEPTH * n_genes, seed=seed, truth=False)
    return AnnData(
        X=csr_matrix(drawn.X, dtype=np.float32),
        obs=pd.DataFrame(index=_names("cell", n_cells)),
        var=pd.DataFrame(index=_names("gene", n_genes)),
        layers={name: csr_matrix(drawn.layers[name], dtype=np.float32) for name in LAYERS},
    )


def write(file: Path, n_cells: int, n_genes: int, *, layers: bool = True, seed: int = 0) -> Path:
    """Write such cells as an uncompressed h5ad file, block by block.

    Parameters
    ----------
    file
        Where to.
    n_cells, n_genes
        Shape; cells beyond 100,000 repeat the first ones.
    layers
        Whether spliced and unspliced counts are written in addition to the totals.
    seed
        Seed of all draws.

    Returns
    -------
    The file.
    """
    drawn = cells(min(n_cells, MOST_DRAWN), n_genes, seed)
    matrices = {"X": drawn.X}
    if layers:
        matrices |= {f"layers/{name}": drawn.layers[name] for name in LAYERS}
    with h5py.File(file, "w") as root:
        write_elem(
            root, "/", AnnData(obs=pd.DataFrame(index=_names("cell", n_cells)), var=drawn.var)
        )
        for name, matrix in matrices.items():
            first = csr_matrix(matrix[:BLOCK])
            first.indptr = first.indptr.astype(np.int64)
            folder, _, key = name.rpartition("/")
            write_elem(root[folder or "/"], key, first, dataset_kwargs={"chunks": (1 << 18,)})
            stored = sparse_dataset(root[name])
            for start in range(BLOCK, n_cells, BLOCK):
                size = min(BLOCK, n_cells - start)
                place = start % MOST_DRAWN
                stored.append(csr_matrix(matrix[place : place + size]))
    return file


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind}{number}" for number in range(count)]
