"""What `inspect` says about data, and what it warns of."""

from __future__ import annotations

import json

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.species import gene_style, guess_species
from splicedvae.io import from_anndata
from splicedvae.triage import batch_candidates, cluster_candidates, inspect


def warned(summary, *words) -> bool:
    return any(all(word in sentence for word in words) for sentence in summary.warnings)


def cells(n_cells=400, n_genes=150, *, spliced=20.0, unspliced=6.0, seed=0) -> anndata.AnnData:
    """Two clusters; the first half of the genes is younger in one, the second in the other."""
    rng = np.random.default_rng(seed)
    clusters = rng.choice(["b", "a"], n_cells)
    tilt = np.where((clusters == "a")[:, None] == (np.arange(n_genes) < n_genes // 2), 1.3, 0.7)
    depth = rng.lognormal(0, 0.3, (n_cells, 1))
    s = sparse.csr_matrix(rng.poisson(spliced * depth, (n_cells, n_genes)).astype("f4"))
    u = sparse.csr_matrix(rng.poisson(unspliced * depth * tilt).astype("f4"))
    return anndata.AnnData(
        X=sparse.csr_matrix(s + u),
        obs=pd.DataFrame(
            {"clusters": pd.Categorical(clusters, categories=["b", "a"])},
            index=[f"c{i}" for i in range(n_cells)],
        ),
        var=pd.DataFrame(index=[f"Gm{i + 1000}" for i in range(n_genes)]),
        layers={"spliced": s, "unspliced": u},
    )


def test_good_data_are_described_by_their_numbers_and_raise_nothing():
    data = cells()
    summary = inspect(from_anndata(data, name="good"))
    s, u = data.layers["spliced"].toarray(), data.layers["unspliced"].toarray()
    total = data.X.toarray()
    assert summary.warnings == ()
    assert (summary.n_cells, summary.n_genes, summary.name) == (400, 150, "good")
    umis = total.sum(axis=1)
    assert summary.umis_per_cell.median == np.median(umis)
    assert summary.umis_per_cell.lower == np.quantile(umis, 0.25)
    assert summary.umis_per_cell.maximum == umis.max()
    assert summary.genes_per_cell.median == np.median((total > 0).sum(axis=1))
    assert summary.zero_fraction == pytest.approx(np.mean(total == 0))
    assert summary.unspliced_fraction == pytest.approx(u.sum() / (s + u).sum())
    fractions = u.sum(axis=1) / (s + u).sum(axis=1)
    assert summary.unspliced_fraction_per_cell.upper == pytest.approx(np.quantile(fractions, 0.75))
    assert sum(summary.unspliced_histogram.counts) == 400
    assert sum(summary.umis_histogram.counts) == 400
    assert summary.genes_with_shared_counts == 150
    assert summary.has_measured_layers
    assert [row.cluster for row in summary.clusters] == ["b", "a"]
    for row in summary.clusters:
        inside = (data.obs["clusters"] == row.cluster).to_numpy()
        assert row.n_cells == inside.sum()
        assert row.median_umis == np.median(umis[inside])
        assert row.unspliced_fraction == pytest.approx(u[inside].sum() / (s + u)[inside].sum())
        assert row.unspliced_fraction_per_cell.median == pytest.approx(np.median(fractions[inside]))


def test_the_summary_becomes_json_and_back():
    summary = inspect(from_anndata(cells()))
    plain = summary.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["species"]["species"] == "mouse"
    assert plain["clusters"][0]["cluster"] == "b"
    totals = cells()
    del totals.layers["spliced"], totals.layers["unspliced"], totals.obs["clusters"]
    plain = inspect(from_anndata(totals)).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["unspliced_fraction"] is None


def test_shared_counts_agree_with_scvelo():
    import scvelo

    data = cells(60, 80, spliced=0.6, unspliced=0.3)
    kept = data.copy()
    kept.X = kept.layers["spliced"].copy()
    scvelo.pp.filter_genes(kept, min_shared_counts=20)
    assert 0 < kept.n_vars < 80
    assert inspect(from_anndata(data)).genes_with_shared_counts == kept.n_vars


def test_no_layers():
    data = cells()
    del data.layers["unspliced"], data.layers["spliced"]
    assert warned(inspect(from_anndata(data)), "no spliced and unspliced counts")


@pytest.mark.parametrize(
    ("spliced", "unspliced", "words"),
    [
        (20, 0, "all zero"),
        (40, 0.01, "all zero"),
        (40, 1, "introns may not have been counted"),
        (5, 20, "nuclei, or the two layers are swapped"),
    ],
)
def test_unusual_unspliced_fractions(spliced, unspliced, words):
    data = cells(spliced=spliced, unspliced=unspliced)
    assert warned(inspect(from_anndata(data)), words)


def test_few_and_shallow_cells_and_few_shared_genes():
    summary = inspect(from_anndata(cells(20, 30, spliced=2, unspliced=0.5)))
    assert warned(summary, "only 20 cells")
    assert warned(summary, "shallow")
    assert warned(summary, "genes have 20 or more shared")


def test_empty_cells_and_genes():
    data = cells()
    for place in ("X", "spliced", "unspliced"):
        matrix = (data.X if place == "X" else data.layers[place]).toarray()
        matrix[:3] = 0
        matrix[:, :7] = 0
        if place == "X":
            data.X = matrix
        else:
            data.layers[place] = matrix
    summary = inspect(from_anndata(data))
    assert (summary.empty_cells, summary.empty_genes) == (3, 7)
    assert warned(summary, "3 cells have no counts")
    assert warned(summary, "7 genes have no counts in any cell")


def test_totals_below_the_layers_and_exonic_totals():
    data = cells()
    data.X = data.layers["spliced"].copy()
    summary = inspect(from_anndata(data, total="X"))
    expected = int((data.layers["unspliced"].toarray() > 0).sum())
    assert warned(summary, f"exceeds the total in {expected:,} entries")
    assert warned(summary, "exonic")


def test_batches_clusters_and_repeated_names():
    data = cells()
    del data.obs["clusters"]
    data.obs["sample"] = ["s1", "s2"] * 200
    data.var_names = ["Same", "Same", *data.var_names[2:]]
    summary = inspect(from_anndata(data))
    assert (summary.cluster_key, summary.batch_key) == (None, "sample")
    assert warned(summary, "No column of obs holds clusters")
    assert warned(summary, "2 batches", "sample")
    assert warned(summary, "are duplicates")


def test_clusters_that_differ_much():
    a, b = cells(seed=1), cells(unspliced=1.2, seed=2)
    both = anndata.concat({"first": a, "second": b}, label="cell_type", index_unique="-")
    summary = inspect(from_anndata(both), cluster_key="cell_type")
    assert warned(summary, "more than threefold", "second", "first")


def test_named_columns_must_be_there():
    result = from_anndata(cells(), name="mine")
    with pytest.raises(DataError, match=r"mine: obs has no column 'nothing', .*clusters"):
        inspect(result, cluster_key="nothing")
    with pytest.raises(DataError, match="no column"):
        inspect(result, batch_key="nothing")


def test_cells_without_a_cluster_have_a_row():
    data = cells()
    labels = data.obs["clusters"].astype(object)
    labels.iloc[:4] = None
    data.obs["clusters"] = pd.Categorical(labels)
    rows = inspect(from_anndata(data)).clusters
    assert rows[-1].cluster == "(none)"
    assert rows[-1].n_cells == 4
    assert sum(row.n_cells for row in rows) == 400


def test_which_columns_are_clusters_and_batches():
    n = 300
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "depth": rng.normal(size=n),
            "sample": rng.choice(["s1", "s2"], n),
            "phase": rng.choice(["G1", "S"], n),
            "leiden": pd.Categorical(rng.choice(list("0123"), n)),
            "barcode": [f"b{i}" for i in range(n)],
            "my_annotation": rng.choice(list("xyz"), n),
            "clusters": pd.Categorical(rng.choice(list("ab"), n)),
            "one": "same",
            "number": rng.integers(0, 4, n),
            "seurat_clusters": rng.integers(0, 4, n),
            "flag": rng.choice([True, False], n),
            "many": pd.Categorical([f"m{i // 2}" for i in range(n)]),
        },
        index=[f"c{i}" for i in range(n)],
    )
    data = anndata.AnnData(np.ones((n, 2), dtype="f4"), obs=obs)
    assert cluster_candidates(data) == [
        "clusters", "leiden", "seurat_clusters", "my_annotation", "phase",
    ]  # fmt: skip
    assert batch_candidates(data) == ["sample"]


HUMAN = ["MT-CO1", "MT-ND1", "GAPDH", "ACTB", "CD3E", "LINC00115"]
MOUSE = ["mt-Co1", "mt-Nd1", "Gapdh", "Actb", "Cd3e", "Gm1992", "Sox17", "Xkr4", "Rp1", "Lypla1"]


@pytest.mark.parametrize(
    ("names", "species", "confidence"),
    [
        ([f"ENSG{i:011d}.{i}" for i in range(9)], "human", "certain"),
        ([f"ENSMUSG{i:011d}" for i in range(9)], "mouse", "certain"),
        ([f"ENSDARG{i:011d}" for i in range(9)], "zebrafish", "certain"),
        ([f"FBgn{i:07d}" for i in range(9)], "fruit fly", "certain"),
        ([f"WBGene{i:08d}" for i in range(9)], "C. elegans", "certain"),
        ([f"AT{1 + i % 5}G{i:05d}" for i in range(9)], "Arabidopsis", "certain"),
        ([f"YA{'LR'[i % 2]}{i:03d}W" for i in range(9)], "budding yeast", "certain"),
        ([f"GRCh38_ENSG{i:011d}" for i in range(9)], "human", "certain"),
        (HUMAN, "human", "likely"),
        (["GAPDH", "ACTB", "CD3E"], "human", "unsure"),
        (MOUSE, "mouse", "likely"),
        (["Gapdh", "Actb", "Cd3e"], "mouse", "unsure"),
        (["Mt-nd1", "Mt-co1", "RT1-A1", "Gapdh", "Actb", "Cd3e"], "rat", "likely"),
        (["mt-nd1", "actb1", "gapdh", "sox17", "zgc:12345"], "zebrafish", "likely"),
        (["unc-54", "mec-4", "daf-16", "act-1", "Y74C9A.3"], "C. elegans", "likely"),
        (["mt:CoI", "CG1234", "Act5C", "dpp", "wg", "Gapdh1"], "fruit fly", "likely"),
        (["1", "2", "3"], None, "unknown"),
        ([], None, "unknown"),
        (["GRCh38_GAPDH", "GRCh38_ACTB", "mm10___Gapdh"], None, "certain"),
        (
            [f"ENSG{i:011d}" for i in range(9)] + [f"ENSMUSG{i:011d}" for i in range(9)],
            None,
            "certain",
        ),
        ([f"Gene{i:04d}" for i in range(40)], None, "unknown"),
        ([f"gene-{i}" for i in range(40)], None, "unknown"),
        ([f"CG{i}" for i in range(1000, 1040)], "human", "unsure"),
        ([f"Gm{i}" for i in range(1000, 1040)], "mouse", "likely"),
        ([f"Gene{i}" for i in range(20)] + ["Actb", "Cd3e", "Sox2", "Pax6"], "mouse", "unsure"),
        (["Hoxa1", "Hoxa2", "Hoxa3"], "mouse", "unsure"),
    ],
)
def test_species(names, species, confidence):
    guess = guess_species(names)
    assert (guess.species, guess.confidence) == (species, confidence)
    assert guess.how


def test_identifiers_beside_symbols_decide_the_species():
    assert guess_species(["GAPDH", "ACTB", "CD3E"]).confidence == "unsure"
    guess = guess_species(["GAPDH", "ACTB", "CD3E"], [f"ENSMMUG{i:011d}" for i in range(3)])
    assert (guess.species, guess.confidence) == ("rhesus macaque", "certain")


def test_a_mixture_of_species_is_warned_of():
    data = cells()
    data.var_names = [f"GRCh38_G{i}" if i % 2 else f"mm10___G{i}" for i in range(150)]
    assert warned(inspect(from_anndata(data)), "More than one species")


@pytest.mark.parametrize(
    ("names", "style"),
    [
        ([f"ENSG{i:011d}" for i in range(5)], "Ensembl identifiers"),
        ([f"FBgn{i:07d}" for i in range(5)], "other identifiers"),
        (MOUSE, "symbols"),
        (["1", "2"], "numbers"),
        ([], "unknown"),
    ],
)
def test_gene_styles(names, style):
    assert gene_style(names) == style
