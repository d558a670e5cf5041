"""One small trained model, stored with a card, and a store of this test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scvi
from anndata import AnnData

from splicedvae import SplicedVAE, datasets
from splicedvae._core.keys import Layers
from splicedvae.store import (
    CardEvaluation,
    CardMetric,
    CardSource,
    ModelCard,
    StoredModel,
    write_stored,
)

N_CELLS, N_GENES = 150, 40


@pytest.fixture(scope="session")
def cells() -> AnnData:
    return datasets.simulate(N_CELLS, N_GENES, mean_depth=400, seed=3)


@pytest.fixture(scope="session")
def model(cells: AnnData) -> SplicedVAE:
    scvi.settings.seed = 0
    train = cells.copy()
    SplicedVAE.setup_anndata(train, spliced_layer=Layers.SPLICED, unspliced_layer=Layers.UNSPLICED)
    # Wide enough that matrices over genes are written with 16 bits.
    trained = SplicedVAE(train, n_hidden=128, n_latent=5)
    trained.train(max_epochs=3, enable_progress_bar=False)
    return trained


@pytest.fixture(scope="session")
def card() -> ModelCard:
    return ModelCard(
        name="simulated-lineage",
        title="Simulated lineage",
        species="",
        tissues=("none",),
        assay="simulation",
        counts="with-introns",
        n_genes=N_GENES,
        n_cells=N_CELLS,
        weights_from="all cells",
        source=CardSource("simulated cells", "none", "CC0", "nobody", "0" * 64),
        command="splicedvae simulate",
        code="0.1.0",
        evaluation=CardEvaluation(
            120, 30, "look closer", ("few cells.",), (CardMetric("splicedvae", "skill", 1, 0.01),)
        ),
        not_for=("Real cells.",),
    )


@pytest.fixture(scope="session")
def made(
    tmp_path_factory: pytest.TempPathFactory, model: SplicedVAE, card: ModelCard, cells: AnnData
) -> StoredModel:
    return write_stored(
        tmp_path_factory.mktemp("made") / card.name,
        card,
        model,
        gene_means=pd.Series(np.linspace(0.5, 0.9, N_GENES), index=model.genes),
        gene_counts=np.asarray(cells.X.sum(axis=0)).ravel(),
        cell_names=cells.obs_names,
    )


@pytest.fixture
def copy(made: StoredModel, tmp_path: Path) -> Path:
    """A folder with the model that a test may damage."""
    folder = tmp_path / "copy"
    shutil.copytree(made.path, folder)
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of models of the user's, and none that comes with the package."""
    folder = tmp_path / "models"
    monkeypatch.setenv("SPLICEDVAE_MODELS", str(folder))
    empty = tmp_path / "bundled"
    empty.mkdir()
    monkeypatch.setattr("splicedvae.store._places.bundled_folder", lambda: empty)
    return folder
