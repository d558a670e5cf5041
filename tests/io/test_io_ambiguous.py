"""Ambiguous counts: always part of the totals, and with the spliced ones or apart as stated."""

from __future__ import annotations

import anndata
import numpy as np
import pytest
from count_files import divided
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.layers import named_layers
from splicedvae.io import from_anndata, read, read_backed
from splicedvae.triage import inspect

WORDS = [
    ("mature", "nascent", "ambiguous"),  # kb count --workflow nac
    ("S", "U", "A"),  # alevin-fry
    ("spliced", "unspliced", "ambiguous"),  # pyroe and simpleaf: more ambiguous than spliced ones
    ("exon", "intron", "spanning"),  # dropEst
]


def three_layers(counts, words=WORDS[0], x: str | None = "spliced", share: float = 0.3):
    """Counts in three layers of a tool's words; ``x`` names what stands in X."""
    mature, ambiguous = divided(counts.layers["spliced"], share)
    parts = {"spliced": mature, "unspliced": counts.layers["unspliced"], "ambiguous": ambiguous}
    X = None if x is None else sum(parts[name] for name in x.split(" + "))
    return anndata.AnnData(
        X=X,
        obs=counts.obs,
        var=counts.var,
        layers=dict(zip(words, parts.values(), strict=True)),
    )


def same(a, b) -> bool:
    return (sparse.csr_matrix(a) != sparse.csr_matrix(b)).nnz == 0


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize(
    "x",
    [
        "spliced",  # kb
        "spliced + ambiguous",  # kb --sum=cell, pyroe
        "unspliced + ambiguous",  # kb --sum=nucleus
        "spliced + unspliced",
        "spliced + unspliced + ambiguous",  # kb --sum=total, af-anndata
        None,
    ],
)
def test_totals_are_all_molecules_whatever_x_holds(counts, words, x):
    result = from_anndata(three_layers(counts, words, x))
    assert same(result.adata.X, counts.X)
    assert result.counts == "with-introns"
    assert same(result.adata.layers["unspliced"], counts.layers["unspliced"])
    assert same(result.adata.layers["spliced"], counts.layers["spliced"])
    assert "ambiguous" not in result.adata.layers
    assert result.totals_are_sum
    assert result.ambiguous == "spliced"
    share = result.ambiguous_share
    assert share == divided(counts.layers["spliced"])[1].sum() / counts.X.sum()
    assert any(f"{share:.1%}" in note and "added to the spliced" in note for note in result.notes)


def test_few_ambiguous_counts_of_velocyto_are_kept_apart(counts):
    data = three_layers(counts, WORDS[2], "spliced", share=0.9)
    result = from_anndata(data)
    assert result.ambiguous == "apart"
    assert same(result.adata.X, counts.X)
    for key in WORDS[2]:
        assert same(result.adata.layers[key], data.layers[key])
    assert any("kept separate" in note for note in result.notes)


def test_a_sum_without_few_ambiguous_counts_stays_the_total(counts):
    data = three_layers(counts, WORDS[2], "spliced + unspliced", share=0.9)
    result = from_anndata(data)
    assert result.total_source == "X"
    assert result.totals_are_sum
    assert any(f"{result.ambiguous_share:.1%} of all" in note for note in result.notes)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_where_they_go_can_be_chosen(counts, words, share):
    data = three_layers(counts, words, share=share)
    apart = from_anndata(data, ambiguous="apart")
    added = from_anndata(data, ambiguous="spliced")
    assert same(apart.adata.X, counts.X)
    assert same(added.adata.X, counts.X)
    assert same(apart.adata.layers["spliced"], data.layers[words[0]])
    assert same(apart.adata.layers["ambiguous"], data.layers[words[2]])
    assert same(added.adata.layers["spliced"], counts.layers["spliced"])
    assert apart.spliced_source == f"layers/{words[0]}"
    assert added.spliced_source == f"layers/{words[0]} + layers/{words[2]}"
    for result in (apart, added):
        assert any("as requested" in note and "Ambiguous" in note for note in result.notes)


def test_three_layers_can_be_named(counts):
    data = three_layers(counts, ("one", "two", "three"), None)
    named = {"spliced_layer": "one", "unspliced_layer": "two", "ambiguous_layer": "three"}
    result = from_anndata(data, **named)
    assert same(result.adata.X, counts.X)
    assert same(result.adata.layers["spliced"], counts.layers["spliced"])
    only_third = three_layers(counts, ("mature", "nascent", "rest"), "spliced")
    assert from_anndata(only_third).ambiguous_source is None
    assert same(from_anndata(only_third, ambiguous_layer="rest").adata.X, counts.X)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"ambiguous_layer": "nothing"}, "there is no layer 'nothing'"),
        (
            {"spliced_layer": "mature", "unspliced_layer": "nascent", "ambiguous_layer": "mature"},
            "expected two layers",
        ),
    ],
)
def test_a_wrong_third_layer_is_refused(counts, options, match):
    with pytest.raises(DataError, match=match):
        from_anndata(three_layers(counts), **options)


def test_an_ambiguous_layer_alone_is_no_way_to_name_three(counts):
    data = three_layers(counts, ("one", "two", "three"))
    with pytest.raises(DataError, match="name them with spliced_layer"):
        from_anndata(data, ambiguous_layer="three")


def test_totals_can_be_asked_for(counts):
    data = three_layers(counts, WORDS[2], "spliced", share=0.9)
    two = from_anndata(data, total="spliced + unspliced")
    assert same(two.adata.X, data.layers["spliced"] + data.layers["unspliced"])
    assert two.totals_are_sum
    three = from_anndata(data, total="spliced+unspliced+ambiguous")
    assert same(three.adata.X, counts.X)
    assert not three.totals_are_sum
    with pytest.raises(DataError, match="ambiguous_layer"):
        from_anndata(counts, total="spliced + unspliced + ambiguous")


def test_what_was_read_reads_alike_again(counts, tmp_path):
    for share in (0.3, 0.9):
        three_layers(counts, WORDS[2], share=share).write_h5ad(tmp_path / "cells.h5ad")
        first = read(tmp_path / "cells.h5ad")
        first.adata.write_h5ad(tmp_path / "again.h5ad")
        second = read(tmp_path / "again.h5ad")
        assert same(first.adata.X, second.adata.X)
        for key in named_layers(first.adata):
            assert same(first.adata.layers[key], second.adata.layers[key])


def test_the_summary_shows_the_share(counts):
    summary = inspect(from_anndata(three_layers(counts)))
    expected = counts.layers["unspliced"].sum() / counts.X.sum()
    assert summary.unspliced_fraction == pytest.approx(expected, abs=1e-9)
    assert summary.ambiguous_share == pytest.approx(
        divided(counts.layers["spliced"])[1].sum() / counts.X.sum()
    )
    assert (summary.has_ambiguous, summary.ambiguous) == (True, "spliced")
    apart = inspect(from_anndata(three_layers(counts), ambiguous="apart"))
    assert any("are ambiguous" in words for words in apart.warnings)
    assert apart.umis_per_cell.median == np.median(np.asarray(counts.X.sum(axis=1)))


def lone_unspliced(counts, x: str) -> anndata.AnnData:
    """As pyroe's ``load_fry`` gives by default: S + A in X, U in a layer, no spliced one."""
    out = counts.copy()
    if x == "spliced":
        out.X = counts.layers["spliced"].copy()
    del out.layers["spliced"]
    return out


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_x_is_the_spliced_matrix_where_it_cannot_hold_the_unspliced_counts(tmp_path, counts, kind):
    file = tmp_path / f"scRNA.{kind}"
    getattr(lone_unspliced(counts, "spliced"), f"write_{kind}")(file)
    assert read_backed(file) is None
    result = read(file)
    assert (result.spliced_source, result.unspliced_source) == ("X", "layers/unspliced")
    assert result.total_source == "spliced + unspliced"
    assert result.counts == "with-introns"
    assert (result.adata.X != counts.X).nnz == 0
    for name in ("spliced", "unspliced"):
        assert (result.adata.layers[name] != counts.layers[name]).nnz == 0
    assert any("load_fry" in note for note in result.notes)


def test_a_lone_unspliced_layer_within_totals_stays_alone(counts):
    result = from_anndata(lone_unspliced(counts, "total"))
    assert not result.has_measured_layers
    assert result.total_source == "X"
    assert any("has no counterpart" in note for note in result.notes)
