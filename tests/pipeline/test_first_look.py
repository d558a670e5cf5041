"""Cells of a file without any model: embedding, clusters, depth."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData

from splicedvae import views
from splicedvae._core.errors import DataError, VelocityError
from splicedvae.datasets import simulate
from splicedvae.pipeline import first_look


@pytest.fixture(scope="module")
def cells() -> AnnData:
    made = simulate(300, 80, seed=5)
    bare = AnnData(X=made.X.copy(), obs=made.obs[["clusters"]].copy(), var=made.var[[]].copy())
    bare.X[7] = 0
    bare.X.eliminate_zeros()
    return bare


def test_totals_alone_are_embedded_and_grouped(cells: AnnData) -> None:
    look = first_look(cells)
    assert look.rows.tolist() == [row for row in range(300) if row != 7]
    assert look.points.shape == (299, 2)
    assert np.isfinite(look.points).all()
    assert "computed here" in look.embedding
    assert "Leiden" in look.clustering
    assert 2 <= len(look.clusters.categories) <= 20
    np.testing.assert_array_equal(look.depth, np.asarray(cells.X[look.rows].sum(axis=1)).ravel())
    assert look.notes == ("Not drawn: 1 of 300 cells, without counts.",)
    # Groups are of states that are there: most of a group is of one kind.
    known = cells.obs["clusters"].to_numpy()[look.rows]
    purity = [
        max((known[look.clusters == group] == kind).mean() for kind in set(known))
        for group in look.clusters.categories
    ]
    assert np.mean(purity) > 0.6
    again = first_look(cells)
    np.testing.assert_array_equal(look.points, again.points)
    assert list(look.clusters) == list(again.clusters)


def test_what_the_file_has_is_used(cells: AnnData) -> None:
    own = cells.copy()
    own.obsm["X_tsne"] = np.random.default_rng(0).normal(size=(300, 2))
    look = first_look(own, "clusters")
    np.testing.assert_allclose(look.points, own.obsm["X_tsne"][look.rows], rtol=1e-6)
    assert look.embedding == "the file's t-SNE"
    assert look.clustering == "clusters"
    assert list(look.clusters) == list(own.obs["clusters"].astype(str).iloc[look.rows])
    # Without clusters the neighbors are found, and the embedding is still the file's.
    look = first_look(own)
    np.testing.assert_allclose(look.points, own.obsm["X_tsne"][look.rows], rtol=1e-6)


def test_many_cells_are_thinned_and_that_is_said(
    cells: AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splicedvae.pipeline._first_look.MOST_CELLS", 120)
    look = first_look(cells)
    assert look.rows.size == 120
    assert "120 of 299 cells, chosen at random" in look.notes[-1]


def test_what_cannot_be_seen_is_refused(cells: AnnData) -> None:
    with pytest.raises(DataError, match="no column 'kinds'"):
        first_look(cells, "kinds")
    with pytest.raises(VelocityError, match="has 12 cells"):
        first_look(cells[20:32].copy())


@pytest.mark.parametrize("color", [None, views.CELL_DEPTH, "Gene0003"])
def test_the_figure_has_every_drawn_cell(cells: AnnData, color: str | None) -> None:
    look = first_look(cells, "clusters")
    figure = views.first_look_figure(look, color, cells=cells)
    drawn = np.concatenate([trace.customdata for trace in figure.data])
    assert sorted(drawn) == list(range(299))
