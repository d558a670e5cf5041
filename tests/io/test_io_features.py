"""Antibodies, guides and hashtags are no genes in any format; biotypes and chromosomes all are."""

from __future__ import annotations

from pathlib import Path

import anndata
import loompy
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.io import mmwrite

from splicedvae._core.errors import DataError
from splicedvae._core.layers import drop_layers, named_layers
from splicedvae.io import from_anndata, read, read_backed
from splicedvae.io._features import gene_mask
from splicedvae.triage import inspect

KINDS = [
    ("feature_types", "Gene Expression", "Antibody Capture"),
    ("feature_types", "Gene Expression", "CRISPR Guide Capture"),
    ("feature_type", "Gene Expression", "Multiplexing Capture"),
    ("FeatureType", "gene_expression", "antibody_capture"),
    ("anything", "Gene Expression", "Some new kind"),
    ("modality", "rna", "prot"),
    ("assay", "RNA", "ADT"),
    ("feature_biotype", "gene", "spike-in"),
    ("library_type", "Gene Expression", "Custom"),
]


def with_others(counts, column="feature_types", gene="Gene Expression", other="Antibody Capture"):
    """Two features that are no genes among the genes, counted in X alone."""
    rng = np.random.default_rng(3)
    places = [0, 7]
    order = np.insert(np.arange(counts.n_vars), places, -1)

    def spread(matrix, values):
        out = np.zeros((counts.n_obs, len(order)), dtype="f4")
        out[:, order >= 0] = matrix.toarray()
        out[:, order < 0] = values
        return sparse.csr_matrix(out)

    extra = rng.negative_binomial(3, 0.01, (counts.n_obs, 2))
    is_gene = order >= 0
    names = np.full(len(order), "CD3_TotalSeqB", dtype=object)
    names[is_gene] = counts.var_names
    names[0] = "CD4_TotalSeqB"
    var = pd.DataFrame(index=names)
    var[column] = np.where(is_gene, gene, other)
    return anndata.AnnData(
        X=spread(counts.X, extra),
        obs=counts.obs,
        var=var,
        layers={key: spread(counts.layers[key], 0) for key in named_layers(counts)},
    )


def check(result, counts) -> None:
    assert list(result.adata.var_names) == list(counts.var_names)
    assert (result.adata.X != counts.X).nnz == 0
    assert any("not genes" in note for note in result.notes)


@pytest.mark.parametrize(("column", "gene", "other"), KINDS)
def test_what_is_no_gene_is_left_out(counts, column, gene, other):
    result = from_anndata(with_others(counts, column, gene, other))
    check(result, counts)
    assert result.totals_are_sum
    assert inspect(result).umis_per_cell == inspect(from_anndata(counts)).umis_per_cell


@pytest.mark.parametrize("kind", ["h5ad", "zarr", "loom"])
def test_in_every_format(tmp_path, counts, kind):
    data = with_others(counts)
    path = tmp_path / f"cells.{kind}"
    if kind == "loom":
        layers = {"": data.X.T.toarray()}
        layers |= {key: data.layers[key].T.toarray() for key in named_layers(data)}
        rows = {"Gene": np.array(data.var_names), "feature_types": np.array(data.var.iloc[:, 0])}
        loompy.create(str(path), layers, rows, {"CellID": np.array(data.obs_names)})
    else:
        getattr(data, f"write_{kind}")(path)
    check(read(path), counts)


def test_totals_that_stay_on_disk_are_read_as_a_whole(tmp_path, counts):
    data = with_others(counts)
    drop_layers(data)
    data.write_h5ad(tmp_path / "cells.h5ad")
    assert read_backed(tmp_path / "cells.h5ad") is None
    check(read(tmp_path / "cells.h5ad"), counts)


@pytest.mark.parametrize("told_in_raw", [True, False])
def test_raw_is_cut_as_well(counts, told_in_raw):
    data = with_others(counts)
    drop_layers(data)
    raw = data.copy()
    if not told_in_raw:
        raw.var = raw.var[[]]
    data.raw = raw
    data.X = data.X.log1p()
    check(from_anndata(data), counts)


def test_antibodies_alone_are_refused(counts):
    counts.var["feature_types"] = "Antibody Capture"
    with pytest.raises(DataError, match="expected gene expression"):
        from_anndata(counts)


def write_folder(folder: Path, counts, third) -> Path:
    folder.mkdir()
    mmwrite(folder / "matrix.mtx", sparse.coo_matrix(counts.X.T).astype(int))
    (folder / "barcodes.tsv").write_text("\n".join(counts.obs_names) + "\n")
    rows = zip(counts.var_names, third, strict=True)
    (folder / "features.tsv").write_text(
        "".join(f"ENSG{i:011d}\t{name}\t{word}\n" for i, (name, word) in enumerate(rows))
    )
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["protein_coding", "lincRNA", "processed_pseudogene", "antisense"],
        ["protein_coding"],
        ["1", "2", "X", "MT"],
        ["chr1:100-200", "chrX:5-9"],
        ["protein_coding", "rRNA", "tRNA", "TEC"],
        ["Gene Expression"],
        ["", "x"],
    ],
)
def test_other_third_columns_of_a_folder_say_nothing(tmp_path, counts, words):
    third = [words[i % len(words)] for i in range(counts.n_vars)]
    result = read(write_folder(tmp_path / "m", counts, third))
    assert list(result.adata.var_names) == list(counts.var_names)
    assert (result.adata.X != counts.X).nnz == 0


def test_antibodies_of_a_folder_are_left_out(tmp_path, counts):
    data = with_others(counts)
    drop_layers(data)
    folder = write_folder(tmp_path / "m", data, data.var["feature_types"])
    check(read(folder), counts)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("biotype", ["protein_coding", "lncRNA", "rRNA"]),
        ("feature_type", ["protein_coding", "lncRNA", "TR_V_gene"]),
        ("feature_biotype", ["gene", "gene", "gene"]),
        ("gene_type", ["protein_coding", "gene", "guide"]),
        ("name", ["ADT", "RNA", "ATAC"]),
        ("feature_types", ["Gene Expression", None, "Gene Expression"]),
        ("highly_variable", [True, False, True]),
        ("chromosome", ["1", "X", "MT"]),
        ("source", ["custom", "custom", "custom"]),
    ],
)
def test_columns_that_tell_of_no_other_features(column, values):
    assert gene_mask(pd.DataFrame({column: values})) is None


@settings(max_examples=50)
@given(st.text(max_size=15), st.lists(st.text(max_size=12) | st.none(), min_size=1, max_size=9))
def test_any_annotation_can_be_looked_at(name, values):
    found = gene_mask(pd.DataFrame({name: values}))
    assert found is None or len(found[0]) == len(values)
