"""A model looks at an AnnData as the reader looks at a file, and answers in the same sentences."""

from __future__ import annotations

import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scvi
from anndata import AnnData
from scipy.sparse import csc_matrix, csr_matrix

from splicedvae import SplicedVAE, datasets, io
from splicedvae._core.errors import DataError, GenesError
from splicedvae._core.keys import Layers, Uns


@pytest.fixture(scope="module")
def cells() -> AnnData:
    adata = datasets.simulate(220, 40, mean_depth=400, seed=6)
    adata.obs["chip"] = np.where(np.arange(adata.n_obs) % 2, 1, 2)
    adata.varm.clear()
    return adata


@pytest.fixture(scope="module")
def query(cells) -> AnnData:
    return cells[150:].copy()


def fitted(train: AnnData, **setup: str) -> SplicedVAE:
    scvi.settings.seed = 0
    SplicedVAE.setup_anndata(train, **setup)
    model = SplicedVAE(train, n_hidden=16, n_latent=3)
    model.train(max_epochs=10, enable_progress_bar=False)
    return model


@pytest.fixture(scope="module")
def model(cells) -> SplicedVAE:
    return fitted(cells[:150].copy())


def spliced_as_x(adata: AnnData) -> AnnData:
    out = adata.copy()
    out.X = out.layers[Layers.SPLICED].copy()
    return out


def quietly(model: SplicedVAE, adata: AnnData, **options) -> AnnData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.reconstruct(adata, adapt=False, **options)


def totals_of(adata: AnnData) -> AnnData:
    return AnnData(csr_matrix(adata.X), obs=adata.obs.copy(), var=adata.var[[]].copy())


def test_training_on_the_spliced_matrix_is_told_and_its_totals_are_exonic(cells, query):
    train = spliced_as_x(cells[:150])
    with pytest.warns(UserWarning, match=r"X equals the spliced counts.*exonic"):
        model = fitted(train)
    measured = query.layers[Layers.UNSPLICED].sum()
    found = quietly(model, spliced_as_x(query))
    assert found.uns[Uns.ROOT][Uns.PREDICTED]["counts"] == "exonic"
    assert found.layers[Layers.PREDICTED_UNSPLICED].sum() == pytest.approx(measured, rel=0.25)
    # The model knows it where the data have no layers to tell.
    bare = quietly(model, totals_of(spliced_as_x(query)))
    assert bare.layers[Layers.UNSPLICED].sum() == pytest.approx(measured, rel=0.25)
    asked = quietly(model, spliced_as_x(query), counts="with-introns")
    assert asked.layers[Layers.PREDICTED_UNSPLICED].sum() < 0.8 * measured


@pytest.mark.parametrize("kind", ["to_folder", "save"])
def test_what_the_totals_were_travels_with_the_model(cells, query, tmp_path, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = fitted(spliced_as_x(cells[:150]))
    getattr(model, kind)(tmp_path / "model")
    again = (
        SplicedVAE.from_folder(tmp_path / "model")
        if kind == "to_folder"
        else SplicedVAE.load(tmp_path / "model", adata=False)
    )
    found = quietly(again, totals_of(spliced_as_x(query)))
    assert found.uns[Uns.ROOT][Uns.PREDICTED]["counts"] == "exonic"


def test_a_prediction_for_the_spliced_matrix_takes_spliced_and_unspliced(model, query):
    expected = quietly(model, query)
    with pytest.warns(UserWarning, match="X equals the spliced counts, so spliced"):
        found = model.reconstruct(spliced_as_x(query), adapt=False)
    for name in (Layers.PREDICTED_SPLICED, Layers.PREDICTED_UNSPLICED, Layers.RATIO):
        assert abs(found.layers[name] - expected.layers[name]).max() < 1e-6
    read = quietly(model, io.from_anndata(spliced_as_x(query)).adata)
    assert abs(read.layers[Layers.RATIO] - expected.layers[Layers.RATIO]).max() < 1e-6


@pytest.mark.parametrize("form", ["csc", "dense", "integers", "view", "backed", "dask"])
def test_the_form_of_the_counts_does_not_matter(model, query, tmp_path, form):
    expected = quietly(model, totals_of(query))
    other = totals_of(query)
    if form == "csc":
        other.X = csc_matrix(other.X)
    elif form == "dense":
        other.X = other.X.toarray()
    elif form == "integers":
        other.X = other.X.astype(np.int64)
    elif form == "view":
        other = ad.concat([other, other[:5]], index_unique="-")[: query.n_obs]
        assert other.is_view
    elif form == "backed":
        other.write_h5ad(tmp_path / "query.h5ad")
        other = ad.read_h5ad(tmp_path / "query.h5ad", backed="r")
    else:
        other.X = pytest.importorskip("dask.array").from_array(other.X.toarray(), chunks=(20, 40))
    found = quietly(model, other)
    assert abs(found.layers[Layers.RATIO] - expected.layers[Layers.RATIO]).max() < 1e-6
    ratio = model.get_splicing_ratio(other)
    np.testing.assert_allclose(ratio, model.get_splicing_ratio(totals_of(query)), atol=1e-6)


@pytest.mark.parametrize("form", ["csc", "dense", "view"])
def test_any_form_of_counts_in_memory_is_trained_on(cells, model, query, form):
    train = cells[:150].copy()
    if form == "csc":
        train.X = csc_matrix(train.X)
        train.layers[Layers.SPLICED] = csc_matrix(train.layers[Layers.SPLICED])
    elif form == "dense":
        train.X = train.X.toarray()
        train.layers[Layers.UNSPLICED] = train.layers[Layers.UNSPLICED].toarray()
    else:
        train = cells[:150]
        assert train.is_view
    found = quietly(fitted(train), query)
    expected = quietly(model, query)
    assert abs(found.layers[Layers.RATIO] - expected.layers[Layers.RATIO]).max() < 1e-3


def not_in_memory(adata: AnnData, form: str, folder: Path) -> AnnData:
    """The same cells with counts in their file, or to be computed later."""
    if form == "backed":
        adata.write_h5ad(folder / "cells.h5ad")
        return ad.read_h5ad(folder / "cells.h5ad", backed="r")
    arrays = pytest.importorskip("dask.array", reason="dask is no dependency of the package")
    lazy = adata.copy()
    lazy.X = arrays.from_array(adata.X.toarray(), chunks=(20, adata.n_vars))
    for name in (Layers.SPLICED, Layers.UNSPLICED):
        lazy.layers[name] = arrays.from_array(adata.layers[name].toarray())
    return lazy


@pytest.mark.parametrize("form", ["backed", "dask"])
def test_counts_that_are_not_in_memory_are_refused_for_training(cells, tmp_path, form):
    """With what to do: brought into memory they are trained on as any others."""
    other = not_in_memory(cells[:150].copy(), form, tmp_path)
    with pytest.raises(DataError, match=r"backed or dask arrays.*`adata = adata.to_memory\(\)`"):
        SplicedVAE.setup_anndata(other)
    other = other.to_memory()
    SplicedVAE.setup_anndata(other)
    assert abs(csr_matrix(other.X) - cells[:150].X).max() == 0


@pytest.mark.parametrize("form", ["backed", "dask"])
def test_counts_that_are_not_in_memory_are_read(cells, tmp_path, form):
    expected = io.from_anndata(cells).adata
    found = io.from_anndata(not_in_memory(cells, form, tmp_path)).adata
    for name in (None, Layers.SPLICED, Layers.UNSPLICED):
        ours, theirs = (one.X if name is None else one.layers[name] for one in (found, expected))
        assert (ours != theirs).nnz == 0


def of_chosen_genes(query: AnnData, n: int = 15) -> AnnData:
    """As scanpy's tutorials leave it: logged values of some genes in X, all genes in raw."""
    out = totals_of(query)
    out.raw = out.copy()
    out.X = out.X.log1p()
    return out[:, :n].copy()


def test_counts_in_raw_are_pointed_to_where_x_holds_none(model, query):
    expected = quietly(model, totals_of(query))
    adata = of_chosen_genes(query)
    told = r"X holds .*counts of 40 genes in raw\.X: pass `splicedvae\.io\.from_anndata\(adata\)"
    for ask in (model.reconstruct, model.get_splicing_ratio, model.get_novelty):
        with pytest.raises(DataError, match=told):
            ask(adata)
    found = quietly(model, io.from_anndata(adata).adata)
    assert abs(found.layers[Layers.RATIO] - expected.layers[Layers.RATIO]).max() < 1e-6
    logged = of_chosen_genes(query)
    full = totals_of(query)
    full.X = full.X.log1p()
    logged.raw = full
    with pytest.raises(DataError, match=r"X holds .*finds none in raw\.X and layers either"):
        model.reconstruct(logged)


def test_genes_in_raw_are_pointed_to_where_x_has_few(model, query):
    expected = quietly(model, totals_of(query))
    adata = of_chosen_genes(query)
    adata.X = query[:, :15].X.copy()
    with pytest.raises(GenesError, match=r"15 of the model's 40 .*raw has 40 of them.*to_adata"):
        model.reconstruct(adata)
    found = quietly(model, adata.raw.to_adata())
    assert abs(found.layers[Layers.RATIO] - expected.layers[Layers.RATIO]).max() < 1e-6
    result = io.from_anndata(adata)
    assert any("raw has 25 genes more than X; name raw.X" in note for note in result.notes)
    found = quietly(model, io.from_anndata(adata, total="raw.X").adata)
    assert abs(found.layers[Layers.RATIO] - expected.layers[Layers.RATIO]).max() < 1e-6


@pytest.mark.parametrize(
    "change",
    [lambda x: x.log1p(), lambda x: -x, lambda x: x * np.float32("inf"), lambda x: x * 1e9],
)
def test_what_is_no_count_is_refused_in_the_words_of_the_reader(model, query, change):
    wrong = totals_of(query)
    wrong.X = csr_matrix(change(wrong.X))
    with pytest.raises(DataError) as reader:
        io.from_anndata(wrong)
    words = str(reader.value).removeprefix("in memory: ").split(";")[0].split(" and there")[0]
    for ask in (model.reconstruct, model.get_splicing_ratio, model.get_novelty):
        with pytest.raises(DataError) as error:
            ask(wrong)
        assert words.split(", raw")[0] in str(error.value)


def test_batches_are_looked_at_as_labels(cells, query):
    train = cells[:150].copy()
    train.obs["gap"] = train.obs["chip"].astype(object).where(np.arange(150) > 3)
    with pytest.raises(DataError, match="4 of 150 cells have no label in obs column"):
        SplicedVAE.setup_anndata(train, batch_key="gap")
    model = fitted(train, batch_key="chip")
    expected = quietly(model, query)
    for write in (str, float, np.int8):
        other = query.copy()
        other.obs["chip"] = [write(chip) for chip in query.obs["chip"]]
        found = quietly(model, other)
        assert abs(found.layers[Layers.RATIO] - expected.layers[Layers.RATIO]).max() < 1e-6
    other.obs["chip"] = other.obs["chip"].astype(object).where(np.arange(query.n_obs) > 1)
    with pytest.raises(DataError, match="2 of 70 cells have no label"):
        quietly(model, other)
