"""What an AnnData carries along can be written, or is left out with a sentence; never an error."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from splicedvae import io
from splicedvae._core.writable import make_writable

N = 6


def cells() -> AnnData:
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(N)])
    counts = csr_matrix(np.arange(1, 4 * N + 1).reshape(N, 4).astype(np.float32))
    return AnnData(counts, obs=obs, var=pd.DataFrame(index=list("abcd")))


def texts(n: int, missing: bool = False) -> Any:
    return pd.array([None if missing and i == 0 else f"t{i}" for i in range(n)], dtype="string")


def frame(index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame({"t": texts(len(index), True), "_index": 1, 5: 2.0}, index=index)


COLUMNS: dict[str, Any] = {
    "nullable texts": texts(N),
    "nullable texts with gaps": texts(N, True),
    "nullable numbers": pd.array([None, *range(N - 1)], dtype="Int64"),
    "nullable decimals": pd.array([None, *[0.5] * (N - 1)], dtype="Float64"),
    "nullable booleans": pd.array([None, *[True] * (N - 1)], dtype="boolean"),
    "_index": list(range(N)),
    "a/b": 1,
    "dates": pd.Timestamp("2020-01-01"),
    "intervals": pd.cut(range(N), 3),
    "periods": pd.period_range("2020", periods=N, freq="D"),
    "complex": 1j,
    "mixed": [1, "a", None, 2.0, b"x", ()],
    "nothing": [None] * N,
    "lists": [[1]] * N,
    "mixed categories": pd.Categorical([1, "a"] * (N // 2)),
    "nullable categories": pd.Categorical(texts(N, True)),
    "surrogates": ["\ud800x"] * N,
    "null characters": ["a\0b"] * N,
    "pairs": pd.Series([(1, 2)] * N, dtype=object).to_numpy(),
}
ENTRIES: dict[str, Any] = {
    "records": np.array([(1, "a")] * N, dtype=[("x", int), ("y", "U3")]),
    "records of objects": np.array([(1, [1])] * N, dtype=[("x", int), ("y", object)]),
    "table": frame(pd.Index([f"cell{i}" for i in range(N)])),
    "nullable": texts(N, True),
    "function": print,
    "set": {1, 2},
    "none": None,
    "date": datetime.date(2020, 1, 1),
    "mixed list": [1, "a", None],
    "tables": [{"a": 1}],
    "huge": 2**70,
    "nested": {1: {"x/y": {"": texts(2)}}, "deep": {"f": len}},
    "two indices": pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([("a", 1)])),
    "series": pd.Series([1, 2]),
    "bytes": b"x",
    "times": np.array([np.datetime64("2020")]),
}


def written(adata: AnnData, folder: Path) -> None:
    adata.write_h5ad(folder / "out.h5ad")
    ad.read_h5ad(folder / "out.h5ad")


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("part", ["obs", "var", "obsm", "uns"])
def test_every_kind_of_column_can_be_written(tmp_path, name, part):
    adata = cells()
    values = COLUMNS[name]
    if part == "obs":
        adata.obs[name] = values
    elif part == "var":
        kept = [values] * 4 if pd.api.types.is_scalar(values) else list(values)[:4]
        adata.var[name] = pd.Series(kept, dtype=object).to_numpy()
    else:
        table = pd.DataFrame({name: values}, index=adata.obs_names)
        getattr(adata, part)["table"] = table
    make_writable(adata)
    written(adata, tmp_path)
    assert make_writable(adata) == []


@pytest.mark.parametrize("name", ENTRIES)
def test_every_kind_of_entry_is_written_or_left_out_and_told(tmp_path, name):
    adata = cells()
    adata.uns["here"] = {name: ENTRIES[name]}
    if isinstance(ENTRIES[name], np.ndarray | pd.DataFrame) and len(ENTRIES[name]) == N:
        adata.obsm["here"] = ENTRIES[name]
    notes = make_writable(adata)
    written(adata, tmp_path)
    if name in ("function", "records of objects"):
        assert name not in adata.uns["here"]
        assert f"uns/here/{name}" in "".join(notes)
    assert make_writable(adata) == []


def test_indices_and_raw_can_be_written(tmp_path):
    adata = cells()
    adata.obs.index = pd.Index(adata.obs_names, dtype="string", name="cell")
    adata.obs["cell"] = 1
    raw = adata.copy()
    raw.var = frame(adata.var_names)
    adata.raw = raw
    make_writable(adata)
    written(adata, tmp_path)
    assert adata.raw.shape == (N, 4)


def test_plain_annotation_stays_as_it_is():
    adata = cells()
    adata.obs["group"] = pd.Categorical(["x", "y"] * (N // 2))
    adata.obs["words"] = ["a", None] * (N // 2)
    adata.uns["colors"] = {"group": np.array(["red", "blue"], dtype=object)}
    obs, uns = adata.obs, adata.uns["colors"]
    assert make_writable(adata) == []
    assert adata.obs is obs
    assert adata.uns["colors"] is uns


def test_zarr_takes_it_as_well(tmp_path):
    adata = cells()
    for name, values in COLUMNS.items():
        adata.obs[name] = values
    adata.uns.update(ENTRIES)
    make_writable(adata, zarr=True)
    adata.write_zarr(tmp_path / "out.zarr")
    ad.read_zarr(tmp_path / "out.zarr")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.text(max_size=5), min_size=1, max_size=4),
    values=st.lists(
        st.one_of(
            st.none(), st.text(max_size=4), st.integers(), st.floats(), st.binary(max_size=3)
        ),
        min_size=N,
        max_size=N,
    ),
)
def test_any_names_and_values_can_be_written(tmp_path, names, values):
    adata = cells()
    columns = pd.DataFrame({i: pd.Series(values, dtype=object) for i in range(len(names))})
    columns.columns = pd.Index(names, dtype=object)
    columns.index = adata.obs_names
    adata.obs = columns
    adata.uns["x"] = dict(zip(names, values, strict=False))
    make_writable(adata)
    written(adata, tmp_path)


def test_what_is_read_can_be_written_and_the_notes_say_what_changed(tmp_path):
    adata = cells()
    for name, values in COLUMNS.items():
        if name not in ("surrogates", "null characters"):
            adata.obs[name] = values
    adata.uns.update(ENTRIES)
    result = io.from_anndata(adata)
    written(result.adata, tmp_path)
    (left_out,) = [note for note in result.notes if note.startswith("Left out, as a file")]
    assert "uns/function" in left_out
    assert adata.uns["function"] is print
