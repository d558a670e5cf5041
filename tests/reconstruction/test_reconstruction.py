"""S + U = x to the last bit, sparse in and out, measured layers untouched."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData, read_h5ad
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csc_matrix, csr_matrix, issparse

from splicedvae import add_predicted_layers, reconstruct_counts
from splicedvae._core.errors import DataError
from splicedvae._core.keys import Layers, Uns

shapes = st.tuples(st.integers(1, 12), st.integers(1, 15))


@st.composite
def totals_and_ratios(draw, dtype):
    shape = draw(shapes)
    counts = draw(
        hnp.arrays(np.int64, shape, elements=st.one_of(st.just(0), st.integers(0, 2**22)))
    )
    ratio = draw(hnp.arrays(dtype, shape, elements=st.floats(0, 1, width=32)))
    return csr_matrix(counts.astype(dtype)), ratio


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_spliced_and_unspliced_add_up_exactly(dtype, data):
    x, ratio = data.draw(totals_and_ratios(dtype))
    spliced, unspliced = reconstruct_counts(x, ratio)
    assert (csr_matrix(spliced + unspliced) != x).nnz == 0
    # Also as real numbers, not only after rounding.
    exact = spliced.toarray().astype(np.longdouble) + unspliced.toarray().astype(np.longdouble)
    np.testing.assert_array_equal(exact, x.toarray().astype(np.longdouble))
    assert spliced.dtype == unspliced.dtype == x.dtype
    for part in (spliced, unspliced):
        assert part.nnz <= x.nnz
        assert (part.data > 0).all()
    # Exactness of the sum costs the spliced part one rounding of the total, no more.
    error = np.abs(spliced.toarray() - x.toarray() * ratio)
    assert (error <= np.finfo(dtype).eps * x.toarray()).all()


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_fractional_totals_add_up_exactly_too(data):
    shape = data.draw(shapes)
    x = data.draw(hnp.arrays(np.float32, shape, elements=st.floats(0, 1e4, width=32)))
    ratio = data.draw(hnp.arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))
    spliced, unspliced = reconstruct_counts(x, ratio)
    np.testing.assert_array_equal(spliced.toarray() + unspliced.toarray(), x)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_exonic_totals_are_the_spliced_counts(data):
    x, ratio = data.draw(totals_and_ratios(np.float64))
    spliced, unspliced = reconstruct_counts(x, ratio, counts="exonic")
    assert (spliced != x).nnz == 0
    clipped = np.maximum(ratio, 0.01)
    np.testing.assert_allclose(unspliced.toarray(), x.toarray() * (1 - clipped) / clipped)
    implied = x.toarray() / np.maximum(x.toarray() + unspliced.toarray(), 1e-300)
    at = x.toarray() > 0
    np.testing.assert_allclose(implied[at], clipped[at], rtol=1e-9)


@pytest.mark.parametrize("form", [csr_matrix, csc_matrix, np.asarray])
def test_every_form_of_totals_gives_the_same_csr(form):
    rng = np.random.default_rng(0)
    x = rng.poisson(0.7, (9, 6)).astype(np.float32)
    ratio = rng.random((9, 6)).astype(np.float32)
    expected = reconstruct_counts(csr_matrix(x), ratio)
    got = reconstruct_counts(form(x), ratio)
    for a, b in zip(expected, got, strict=True):
        assert isinstance(b, csr_matrix)
        assert (a != b).nnz == 0


def test_a_sparse_ratio_needs_an_entry_for_every_total():
    x = csr_matrix(np.array([[1.0, 2.0], [0.0, 3.0]]))
    full = csr_matrix((np.array([0.5, 0.0, 0.2]), x.indices, x.indptr), shape=x.shape)
    spliced, _ = reconstruct_counts(x, full)
    np.testing.assert_allclose(spliced.toarray(), [[0.5, 0.0], [0.0, 0.6]])
    short = csr_matrix(np.array([[0.5, 0.0], [0.0, 0.2]]))
    with pytest.raises(DataError, match="1 non-zero totals have no splicing ratio"):
        reconstruct_counts(x, short)


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan, np.inf])
def test_ratios_that_are_no_fractions_are_refused(bad):
    with pytest.raises(DataError, match="from 0 to 1"):
        reconstruct_counts(np.ones((2, 2)), np.array([[0.5, bad], [0.5, 0.5]]))


def test_unknown_counts_and_shapes_are_refused():
    with pytest.raises(DataError, match="'nuclear'"):
        reconstruct_counts(np.ones((2, 2)), np.ones((2, 2)), counts="nuclear")
    with pytest.raises(DataError, match="equal shapes"):
        reconstruct_counts(np.ones((2, 2)), np.ones((2, 3)))


def test_predictions_go_beside_measured_layers_and_are_marked(tmp_path):
    rng = np.random.default_rng(0)
    s, u = (csr_matrix(rng.poisson(1.0, (8, 5)).astype(np.float32)) for _ in range(2))
    adata = AnnData(csr_matrix(s + u), layers={"spliced": s.copy(), "unspliced": u.copy()})
    names = add_predicted_layers(adata, rng.random((8, 5)))
    assert names == (Layers.PREDICTED_SPLICED, Layers.PREDICTED_UNSPLICED)
    assert (adata.layers["spliced"] != s).nnz == 0
    assert (adata.layers["unspliced"] != u).nnz == 0
    record = adata.uns[Uns.ROOT][Uns.PREDICTED]
    assert set(record["layers"]) == {*names, Layers.RATIO}
    assert list(record["measured_layers_kept"]) == ["spliced", "unspliced"]
    assert issparse(adata.layers[Layers.RATIO])
    adata.write_h5ad(tmp_path / "out.h5ad")
    again = read_h5ad(tmp_path / "out.h5ad")
    assert again.uns[Uns.ROOT][Uns.PREDICTED]["counts"] == "with-introns"
    assert (again.layers[names[0]] != adata.layers[names[0]]).nnz == 0


def test_predictions_without_measured_layers_take_scvelos_names_and_can_be_renewed():
    adata = AnnData(csr_matrix(np.full((4, 3), 2.0, dtype=np.float32)))
    assert add_predicted_layers(adata, np.full((4, 3), 0.5)) == ("spliced", "unspliced")
    assert add_predicted_layers(adata, np.full((4, 3), 0.25)) == ("spliced", "unspliced")
    np.testing.assert_allclose(adata.layers["spliced"].toarray(), 0.5)


def test_an_entry_stored_twice_has_one_ratio():
    twice = csr_matrix((np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2])), shape=(1, 3))
    adata = AnnData(twice)
    add_predicted_layers(adata, np.full((1, 3), 0.5))
    np.testing.assert_allclose(adata.layers[Layers.RATIO].toarray(), [[0, 0.5, 0]])
    np.testing.assert_allclose(adata.layers[Layers.SPLICED].toarray(), [[0, 1.5, 0]])
