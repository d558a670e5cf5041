"""What is read does not depend on the order of cells and genes, nor on other annotation."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from count_files import divided
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from splicedvae._core.layers import drop_layers, named_layers
from splicedvae.io import ReadResult, from_anndata


def kb() -> anndata.AnnData:
    """Three layers, X the spliced one, and two antibodies among the genes."""
    rng = np.random.default_rng(0)
    spliced, unspliced = (
        sparse.csr_matrix(rng.poisson(mean, (24, 16)).astype("f4")) for mean in (2.0, 0.7)
    )
    mature, ambiguous = divided(spliced)
    data = anndata.AnnData(
        X=mature.copy(),
        layers={"mature": mature, "nascent": unspliced, "ambiguous": ambiguous},
    )
    data.var_names = [f"Gene{i}" for i in range(14)] + ["CD3", "CD4"]
    data.obs_names = [f"cell{i}" for i in range(24)]
    data.var["feature_types"] = ["Gene Expression"] * 14 + ["Antibody Capture"] * 2
    return data


def ambient() -> anndata.AnnData:
    """Totals with decimals, and normalized layers beside them."""
    rng = np.random.default_rng(1)
    counts = rng.poisson(rng.lognormal(1, 1.5, 30) * rng.gamma(3, 0.4, (24, 1)))
    data = anndata.AnnData(np.clip(counts - rng.uniform(0, 0.4, counts.shape), 0, None))
    data.layers["spliced"] = counts / counts.sum(axis=1, keepdims=True) * 50
    data.layers["unspliced"] = data.layers["spliced"] / 3
    data.var_names = [f"Gene{i}" for i in range(30)]
    data.obs_names = [f"cell{i}" for i in range(24)]
    return data


def gaps() -> anndata.AnnData:
    """Two samples joined by an outer join."""
    whole = ambient()
    whole.X = np.rint(whole.X)
    drop_layers(whole)
    parts = [whole[:12, :25].copy(), whole[12:, 4:].copy()]
    return anndata.concat(parts, join="outer")


def same(first: ReadResult, second: ReadResult) -> bool:
    """Whether two readings hold the same numbers for each cell and gene, and say the same."""
    one = first.adata
    two = second.adata[one.obs_names, one.var_names]
    matrices = [(one.X, two.X), *((one.layers[key], two.layers[key]) for key in named_layers(one))]
    return (
        second.adata.shape == one.shape
        and set(one.layers) == set(two.layers)
        and all((sparse.csr_matrix(a) != sparse.csr_matrix(b)).nnz == 0 for a, b in matrices)
        and (first.total_source, first.spliced_source, first.counts, first.ambiguous)
        == (second.total_source, second.spliced_source, second.counts, second.ambiguous)
    )


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), max_size=8)


@st.composite
def annotation(draw, n: int) -> pd.Series:
    values = draw(
        st.one_of(
            st.lists(WORDS | st.none(), min_size=n, max_size=n),
            st.lists(st.floats(), min_size=n, max_size=n),
            st.lists(st.integers(-9, 9), min_size=n, max_size=n),
            st.lists(st.booleans(), min_size=n, max_size=n),
        )
    )
    return values if draw(st.booleans()) else pd.Categorical(values)


@pytest.mark.parametrize("make", [kb, ambient, gaps])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_order_and_annotation_do_not_change_what_is_read(make, data):
    plain = make()
    expected = from_anndata(plain, total="X" if make is ambient else None)
    rows = data.draw(st.permutations(range(plain.n_obs)))
    columns = data.draw(st.permutations(range(plain.n_vars)))
    mixed = plain[rows, columns].copy()
    for frame, length in ((mixed.obs, mixed.n_obs), (mixed.var, mixed.n_vars)):
        for number in range(data.draw(st.integers(0, 2))):
            frame[f"{data.draw(WORDS)} note {number}"] = data.draw(annotation(length))
    mixed.uns[data.draw(WORDS)] = data.draw(st.dictionaries(WORDS, st.integers(), max_size=3))
    mixed.obsm["extra"] = np.zeros((mixed.n_obs, 3))
    kind = data.draw(st.sampled_from(["csr_matrix", "csc_matrix", "toarray"]))
    for key in ["X", *named_layers(mixed)]:
        matrix = sparse.csr_matrix(mixed.X if key == "X" else mixed.layers[key])
        stored = matrix.toarray() if kind == "toarray" else getattr(sparse, kind)(matrix)
        if key == "X":
            mixed.X = stored
        else:
            mixed.layers[key] = stored
    assert same(expected, from_anndata(mixed, total="X" if make is ambient else None))
