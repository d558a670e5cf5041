"""A trained model finds its genes by identifier or name, and says how; it never guesses."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import scvi
from anndata import AnnData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from splicedvae import SplicedVAE, datasets, io
from splicedvae._core.errors import GenesError
from splicedvae._core.keys import Uns

from .conftest import totals_only

N_GENES = 30
IDS = np.array([f"ENSMUSG{place:011d}" for place in range(N_GENES)])
SYMBOLS = np.array([f"Abc{place}" for place in range(N_GENES)], dtype=object)
#: Two genes of one symbol, and a gene whose name looks like a missing value.
SYMBOLS[[4, 17]] = "Twin"
SYMBOLS[9] = "nan"


@pytest.fixture(scope="module")
def cells() -> AnnData:
    adata = datasets.simulate(160, N_GENES, mean_depth=300, seed=4)
    adata.var = pd.DataFrame({"gene_ids": IDS}, index=SYMBOLS)
    return adata


@pytest.fixture(scope="module")
def model(cells) -> SplicedVAE:
    return fitted(cells[:100].copy())


@pytest.fixture(scope="module")
def query(cells) -> AnnData:
    return totals_with(cells[100:], cells.var)


def totals_with(cells: AnnData, var: pd.DataFrame) -> AnnData:
    return AnnData(csr_matrix(cells.X), obs=cells.obs[[]].copy(), var=var.copy())


def fitted(cells: AnnData) -> SplicedVAE:
    scvi.settings.seed = 0
    train = io.from_anndata(cells).adata
    SplicedVAE.setup_anndata(train)
    model = SplicedVAE(train, n_hidden=16, n_latent=3)
    model.train(max_epochs=3, enable_progress_bar=False)
    return model


def predicted(model: SplicedVAE, query: AnnData) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = io.from_anndata(query).adata
        found = model.reconstruct(read, adapt=False)
    layer = found.layers["unspliced"].toarray()
    return pd.DataFrame(layer, index=found.obs_names, columns=found.var_names).sort_index()


@pytest.fixture(scope="module")
def expected(model, query) -> pd.DataFrame:
    return predicted(model, query)


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(found.columns) == list(expected.columns)
    # Cells in other minibatches round otherwise.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_two_genes_of_one_symbol_are_told_apart_by_their_identifiers(model, query, expected):
    same(predicted(model, query[:, ::-1].copy()), expected)
    swapped = query[:, [*range(4), 17, *range(5, 17), 4, *range(18, N_GENES)]].copy()
    same(predicted(model, swapped), expected)
    told = str(model.align(io.from_anndata(query[:, ::-1].copy()).adata)[1])
    assert f"{N_GENES} of the model's {N_GENES} genes were found by identifier" in told


def test_without_identifiers_they_are_left_out_and_told(model, query, expected):
    nameless = query.copy()
    del nameless.var["gene_ids"]
    read = io.from_anndata(nameless[:, ::-1].copy()).adata
    alignment = model.align(read)[1]
    assert sorted(alignment.missing) == ["Twin", "Twin-1"]
    assert alignment.n_ambiguous == 2
    assert "a name that stands for more than one gene" in str(alignment)
    kept = [name for name in expected.columns if not name.startswith("Twin")]
    assert list(predicted(model, nameless).columns) == kept
    assert "nan" in kept


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_names_and_annotation_change_no_prediction(model, query, expected, data):
    genes = data.draw(st.permutations(range(N_GENES)))
    cells = data.draw(st.permutations(range(query.n_obs)))
    other = query[list(cells)][:, list(genes)].copy()
    other.var.index = data.draw(st.sampled_from([other.var_names, other.var_names[::-1]]))
    other.var["about"] = data.draw(st.permutations(list(SYMBOLS)))
    other.obs["true_time"] = "E12.5"
    other.obs["score"] = np.nan
    same(predicted(model, other), expected)


@pytest.mark.parametrize("write", ["{}.7", "mm10___{}", '"{}"', "{}_Sym"])
def test_identifiers_with_versions_genomes_or_quotes_are_the_same(model, query, expected, write):
    index = [write.format(one) for one in IDS]
    same(predicted(model, totals_with(query, pd.DataFrame(index=index))), expected)


@pytest.mark.parametrize("column", ["gene_id", "what we call them"])
def test_names_are_found_in_a_column_and_the_column_is_told(model, query, expected, column):
    var = pd.DataFrame({"biotype": "gene", column: pd.Categorical(IDS)}, index=SYMBOLS).set_axis(
        [f"locus{place:03d}x" for place in range(N_GENES)]
    )
    other = totals_with(query, var)
    same(predicted(model, other), expected)
    out = model.reconstruct(io.from_anndata(other).adata, adapt=False)
    assert f"in var {column}" in out.uns[Uns.ROOT][Uns.PREDICTED]["genes"]


@pytest.mark.parametrize("kind", ["to_folder", "save"])
def test_identifiers_travel_with_the_model(model, query, expected, tmp_path, kind):
    if kind == "save":
        model.save(tmp_path / "model")
        again = SplicedVAE.load(tmp_path / "model", adata=False)
    else:
        model.to_folder(tmp_path / "model")
        again = SplicedVAE.from_folder(tmp_path / "model")
    assert again.gene_identity.identifiers.tolist() == IDS.tolist()
    same(predicted(again, query[:, ::-1].copy()), expected)


def test_a_folder_of_an_earlier_version_knows_names_alone(model, query, expected, tmp_path):
    model.to_folder(tmp_path / "model")
    file = tmp_path / "model" / "model.json"
    content = json.loads(file.read_text())
    state = content["registry"]["field_registries"]["X"]["state_registry"]
    del state["identifiers"], state["symbols"]
    file.write_text(json.dumps(content))
    old = SplicedVAE.from_folder(tmp_path / "model")
    kept = [name for name in expected.columns if not name.startswith("Twin")]
    found = predicted(old, query[:, ::-1].copy())
    assert list(found.columns) == kept


def test_numbers_are_matched_with_nothing_but_the_data_of_the_model(cells):
    train = cells[:100].copy()
    train.var = pd.DataFrame(index=[str(place) for place in range(N_GENES)])
    scvi.settings.seed = 0
    SplicedVAE.setup_anndata(train)
    model = SplicedVAE(train, n_hidden=16, n_latent=3)
    model.train(max_epochs=2, enable_progress_bar=False)
    assert model.get_splicing_ratio().shape == train.shape
    with pytest.raises(GenesError, match="are only numbered"):
        model.get_splicing_ratio(totals_only(cells[100:]).copy())
    other = totals_with(cells[100:], train.var)
    with pytest.raises(GenesError, match="genes of the data are only numbered"):
        model.get_splicing_ratio(other)


def test_orthologs_are_advised_where_species_differ_alone(cells):
    train = cells[:100].copy()
    train.var = pd.DataFrame(
        index=[f"Abc{place}" for place in range(N_GENES - 2)] + ["Sox17", "mt-Co1"]
    )
    model = fitted(train)
    human = totals_with(
        cells, pd.DataFrame(index=[f"ENSG{place:011d}" for place in range(N_GENES)])
    )
    with pytest.raises(GenesError, match="orthologs"):
        model.align(human)
    mouse = totals_with(cells, pd.DataFrame(index=IDS))
    with pytest.raises(GenesError, match="of the same species, and no column of var") as error:
        model.align(mouse)
    assert "ortholog" not in str(error.value)
