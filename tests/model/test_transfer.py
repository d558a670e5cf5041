"""Cells of another kind: found by their totals, and brought back to what is known of the genes."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix

from splicedvae import datasets
from splicedvae._core.errors import DataError
from splicedvae._core.novelty import NOVEL
from splicedvae.evaluation import ratio_metrics


def totals_only(adata: AnnData) -> AnnData:
    return AnnData(adata.X.copy(), obs=adata.obs[[]].copy(), var=adata.var[[]].copy())


@pytest.fixture(scope="module")
def strange(simulated) -> AnnData:
    """Another tissue: genes of the same names with expression and programs of their own."""
    other = datasets.simulate(200, 80, mean_depth=400, seed=11)
    return other[:, simulated[0].var_names].copy()


def test_held_out_cells_and_any_cluster_of_them_are_no_news(trained, simulated):
    test = simulated[1]
    assert trained.get_novelty(totals_only(test)) < 0.1
    for name in test.obs["clusters"].unique():
        part = test[test.obs["clusters"] == name].copy()
        assert trained.get_novelty(totals_only(part)) < 0.15


def test_cells_of_another_kind_are(trained, strange):
    assert trained.get_novelty(totals_only(strange)) > NOVEL


def test_a_missing_gene_is_no_news(trained, simulated):
    fewer = totals_only(simulated[1])[:, 5:].copy()
    with pytest.warns(UserWarning, match="missing ones were taken as zero"):
        assert trained.get_novelty(fewer) < 0.2


def test_after_adapting_each_gene_has_its_mean_of_training(trained, strange):
    query = totals_only(strange)
    adaptation = trained.get_adaptation(query)
    ratio = trained.get_counted_splicing_ratio(query, adaptation=adaptation)
    totals = csr_matrix(strange.X)
    logits = csr_matrix(
        (totals.data * np.log(ratio.data / (1 - ratio.data)), ratio.indices, ratio.indptr),
        shape=ratio.shape,
    )
    molecules = np.asarray(totals.sum(axis=0)).ravel()
    mean = np.asarray(logits.sum(axis=0)).ravel() / np.maximum(molecules, 1)
    expected = trained.module.ratio_head.log_odds.numpy()
    np.testing.assert_allclose(mean[molecules > 0], expected[molecules > 0], atol=2e-3)


def test_adapting_reaches_every_way_to_ask(trained, strange):
    query = totals_only(strange)
    adaptation = trained.get_adaptation(query)
    frame = trained.get_splicing_ratio(query, adaptation=adaptation)
    plain = trained.get_splicing_ratio(query)
    np.testing.assert_allclose(
        np.log(frame / (1 - frame)),
        adaptation.amplitude * np.log(plain / (1 - plain)) + adaptation.offset.to_numpy(),
        atol=2e-3,
    )
    at = trained.get_counted_splicing_ratio(query, adaptation=adaptation)
    np.testing.assert_allclose(at.data, frame.to_numpy()[at.nonzero()], rtol=1e-4)
    plain_interval = trained.get_splicing_ratio(query, n_samples=40)
    interval = trained.get_splicing_ratio(query, n_samples=40, adaptation=adaptation)
    inside = (interval.lower <= frame) & (frame <= interval.upper)
    assert inside.to_numpy().mean() > 0.9

    def width(interval) -> float:
        """Of an interval in logits."""
        lower, upper = (np.log(x / (1 - x)) for x in (interval.lower, interval.upper))
        return float((upper - lower).to_numpy().mean())

    # Nothing makes the model surer of cells it knows less of.
    assert width(interval) == pytest.approx(width(plain_interval), rel=0.1)
    drawn = next(iter(trained.sample_splicing_ratio(query, 1, adaptation=adaptation)))
    bare = next(iter(trained.sample_splicing_ratio(query, 1)))
    moved = np.log(frame / (1 - frame)) - np.log(plain / (1 - plain))
    np.testing.assert_allclose(
        np.log(drawn.data / (1 - drawn.data)) - np.log(bare.data / (1 - bare.data)),
        moved.to_numpy()[drawn.nonzero()],
        atol=5e-3,
    )


@pytest.mark.parametrize("novelty", [-0.1, 1.5, float("nan")])
def test_a_novelty_out_of_range_is_refused(trained, strange, novelty):
    with pytest.raises(DataError, match="from 0 to 1"):
        trained.get_adaptation(totals_only(strange), novelty=novelty)


def test_the_share_kept_falls_with_novelty_and_with_the_experts_disagreement(trained, simulated):
    query = totals_only(simulated[1])
    known = trained.get_adaptation(query, novelty=0.0)
    half = trained.get_adaptation(query, novelty=0.5)
    assert half.amplitude == pytest.approx(known.amplitude / 2)
    assert trained.get_adaptation(query, novelty=1.0).amplitude == 0
    # Among cells as those of training, two experts that largely agree keep most of it.
    assert 0.4 < known.amplitude * float(trained.module.amplitude) <= 1
    rng = np.random.default_rng(0)
    noise = query.copy()
    # Genes dealt anew in each cell: states that no training cell was near to.
    dense = noise.X.toarray()
    noise.X = csr_matrix(rng.permuted(dense, axis=1))
    assert trained.get_adaptation(noise, novelty=0.0).amplitude < known.amplitude


def test_adapting_to_nothing_known_leaves_the_gene_means(trained, strange):
    query = totals_only(strange)
    none = trained.get_adaptation(query, novelty=1.0)
    ratio = trained.get_splicing_ratio(query, adaptation=none).to_numpy()
    expected = 1 / (1 + np.exp(-trained.module.ratio_head.log_odds.numpy()))
    np.testing.assert_allclose(ratio, np.tile(expected, (len(ratio), 1)), rtol=1e-5)


def test_adapting_bounds_what_strange_cells_can_lose(trained, simulated):
    """Kinetics are drawn anew for each tissue, so that nothing of the differences is true."""
    train = simulated[0]
    s, u = (np.asarray(train.layers[name].sum(axis=0)).ravel() for name in ("spliced", "unspliced"))
    mean = (s + 1) / (s + u + 2)
    plain, adapted = [], []
    for seed in range(11, 16):
        other = datasets.simulate(150, 80, mean_depth=400, seed=seed)[:, train.var_names].copy()
        query = totals_only(other)
        adaptation = trained.get_adaptation(query)
        skill = (
            ratio_metrics(
                csr_matrix(other.layers["spliced"]),
                csr_matrix(other.layers["unspliced"]),
                {
                    "plain": trained.get_splicing_ratio(query).to_numpy(),
                    "adapted": trained.get_splicing_ratio(query, adaptation=adaptation).to_numpy(),
                },
                gene_mean=mean,
            )
            .query("metric == 'skill'")
            .set_index("predictor")["value"]
        )
        plain.append(skill["plain"])
        adapted.append(skill["adapted"])
    assert min(adapted) > min(plain)
    assert min(adapted) > -0.01


def test_reconstruction_tells_of_strange_cells_and_can_be_told(trained, simulated, strange):
    with pytest.warns(UserWarning, match=r"of another kind .* should not be trusted"):
        found = trained.reconstruct(totals_only(strange))
    account = found.uns["splicedvae"]["predicted"]
    assert "brought back" in account["intercepts"]
    plain = trained.reconstruct(totals_only(strange), adapt=False)
    assert plain.uns["splicedvae"]["predicted"]["intercepts"] == ""
    assert not np.allclose(plain.layers["spliced"].data, found.layers["spliced"].data)
    usual = trained.reconstruct(totals_only(simulated[1]))
    assert usual.uns["splicedvae"]["predicted"]["intercepts"] == ""
    asked = trained.reconstruct(totals_only(simulated[1]), adapt=True)
    assert asked.uns["splicedvae"]["predicted"]["intercepts"].startswith("Each gene's mean")


def test_cells_without_counts_are_refused(trained, simulated):
    empty = totals_only(simulated[1])
    empty.X = csr_matrix(empty.X) * -1
    with pytest.raises(DataError, match="negative"):
        trained.get_novelty(empty)
