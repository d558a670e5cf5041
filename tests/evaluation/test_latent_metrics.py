"""Latent spaces whose clusters, batches and times are known, and labels that allow no number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import silhouette_samples, silhouette_score

from splicedvae._core.errors import DataError
from splicedvae.evaluation import _latent, latent_metrics

NAMES = ["silhouette_clusters", "nmi_kmeans", "ari_kmeans", "silhouette_batches", "time_r2"]


@pytest.fixture(scope="module")
def cells() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Three clusters apart, two batches mixed, and a time along the second dimension."""
    rng = np.random.default_rng(0)
    clusters = np.array(list("abc"))[rng.integers(0, 3, 240)]
    latent = rng.normal(size=(240, 4))
    latent[:, 0] += 12 * (clusters == "b") + 24 * (clusters == "c")
    latent[:, 1] *= 3
    return latent, clusters, rng.integers(0, 2, 240), latent[:, 1] + rng.normal(0, 0.3, 240)


def found(*args: object, **kwargs: object) -> pd.DataFrame:
    return latent_metrics(*args, **kwargs).set_index("metric")  # type: ignore[arg-type]


def test_what_is_known_is_found(cells: tuple[np.ndarray, ...]) -> None:
    latent, clusters, batches, time = cells
    table = found(latent, clusters=clusters, batches=batches, time=time)
    assert table.index.tolist() == NAMES
    assert (table["n"] == 240).all()
    assert table.loc["nmi_kmeans", "value"] == pytest.approx(1)
    assert table.loc["ari_kmeans", "value"] == pytest.approx(1)
    assert table.loc["silhouette_clusters", "value"] > 0.75
    assert table.loc["silhouette_batches", "value"] > 0.8
    assert table.loc["time_r2", "value"] > 0.7
    noise = np.random.default_rng(1).normal(size=latent.shape)
    chance = found(noise, clusters=clusters, batches=batches, time=time)["value"]
    assert chance["silhouette_clusters"] == pytest.approx(0.5, abs=0.03)
    assert abs(chance["ari_kmeans"]) < 0.05
    assert chance["time_r2"] < 0.05
    shifted = latent.copy()
    shifted[:, 2] += 12 * batches
    apart = found(shifted, clusters=clusters, batches=batches)["value"]
    assert apart["silhouette_batches"] < 0.5


def test_silhouettes_are_those_of_scib(cells: tuple[np.ndarray, ...]) -> None:
    latent, clusters, batches, _ = cells
    table = found(latent, clusters=clusters, batches=batches)["value"]
    width = silhouette_score(latent, clusters)
    assert table["silhouette_clusters"] == pytest.approx((width + 1) / 2)
    means = []
    for name in "abc":
        inside = clusters == name
        means.append((1 - np.abs(silhouette_samples(latent[inside], batches[inside]))).mean())
    assert table["silhouette_batches"] == pytest.approx(np.mean(means))
    alone = found(latent, batches=batches)
    expected = (1 - np.abs(silhouette_samples(latent, batches))).mean()
    assert alone.loc["silhouette_batches", "value"] == pytest.approx(expected)
    assert "no clusters" in alone.loc["silhouette_batches", "note"]


def test_only_what_is_given_is_judged(cells: tuple[np.ndarray, ...]) -> None:
    latent, clusters, _, time = cells
    assert latent_metrics(latent).empty
    assert latent_metrics(latent).columns.tolist() == ["metric", "value", "n", "note"]
    assert latent_metrics(latent, time=time)["metric"].tolist() == ["time_r2"]
    labels = pd.Categorical(clusters)
    pd.testing.assert_frame_equal(
        latent_metrics(latent, clusters=labels), latent_metrics(latent, clusters=clusters)
    )


def test_cells_without_a_label_and_clusters_of_one_are_left_out(
    cells: tuple[np.ndarray, ...],
) -> None:
    latent, clusters, _, time = cells
    labels = clusters.astype(object)
    labels[:10] = None
    known = found(latent[10:], clusters=clusters[10:])["value"]
    pd.testing.assert_series_equal(found(latent, clusters=labels)["value"], known)
    labels[0] = "alone"
    table = found(latent, clusters=labels)
    assert table.loc["silhouette_clusters", "value"] == pytest.approx(known.iloc[0])
    assert "1 cells alone in their cluster left out" in table.loc["silhouette_clusters", "note"]
    times = np.where(np.arange(240) < 10, np.nan, time)
    assert found(latent, time=times).loc["time_r2", "n"] == 230


@pytest.mark.parametrize("labels", [["a"] * 40, [None] * 40, ["a"] * 39 + ["b"]])
def test_labels_that_allow_no_number_say_so(labels: list[str | None]) -> None:
    latent = np.random.default_rng(0).normal(size=(40, 3))
    table = found(latent, clusters=labels, batches=labels, time=np.ones(40))
    assert np.isnan(table.loc["silhouette_clusters", "value"])
    assert np.isnan(table.loc["silhouette_batches", "value"])
    assert np.isnan(table.loc["time_r2", "value"])
    assert (table.loc[table["value"].isna(), "note"] != "").all()


def test_equal_states_have_no_k_means() -> None:
    table = found(np.zeros((30, 2)), clusters=list("ab") * 15)
    assert np.isnan(table.loc["nmi_kmeans", "value"])
    assert "fewer latent states" in table.loc["nmi_kmeans", "note"]


def test_silhouettes_of_many_cells_are_of_a_draw(
    cells: tuple[np.ndarray, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    latent, clusters, batches, _ = cells
    whole = found(latent, clusters=clusters, batches=batches)
    monkeypatch.setattr(_latent, "_SILHOUETTE_CELLS", 60)
    drawn = found(latent, clusters=clusters, batches=batches)
    assert drawn.loc["silhouette_clusters", "n"] == 60
    assert "drawn at random" in drawn.loc["silhouette_clusters", "note"]
    assert "drawn at random" in drawn.loc["silhouette_batches", "note"]
    np.testing.assert_allclose(drawn["value"], whole["value"], atol=0.1)


@settings(max_examples=50)
@given(
    n=st.integers(1, 40),
    n_clusters=st.integers(1, 6),
    n_batches=st.integers(1, 4),
    spread=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 1000),
)
def test_few_cells_give_numbers_in_range_or_none(
    n: int, n_clusters: int, n_batches: int, spread: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    names = np.array([None, "b", "c", "d", "e", "f"], dtype=object)
    table = found(
        np.round(spread * rng.normal(size=(n, 2)), 1),
        clusters=names[rng.integers(0, n_clusters, n)],
        batches=names[rng.integers(0, n_batches, n)],
        time=rng.integers(0, 3, n),
        seed=seed,
    )
    assert table.index.tolist() == NAMES
    value = table["value"]
    assert value.drop("ari_kmeans").dropna().le(1 + 1e-9).all()
    assert value[["silhouette_clusters", "nmi_kmeans", "silhouette_batches"]].dropna().ge(0).all()
    assert (table.loc[value.isna(), "note"] != "").all()


def test_what_does_not_fit_is_refused() -> None:
    latent = np.zeros((5, 2))
    with pytest.raises(DataError, match="4 cluster labels came with 5 cells"):
        latent_metrics(latent, clusters=list("abab"))
    with pytest.raises(DataError, match="6 batch labels came with 5 cells"):
        latent_metrics(latent, batches=list("ababab"))
    with pytest.raises(DataError, match="The times have shape"):
        latent_metrics(latent, time=np.zeros(4))
    with pytest.raises(DataError, match="finite numbers"):
        latent_metrics(np.full((5, 2), np.nan))
    with pytest.raises(DataError, match="finite numbers"):
        latent_metrics(np.zeros(5))
