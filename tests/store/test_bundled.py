"""The models that come with the package: whole, with honest cards, and made by the recipes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix

from splicedvae._core.keys import Sources, Var
from splicedvae.pipeline.bundle import RECIPES
from splicedvae.store import COUNTS_SHARE, StoredModel, bundled_folder, find_model

NAMES = sorted(recipe.name for recipe in RECIPES)


@pytest.fixture(params=NAMES)
def bundled(request: pytest.FixtureRequest) -> StoredModel:
    return find_model(request.param)


def test_the_folder_holds_the_models_of_the_recipes() -> None:
    assert sorted(path.name for path in bundled_folder().iterdir()) == NAMES


def test_a_card_is_complete_and_honest(bundled: StoredModel) -> None:
    card = bundled.card
    assert bundled.place == "bundled"
    assert card.name == bundled.path.name
    assert card.weights_from == "all cells"
    assert card.n_cells == card.evaluation.n_train + card.evaluation.n_held_out
    for text in (card.title, card.assay, card.command, card.code, card.source.licence):
        assert text
    assert card.source.accession.startswith("GSE")
    assert card.not_for
    assert card.evaluation.verdict in ("trust", "look closer")
    skill = card.metric(Sources.SPLICEDVAE, "skill")
    mean = card.metric(Sources.GENE_MEAN, "skill")
    assert skill is not None
    assert mean is not None
    assert (skill.value or 0) > (mean.value or 0) == 0
    ceiling = card.metric(Sources.SPLICEDVAE, "pearson", 5)
    assert ceiling is not None
    assert ceiling.ceiling is not None


def test_the_tables_and_weights_fit_each_other(bundled: StoredModel) -> None:
    model = bundled.model()
    genes = bundled.genes
    assert list(model.genes) == list(genes.index)
    assert len(genes) == bundled.card.n_genes
    assert genes[COUNTS_SHARE].sum() == pytest.approx(1, abs=0.01)
    assert genes[Var.GENE_MEAN].between(0, 1).all()
    counts = np.random.default_rng(0).poisson(1.0, (30, len(genes))).astype(np.float32)
    cells = AnnData(csr_matrix(counts), var=bundled.identity.frame())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ratio = np.asarray(model.get_splicing_ratio(cells))
        assert model.get_novelty(cells) > 0.25
    # A gene's ratio stays near what it was in training, whatever the cells.
    middle = np.median(ratio, axis=0)
    assert np.corrcoef(middle, genes[Var.GENE_MEAN])[0, 1] > 0.8
