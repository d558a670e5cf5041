"""A small stored model and cells that it did not see, made once a test session."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import scvi
from anndata import AnnData

from splicedvae import SplicedVAE, datasets
from splicedvae.store import CardEvaluation, ModelCard, StoredModel, write_stored


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


@functools.cache
def stored() -> StoredModel:
    """The same in the store's format, in a folder that lasts as long as the session."""
    model = trained()
    cells = simulated()[:600]
    counts = np.asarray(cells.X.sum(axis=0)).ravel()
    share = np.asarray(cells.layers["spliced"].sum(axis=0)).ravel() / counts
    folder = Path(tempfile.mkdtemp(prefix="stored-model-")) / "small"
    return write_stored(
        folder,
        ModelCard(
            name="small",
            title="Simulated bifurcation",
            species="",
            tissues=(),
            assay="simulation",
            weights_from="training cells",
            counts="with-introns",
            n_cells=600,
            n_genes=120,
            evaluation=CardEvaluation(verdict="trust"),
        ),
        model,
        gene_means=pd.Series(share, index=cells.var_names),
        gene_counts=counts,
        cell_names=cells.obs_names,
    )


def totals_only() -> AnnData:
    """The other cells, without S/U and without the truth."""
    cells = simulated()[600:].copy()
    return AnnData(X=cells.X.copy(), obs=cells.obs[["clusters", "true_time"]], var=cells.var[[]])
