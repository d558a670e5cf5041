"""Labels of cells: the same text however they are stored, and missing ones are never a group."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae._core.errors import DataError
from splicedvae._core.labels import batch_labels, label_texts
from splicedvae.io import from_anndata
from splicedvae.pipeline._prediction import totals_only
from splicedvae.triage import inspect


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 1],
        [1.0, 2.0, 1.0],
        ["1", "2", "1"],
        [b"1", b"2", b"1"],
        pd.Categorical([1.0, 2.0, 1.0]),
        pd.Categorical(["1", "2", "1"]),
        pd.array([1, 2, 1], dtype="Int64"),
        pd.array(["1", "2", "1"], dtype="string"),
        np.array([1, 2, 1], dtype=">i4"),
    ],
)
def test_whole_numbers_are_one_label_however_stored(values):
    assert list(label_texts(pd.Series(values))) == ["1", "2", "1"]


@pytest.mark.parametrize(
    "values",
    [
        [1.0, np.nan, 2.0],
        ["a", None, "b"],
        ["a", "nan", "b"],
        ["a", " ", "b"],
        pd.Categorical(["a", None, "b"]),
        pd.array([1, None, 2], dtype="Int64"),
        pd.array(["a", None, "b"], dtype="string"),
    ],
)
def test_cells_without_a_batch_are_refused_by_number(values):
    with pytest.raises(DataError, match=r"1 of 3 cells have no label in obs column 'lane'"):
        batch_labels(pd.Series(values, name="lane"))


def test_other_labels_stay_as_they_are():
    assert list(label_texts(pd.Series([0.5, True, "NA", "1.0"]))) == ["0.5", "True", "NA", "1.0"]


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30), st.randoms())
def test_order_and_type_do_not_change_a_label(numbers, random):
    order = list(range(len(numbers)))
    random.shuffle(order)
    plain = label_texts(pd.Series(numbers))
    assert list(label_texts(pd.Series(numbers, dtype=float))) == list(plain)
    assert list(label_texts(pd.Series(numbers).iloc[order])) == [plain[i] for i in order]


def cells(batch) -> anndata.AnnData:
    out = anndata.AnnData(np.ones((4, 3), dtype="f4"))
    out.obs["batch"] = batch
    return out


def test_batches_reach_a_model_as_whole_numbers_or_not_at_all():
    assert list(totals_only(cells([1.0, 2.0, 1.0, 2.0]), "batch").obs["batch"]) == list("1212")
    with pytest.raises(DataError, match="2 of 4 cells have no label"):
        totals_only(cells([1.0, np.nan, 1.0, np.nan]), "batch")


def test_a_summary_says_how_many_cells_lack_a_batch():
    found = inspect(from_anndata(cells(["a", None, "b", "a"])), batch_key="batch")
    assert any("1 cell has no label in obs column batch" in words for words in found.warnings)
