"""Of a run's folders the one with sound counts is taken, cut to the cells that were called."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest
from scipy import sparse
from scipy.io import mmwrite

from splicedvae._core.errors import DataError
from splicedvae.cli import app
from splicedvae.io import read
from splicedvae.triage import inspect


def put(folder: Path, matrices, cells, genes) -> None:
    folder.mkdir(parents=True)
    for name, matrix in matrices.items():
        mmwrite(folder / f"{name}.mtx", sparse.coo_matrix(matrix.T).astype(int))
    (folder / "barcodes.tsv").write_text("".join(f"{cell}\n" for cell in cells))
    (folder / "features.tsv").write_text(
        "".join(f"ENSG{i:011d}\t{gene}\tGene Expression\n" for i, gene in enumerate(genes))
    )


@pytest.fixture
def droplets(counts) -> anndata.AnnData:
    """The cells of `counts`, deep, among four times as many droplets with hardly a count."""
    rng = np.random.default_rng(0)
    order = rng.permutation(5 * counts.n_obs)
    layers = {}
    for key in ("spliced", "unspliced"):
        empty = rng.binomial(1, 0.02, (4 * counts.n_obs, counts.n_vars))
        layers[key] = sparse.csr_matrix(sparse.vstack([counts.layers[key] * 20, empty]))[order]
    out = anndata.AnnData(layers["spliced"] + layers["unspliced"], var=counts.var, layers=layers)
    names = [*counts.obs_names, *(f"empty{i}" for i in range(4 * counts.n_obs))]
    out.obs_names = [names[i] for i in order]
    return out


def velocyto(folder: Path, data, cells=None) -> None:
    matrices = {key: data.layers[key] for key in ("spliced", "unspliced")}
    matrices["ambiguous"] = data.X * 0
    put(folder, matrices, data.obs_names if cells is None else cells, data.var_names)


def totals(folder: Path, data) -> None:
    put(folder, {"matrix": data.X}, data.obs_names, data.var_names)


def same(a, b) -> bool:
    return (sparse.csr_matrix(a) != sparse.csr_matrix(b)).nnz == 0


@pytest.mark.parametrize("feature", ["Gene", "GeneFull", "GeneFull_Ex50pAS"])
def test_velocyto_raw_is_cut_to_the_called_cells(tmp_path, counts, droplets, feature):
    run = tmp_path / "Solo.out"
    velocyto(run / "Velocyto" / "raw", droplets)
    totals(run / "Gene" / "raw", droplets)
    called = droplets[counts.obs_names]
    totals(run / feature / "filtered", called)
    result = read(run)
    assert set(result.adata.obs_names) == set(counts.obs_names)
    for key in ("spliced", "unspliced"):
        assert same(result.adata[counts.obs_names].layers[key], called.layers[key])
    assert any("30 of" in note and "called as cells" in note for note in result.notes)


@pytest.mark.parametrize("zeros_listed", [True, False])
def test_an_empty_velocyto_is_not_taken(tmp_path, counts, zeros_listed):
    empty = counts.copy()
    empty.X, empty.layers = counts.X * 0, dict.fromkeys(counts.layers, counts.X * 0)
    if not zeros_listed:
        for matrix in (empty.X, *empty.layers.values()):
            matrix.eliminate_zeros()
    velocyto(tmp_path / "Solo.out" / "Velocyto" / "filtered", empty)
    totals(tmp_path / "Solo.out" / "GeneFull" / "filtered", counts)
    exonic = anndata.AnnData(counts.layers["spliced"], obs=counts.obs, var=counts.var)
    totals(tmp_path / "Solo.out" / "Gene" / "filtered", exonic)
    result = read(tmp_path / "Solo.out")
    assert same(result.adata.X, counts.X)
    assert any("Velocyto/filtered hold no counts" in note for note in result.notes)
    assert any("GeneFull/filtered was used" in note for note in result.notes)


@pytest.mark.parametrize("kind", ["raw", "filtered"])
def test_a_velocyto_with_other_barcodes_is_not_taken(tmp_path, counts, kind):
    """As STAR writes it where there was no whitelist."""
    run = tmp_path / "Solo.out"
    velocyto(run / "Velocyto" / kind, counts, [f"other{i}" for i in range(counts.n_obs)])
    totals(run / "Gene" / "filtered", counts)
    result = read(run)
    assert same(result.adata.X, counts.X)
    assert not result.has_measured_layers
    assert any("0% of their barcodes" in note and "left out" in note for note in result.notes)


def test_called_cells_of_velocyto_are_compared_with_raw_totals(tmp_path, counts, droplets):
    run = tmp_path / "Solo.out"
    velocyto(run / "Velocyto" / "filtered", droplets[counts.obs_names].copy())
    totals(run / "Gene" / "raw", droplets)
    result = read(run)
    assert result.has_measured_layers
    assert result.adata.n_obs == counts.n_obs


@pytest.mark.parametrize("names", [("counts_unfiltered", "counts_filtered"), ("raw", "filtered")])
def test_unfiltered_is_not_filtered(tmp_path, counts, droplets, names):
    totals(tmp_path / names[0], droplets)
    totals(tmp_path / names[1], counts)
    assert same(read(tmp_path).adata.X, counts.X)


def test_samples_are_not_chosen_between(tmp_path, counts):
    for sample in ("one", "two"):
        velocyto(tmp_path / sample / "Velocyto" / "raw", counts)
        totals(tmp_path / sample / "Gene" / "raw", counts)
    with pytest.raises(DataError, match="several matrices"):
        read(tmp_path)


def test_empty_droplets_are_told_of_however_few_genes(tmp_path, droplets, counts):
    velocyto(tmp_path / "Velocyto" / "raw", droplets)
    summary = inspect(read(tmp_path / "Velocyto" / "raw"))
    assert summary.empty_droplets == 0.8
    assert any("empty droplets" in words for words in summary.warnings)
    assert summary.verdict.answer == "doubtful"
    assert inspect(read_called(tmp_path / "called", counts)).empty_droplets == 0


def read_called(folder: Path, counts):
    totals(folder, counts)
    return read(folder)


def test_notes_survive_an_error(tmp_path, counts):
    from typer.testing import CliRunner

    run = tmp_path / "Solo.out"
    velocyto(run / "Velocyto" / "filtered", counts)
    totals(run / "Gene" / "filtered", counts)
    (run / "Velocyto" / "filtered" / "features.tsv").write_text("one\n")
    with pytest.raises(DataError, match="expected equal numbers") as caught:
        read(run)
    assert any("Velocyto/filtered was used" in note for note in caught.value.notes)
    said = CliRunner().invoke(app, ["inspect", str(run)])
    assert said.exit_code == 1
    assert "- Of several matrices in the folder, Velocyto/filtered was used" in said.stderr
    assert said.stderr.splitlines()[-1].startswith("Error: ")
