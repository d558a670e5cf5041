"""Which cells are held out: every fold another share, or a whole group."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from splicedvae._core.errors import DataError
from splicedvae.evaluation import select_genes, split_cells, split_groups


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=12, max_size=200),
    st.integers(2, 5),
    st.integers(0, 3),
)
def test_the_folds_of_a_seed_hold_out_every_cell_once(labels, n_folds, seed):
    held_out = np.array(
        [
            split_cells(len(labels), held_out=1 / n_folds, stratify=labels, seed=seed, fold=fold)
            == "held-out"
            for fold in range(n_folds)
        ]
    )
    np.testing.assert_array_equal(held_out.sum(axis=0), 1)
    assert np.ptp(held_out.sum(axis=1)) <= 1


def test_a_fold_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="one of the 2 folds"):
        split_cells(100, held_out=0.5, fold=2)
    with pytest.raises(DataError, match="one of the 5 folds"):
        split_cells(100, held_out=0.2, fold=-1)
    assert (split_cells(100, held_out=0.2, fold=4) == "held-out").sum() == 20


def test_a_whole_group_is_held_out():
    groups = ["b", "a", "c", "a", "b"]
    for fold, name in enumerate("abc"):
        split = split_groups(groups, fold=fold)
        np.testing.assert_array_equal(split == "held-out", np.array(groups) == name)


@pytest.mark.parametrize(
    ("groups", "fold", "words"),
    [
        (["a", "a"], 0, "All cells are in one group"),
        (["a", "b"], 2, "one of the 2 groups"),
        (["a", None], 0, "1 cells have no group"),
    ],
)
def test_groups_that_cannot_be_split_are_refused(groups, fold, words):
    with pytest.raises(DataError, match=words):
        split_groups(groups, fold=fold)


def test_genes_need_cells_of_both_layers():
    spliced = csr_matrix(np.array([[3.0, 3, 0], [3, 3, 3], [3, 0, 3]]))
    unspliced = csr_matrix(np.array([[3.0, 9, 3], [3, 0, 3], [3, 0, 3]]))
    cells = AnnData(X=spliced + unspliced, layers={"spliced": spliced, "unspliced": unspliced})
    keep = select_genes(cells, min_shared_counts=0, min_cells=2, n_top_genes=None)
    np.testing.assert_array_equal(keep, [True, False, True])
    with pytest.raises(DataError, match="in 4 cells"):
        select_genes(cells, min_shared_counts=0, min_cells=4)
