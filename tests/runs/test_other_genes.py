"""Counts of genes that a run's model lacks: kept, and read one gene at a time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from splicedvae._core.errors import RunError
from splicedvae.runs import files, other_gene_counts, other_genes
from splicedvae.runs.unmodelled import write_other_genes

tables = st.tuples(st.integers(1, 12), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.integers(0, 5).map(float))
)


def run_of(folder: Path, n_cells: int) -> Any:
    """Only what is read of a run: its folder and its number of cells."""
    return SimpleNamespace(path=folder, predictions=SimpleNamespace(n_obs=n_cells))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables, st.data())
def test_each_gene_comes_back_as_it_was(
    tmp_path: Path, table: np.ndarray, data: st.DataObject
) -> None:
    (tmp_path / files.OTHER_GENES).unlink(missing_ok=True)
    names = pd.Index([f"gene-{place} é" for place in range(table.shape[1])])
    known = names[data.draw(arrays(bool, table.shape[1]))]
    assert write_other_genes(tmp_path, sparse.csr_matrix(table), names, known) == ""
    run = run_of(tmp_path, table.shape[0])
    expected = [name for at, name in enumerate(names) if name not in known and table[:, at].any()]
    assert list(other_genes(run)) == expected
    for name in expected:
        counts, depth = other_gene_counts(run, name)
        np.testing.assert_array_equal(counts, table[:, names.get_loc(name)])
        np.testing.assert_array_equal(depth, table.sum(axis=1))


def test_too_many_entries_are_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splicedvae.runs.unmodelled.MOST_ENTRIES", 3)
    counts = sparse.csr_matrix(np.ones((2, 2)))
    said = write_other_genes(tmp_path, counts, pd.Index(["a", "b"]), pd.Index([]))
    assert "2 genes without a prediction are not kept" in said
    assert other_genes(run_of(tmp_path, 2)) == ()


def test_a_gene_that_was_not_kept_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    counts = sparse.csr_matrix(np.ones((2, 2)))
    write_other_genes(tmp_path, counts, pd.Index(["a", "b"]), pd.Index(["a"]))
    with pytest.raises(RunError, match="kept no counts of a gene 'a'"):
        other_gene_counts(run_of(tmp_path, 2), "a")
    with pytest.raises(RunError, match="is damaged"):
        other_gene_counts(run_of(tmp_path, 3), "b")
    (tmp_path / files.OTHER_GENES).write_bytes(b"not HDF5")
    with pytest.raises(RunError, match="is damaged"):
        other_genes(run_of(tmp_path, 2))
