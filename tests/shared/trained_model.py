"""A small trained model and cells that it did not see, made once a test session."""

from __future__ import annotations

import functools

import scvi
from anndata import AnnData

from splicedvae import SplicedVAE, datasets


@functools.cache
def simulated() -> AnnData:
    """Cells of a simulated bifurcation, with S/U and the truth."""
    return datasets.simulate(900, 120, topology="bifurcation", seed=5)


@functools.cache
def trained() -> SplicedVAE:
    """A model trained on two thirds of the cells."""
    scvi.settings.seed = 0
    cells = simulated()[:600].copy()
    SplicedVAE.setup_anndata(cells)
    model = SplicedVAE(cells)
    model.train(max_epochs=60, enable_progress_bar=False, accelerator="cpu")
    return model


def totals_only() -> AnnData:
    """The other cells, without S/U and without the truth."""
    cells = simulated()[600:].copy()
    return AnnData(X=cells.X.copy(), obs=cells.obs[["clusters", "true_time"]], var=cells.var[[]])
