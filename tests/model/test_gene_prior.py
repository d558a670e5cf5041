"""What a gene's ratio is expected to be from what the gene is, and where the model uses it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scvi
import torch
from anndata import AnnData
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_matrix
from scipy.special import expit

from splicedvae import SplicedVAE
from splicedvae._core.gene_features import FEATURES, TABLE, gene_features
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.orthologs import Orthologs
from splicedvae.model import GenePrior
from splicedvae.model._gene_prior import KEPT_IN_TISSUE, MIN_GENES
from splicedvae.model._sums import level_with
from splicedvae.module import RatioHead

WEIGHTS = np.array([1.5, -1.2, 0.8, -0.6, 0.5, -0.4, 0.0])


def features_of(n: int, rng: np.random.Generator) -> np.ndarray:
    known = rng.normal(size=(n, len(FEATURES)))
    known[:, [1, 4]] = rng.random((n, 2)) < 0.1
    return known


def counts_of(
    features: np.ndarray, sd: float, rng: np.random.Generator, molecules: float = 400
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw counts of genes whose logits scatter around what their features say."""
    design = np.column_stack([np.ones(len(features)), features, np.zeros(len(features))])
    logits = design @ WEIGHTS + rng.normal(0, sd, len(features))
    n = rng.poisson(rng.gamma(1.0, molecules, len(features)))
    s = rng.binomial(n, expit(logits))
    return s.astype(float), (n - s).astype(float), logits


@pytest.mark.parametrize("sd", [0.3, 1.0])
def test_the_prior_finds_the_weights_and_the_spread_that_made_the_counts(sd: float) -> None:
    rng = np.random.default_rng(3)
    features = features_of(3000, rng)
    s, u, _ = counts_of(features, sd, rng)
    prior = GenePrior.fit(s, u, features, "mouse")
    assert prior is not None
    np.testing.assert_allclose(prior.weights[:-1], WEIGHTS[:-1], atol=0.15)
    assert prior.sd == pytest.approx(sd, rel=0.15)


def test_genes_of_few_molecules_count_little() -> None:
    rng = np.random.default_rng(4)
    features = features_of(2000, rng)
    s, u, _ = counts_of(features, 0.5, rng)
    prior = GenePrior.fit(s, u, features, "mouse")
    # As many genes again with one spliced molecule each, which says next to nothing.
    more = np.concatenate([features, features_of(2000, rng)])
    with_rare = GenePrior.fit(
        np.concatenate([s, np.ones(2000)]), np.concatenate([u, np.zeros(2000)]), more, "mouse"
    )
    assert prior is not None
    assert with_rare is not None
    np.testing.assert_allclose(with_rare.weights[1:6], prior.weights[1:6], atol=0.35)


def test_few_genes_or_none_with_features_give_no_prior() -> None:
    rng = np.random.default_rng(5)
    features = features_of(MIN_GENES + 50, rng)
    s, u, _ = counts_of(features, 0.5, rng)
    features[: 51 + int((s + u == 0).sum())] = np.nan
    assert GenePrior.fit(s, u, features, "mouse") is None


def test_a_gene_keeps_half_of_its_deviation_in_another_tissue() -> None:
    prior = GenePrior(tuple(WEIGHTS), 1.0, 500, "mouse")
    features = features_of(5, np.random.default_rng(6))
    expected = prior.mean(features)
    np.testing.assert_allclose(
        prior.moved(expected + 2, features), expected + 2 * KEPT_IN_TISSUE, atol=1e-12
    )
    # In another species the features of the ortholog decide, where both genes have some.
    other = features_of(5, np.random.default_rng(7))
    other[0] = np.nan
    moved = prior.moved(expected, features, other)
    assert moved[0] == pytest.approx(expected[0])
    np.testing.assert_allclose(moved[1:], prior.mean(other)[1:])


def test_json_keeps_a_prior_and_refuses_a_damaged_one() -> None:
    prior = GenePrior(tuple(map(float, WEIGHTS)), 1.0, 500, "mouse")
    assert GenePrior.from_json(prior.to_json()) == prior
    assert GenePrior.from_json(None) is None
    for damage in ({"sd": 0.0}, {"sd": float("nan")}, {"weights": [1.0]}):
        with pytest.raises(ValueError, match="finite weight"):
            GenePrior.from_json({**prior.to_json(), **damage})


@given(
    hnp.arrays(float, 12, elements=st.floats(-8, 8)),
    hnp.arrays(float, 12, elements=st.floats(-8, 8)),
    hnp.arrays(float, 12, elements=st.integers(0, 1000).map(float)),
)
def test_shifted_logits_expect_as_many_spliced_molecules(
    logits: np.ndarray, others: np.ndarray, molecules: np.ndarray
) -> None:
    shifted = level_with(logits, others, molecules)
    np.testing.assert_allclose(np.diff(shifted - logits), 0, atol=1e-9)
    assert molecules @ expit(shifted) == pytest.approx(
        molecules @ expit(others), rel=1e-6, abs=1e-6
    )


def test_the_penalty_draws_intercepts_towards_the_prior() -> None:
    head = RatioHead(3, 4)
    plain = head.penalty().item()
    head.set_prior(torch.tensor([1.0, 1.0, 1.0, 1.0]), 0.5)
    head.set_intercept(torch.tensor([0.0, 9, 900, 90]), torch.tensor([0.0, 1, 100, 910]))
    # A gene without counts starts at its expectation, one with many at its own log-odds.
    assert head.intercept[0].item() == pytest.approx(1.0, abs=1e-5)
    assert head.intercept[2].item() == pytest.approx(np.log(9), abs=0.1)
    expected = 0.5 * 4 * float((head.intercept.detach() - 1).square().sum())
    assert head.penalty().item() - plain == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def named() -> tuple[AnnData, AnnData]:
    """Cells with mouse genes whose ratios follow their features, and the genes left out."""
    rng = np.random.default_rng(8)
    table = pd.read_csv(TABLE, keep_default_na=False)
    names = table.loc[table["species"] == "mouse", "symbol"].drop_duplicates(keep=False)
    names = pd.Index(names[names != ""].to_numpy()[::60][:300])
    features = gene_features(GeneIdentity.of_names(names), "mouse")
    design = np.column_stack([np.ones(len(names)), np.nan_to_num(features), np.zeros(len(names))])
    ratio = expit(design @ WEIGHTS + rng.normal(0, 0.3, len(names)))
    totals = rng.poisson(rng.gamma(1.0, 2.0, len(names)), (120, len(names)))
    spliced = rng.binomial(totals, ratio)
    cells = AnnData(
        csr_matrix(totals, dtype=np.float32),
        var=pd.DataFrame({"ratio": ratio}, index=names),
        layers={
            "spliced": csr_matrix(spliced, dtype=np.float32),
            "unspliced": csr_matrix(totals - spliced, dtype=np.float32),
        },
    )
    return cells[:, :200].copy(), cells[:, 200:].copy()


@pytest.fixture(scope="module")
def model(named) -> SplicedVAE:
    scvi.settings.seed = 0
    train = named[0].copy()
    SplicedVAE.setup_anndata(train)
    model = SplicedVAE(train, n_hidden=16, n_latent=3, n_components=3)
    model.train(max_epochs=3, enable_progress_bar=False)
    return model


def test_a_model_of_numbered_genes_has_no_prior(trained) -> None:
    assert trained.gene_prior is None
    assert not trained.module.ratio_head.has_prior
    assert set(trained.get_gene_ratio()["source"]) == {"counts"}


def test_a_model_speaks_of_genes_that_it_never_saw(model, named, tmp_path: Path) -> None:
    seen, left_out = named
    assert model.gene_prior is not None
    assert model.gene_prior.species == "mouse"
    table = model.get_gene_ratio(left_out)
    assert set(table["source"]) == {"features"}
    # Three tenths of a logit of scatter leave a clear correlation.
    assert np.corrcoef(table["ratio"], left_out.var["ratio"])[0, 1] > 0.8
    assert table["logit_sd"].nunique() == 1
    own = model.get_gene_ratio(seen.var)
    assert set(own["source"]) == {"counts"}
    assert own["logit_sd"].isna().all()
    strange = model.get_gene_ratio(pd.DataFrame(index=["NoSuchGene", seen.var_names[0]]))
    assert list(strange["source"]) == ["none", "counts"]
    assert np.isnan(strange["ratio"].iloc[0])
    # The same from a folder.
    model.to_folder(tmp_path / "model")
    read = SplicedVAE.from_folder(tmp_path / "model")
    assert read.gene_prior == model.gene_prior
    pd.testing.assert_frame_equal(read.get_gene_ratio(left_out), table)


def test_adapting_sets_genes_to_what_their_kind_has_and_keeps_the_share_of_all(
    model, named
) -> None:
    rng = np.random.default_rng(9)
    totals = csr_matrix(rng.poisson(1.5, named[0].shape), dtype=np.float32)
    query = AnnData(totals, var=named[0].var[[]])
    found = model.get_adaptation(query, novelty=1.0)
    # Of the differences nothing is left, so the offsets are the genes' logits.
    head = model.module.ratio_head
    counted = head.log_odds.numpy().astype(float)
    features = gene_features(model.gene_identity, "mouse")
    molecules = np.asarray(totals.sum(axis=0)).ravel()
    wanted = level_with(model.gene_prior.moved(counted, features), counted, molecules)
    np.testing.assert_allclose(found.offset, wanted, atol=1e-4)
    told = model.adaptation_for(query, True).told
    assert "what a gene of its kind is expected to have in another tissue" in told
    of_human = model.adaptation_for(query, True, orthologs=Orthologs(data="human", model="mouse"))
    assert "in another species" in of_human.told
    assert not np.allclose(of_human.offset, model.adaptation_for(query, True).offset, atol=1e-3)
