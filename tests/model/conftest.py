"""One small trained model on simulated cells, and the held-out cells it never saw."""

from __future__ import annotations

import pytest
import scvi
from anndata import AnnData

from splicedvae import SplicedVAE, datasets
from splicedvae.evaluation import select_genes, split_cells

OPTIONS = {"n_hidden": 32, "n_latent": 5, "ratio_shrinkage": 30.0}


def totals_only(adata: AnnData) -> AnnData:
    return AnnData(adata.X.copy(), obs=adata.obs[[]].copy(), var=adata.var[[]].copy())


@pytest.fixture(scope="session")
def simulated() -> tuple[AnnData, AnnData]:
    adata = datasets.simulate(500, 80, mean_depth=400, seed=3)
    held_out = split_cells(adata.n_obs, stratify=adata.obs["clusters"], seed=0) == "held-out"
    train, test = adata[~held_out].copy(), adata[held_out].copy()
    genes = select_genes(train)
    return train[:, genes].copy(), test[:, genes].copy()


@pytest.fixture(scope="session")
def trained(simulated) -> SplicedVAE:
    scvi.settings.seed = 0
    train = simulated[0].copy()
    SplicedVAE.setup_anndata(train)
    model = SplicedVAE(train, **OPTIONS)
    model.train(max_epochs=60, enable_progress_bar=False)
    return model
