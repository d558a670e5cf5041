"""Files as other tools write them predict what the clean file does, by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix

from splicedvae._core.keys import Layers

from .conftest import Command

Change = Callable[[AnnData, Path], None]


def _write(adata: AnnData, file: Path) -> None:
    with ad.settings.override(allow_write_nullable_strings=True):
        adata.write_h5ad(file)


def _cellxgene(adata: AnnData, file: Path) -> None:
    """Identifiers as index, symbols in a column, counts in raw and logged values in X."""
    adata.var = pd.DataFrame(
        {"feature_name": pd.Categorical(adata.var_names), "feature_biotype": "gene"},
        index=[f"ENSMUSG{place:011d}" for place in range(adata.n_vars)],
    )
    adata.raw = adata.copy()
    adata.X = csr_matrix(adata.X).log1p()
    _write(adata, file)


def _nullable(adata: AnnData, file: Path) -> None:
    """Written by a newer anndata: text is stored as nullable strings, everywhere."""
    texts = pd.array([f"t{place}" for place in range(adata.n_obs)], dtype="string")
    texts[3] = pd.NA
    adata.obs["note"] = texts
    adata.obs["depth"] = pd.array([None, *range(adata.n_obs - 1)], dtype="Int64")
    adata.obs.index = adata.obs_names.astype("string")
    adata.var.index = adata.var_names.astype("string")
    adata.obsm["tags"] = pd.DataFrame({"tag": texts}, index=adata.obs_names)
    adata.uns["samples"] = pd.DataFrame({"donor": texts[:4]}, index=list("abcd"))
    _write(adata, file)


def _reserved(adata: AnnData, file: Path) -> None:
    """As Seurat's converter leaves it: a column has the name that is reserved for the index."""
    import h5py

    _write(adata, file)
    with h5py.File(file, "r+") as stored:
        for part in ("obs", "var"):
            group = stored[part]
            names = group[group.attrs["_index"]][()]
            del group[group.attrs["_index"]]
            for key in ("row_names", "_index"):
                group.create_dataset(key, data=names, dtype=h5py.string_dtype())
                group[key].attrs.update(
                    {"encoding-type": "string-array", "encoding-version": "0.2.0"}
                )
            columns = [*group.attrs["column-order"], "_index"]
            group.attrs["column-order"] = np.array(columns, dtype=h5py.string_dtype())
            group.attrs["_index"] = "row_names"


def _records(adata: AnnData, file: Path) -> None:
    """Structured arrays, and names around those of the genes."""
    adata.obsm["pairs"] = np.array(
        [(1, "a")] * adata.n_obs, dtype=[("number", int), ("text", "U3")]
    )
    adata.uns["splicedvae"] = "a word of others"
    adata.obs["true_time"] = "E12.5"
    adata.var_names = [f'"mm10___{name}" ' for name in adata.var_names]
    _write(adata, file)


def _numbered(adata: AnnData, file: Path) -> None:
    """Genes are only numbered, and their names in a column of no usual name."""
    adata.var = pd.DataFrame({"chromosome": "1", "how we call it": list(adata.var_names)})
    adata.var.index = adata.var.index.astype(str)
    _write(adata, file)


def _ambient_removed(adata: AnnData, file: Path) -> None:
    """Ambient RNA taken off X as SoupX does it, whole layers of velocyto beside it."""
    counts = adata.X.toarray()
    unspliced = counts // 3
    adata.layers[Layers.SPLICED] = csr_matrix(counts - unspliced)
    adata.layers[Layers.UNSPLICED] = csr_matrix(unspliced)
    adata.X = csr_matrix(_without_soup(counts))
    _write(adata, file)


def _without_soup(counts: np.ndarray) -> np.ndarray:
    soup = counts.sum(axis=0) / counts.sum()
    left = np.clip(counts - 0.08 * counts.sum(axis=1, keepdims=True) * soup, 0, None)
    return np.round(left * (counts > 0), 3).astype(np.float32)


@pytest.mark.parametrize(
    "change", [_cellxgene, _nullable, _reserved, _records, _numbered, _ambient_removed]
)
@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_a_file_of_another_tool_predicts_what_the_clean_file_predicts(
    command: Command, trained, totals: Path, tmp_path: Path, change: Change, suffix: str
) -> None:
    clean = tmp_path / "clean.h5ad"
    assert command("predict", trained[0], totals, "--out", clean).exit_code == 0
    expected = ad.read_h5ad(clean)
    adata = ad.read_h5ad(totals)
    adata.varm.clear()
    order = np.random.default_rng(0).permutation(adata.n_vars)
    change(adata[:, order].copy(), tmp_path / "strange.h5ad")
    out = tmp_path / f"out{suffix}"
    result = command("predict", trained[0], tmp_path / "strange.h5ad", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    found = ad.read_h5ad(out) if suffix == ".h5ad" else ad.read_zarr(out)
    assert list(found.var_names) == list(expected.var_names)
    beside = Layers.PREDICTED_SPLICED in found.layers
    for name, apart in (
        (Layers.SPLICED, Layers.PREDICTED_SPLICED),
        (Layers.UNSPLICED, Layers.PREDICTED_UNSPLICED),
        (Layers.RATIO, Layers.RATIO),
    ):
        ours = csr_matrix(found[expected.obs_names].layers[apart if beside else name])
        assert abs(ours - csr_matrix(expected.layers[name])).max() < 1e-6
    told = json.loads(result.stdout)
    assert "genes were found" in told["account"]["genes"]
    if change is _cellxgene:
        assert "by name in var feature_name" in told["account"]["genes"]


@pytest.mark.parametrize("where", ["X", "counts"])
@pytest.mark.parametrize("named", [False, True])
def test_totals_with_decimals_are_rounded_alike_in_any_order(
    command: Command, trained, totals: Path, tmp_path: Path, where: str, named: bool
) -> None:
    adata = ad.read_h5ad(totals)
    adata.varm.clear()
    clean = _without_soup(adata.X.toarray())
    if where == "counts":
        adata.layers["counts"] = csr_matrix(clean)
        clean = np.log1p(clean / clean.sum(axis=1, keepdims=True) * 1e4)
    adata.X = csr_matrix(clean)
    rng = np.random.default_rng(1)
    mixed = adata[rng.permutation(adata.n_obs), rng.permutation(adata.n_vars)].copy()
    made = []
    for number, one in enumerate((adata, mixed)):
        _write(one, tmp_path / f"{number}.h5ad")
        out = tmp_path / f"out{number}.h5ad"
        options = ["--total", where] if named else []
        result = command("predict", trained[0], tmp_path / f"{number}.h5ad", "--out", out, *options)
        assert result.exit_code == 0, result.output
        assert "the same way each time" in result.stderr.replace("\n", " ")
        made.append(ad.read_h5ad(out))
    first, other = made[0], made[1][made[0].obs_names]
    counts = adata[:, first.var_names].layers["counts"] if where == "counts" else None
    given = adata[:, first.var_names].X if counts is None else counts
    assert abs(first.X - given).max() < 1
    assert first.X.sum() == pytest.approx(given.sum(), rel=0.01)
    assert (first.X != other.X).nnz == 0
    for name in (Layers.SPLICED, Layers.UNSPLICED, Layers.RATIO):
        assert abs(csr_matrix(first.layers[name]) - csr_matrix(other.layers[name])).max() < 1e-6


def test_a_velocity_is_written_with_annotation_that_files_cannot_hold(
    command: Command, cells: Path, tmp_path: Path
) -> None:
    adata = ad.read_h5ad(cells)
    adata.varm.clear()
    _nullable(adata, tmp_path / "strange.h5ad")
    out = tmp_path / "velocity.h5ad"
    result = command("velocity", tmp_path / "strange.h5ad", "--out", out, "--n-neighbors", 12)
    assert result.exit_code == 0, result.output
    assert "Texts with missing values were converted to categories" in result.stderr.replace(
        "\n", " "
    )
    assert Layers.VELOCITY in ad.read_h5ad(out).layers
