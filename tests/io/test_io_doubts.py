"""Each fault a reviewer would raise, on data made to have it, and silence on data without."""

from __future__ import annotations

import json

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.gene_names import naming_style
from splicedvae.io import from_anndata
from splicedvae.triage import (
    DataSummary,
    ModelFit,
    inspect,
    judge_counts,
    judge_models,
    judge_with_model,
)
from splicedvae.triage._quality import MITOSIS, layer_sums, marker_sums
from splicedvae.triage._summary import MIN_SHARED_COUNTS

N_CELLS, N_GENES = 300, 2_100


def counted(
    *, ratios: np.ndarray | None = None, depth: float = 3_000.0, seed: int = 0
) -> anndata.AnnData:
    """Cells of two clusters whose counts hold a velocity: ratios differ between them."""
    rng = np.random.default_rng(seed)
    clusters = np.arange(N_CELLS) % 2
    means = rng.gamma(2.0, 1.0, N_GENES)
    sizes = rng.lognormal(np.log(depth), 0.4, (N_CELLS, 1)) / means.sum()
    total = rng.poisson(means * sizes)
    if ratios is None:
        by_cluster = rng.uniform(0.1, 0.4, (2, N_GENES))
        ratios = by_cluster[clusters]
    young = rng.binomial(total, ratios)
    return anndata.AnnData(
        X=sparse.csr_matrix(total.astype("f4")),
        obs=pd.DataFrame(
            {"clusters": pd.Categorical([f"type {code}" for code in clusters])},
            index=[f"c{number}" for number in range(N_CELLS)],
        ),
        var=pd.DataFrame(index=[f"Gm{number + 1000}" for number in range(N_GENES)]),
        layers={
            "spliced": sparse.csr_matrix((total - young).astype("f4")),
            "unspliced": sparse.csr_matrix(young.astype("f4")),
        },
    )


def looked(data: anndata.AnnData, **columns: str) -> DataSummary:
    summary = inspect(from_anndata(data), **columns)
    assert all(sentence.endswith(".") for sentence in summary.warnings)
    assert set(summary.remarks) <= set(summary.warnings)
    return summary


def raised(summary: DataSummary, *words: str) -> str:
    """The one warning that holds all words."""
    (found,) = [said for said in summary.warnings if all(word in said for word in words)]
    return found


def scaled_to(data: anndata.AnnData, factor: float) -> anndata.AnnData:
    """Keep a share of all molecules."""
    rng = np.random.default_rng(1)
    for name in ("spliced", "unspliced"):
        matrix = data.layers[name].toarray().astype(int)
        data.layers[name] = sparse.csr_matrix(rng.binomial(matrix, factor).astype("f4"))
    data.X = sparse.csr_matrix(data.layers["spliced"] + data.layers["unspliced"])
    return data


def test_good_counts_raise_nothing_and_are_worth_a_try() -> None:
    summary = looked(counted())
    assert summary.warnings == ()
    assert summary.verdict.answer == "yes"
    assert "were measured" in summary.verdict.reasons[0]
    plain = summary.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


@pytest.mark.parametrize("fault", ["logged", "scaled"])
def test_transformed_values_offered_as_counts_are_refused(fault: str) -> None:
    data = counted()
    del data.layers["spliced"], data.layers["unspliced"]
    dense = data.X.toarray()
    logged = np.log1p(dense / dense.sum(axis=1, keepdims=True) * 1e4)
    data.X = logged if fault == "logged" else (logged - logged.mean(0)) / (logged.std(0) + 1e-3)
    words = "log-normalized" if fault == "logged" else "scaled"
    with pytest.raises(DataError, match=words):
        from_anndata(data)


def test_rounded_normalised_values_are_found_by_their_even_depth() -> None:
    data = counted()
    del data.layers["spliced"], data.layers["unspliced"]
    dense = data.X.toarray()
    data.X = np.rint(dense / dense.sum(axis=1, keepdims=True) * 1e4).astype("f4")
    raised(looked(data), "normalized and rounded", "give the counts from before")


def test_a_matrix_of_zeros_and_ones_is_no_count_matrix() -> None:
    data = counted()
    del data.layers["spliced"], data.layers["unspliced"]
    data.X = (data.X.toarray() > 0).astype("f4")
    raised(looked(data), "No entry is above 1")


def test_one_ratio_for_each_gene_is_no_signal() -> None:
    ratio = np.random.default_rng(5).uniform(0.1, 0.4, N_GENES)
    summary = looked(counted(ratios=np.broadcast_to(ratio, (N_CELLS, N_GENES))))
    raised(summary, "no more than counting noise", "expect no velocity")
    assert summary.ratio_scatter == pytest.approx(1.0, abs=4 * summary.ratio_scatter_error)
    assert summary.verdict.answer == "doubtful"


def test_layers_computed_from_a_ratio_are_no_counts() -> None:
    data = counted(depth=20_000)
    young = np.rint(0.25 * data.X.toarray())
    data.layers["unspliced"] = sparse.csr_matrix(young.astype("f4"))
    data.layers["spliced"] = sparse.csr_matrix(data.X - data.layers["unspliced"])
    summary = looked(data)
    raised(summary, "computed from a ratio, not counted")
    assert summary.verdict.answer == "no"


@pytest.mark.parametrize(
    ("fraction", "words", "answer"),
    [
        (0.0, "all zero", "no"),
        (0.02, "introns may not have been counted in full", "doubtful"),
        (0.8, "nuclei, or the two layers are swapped", "doubtful"),
    ],
)
def test_implausible_unspliced_fractions(fraction: float, words: str, answer: str) -> None:
    rng = np.random.default_rng(3)
    ratios = rng.uniform(0.5 * fraction, 1.5 * fraction, (2, N_GENES)).clip(0, 1)
    data = counted(ratios=ratios[np.arange(N_CELLS) % 2], depth=10_000)
    summary = looked(data)
    raised(summary, words)
    assert summary.verdict.answer == answer


def test_layers_above_and_far_below_the_totals() -> None:
    data = counted()
    more = data.X.toarray()
    more[0, :5] += 1
    data.X = sparse.csr_matrix(3 * more)
    summary = looked(data)
    raised(summary, "only 33% of the total counts")
    data.X = sparse.csr_matrix(np.maximum(more - 2, 0))
    summary = looked(data)
    assert "exceeds the total in" in raised(summary, "exceeds the total")


def test_shallow_cells_and_empty_droplets() -> None:
    summary = looked(scaled_to(counted(), 0.1))
    raised(summary, "The cells are shallow")
    data = counted()
    for name in ("spliced", "unspliced"):
        matrix = data.layers[name].toarray()
        matrix[:60, 20:] = 0
        data.layers[name] = sparse.csr_matrix(matrix)
    data.X = sparse.csr_matrix(data.layers["spliced"] + data.layers["unspliced"])
    raised(looked(data), "20% of the cells have fewer than 100 UMIs", "filtered matrix")


def test_few_cells_forbid_and_small_clusters_are_told() -> None:
    assert looked(counted()[:50].copy()).verdict.answer == "no"
    assert looked(counted()[:150].copy()).verdict.answer == "doubtful"
    data = counted()
    labels = data.obs["clusters"].astype(str)
    labels.iloc[:7] = "handful"
    data.obs["clusters"] = pd.Categorical(labels)
    assert "handful: 7" in raised(looked(data), "1 cluster has fewer than 30 cells")
    labels.iloc[7:12] = "pinch"
    data.obs["clusters"] = pd.Categorical(labels)
    assert "pinch: 5, handful: 7)" in raised(
        looked(data), "2 clusters have fewer than 30 cells"
    ).replace("'", "")


def test_batches_that_are_the_clusters() -> None:
    data = counted()
    data.obs["batch"] = np.where(data.obs["clusters"] == "type 0", "monday", "friday")
    summary = looked(data)
    raised(summary, "100% of the cells are in clusters that come from one batch")
    data.obs["batch"] = np.where(np.arange(N_CELLS) % 3 == 0, "monday", "friday")
    assert not any("one batch" in said for said in looked(data).warnings)


def test_mitochondrial_counts_by_species() -> None:
    data = counted()
    data.var_names = ["mt-Co1", "mt-Nd1", *data.var_names[2:]]
    for name in ("spliced", "unspliced"):
        matrix = data.layers[name].toarray()
        matrix[:, :2] *= 150
        data.layers[name] = sparse.csr_matrix(matrix)
    data.X = sparse.csr_matrix(data.layers["spliced"] + data.layers["unspliced"])
    summary = looked(data)
    assert summary.species.species == "mouse"
    share = np.asarray(data.X[:, :2].sum(axis=1) / data.X.sum(axis=1)).ravel()
    assert summary.mitochondrial_fraction == pytest.approx(np.median(share), rel=1e-5)
    assert "up to 5%" in raised(summary, "mitochondrial")


def test_dividing_cells_are_cautioned() -> None:
    data = counted()
    names = list(data.var_names)
    names[: len(MITOSIS)] = sorted(gene.capitalize() for gene in MITOSIS)
    data.var_names = names
    for name in ("spliced", "unspliced"):
        matrix = data.layers[name].toarray()
        matrix[:, : len(MITOSIS)] = 0
        matrix[:120, : len(MITOSIS)] = 3
        data.layers[name] = sparse.csr_matrix(matrix)
    data.X = sparse.csr_matrix(data.layers["spliced"] + data.layers["unspliced"])
    summary = looked(data)
    assert summary.dividing_cells == pytest.approx(0.4)
    assert raised(summary, "cell cycle") in summary.remarks


def test_names_of_two_kinds_and_twice() -> None:
    data = counted()
    names = list(data.var_names)
    names[:500] = [f"ENSMUSG{number:011d}" for number in range(500)]
    names[600] = names[601]
    data.var_names = names
    summary = looked(data)
    raised(summary, "24% of the genes are named by Ensembl identifiers")
    raised(summary, "are duplicates")


def test_two_species_are_doubted() -> None:
    data = counted()
    data.var_names = [
        f"GRCh38_G{number}" if number % 2 else f"mm10___G{number}" for number in range(N_GENES)
    ]
    summary = looked(data)
    raised(summary, "More than one species", "keep the cells and genes of one")
    assert summary.verdict.answer == "doubtful"


@given(
    st.integers(1, 12).flatmap(
        lambda n_genes: st.lists(
            st.lists(
                st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 9)),
                min_size=n_genes,
                max_size=n_genes,
            ),
            min_size=1,
            max_size=9,
        )
    )
)
def test_layer_sums_agree_with_dense_arithmetic(rows: list[list[tuple[int, int, int]]]) -> None:
    s, u, x = np.moveaxis(np.array(rows, dtype=np.float32), 2, 0)
    sums = layer_sums(*(sparse.csr_matrix(matrix) for matrix in (x, s, u)), min_shared=0)
    both = np.where((s > 0) & (u > 0), s + u, 0).sum(axis=0)
    np.testing.assert_array_equal(sums.shared, both)
    assert sums.excess == np.count_nonzero(s + u > x)
    assert sums.of_total == pytest.approx((s + u).sum() / max(x.sum(), 1))
    told = layer_sums(*(sparse.csr_matrix(matrix) for matrix in (s + u, s, u)), min_shared=0)
    known = layer_sums(
        *(sparse.csr_matrix(matrix) for matrix in (s + u, s, u)), min_shared=0, are_sum=True
    )
    np.testing.assert_array_equal(told.shared, known.shared)
    assert (told.of_total, told.excess, told.scatter) == (
        known.of_total,
        known.excess,
        known.scatter,
    )
    n = (s + u).astype(float)
    chi, freedom = 0.0, 0
    for gene in range(n.shape[1]):
        seen = n[:, gene] > 0
        if seen.sum() < 2:
            continue
        r = u[seen, gene].sum() / n[seen, gene].sum()
        if not 0.02 < r < 0.98:
            continue
        rest = u[seen, gene] - r * n[seen, gene]
        chi += float((rest**2 / (n[seen, gene] * r * (1 - r))).sum())
        freedom += int(seen.sum()) - 1
    if freedom:
        assert sums.scatter == pytest.approx(chi / freedom, rel=1e-4, abs=1e-6)
    else:
        assert sums.scatter is None


def test_the_standard_error_is_that_of_binomial_counts() -> None:
    """Over many draws with one ratio for each gene the scatter spreads as its error says."""
    ratio = np.random.default_rng(0).uniform(0.1, 0.4, N_GENES)
    flat = np.broadcast_to(ratio, (N_CELLS, N_GENES))
    found, errors = [], []
    for seed in range(12):
        data = counted(ratios=flat, seed=seed)
        sums = layer_sums(
            data.X,
            data.layers["spliced"],
            data.layers["unspliced"],
            min_shared=MIN_SHARED_COUNTS,
        )
        found.append((sums.scatter - 1) / sums.scatter_error)
        errors.append(sums.scatter_error)
    assert abs(np.mean(found)) < 1.5
    assert 0.4 < np.std(found) < 2.0
    assert max(errors) < 0.02


def test_markers_are_found_in_a_column_of_symbols() -> None:
    data = counted()
    data.var["gene_symbols"] = ["MT-CO1", "MT-ND1", *data.var_names[2:]]
    data.var_names = [f"ENSG{number:011d}" for number in range(N_GENES)]
    umis = np.asarray(data.X.sum(axis=1)).ravel()
    assert marker_sums(data.X, umis, data.var).mitochondrial > 0
    del data.var["gene_symbols"]
    assert marker_sums(data.X, umis, data.var).mitochondrial is None


@pytest.mark.parametrize(
    ("fit", "answer", "words"),
    [
        (None, "no", "no trained model"),
        (ModelFit(100, 20, "mouse", "mouse"), "no", "at least 50%"),
        (ModelFit(100, 90, "mouse", "human"), "no", "looks like human"),
        (ModelFit(100, 90, "mouse", "mouse"), "doubtful", "not yet compared"),
        (ModelFit(100, 90, None, "mouse"), "doubtful", "not yet compared"),
        (ModelFit(100, 90, "mouse", "mouse", 0.4), "no", "out of distribution"),
        (ModelFit(100, 90, "mouse", "mouse", 0.1), "yes", "novelty 0.10"),
    ],
)
def test_totals_are_judged_with_the_best_model(
    fit: ModelFit | None, answer: str, words: str
) -> None:
    data = counted()
    del data.layers["spliced"], data.layers["unspliced"]
    summary = looked(data)
    assert summary.verdict.answer == "no"
    judged = judge_with_model(summary, fit)
    assert judged.answer == answer
    assert words in " ".join(judged.reasons)


def test_shallow_totals_stay_doubtful_with_a_model_that_fits() -> None:
    data = scaled_to(counted(), 0.1)
    del data.layers["spliced"], data.layers["unspliced"]
    judged = judge_with_model(looked(data), ModelFit(100, 90, "mouse", "mouse", 0.1))
    assert judged.answer == "doubtful"
    assert "shallow" in judged.reasons[0]


def test_counts_and_models_are_judged_apart() -> None:
    data = counted()
    data.layers.clear()
    fine = looked(data)
    assert fine.verdict.answer == "no"
    assert judge_counts(fine).answer == "yes"
    assert judge_models(fine, None).answer == "no"
    assert not set(judge_counts(fine).reasons) & set(judge_models(fine, None).reasons)
    # A doubt about the counts is no doubt about a model that was compared with the cells.
    few = looked(data[:150].copy())
    fit = ModelFit(100, 90, "mouse", "mouse", 0.1)
    assert judge_counts(few).answer == "doubtful"
    assert judge_models(few, fit).answer == "yes"
    assert judge_with_model(few, fit).answer == "doubtful"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            [f"Gene{number:04d}" for number in range(40)],
            "genes numbered after Gene (such as Gene0000)",
        ),
        (["Sox17", "Actb", "Gapdh", "Pecam"] * 5, "capitalized symbols as in mouse or rat"),
        ([f"ENSOCUG{number:011d}" for number in range(40)], "upper-case"),
        (["Gene1", "Gene2"], "capitalized"),
    ],
)
def test_numbered_genes_are_not_called_symbols(names: list[str], said: str) -> None:
    assert said in naming_style(names)
