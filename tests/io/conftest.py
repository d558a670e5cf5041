"""Small count data that every test of reading starts from."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse


def make_counts(n_cells: int = 30, n_genes: int = 20, seed: int = 0) -> anndata.AnnData:
    """Cells x genes with X = spliced + unspliced, all CSR float32."""
    rng = np.random.default_rng(seed)
    spliced = sparse.csr_matrix(rng.poisson(1.5, (n_cells, n_genes)).astype(np.float32))
    unspliced = sparse.csr_matrix(rng.poisson(0.6, (n_cells, n_genes)).astype(np.float32))
    return anndata.AnnData(
        X=sparse.csr_matrix(spliced + unspliced),
        obs=pd.DataFrame(
            {"clusters": pd.Categorical(rng.choice(["alpha", "beta"], n_cells))},
            index=[f"cell{i}" for i in range(n_cells)],
        ),
        var=pd.DataFrame(index=[f"Gene{i}" for i in range(n_genes)]),
        layers={"spliced": spliced, "unspliced": unspliced},
        obsm={"X_umap": rng.normal(size=(n_cells, 2))},
        uns={"origin": "made for a test"},
    )


@pytest.fixture
def counts() -> anndata.AnnData:
    return make_counts()


@pytest.fixture(scope="session")
def counts_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of an h5ad."""
    path = tmp_path_factory.mktemp("counts") / "cells.h5ad"
    make_counts().write_h5ad(path)
    return path.read_bytes()
