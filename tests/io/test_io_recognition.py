"""Which matrix is taken for what, what is told, and what is refused."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.layers import named_layers
from splicedvae.io import from_anndata
from splicedvae.io._names import Pair, find_pairs, total_names


def dense(matrix) -> np.ndarray:
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


def told(result, *words) -> bool:
    return any(all(word in note for word in words) for note in result.notes)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["spliced", "unspliced", "ambiguous"], Pair("spliced", "unspliced", "ambiguous")),
        (["Spliced_counts", "Unspliced_counts"], Pair("Spliced_counts", "Unspliced_counts", None)),
        (["mature", "nascent", "ambiguous"], Pair("mature", "nascent", "ambiguous")),
        (["S", "U", "A"], Pair("S", "U", "A")),
        (["cdna", "introns"], Pair("cdna", "introns", None)),
        (["exonic", "intronic"], Pair("exonic", "intronic", None)),
        (["rawSpliced", "rawUnspliced"], Pair("rawSpliced", "rawUnspliced", None)),
        (["unspliced", "spliced", "raw_spliced"], Pair("spliced", "unspliced", None)),
    ],
)
def test_usual_names_of_layers(names, expected):
    assert find_pairs(names)[0] == expected


@pytest.mark.parametrize(
    "names",
    [
        ["Ms", "Mu"],
        ["spliced"],
        ["predicted_spliced", "predicted_unspliced"],
        ["s"],
        [],
        ["velocity"],
        ["true_spliced", "true_unspliced"],
        ["norm_spliced", "norm_unspliced"],
    ],
)
def test_other_names_are_no_pair(names):
    assert find_pairs(names) == []


def test_usual_names_of_totals():
    names = ["counts", "raw_counts", "log1p", "matrix", "Ms", "UMIs", "scaled"]
    assert total_names(names) == ["counts", "raw_counts", "matrix", "UMIs"]


@pytest.mark.parametrize("names", [("mature", "nascent"), ("S", "U"), ("cdna", "intron")])
def test_layers_get_their_standard_names(counts, names):
    data = anndata.AnnData(
        X=counts.X,
        obs=counts.obs,
        var=counts.var,
        layers={names[0]: counts.layers["spliced"], names[1]: counts.layers["unspliced"]},
    )
    result = from_anndata(data)
    assert set(named_layers(result.adata)) == {"spliced", "unspliced"}
    assert (result.adata.layers["spliced"] != counts.layers["spliced"]).nnz == 0
    assert result.spliced_source == f"layers/{names[0]}"
    assert result.counts == "with-introns"


@pytest.mark.parametrize("ambiguous", [False, True])
def test_x_that_is_the_spliced_matrix_gives_the_sum(counts, ambiguous):
    """As scvelo.datasets and the atlas's Velocyto files have it."""
    total = counts.X.copy()
    counts.X = counts.layers["spliced"].copy()
    if ambiguous:
        counts.layers["ambiguous"] = counts.layers["unspliced"].copy()
        total = total + counts.layers["ambiguous"]
    result = from_anndata(counts)
    end = " + ambiguous" if ambiguous else ""
    assert result.total_source == f"spliced + unspliced{end}"
    assert (total != result.adata.X).nnz == 0
    assert result.counts == "with-introns"
    assert told(result, "equals the spliced counts")


def test_totals_that_include_ambiguous_counts_are_with_introns(counts):
    counts.layers["ambiguous"] = counts.layers["unspliced"].copy()
    counts.X = sparse.csr_matrix(counts.X + counts.layers["ambiguous"])
    result = from_anndata(counts)
    assert (result.total_source, result.counts) == ("X", "with-introns")
    assert told(result, "spliced + unspliced + ambiguous")


def test_totals_of_another_counting_are_told_apart_by_gene(counts):
    spliced = counts.layers["spliced"].copy()
    spliced[0, 0] += 1
    counts.X = spliced
    result = from_anndata(counts)
    assert (result.total_source, result.counts) == ("X", "exonic")
    near = counts.layers["spliced"] + counts.layers["unspliced"]
    near[0, 0] += 1
    counts.X = sparse.csr_matrix(near)
    assert from_anndata(counts).counts == "with-introns"
    counts.X = sparse.csr_matrix(near * 5)
    result = from_anndata(counts)
    assert result.counts is None
    assert told(result, "unknown whether")


def test_spliced_as_named_total_is_exonic(counts):
    result = from_anndata(counts, total="spliced")
    assert (result.total_source, result.counts) == ("layers/spliced", "exonic")
    assert (counts.layers["spliced"] != result.adata.X).nnz == 0


def log_normalised(matrix) -> sparse.csr_matrix:
    scaled = sparse.diags(1e4 / np.asarray(matrix.sum(axis=1)).ravel()) @ matrix
    return sparse.csr_matrix(scaled).log1p()


def test_raw_is_taken_where_x_is_normalised(counts):
    wide = counts.copy()
    del wide.layers["spliced"], wide.layers["unspliced"]
    narrow = wide[:, :12].copy()
    narrow.raw = wide
    narrow.X = log_normalised(narrow.X)
    narrow.varm["loadings"] = np.zeros((12, 3))
    result = from_anndata(narrow)
    assert result.total_source == "raw.X"
    assert (result.adata.X != wide.X).nnz == 0
    assert list(result.adata.var_names) == list(wide.var_names)
    assert told(result, "raw.X", "fractional")
    assert told(result, "20 genes", "12")
    assert result.adata.obsm["X_umap"].shape == (30, 2)


def test_raw_is_cut_to_the_genes_of_measured_layers(counts):
    narrow = counts[:, 3:12].copy()
    narrow.raw = counts
    narrow.X = log_normalised(narrow.X)
    result = from_anndata(narrow)
    assert result.total_source == "raw.X"
    assert (counts.X[:, 3:12] != result.adata.X).nnz == 0
    assert result.counts == "with-introns"


@pytest.mark.parametrize("name", ["counts", "raw_counts", "matrix"])
def test_a_layer_is_taken_where_x_is_normalised(counts, name):
    data = anndata.AnnData(X=log_normalised(counts.X), layers={name: counts.X.tocsc()})
    result = from_anndata(data)
    assert result.total_source == f"layers/{name}"
    assert (result.adata.X != counts.X).nnz == 0
    assert name not in result.adata.layers


def test_the_sum_is_taken_where_nothing_else_is_counts(counts):
    total = counts.X.copy()
    counts.X = log_normalised(counts.X)
    result = from_anndata(counts)
    assert result.total_source == "spliced + unspliced"
    assert (total != result.adata.X).nnz == 0
    assert told(result, "spliced + unspliced", "fractional")


def test_no_x_at_all(counts):
    data = anndata.AnnData(
        obs=counts.obs,
        var=counts.var,
        layers={key: counts.layers[key] for key in named_layers(counts)},
    )
    assert from_anndata(data).total_source == "spliced + unspliced"
    with pytest.raises(DataError, match="there is no X"):
        from_anndata(anndata.AnnData(obs=counts.obs, var=counts.var))


def without_layers(counts, X) -> anndata.AnnData:
    return anndata.AnnData(X=X, obs=counts.obs, var=counts.var)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (0.693, "fractional values such as 0\\.693 \\(log-normalized\\?\\)"),
        (-1, "negative values such as -1"),
        (np.nan, "NaN"),
        (np.inf, "infinite"),
        (3e9, "more than a molecule count"),
    ],
)
@pytest.mark.parametrize("as_dense", [False, True])
def test_numbers_that_are_no_counts_are_refused_with_the_reason(counts, value, match, as_dense):
    matrix = counts.X.toarray()
    matrix[2, 3] = value
    if value == 0.693:
        matrix[matrix > 0] = value
    data = without_layers(counts, matrix if as_dense else sparse.csr_matrix(matrix))
    with pytest.raises(DataError, match=match) as caught:
        from_anndata(data, name="cells")
    message = str(caught.value)
    assert message.startswith("cells: ")
    assert "expected" in message
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("value", "words"), [(-1, "negative"), (np.nan, "NaN"), (np.inf, "infinite")]
)
def test_measured_layers_that_are_no_counts_are_left_out(counts, value, words):
    layer = counts.layers["unspliced"].toarray()
    layer[0, 0] = value
    counts.layers["unspliced"] = layer
    result = from_anndata(counts)
    assert not result.has_measured_layers
    assert (result.adata.X != counts.X).nnz == 0
    assert told(result, "layers/unspliced holds", words, "left out")
    with pytest.raises(DataError, match="layers/unspliced holds"):
        from_anndata(counts, spliced_layer="spliced", unspliced_layer="unspliced")
    counts.X = log_normalised(counts.X)
    with pytest.raises(DataError, match="layers/unspliced holds"):
        from_anndata(counts)


def test_normalised_layers_are_refused_even_when_named(counts):
    counts.layers["norm"] = log_normalised(counts.X)
    with pytest.raises(DataError, match="log-normalized"):
        from_anndata(counts, total="norm")


def test_rounding_error_of_floating_point_is_mended(counts):
    X = counts.X.astype(np.float64)
    X.data = X.data * (1 + 1e-7)
    result = from_anndata(without_layers(counts, X))
    assert (result.adata.X != counts.X).nnz == 0
    assert told(result, "rounding error")


def test_raw_counts_are_preferred_to_a_normalised_pair(counts):
    data = counts.copy()
    data.layers["spliced"] = log_normalised(counts.layers["spliced"])
    data.layers["unspliced"] = log_normalised(counts.layers["unspliced"])
    data.layers["spliced_counts"] = counts.layers["spliced"]
    data.layers["unspliced_counts"] = counts.layers["unspliced"]
    result = from_anndata(data)
    assert result.spliced_source == "layers/spliced_counts"
    assert (result.adata.layers["unspliced"] != counts.layers["unspliced"]).nnz == 0
    assert told(result, "layers/spliced holds", "this pair of layers was left out")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"total": "nothing"}, "there is no 'nothing'"),
        ({"total": "raw.X"}, "there is no raw.X"),
        ({"spliced_layer": "spliced"}, "both or neither"),
        ({"spliced_layer": "a", "unspliced_layer": "b"}, "there is no layer 'a'"),
        ({"spliced_layer": "spliced", "unspliced_layer": "spliced"}, "expected two layers"),
    ],
)
def test_what_is_named_must_be_there(counts, options, match):
    with pytest.raises(DataError, match=match):
        from_anndata(counts, **options)


def test_sum_can_be_asked_for(counts):
    counts.X = sparse.csr_matrix(counts.X * 3)
    result = from_anndata(counts, total="spliced + unspliced")
    assert (counts.layers["spliced"] + counts.layers["unspliced"] != result.adata.X).nnz == 0


def test_half_a_pair_is_told_and_not_measured(counts):
    del counts.layers["unspliced"]
    result = from_anndata(counts)
    assert not result.has_measured_layers
    assert "spliced" not in result.adata.layers
    assert told(result, "no counterpart")


def test_predicted_layers_are_not_measured(counts):
    from splicedvae.reconstruction import add_predicted_layers

    totals = without_layers(counts, counts.X)
    ratio = np.full(counts.shape, 0.7, dtype=np.float32)
    add_predicted_layers(totals, ratio)
    result = from_anndata(totals)
    assert not result.has_measured_layers
    assert result.total_source == "X"
    assert result.counts is None
    assert told(result, "predicted")
    np.testing.assert_allclose(
        dense(result.adata.layers["spliced"]), dense(totals.layers["spliced"]), rtol=1e-6
    )


def test_layers_of_a_simulation_stay_and_others_are_told(counts):
    counts.layers["true_splicing_ratio"] = np.full(counts.shape, 0.5)
    counts.layers["mystery"] = np.zeros(counts.shape)
    result = from_anndata(counts)
    assert "true_splicing_ratio" in result.adata.layers
    assert "mystery" not in result.adata.layers
    assert told(result, "mystery", "left out")


def test_the_input_is_never_changed(counts):
    counts.var_names = ["Same"] * 10 + [f"G{i}" for i in range(10)]
    counts.obs["mixed"] = [1, "a"] * 15
    counts.uns["nested"] = {"list": [1, 2]}
    unsorted = counts.X.copy()
    unsorted.indices[: unsorted.indptr[1]] = unsorted.indices[: unsorted.indptr[1]][::-1].copy()
    unsorted.data[: unsorted.indptr[1]] = unsorted.data[: unsorted.indptr[1]][::-1].copy()
    unsorted.has_sorted_indices = False
    unsorted.has_canonical_format = False
    counts.X = unsorted
    before = (counts.X.indices.copy(), counts.X.data.copy(), list(counts.var_names))
    result = from_anndata(counts)
    result.adata.X.data[:] = 99
    result.adata.layers["spliced"].data[:] = 99
    result.adata.obsm["X_umap"][:] = 99
    result.adata.uns["nested"]["list"].append(3)
    assert np.array_equal(counts.X.indices, before[0])
    assert np.array_equal(counts.X.data, before[1])
    assert list(counts.var_names) == before[2]
    assert counts.layers["spliced"].max() < 99
    assert counts.obsm["X_umap"].max() < 99
    assert counts.uns == {"origin": "made for a test", "nested": {"list": [1, 2]}}
    assert counts.obs["mixed"].iloc[0] == 1


def test_repeated_names_get_numbers_that_are_free(counts):
    counts.var_names = ["A", "A", "A-1", "A"] + [f"G{i}" for i in range(16)]
    counts.obs_names = ["c"] * 30
    result = from_anndata(counts)
    assert list(result.adata.var_names[:4]) == ["A", "A-2", "A-1", "A-3"]
    assert result.adata.obs_names.is_unique
    assert told(result, "2 names of genes")
    assert told(result, "29 names of cells")


def test_nameless_and_numbered_genes_get_names_from_var(counts):
    counts.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(20)]
    names = list(counts.var_names)
    counts.var_names = ["", "nan", *names[2:]]
    result = from_anndata(counts)
    # The fly has a gene called nan.
    assert list(result.adata.var_names[:3]) == ["ENSG00000000000", "nan", "Gene2"]
    counts.var_names = ["nan", "nan", *names[2:]]
    result = from_anndata(counts)
    assert list(result.adata.var_names[:3]) == ["ENSG00000000000", "ENSG00000000001", "Gene2"]
    assert told(result, "2 genes had no name and read them from var gene_ids")
    counts.var_names = [str(i) for i in range(20)]
    counts.var["gene_symbols"] = pd.Categorical(names)
    result = from_anndata(counts)
    assert list(result.adata.var_names) == names
    assert told(result, "only numbered")


@pytest.mark.parametrize("column", ["_index", "my own names"])
def test_numbered_genes_get_names_from_any_column_that_holds_some(counts, column):
    names = list(counts.var_names)
    counts.var_names = [str(i) for i in range(20)]
    counts.var["chromosome"] = "chr1"
    counts.var["rank"] = range(20)
    counts.var[column] = names
    result = from_anndata(counts)
    assert list(result.adata.var_names) == names
    assert told(result, f"read from var {column}")


def test_numbers_after_repeated_names_depend_on_identifiers_not_on_order(counts):
    counts.var_names = ["Twin", "Twin", *counts.var_names[2:]]
    counts.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(20)]
    named = {}
    for one in (counts, counts[:, ::-1].copy()):
        var = from_anndata(one).adata.var
        named[one.var_names[0]] = dict(zip(var["gene_ids"], var.index, strict=True))
        assert var["repeated_name"].sum() == 2
    assert len(named) == 2
    first, second = named.values()
    assert first == second


def test_mixed_columns_become_text(tmp_path, counts):
    counts.obs["mixed"] = [1, "a", None] * 10
    result = from_anndata(counts)
    assert list(result.adata.obs["mixed"][:2]) == ["1", "a"]
    assert told(result, "mixed")
    result.adata.write_h5ad(tmp_path / "out.h5ad")


def test_entries_stored_twice_are_summed_and_told(counts):
    X = counts.X
    twice = sparse.csr_matrix(
        (
            np.concatenate([X.data, [2, 3]]).astype(np.float32),
            np.concatenate([X.indices, [4, 4]]),
            np.concatenate([X.indptr[:-1], [X.indptr[-1] + 2]]),
        ),
        shape=X.shape,
    )
    result = from_anndata(without_layers(counts, twice))
    assert result.adata.X[29, 4] == X[29, 4] + 5
    assert told(result, "more than once")


def test_wrong_flags_and_unlike_index_types_do_no_harm(counts):
    """As files of other writers have them: anndata takes both as they are."""
    X = counts.X.copy()
    twice = sparse.csr_matrix(
        (np.ones(4, dtype="f4"), np.array([5, 2, 2, 5]), np.array([0, 4] + [4] * 29)), X.shape
    )
    twice.has_sorted_indices = True
    twice.has_canonical_format = True
    twice.indptr = twice.indptr.astype(np.int64)
    twice.indices = twice.indices.astype(np.uint32)
    result = from_anndata(without_layers(counts, twice))
    assert result.adata.X.nnz == 2
    assert result.adata.X[0, 2] == 2
    assert told(result, "2 entries more than once")


def test_cells_without_counts_are_kept_and_told(counts):
    X = counts.X.toarray()
    X[[1, 5]] = 0
    result = from_anndata(without_layers(counts, X))
    assert result.adata.n_obs == 30
    assert told(result, "2 of 30 cells")


def test_nothing_but_zeros_and_no_cells_are_refused(counts):
    with pytest.raises(DataError, match="only zeros"):
        from_anndata(without_layers(counts, np.zeros(counts.shape)))
    with pytest.raises(DataError, match="0 cells"):
        from_anndata(counts[:0].copy())
    with pytest.raises(DataError, match="0 genes"):
        from_anndata(counts[:, :0].copy())


def test_one_cell_and_one_gene_are_enough():
    result = from_anndata(anndata.AnnData(X=np.array([[3.0]])))
    assert result.adata.X.toarray().tolist() == [[3.0]]


def test_text_is_no_count(counts):
    data = without_layers(counts, None)
    data.layers["counts"] = np.full(counts.shape, "a", dtype=object)
    with pytest.raises(DataError, match="expected numbers"):
        from_anndata(data)


def test_neighbours_are_left_out_together_with_their_record(counts):
    counts.obsp["connectivities"] = sparse.eye(30, format="csr")
    counts.uns["neighbors"] = {"connectivities_key": "connectivities"}
    result = from_anndata(counts)
    assert "connectivities" not in result.adata.obsp
    assert "neighbors" not in result.adata.uns
    assert told(result, "connectivities", "left out")


def test_digest_in_memory_follows_the_counts(counts):
    first = from_anndata(counts).sha256
    assert from_anndata(counts.copy()).sha256 == first
    counts.X.data[0] += 1
    assert from_anndata(counts).sha256 != first


def test_backed_data_are_read(tmp_path, counts):
    counts.write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    try:
        assert (from_anndata(backed).adata.X != counts.X).nnz == 0
    finally:
        backed.file.close()
