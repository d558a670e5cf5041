"""Start, end, time and driver genes of a velocity on cells whose time is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.stats import spearmanr

from splicedvae import velocity as vl
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Obs, Uns, Var
from splicedvae.datasets import simulate
from splicedvae.velocity._scvelo import quiet_scvelo


@pytest.fixture(scope="module")
def moving() -> AnnData:
    cells = simulate(400, 80, topology="bifurcation", seed=7)
    late = cells.obs[Obs.TRUE_TIME] > cells.obs[Obs.TRUE_TIME].median()
    cells.obs[Obs.CLUSTERS] = pd.Categorical(np.where(late, "late", "early"))
    settings = vl.VelocitySettings(min_shared_counts=5, n_pcs=10, n_neighbors=20)
    return vl.compute_velocity(cells, settings=settings)


def test_the_global_seed_and_the_velocity_stay_as_they_were(moving: AnnData) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    columns = list(moving.obs)
    vl.velocity_time(moving)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert list(moving.obs) == columns


def test_a_graph_without_direction_has_no_root_and_says_so(moving: AnnData) -> None:
    still = moving.copy()
    for name in (Uns.VELOCITY_GRAPH, Uns.VELOCITY_GRAPH_NEG):
        graph = moving.uns[name].copy()
        graph.data[:] = 0
        graph.eliminate_zeros()
        still.uns[name] = graph
    table = vl.velocity_time(still)
    assert table[Obs.PSEUDOTIME].isna().all()
    assert table.attrs["notes"]
    assert all(note.endswith(".") for note in table.attrs["notes"])


@pytest.mark.parametrize("seed", [2, 3])
def test_a_walk_that_leaves_its_graph_still_has_a_start(seed: int) -> None:
    """Walking back, cells that none moves to lose what is there: scVelo's own finds no root."""
    cells = simulate(200, 60, topology="bifurcation", seed=seed)
    moving = vl.compute_velocity(cells, settings=vl.VelocitySettings(min_shared_counts=10))
    theirs = moving.copy()
    with quiet_scvelo() as scvelo:
        scvelo.tl.terminal_states(theirs)
    assert np.ptp(theirs.obs[Obs.ROOT_CELLS]) == 0
    table = vl.velocity_time(moving)
    (note,) = table.attrs["notes"]
    assert note.startswith("The root cells are those of a walk")
    true_time = cells.obs[Obs.TRUE_TIME].reindex(table.index)
    known = table[Obs.PSEUDOTIME].notna()
    assert known.mean() > 0.95
    assert spearmanr(table.loc[known, Obs.PSEUDOTIME], true_time[known]).statistic > 0.8
    # What scVelo does find stays as it is.
    np.testing.assert_allclose(table[Obs.END_POINTS], theirs.obs[Obs.END_POINTS], atol=1e-6)


def test_time_needs_a_graph(moving: AnnData) -> None:
    bare = AnnData(obs=moving.obs)
    with pytest.raises(DataError, match="no graph"):
        vl.velocity_time(bare)


def test_scores_are_those_of_scvelo(moving: AnnData) -> None:
    _, clusters = vl.driver_genes(moving, moving.obs[Obs.CLUSTERS])
    theirs = moving.copy()
    # Their filters of measured counts are not ours.
    del theirs.layers[Layers.UNSPLICED]
    theirs.var["spearmans_score"] = 1.0
    with quiet_scvelo() as scvelo:
        scvelo.tl.rank_velocity_genes(theirs, groupby=Obs.CLUSTERS, min_r2=-np.inf, n_genes=5)
    for group in ("early", "late"):
        ours = clusters[clusters["group"] == group].set_index("gene")["score"]
        found = theirs.uns["rank_velocity_genes"]
        for gene, score in zip(found["names"][group], found["scores"][group], strict=True):
            assert ours[gene] == pytest.approx(score, rel=0.02, abs=0.02)
        assert ours.abs().is_monotonic_decreasing


def test_shares_add_up_and_follow_the_larger_velocity(moving: AnnData) -> None:
    result = moving.copy()
    # Any time will do, to see that each gene is ranked against it.
    result.obs[Obs.PSEUDOTIME] = moving.obs[Obs.TRUE_TIME]
    genes, _ = vl.driver_genes(result)
    used = result.var[Var.VELOCITY_GENES]
    assert genes[Var.VELOCITY_SHARE].sum() == pytest.approx(1, abs=1e-4)
    assert (genes.loc[~used, Var.VELOCITY_SHARE] == 0).all()
    assert genes.loc[used, Var.TIME_CORRELATION].abs().max() > 0.5
    gene = genes.index[used][0]
    expected = spearmanr(
        result.obs[Obs.PSEUDOTIME], np.asarray(result[:, gene].layers[Layers.MS]).ravel()
    ).statistic
    assert genes.loc[gene, Var.TIME_CORRELATION] == pytest.approx(expected)
    louder = result.copy()
    louder.layers[Layers.VELOCITY] = louder.layers[Layers.VELOCITY].copy()
    louder.layers[Layers.VELOCITY][:, result.var_names.get_loc(gene)] *= 50
    assert vl.driver_genes(louder)[0][Var.VELOCITY_SHARE].idxmax() == gene


def test_clusters_keep_their_names_and_small_ones_are_told(moving: AnnData) -> None:
    hostile = "a/b, =1 <b>"
    groups = pd.Series(np.where(moving.obs[Obs.CLUSTERS] == "early", hostile, "late"), dtype=object)
    groups.iloc[:3] = "few"
    groups.iloc[3] = None
    _, clusters = vl.driver_genes(moving, groups, n_genes=4)
    assert set(clusters["group"]) == {hostile, "late"}
    assert (clusters.groupby("group").size() == 4).all()
    assert "1 of 3 clusters" in clusters.attrs["notes"][0]
    only = vl.driver_genes(moving, ["one"] * moving.n_obs)[1]
    assert len(only) == 0
    assert only.attrs["notes"]
    with pytest.raises(DataError, match="groups for"):
        vl.driver_genes(moving, ["one"])
