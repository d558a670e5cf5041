"""Direction, coherence and order of a velocity against loops, and on fields that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.neighbors import kneighbors_graph

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Obs, Obsm, Obsp, Var
from splicedvae.evaluation import (
    _consistency,
    cross_boundary_direction,
    in_cluster_coherence,
    time_order,
    velocity_metrics,
)

KEY = Obs.CLUSTERS


def field(
    points: np.ndarray, velocity: np.ndarray, clusters: list[object], n_neighbors: int = 6
) -> AnnData:
    """Cells that have the same places and velocities on the map and over their first genes."""
    n_cells, n_genes = len(points), points.shape[1]
    result = AnnData(np.zeros((n_cells, n_genes + 1), dtype=np.float32))
    extra = np.full((n_cells, 1), np.nan)
    result.layers[Layers.MS] = np.hstack([points, 1e3 * np.arange(n_cells)[:, None]])
    result.layers[Layers.VELOCITY] = np.hstack([velocity, extra])
    result.var[Var.VELOCITY_GENES] = [True] * n_genes + [False]
    result.obsm[Obsm.UMAP] = points
    result.obsm[Obsm.VELOCITY_UMAP] = velocity
    result.obs[KEY] = pd.Categorical(clusters)
    result.obs[Obs.CONFIDENCE] = 0.5
    graph = kneighbors_graph(points, n_neighbors, mode="distance")
    result.obsp[Obsp.DISTANCES] = csr_matrix(graph)
    return result


def line(seed: int = 0, n_cells: int = 300) -> tuple[AnnData, np.ndarray]:
    """Cells that move along a line through clusters a, b and c."""
    rng = np.random.default_rng(seed)
    time = rng.uniform(0, 3, n_cells)
    points = np.column_stack([time * 10, rng.normal(size=n_cells)])
    velocity = np.column_stack([np.ones(n_cells), np.zeros(n_cells)])
    return field(points, velocity, ["abc"[int(t)] for t in time], 12), time


def random_field(seed: int, n_cells: int = 24) -> AnnData:
    rng = np.random.default_rng(seed)
    velocity = rng.normal(size=(n_cells, 2))
    velocity[rng.random(n_cells) < 0.2] = 0
    labels = rng.choice(np.array(["a", "b", None], dtype=object), n_cells, p=[0.5, 0.4, 0.1])
    return field(rng.normal(size=(n_cells, 2)), velocity, list(labels))


def neighbours(adata: AnnData, cell: int) -> np.ndarray:
    graph = csr_matrix(adata.obsp[Obsp.DISTANCES])
    return graph.indices[graph.indptr[cell] : graph.indptr[cell + 1]]


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    size = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / size) if size else float("nan")


# --- Known transitions ---------------------------------------------------------------------------


def test_cells_that_move_along_a_line_cross_its_borders_forwards() -> None:
    adata, _ = line()
    table = cross_boundary_direction(
        adata, [("a", "b"), ("b", "c"), ("b", "a"), ("a", "c"), ("a", "x")], cluster_key=KEY
    )
    assert (table["value"][:2] > 0.7).all()
    assert table["value"][2] < -0.7
    assert (table["null"][:2] < table["value"][:2] - 0.1).all()
    assert (table["null_sd"][:3] > 0).all()
    assert table["n_cells"].tolist()[3:] == [0, 0]
    assert table[["value", "null", "null_sd"]][3:].isna().all(axis=None)
    pd.testing.assert_frame_equal(
        table.iloc[[1]].reset_index(drop=True),
        cross_boundary_direction(adata, [("b", "c")], cluster_key=KEY),
    )


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000))
def test_direction_agrees_with_a_loop(seed: int) -> None:
    adata = random_field(seed)
    labels = adata.obs[KEY].to_numpy(dtype=object)
    points, velocity = adata.obsm[Obsm.UMAP], adata.obsm[Obsm.VELOCITY_UMAP]
    found = []
    for cell in np.flatnonzero(labels == "a"):
        there = [j for j in neighbours(adata, cell) if labels[j] == "b"]
        if there and velocity[cell].any():
            found.append(np.mean([cosine(points[j] - points[cell], velocity[cell]) for j in there]))
    table = cross_boundary_direction(adata, [("a", "b")], cluster_key=KEY, seed=seed)
    assert table["n_cells"][0] == len(found)
    expected = np.mean(found) if found else np.nan
    np.testing.assert_allclose(table["value"][0], expected, atol=1e-12)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_the_null_is_the_mean_over_all_neighbours(seed: int) -> None:
    adata = random_field(seed)
    labels = adata.obs[KEY].to_numpy(dtype=object)
    points, velocity = adata.obsm[Obsm.UMAP], adata.obsm[Obsm.VELOCITY_UMAP]
    found = []
    for cell in np.flatnonzero(labels == "a"):
        near = neighbours(adata, cell)
        if velocity[cell].any() and any(labels[j] == "b" for j in near):
            found.append(np.mean([cosine(points[j] - points[cell], velocity[cell]) for j in near]))
    table = cross_boundary_direction(adata, [("a", "b")], cluster_key=KEY, n_null=400, seed=seed)
    if found:
        sd = float(table["null_sd"][0])
        assert table["null"][0] == pytest.approx(np.mean(found), abs=6 * sd / 20 + 1e-9)
    else:
        assert np.isnan(table["null"][0])


def test_where_all_neighbours_are_in_the_target_null_and_value_are_the_same() -> None:
    rng = np.random.default_rng(0)
    points = np.vstack([np.zeros((1, 2)), rng.normal(size=(7, 2))])
    adata = field(points, rng.normal(size=(8, 2)), ["a", *"bbbbbbb"])
    table = cross_boundary_direction(adata, [("a", "b")], cluster_key=KEY, n_null=3)
    assert table["null"][0] == pytest.approx(table["value"][0])
    assert table["null_sd"][0] == pytest.approx(0)


# --- Coherence -----------------------------------------------------------------------------------


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), basis=st.sampled_from([None, "umap"]))
def test_coherence_agrees_with_a_loop(seed: int, basis: str | None) -> None:
    adata = random_field(seed)
    labels = adata.obs[KEY].to_numpy(dtype=object)
    velocity = adata.obsm[Obsm.VELOCITY_UMAP]
    by_cluster: dict[str, list[float]] = {"a": [], "b": []}
    for cell in range(adata.n_obs):
        same = [j for j in neighbours(adata, cell) if labels[j] == labels[cell]]
        found = [cosine(velocity[cell], velocity[j]) for j in same]
        found = [value for value in found if np.isfinite(value)]
        if found and labels[cell] is not None:
            by_cluster[labels[cell]].append(float(np.mean(found)))
    table = in_cluster_coherence(adata, cluster_key=KEY, basis=basis)
    assert table.index.tolist() == sorted(set(labels) - {None, np.nan} & set("ab"))
    for name, value in table.items():
        found = by_cluster[str(name)]
        np.testing.assert_allclose(value, np.mean(found) if found else np.nan, atol=1e-6)


def test_one_direction_is_coherent_and_noise_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    adata, _ = line()
    table = in_cluster_coherence(adata, cluster_key=KEY)
    np.testing.assert_allclose(table, 1)
    adata.layers[Layers.VELOCITY][:, :2] = np.random.default_rng(0).normal(size=(300, 2))
    noise = in_cluster_coherence(adata, cluster_key=KEY)
    assert (noise.abs() < 0.2).all()
    monkeypatch.setattr(_consistency, "_BLOCK_NUMBERS", 100)
    pd.testing.assert_series_equal(in_cluster_coherence(adata, cluster_key=KEY), noise)


# --- Time ----------------------------------------------------------------------------------------


def test_the_order_is_told_right_turned_round_or_by_chance() -> None:
    adata, time = line()
    for basis in (None, "umap"):
        assert time_order(adata, time, basis=basis) == 1
        assert time_order(adata, -time, basis=basis) == 0
        shuffled = np.random.default_rng(0).permutation(time)
        assert time_order(adata, shuffled, basis=basis) == pytest.approx(0.5, abs=0.1)
    adata.obs[Obs.TRUE_TIME] = time
    assert time_order(adata, Obs.TRUE_TIME) == 1
    assert np.isnan(time_order(adata, np.zeros(300)))
    assert np.isnan(time_order(adata, np.full(300, np.nan)))


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), levels=st.integers(1, 5))
def test_order_agrees_with_a_loop(seed: int, levels: int) -> None:
    adata = random_field(seed)
    time = np.random.default_rng(seed).integers(0, levels, adata.n_obs).astype(float)
    time[0] = np.nan
    points, velocity = adata.obsm[Obsm.UMAP], adata.obsm[Obsm.VELOCITY_UMAP]
    right = [
        (velocity[i] @ (points[j] - points[i]) > 0) == (time[j] > time[i])
        for i in range(adata.n_obs)
        for j in neighbours(adata, i)
        if velocity[i].any() and np.isfinite(time[i] + time[j]) and time[i] != time[j]
    ]
    expected = np.mean(right) if right else np.nan
    np.testing.assert_allclose(time_order(adata, time), expected)
    np.testing.assert_allclose(time_order(adata, time, basis="umap"), expected)


# --- In the table, and refusals ------------------------------------------------------------------


def test_the_table_has_what_is_known_of_the_cells() -> None:
    adata, time = line()
    plain = velocity_metrics(adata, adata, predictor="x")
    assert len(plain) == 5
    table = velocity_metrics(
        adata,
        adata,
        predictor="x",
        cluster_key=KEY,
        transitions=[("a", "b"), ("b", "c"), ("a", "c")],
        time=time,
    )
    pd.testing.assert_frame_equal(table[:5], plain)
    rows = table.set_index("metric")
    assert rows.index[5:].tolist() == [
        "cbdir",
        "cbdir_null",
        "coherence_umap",
        "coherence_genes",
        "time_order",
    ]
    apart = cross_boundary_direction(adata, [("a", "b"), ("b", "c")], cluster_key=KEY)
    assert rows.loc["cbdir", "value"] == pytest.approx(apart["value"].mean())
    assert rows.loc["cbdir_null", "value"] == pytest.approx(apart["null"].mean())
    assert rows.loc["cbdir", "n"] == apart["n_cells"].sum()
    assert "2 of 3 transitions" in rows.loc["cbdir", "note"]
    for name in ("coherence_umap", "coherence_genes"):
        assert rows.loc[name, "value"] == pytest.approx(1)
        assert rows.loc[name, "note"] == "smoothness, not correctness"
    assert rows.loc["time_order", "value"] == 1
    assert (table["predictor"] == "x").all()


def test_no_transition_with_cells_is_a_missing_number() -> None:
    adata, _ = line()
    table = velocity_metrics(
        adata, adata, predictor="x", cluster_key=KEY, transitions=[("a", "c")]
    ).set_index("metric")
    assert np.isnan(table.loc["cbdir", "value"])
    assert table.loc["cbdir", "n"] == 0
    assert "0 of 1 transitions" in table.loc["cbdir", "note"]


def test_what_is_not_there_is_said() -> None:
    adata, time = line()
    with pytest.raises(DataError, match="no obs column 'kind'"):
        cross_boundary_direction(adata, [("a", "b")], cluster_key="kind")
    with pytest.raises(DataError, match="no obs column 'kind'"):
        in_cluster_coherence(adata, cluster_key="kind")
    with pytest.raises(DataError, match="no obsm entry 'X_tsne'"):
        time_order(adata, time, basis="tsne")
    with pytest.raises(DataError, match=r"shape \(299,\)"):
        time_order(adata, time[1:])
    with pytest.raises(DataError, match="no obs column 'when'"):
        time_order(adata, "when")
    del adata.layers[Layers.MS]
    with pytest.raises(DataError, match="no layer 'Ms'"):
        time_order(adata, time)
    del adata.obsp[Obsp.DISTANCES]
    with pytest.raises(DataError, match="no neighbour graph"):
        time_order(adata, time)
