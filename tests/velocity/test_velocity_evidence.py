"""The permutation score: it finds kinetics, and holds its level where there are none."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from splicedvae import datasets
from splicedvae import velocity as vl
from splicedvae._core.errors import DataError, VelocityError
from splicedvae._core.permute import shuffle_within_genes, shuffles_within_genes

SETTINGS = vl.VelocitySettings(n_pcs=10, n_neighbors=20)


def drawn(ground: AnnData, seed: int, *, shift: np.ndarray | float = 0.0) -> AnnData:
    """Draw the molecules again with one ratio per gene, or log-odds shifted by cell and gene."""
    pair = [ground.layers[name].toarray() for name in ("spliced", "unspliced")]
    total = sum(pair).astype(int)
    odds = np.log((pair[0].sum(axis=0) + 1) / (pair[1].sum(axis=0) + 1)) + shift
    spliced = np.random.default_rng([seed, 1]).binomial(total, 1 / (1 + np.exp(-odds)))
    other = ground.copy()
    other.layers["spliced"] = sparse.csr_matrix(spliced.astype(np.float32))
    other.layers["unspliced"] = sparse.csr_matrix((total - spliced).astype(np.float32))
    return other


@pytest.fixture(scope="module")
def grounds() -> list[AnnData]:
    """Simulated cells, prepared; not to be changed by a test."""
    return [
        vl.prepare(datasets.simulate(160, 80, seed=seed), settings=SETTINGS) for seed in range(4)
    ]


def test_kinetics_are_more_than_any_permutation() -> None:
    for seed in range(3):
        ground = vl.prepare(datasets.simulate(300, 120, seed=seed), settings=SETTINGS)
        found = vl.velocity_evidence(ground, n_permutations=39, seed=seed)
        assert found.p_value == 1 / 40
        assert found.score > 0.1
        assert found.above_chance
        assert "more than by chance (p = 0.025, " in found.sentence
        assert "so they can support a velocity" in found.sentence
        assert list(found.genes) == ["gene", "score", "p_value", "q_value"]
        assert set(found.genes["gene"]) <= set(ground.var_names)
        assert found.score == pytest.approx(found.genes["score"].mean())
        assert (found.genes["q_value"] >= found.genes["p_value"]).all()
        assert found.n_permutations == 39


def test_the_level_is_held_where_each_gene_has_one_ratio(grounds: list[AnnData]) -> None:
    found = [
        vl.velocity_evidence(drawn(ground, seed), n_permutations=39, seed=seed)
        for ground in grounds
        for seed in range(5)
    ]
    p_values = np.array([evidence.p_value for evidence in found])
    assert (p_values <= 0.1).sum() <= 4
    assert (p_values <= 0.05).sum() <= 2
    assert 0.3 < p_values.mean() < 0.7
    assert abs(np.mean([evidence.score for evidence in found])) < 0.05
    genes = pd.concat([evidence.genes for evidence in found])["p_value"]
    for level in (0.05, 0.2, 0.5):
        assert (genes <= level).mean() == pytest.approx(level, abs=0.25 * level)
    assert sum(evidence.n_genes_above_chance for evidence in found) <= 3
    chance = next(evidence for evidence in found if not evidence.above_chance)
    assert "no more than by chance (p = 0." in chance.sentence
    assert chance.sentence.endswith("this data set supports no velocity, do not show one.")


def test_cells_that_differ_in_their_unspliced_share_carry_no_velocity(
    grounds: list[AnnData],
) -> None:
    shift = 0.5 * np.random.default_rng(0).normal(size=(grounds[0].n_obs, 1))
    for seed, ground in enumerate(grounds):
        found = vl.velocity_evidence(drawn(ground, seed, shift=shift), n_permutations=39)
        assert found.p_value > 0.2


def test_what_differs_between_groups_is_chance_if_they_are_named(grounds: list[AnnData]) -> None:
    named = []
    for seed, ground in enumerate(grounds):
        group = ground.obs["clusters"].cat.codes.to_numpy()
        rng = np.random.default_rng(seed)
        shift = rng.normal(0, 0.7, (group.max() + 1, ground.n_vars))[group]
        cells = drawn(ground, seed, shift=shift)
        assert vl.velocity_evidence(cells, n_permutations=39).p_value == 1 / 40
        found = vl.velocity_evidence(cells, n_permutations=39, groups=list(cells.obs["clusters"]))
        named.append(found.p_value)
    assert np.mean(named) > 0.25
    assert min(named) > 1 / 40


def test_a_seed_gives_one_result_and_nothing_is_changed(grounds: list[AnnData]) -> None:
    before = grounds[0].copy()
    first, again, other = (
        vl.velocity_evidence(grounds[0], n_permutations=19, seed=seed) for seed in (3, 3, 4)
    )
    pd.testing.assert_frame_equal(first.genes, again.genes)
    assert first.score == again.score != other.score
    assert list(grounds[0].obs) == list(before.obs)
    assert set(grounds[0].layers) == set(before.layers)
    assert (grounds[0].layers["spliced"] != before.layers["spliced"]).nnz == 0


def test_genes_with_few_shared_counts_are_not_tested(grounds: list[AnnData]) -> None:
    table = vl.velocity_evidence(grounds[0], n_permutations=19).genes
    fewer = vl.velocity_evidence(
        grounds[0], n_permutations=19, settings=vl.VelocitySettings(min_shared_counts=100)
    ).genes
    assert 5 <= len(fewer) < len(table)


def test_genes_whose_ratios_stay_in_place_are_not_tested(grounds: list[AnnData]) -> None:
    """Every count of the gene is one of a kind."""
    ground = grounds[0].copy()
    spliced, unspliced = (ground.layers[name].toarray() for name in ("spliced", "unspliced"))
    spliced[:, 0] = unspliced[:, 0] = 0
    spliced[:7, 0], unspliced[:7, 0] = np.arange(7) // 2, np.arange(1, 8) - np.arange(7) // 2
    spliced[7:12, 0], unspliced[7:12, 0] = [5, 7, 5, 13, 9], [4, 4, 9, 5, 13]
    ground.layers["spliced"] = sparse.csr_matrix(spliced)
    ground.layers["unspliced"] = sparse.csr_matrix(unspliced)
    before, after = (
        set(vl.velocity_evidence(cells, n_permutations=19).genes["gene"])
        for cells in (grounds[0], ground)
    )
    assert before - after == {ground.var_names[0]}
    with pytest.raises(VelocityError, match=r"0 of .* genes have ratios that can be permuted"):
        vl.velocity_evidence(ground, groups=list(range(ground.n_obs)))


def test_what_cannot_be_tested_is_refused(grounds: list[AnnData]) -> None:
    ground = grounds[0].copy()
    with pytest.raises(VelocityError, match="18 permutations were requested, expected at least 19"):
        vl.velocity_evidence(ground, n_permutations=18)
    with pytest.raises(DataError, match="3 group labels for 160 cells"):
        vl.velocity_evidence(ground, groups=["a", "b", "c"])
    with pytest.raises(DataError, match="no layer 'velvet'"):
        vl.velocity_evidence(ground, spliced_layer="velvet")
    with pytest.raises(DataError, match="not prepared"):
        vl.velocity_evidence(datasets.simulate(40, 10))
    total = ground.layers["spliced"] + ground.layers["unspliced"]
    ground.layers["p"], ground.layers["q"] = 0.7 * total, 0.3 * total
    with pytest.raises(VelocityError, match=r"'p' holds .* use velocity_uncertainty for predicted"):
        vl.velocity_evidence(ground, spliced_layer="p", unspliced_layer="q")
    ground.layers["p"], ground.layers["q"] = 2 * total, total
    with pytest.raises(VelocityError, match="do not vary within any gene"):
        vl.velocity_evidence(ground, spliced_layer="p", unspliced_layer="q")
    ground.layers["q"] = sparse.csr_matrix(ground.shape)
    with pytest.raises(VelocityError, match="'q' holds no counts"):
        vl.velocity_evidence(ground, spliced_layer="p", unspliced_layer="q")


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), n_groups=st.integers(1, 4), alike=st.booleans())
def test_a_shuffle_keeps_each_groups_ratios_of_each_gene(seed, n_groups, alike):
    rng = np.random.default_rng(seed)
    s, u = (rng.poisson(rng.gamma(0.7, 3, (40, 6))) for _ in range(2))
    groups = rng.integers(0, n_groups, 40)
    first, second = (
        layer.toarray()
        for layer in shuffle_within_genes(
            sparse.csr_matrix(s), sparse.csr_matrix(u), seed=seed, groups=list(groups), alike=alike
        )
    )
    total = s + u
    np.testing.assert_allclose(first + second, total)
    for gene in range(6):
        for group in range(n_groups):
            at = (groups == group) & (total[:, gene] > 0)
            depth = total[at, gene]
            before, after = s[at, gene] / depth, first[at, gene] / depth
            np.testing.assert_allclose(np.sort(after), np.sort(before), atol=1e-12)
            for n in range(1, 8):
                if alike:
                    here = depth == n
                    np.testing.assert_allclose(
                        np.sort(after[here]), np.sort(before[here]), atol=1e-12
                    )


def test_only_among_entries_alike_is_the_noise_that_of_counts() -> None:
    """A ratio of one molecule dealt to a cell with many is more noise than was measured."""
    rng = np.random.default_rng(0)
    total = rng.poisson(rng.gamma(0.5, 8, (4000, 3)))
    s = rng.binomial(total, 0.6)
    pair = (sparse.csr_matrix(s), sparse.csr_matrix(total - s))
    measured = np.square(s - 0.6 * total).sum()
    noise = {
        alike: np.mean(
            [
                np.square(first.toarray() - 0.6 * total).sum()
                for first, _ in shuffles_within_genes(*pair, seeds=range(5), alike=alike)
            ]
        )
        for alike in (False, True)
    }
    assert noise[True] == pytest.approx(measured, rel=0.03)
    assert noise[False] > 2 * measured


def test_many_shuffles_are_those_made_one_by_one() -> None:
    rng = np.random.default_rng(1)
    s, u = (sparse.csr_matrix(rng.poisson(1.0, (30, 8)).astype(float)) for _ in range(2))
    many = list(shuffles_within_genes(s, u, seeds=[4, 9], alike=True))
    for (first, second), seed in zip(many, (4, 9), strict=True):
        once = shuffle_within_genes(s, u, seed=seed, alike=True)
        assert (first != once[0]).nnz == (second != once[1]).nnz == 0
    assert (many[0][0] != many[1][0]).nnz > 0


@pytest.mark.real_data
def test_the_pancreas_carries_velocity_and_its_redrawn_counts_do_not(real_data: Path) -> None:
    ground = vl.prepare(ad.read_h5ad(real_data / "mouse_pancreas_e15.h5ad"))
    found = vl.velocity_evidence(ground, n_permutations=19)
    assert found.p_value == 1 / 20
    assert found.score > 0.1
    assert found.n_genes_above_chance > 10
    none = vl.velocity_evidence(drawn(ground, 0), n_permutations=19)
    assert not none.above_chance
    assert abs(none.score) < 0.05
    assert none.n_genes_above_chance == 0
