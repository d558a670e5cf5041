"""The file's own UMAP and t-SNE in a run."""

from __future__ import annotations

import numpy as np
import pytest

from splicedvae._core.keys import Obsm
from splicedvae.pipeline._of_file import embeddings

AT = np.random.default_rng(0).normal(size=(6, 3))
ALL = np.ones(6, dtype=bool)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("X_umap", Obsm.UMAP_FILE),
        ("X_UMAP", Obsm.UMAP_FILE),
        ("X_tSNE", Obsm.TSNE_FILE),
        ("X_tsne", Obsm.TSNE_FILE),
    ],
)
def test_an_embedding_is_found_however_it_is_spelled(name: str, ours: str) -> None:
    said: list[str] = []
    kept = ALL.copy()
    kept[2] = False
    found = embeddings({"X_pca": AT, name: AT}, kept, said.append)
    assert list(found) == [ours]
    np.testing.assert_allclose(found[ours], AT[kept, :2], rtol=1e-6)
    assert not said


@pytest.mark.parametrize(
    "points",
    [
        AT[:, :1],
        AT[:, 0],
        np.where(np.arange(6)[:, None] == 1, np.nan, AT),
        np.zeros((6, 2)),
        np.full((6, 2), "here"),
    ],
)
def test_one_that_cannot_be_drawn_is_left_out_and_said(points: np.ndarray) -> None:
    said: list[str] = []
    assert embeddings({"X_umap": points}, ALL, said.append) == {}
    assert len(said) == 1
    assert "'X_umap' was left out" in said[0]
