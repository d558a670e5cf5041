"""Numbers with decimals: counts after ambient removal or estimation, or scaled values."""

from __future__ import annotations

import anndata
import numpy as np
import pytest
from count_files import written
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae._core.layers import drop_layers
from splicedvae.io import from_anndata, read, read_backed
from splicedvae.io._counts import candidate
from splicedvae.io._layers import predicted_layers
from splicedvae.reconstruction import add_predicted_layers


def raw_counts(n_cells: int = 150, n_genes: int = 240, seed: int = 0) -> np.ndarray:
    """Cells of unlike depth, genes from rare to very frequent."""
    rng = np.random.default_rng(seed)
    depth = rng.gamma(4, 0.25, (n_cells, 1))
    mean = rng.lognormal(0.5, 1.6, n_genes)
    return rng.poisson(rng.gamma(2, 0.5, (n_cells, n_genes)) * depth * mean).astype(float)


COUNTS = raw_counts()
SOUP = COUNTS.sum(axis=0) / COUNTS.sum()
DEPTH = COUNTS.sum(axis=1, keepdims=True)
#: Size factors that are not the sum of the genes at hand, as of a file with a choice of genes.
FACTORS = DEPTH * np.random.default_rng(1).uniform(0.7, 1.4, DEPTH.shape)


def soupx(share: float = 0.08) -> np.ndarray:
    return np.clip(COUNTS - share * DEPTH * SOUP, 0, None) * (COUNTS > 0)


def decontx() -> np.ndarray:
    """Each count times the posterior that it is the cell's own."""
    own = np.random.default_rng(2).beta(30, 2, COUNTS.shape)
    return COUNTS * own


CORRECTED = {
    "SoupX": soupx(),
    "SoupX, little": soupx(0.02),
    "SoupX in three decimals": np.round(soupx(), 3),
    "SoupX in float32": soupx().astype(np.float32),
    "DecontX": decontx(),
    "DecontX in two decimals": np.round(decontx(), 2),
}
NORMALISED = {
    "CPM": COUNTS / DEPTH * 1e6,
    "log1p of CP10k": np.log1p(COUNTS / DEPTH * 1e4),
    "log1p by size factors": np.log1p(COUNTS / FACTORS * 1e4),
    "by size factors": COUNTS / FACTORS * 1e4,
    "scVelo's layers": COUNTS / DEPTH * np.median(DEPTH),
    "scran": np.log2(COUNTS / (FACTORS / FACTORS.mean()) + 1),
    "log10": np.log10(COUNTS / FACTORS * 1e4 + 1),
    "log1p of counts": np.log1p(COUNTS),
    "log2 of counts": np.log2(COUNTS + 1),
    "square roots": np.sqrt(COUNTS),
    "log1p in three decimals": np.round(np.log1p(COUNTS / FACTORS * 1e4), 3),
    "half of the genes": np.log1p(COUNTS / FACTORS * 1e4)[:, ::2],
}


def kind_of(matrix: np.ndarray) -> str:
    data = anndata.AnnData(matrix)
    names = (data.obs_names, data.var)
    return candidate(sparse.csr_matrix(matrix), "X", names, copy=True).values.kind


def of(matrix: np.ndarray) -> anndata.AnnData:
    data = anndata.AnnData(matrix)
    data.var_names = [f"Gene{i}" for i in range(matrix.shape[1])]
    data.obs_names = [f"cell{i}" for i in range(matrix.shape[0])]
    return data


@pytest.mark.parametrize("name", CORRECTED)
def test_what_ambient_removal_leaves_is_counts(name):
    matrix = CORRECTED[name]
    assert kind_of(matrix) == "corrected"
    result = from_anndata(of(matrix))
    rounded = result.adata.X.toarray()
    assert (np.abs(rounded - matrix) < 1).all()
    assert (rounded == np.rint(rounded)).all()
    assert rounded.sum() == pytest.approx(matrix.sum(), rel=0.005)
    assert any("ambient removal" in note for note in result.notes)


@pytest.mark.parametrize("name", NORMALISED)
def test_scaled_and_transformed_counts_are_not_even_when_named(name):
    assert kind_of(NORMALISED[name]) == "normalised"
    for total in (None, "X"):
        with pytest.raises(DataError, match="normalized"):
            from_anndata(of(NORMALISED[name]), total=total)


def test_estimated_counts_are_rounded():
    """As expectation maximization leaves them: some counts are shared by genes."""
    rng = np.random.default_rng(3)
    matrix = COUNTS + rng.choice([0] * 9 + [0.5, 1 / 3, 0.25], COUNTS.shape)
    assert kind_of(matrix) == "estimated"
    rounded = from_anndata(of(matrix)).adata.X.toarray()
    assert rounded.sum() == pytest.approx(matrix.sum(), rel=0.005)


def test_renamed_genes_with_identifiers_are_rounded_the_same():
    data = of(CORRECTED["SoupX"])
    data.var["gene_ids"] = [f"ENSG{number:011d}" for number in range(data.n_vars)]
    other = data.copy()
    other.var_names = [f"renamed{number}" for number in range(data.n_vars)]
    first, second = (from_anndata(one).adata.X.toarray() for one in (data, other))
    assert (first == second).all()
    for one in (data, other):
        del one.var["gene_ids"]
    first, second = (from_anndata(one).adata.X.toarray() for one in (data, other))
    assert (first != second).any()


def test_unclear_decimals_are_rounded_only_when_named():
    matrix = np.random.default_rng(4).uniform(0.01, 9, (60, 30))
    assert kind_of(matrix) == "fractional"
    with pytest.raises(DataError, match=r"ambient removal \(SoupX, DecontX\).* rounded"):
        from_anndata(of(matrix))
    assert from_anndata(of(matrix), total="X").adata.X.toarray().mean() == pytest.approx(
        matrix.mean(), rel=0.05
    )


def test_whole_counts_are_preferred():
    data = of(CORRECTED["SoupX"])
    data.layers["counts"] = COUNTS
    result = from_anndata(data)
    assert result.total_source == "layers/counts"
    assert (result.adata.X.toarray() == COUNTS).all()
    data.layers = {"spliced": COUNTS, "unspliced": COUNTS * (COUNTS > 2)}
    result = from_anndata(data)
    assert result.total_source == "spliced + unspliced"
    assert (result.adata.layers["spliced"].toarray() == COUNTS).all()


def test_layers_with_decimals_are_rounded_and_summed():
    """As alevin-fry's estimation gives all three of them."""
    parts = {"spliced": soupx(), "unspliced": decontx()}
    data = anndata.AnnData(parts["spliced"], layers=parts)
    result = from_anndata(data)
    assert result.has_measured_layers
    both = result.adata.layers["spliced"] + result.adata.layers["unspliced"]
    assert (both != result.adata.X).nnz == 0
    assert result.totals_are_sum


@pytest.mark.parametrize("total", [None, "counts", "layers/counts"])
@pytest.mark.parametrize("x", ["log1p of CP10k", "scran"])
def test_normalised_layers_do_not_block_totals(total, x):
    data = of(NORMALISED[x])
    data.layers["spliced"] = NORMALISED["scVelo's layers"]
    data.layers["unspliced"] = NORMALISED["scVelo's layers"] / 2
    data.layers["counts"] = COUNTS
    result = from_anndata(data, total=total)
    assert result.total_source == "layers/counts"
    assert (result.adata.X.toarray() == COUNTS).all()
    assert not result.has_measured_layers
    assert not {"spliced", "unspliced"} & set(result.adata.layers)
    assert any("layers/spliced holds" in note and "left out" in note for note in result.notes)
    with pytest.raises(DataError, match="layers/spliced holds"):
        from_anndata(data, spliced_layer="spliced", unspliced_layer="unspliced")


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_totals_on_disk_are_rounded_alike(tmp_path, kind):
    data = of(CORRECTED["SoupX"])
    file = written(data, tmp_path, kind)
    whole = read(file)
    with read_backed(file) as backed:
        assert (sparse.vstack(list(backed.blocks())) != whole.adata.X).nnz == 0
        assert backed.notes == whole.notes


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(2, 40))
def test_order_and_other_cells_and_genes_do_not_change_a_rounded_count(random, n_kept):
    """A value is rounded alike wherever its cell and gene stand, and whatever else is there."""
    data = of(CORRECTED["SoupX"])
    cells, genes = list(range(data.n_obs)), list(range(data.n_vars))
    random.shuffle(cells)
    random.shuffle(genes)
    whole = from_anndata(data).adata
    mixed = from_anndata(data[cells, genes].copy()).adata
    assert (mixed[whole.obs_names, whole.var_names].X != whole.X).nnz == 0
    part = from_anndata(data[cells[: 60 + n_kept], genes].copy(), total="X").adata
    assert (part.X != whole[part.obs_names, part.var_names].X).nnz == 0


def joined(join: str, **options) -> anndata.AnnData:
    one, two = of(COUNTS)[:60, :200].copy(), of(COUNTS)[60:, 30:].copy()
    for part in (one, two):
        part.layers["spliced"], part.layers["unspliced"] = part.X - (part.X > 1), part.X > 1
        part.layers["unspliced"] = part.layers["unspliced"].astype(float)
    return anndata.concat([one, two], join=join, **options)


@pytest.mark.parametrize("with_layers", [True, False])
def test_gaps_of_an_outer_join_are_zero(tmp_path, with_layers):
    gaps, zeros = joined("outer"), joined("outer", fill_value=0)
    assert np.isnan(gaps.X).any()
    if not with_layers:
        drop_layers(gaps)
    result = from_anndata(gaps)
    assert (sparse.csr_matrix(zeros.X) != result.adata.X).nnz == 0
    assert result.has_measured_layers == with_layers
    assert any("70 genes in 150 cells" in note and "outer join" in note for note in result.notes)
    assert np.isnan(gaps.X).any()  # the given data stay as they are
    gaps.write_h5ad(tmp_path / "joined.h5ad")
    assert read_backed(tmp_path / "joined.h5ad") is None
    assert (read(tmp_path / "joined.h5ad").adata.X != result.adata.X).nnz == 0


def test_scattered_missing_values_are_refused_with_what_to_do():
    data = of(COUNTS.copy())
    holes = np.random.default_rng(5).integers(0, 150, (40, 2))
    data.X[holes[:, 0], holes[:, 1]] = np.nan
    with pytest.raises(DataError, match=r"NaN .* fill_value=0 or join='inner'"):
        from_anndata(data)


PREDICTED = ("spliced", "unspliced", "splicing_ratio")


def predicted(n: int, seed: int, counts="with-introns") -> anndata.AnnData:
    totals = of(raw_counts(n, 50, seed))
    ratio = np.random.default_rng(seed).uniform(0.3, 0.9, totals.shape).astype("f4")
    add_predicted_layers(totals, ratio, counts=counts)
    return totals


def measured(n: int, seed: int) -> anndata.AnnData:
    data = of(raw_counts(n, 50, seed))
    data.layers["unspliced"] = np.minimum(data.X, 1)
    data.layers["spliced"] = data.X - data.layers["unspliced"]
    return data


@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize("counts", ["with-introns", "exonic"])
def test_predictions_joined_are_still_predictions(tmp_path, join, counts):
    parts = [predicted(40, 1, counts), predicted(30, 2, counts)]
    both = anndata.concat(parts, join=join, index_unique="_")
    assert "splicedvae" not in both.uns
    both.write_h5ad(tmp_path / "joined.h5ad")
    for result in (from_anndata(both), read(tmp_path / "joined.h5ad")):
        assert not result.has_measured_layers
        assert (sparse.csr_matrix(both.X) != result.adata.X).nnz == 0
        assert any("marked as predicted" in note for note in result.notes)
        assert abs(result.adata.layers["spliced"] - both.layers["spliced"]).max() < 1e-3
        assert set(predicted_layers(result.adata)) >= {"spliced", "unspliced"}
        assert result.adata.uns["splicedvae"]["predicted"]["layers"] == list(PREDICTED)


@pytest.mark.parametrize("join", ["inner", "outer"])
def test_a_prediction_joined_with_measured_cells_is_neither(join):
    both = anndata.concat([predicted(40, 1), measured(30, 2)], join=join, index_unique="_")
    result = from_anndata(both)
    assert not result.has_measured_layers
    assert (sparse.csr_matrix(both.X) != result.adata.X).nnz == 0
    assert not {"spliced", "unspliced"} & set(result.adata.layers)
    assert any("predicted" in note for note in result.notes)


def test_measured_layers_beside_predicted_ones_stay_measured():
    one, two = (measured(n, n) for n in (40, 30))
    for part in (one, two):
        add_predicted_layers(part, np.full(part.shape, 0.7, dtype="f4"))
    result = from_anndata(anndata.concat([one, two], index_unique="_"))
    assert result.has_measured_layers
    assert {"predicted_spliced", "predicted_unspliced"} <= set(result.adata.layers)
