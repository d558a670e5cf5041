"""Random matrices come through unchanged; random damage gives a sentence, never a crash."""

from __future__ import annotations

from itertools import pairwise

import anndata
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from splicedvae._core.counts import shared_counts
from splicedvae._core.errors import DataError
from splicedvae._core.sparse import check_arrays, to_csr
from splicedvae._core.species import gene_style, guess_species
from splicedvae.io import from_anndata, read
from splicedvae.io._names import find_pairs, total_names
from splicedvae.triage import inspect

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 9))
FORMATS = ("csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "csc_array", "dense")
TYPES = ("int32", "int64", "uint8", "float32", "float64", "bool")


@st.composite
def pairs(draw):
    shape = draw(SHAPES)
    counts = hnp.arrays(np.int64, shape, elements=st.integers(0, 40) | st.just(0))
    spliced, unspliced = draw(counts), draw(counts)
    spliced[0, 0] += 1
    return spliced, unspliced


def as_kind(matrix, kind):
    return matrix if kind == "dense" else getattr(sparse, kind)(matrix)


@settings(max_examples=60, deadline=None)
@given(pairs(), st.sampled_from(FORMATS), st.sampled_from(TYPES[:-1]))
def test_any_form_of_the_same_counts_gives_the_same_result(pair, kind, dtype):
    spliced, unspliced = (matrix.astype(dtype) for matrix in pair)
    total = pair[0] + pair[1]
    if kind == "coo_matrix":
        kind = "csr_matrix"  # AnnData takes no COO
    data = anndata.AnnData(
        X=as_kind(total.astype(dtype), kind),
        layers={"spliced": as_kind(spliced, kind), "unspliced": as_kind(unspliced, kind)},
    )
    result = from_anndata(data)
    out = result.adata
    assert (out.X.toarray() == total).all()
    assert (out.layers["spliced"].toarray() == pair[0]).all()
    assert (out.layers["unspliced"].toarray() == pair[1]).all()
    for matrix in (out.X, out.layers["spliced"], out.layers["unspliced"]):
        assert matrix.dtype == np.float32
        assert matrix.has_canonical_format
        sparse.csr_matrix(matrix).check_format(full_check=True)
    assert result.counts == "with-introns"
    summary = inspect(result)
    assert summary.unspliced_fraction == pair[1].sum() / total.sum()
    assert summary.zero_fraction == float(np.mean(total == 0)) or np.isclose(
        summary.zero_fraction, np.mean(total == 0)
    )


@settings(max_examples=60, deadline=None)
@given(pairs(), st.sampled_from(FORMATS), st.sampled_from(TYPES))
def test_to_csr_keeps_numbers_and_input(pair, kind, dtype):
    values = pair[0].astype(dtype)
    matrix = as_kind(values, kind)
    out, repeated = to_csr(matrix, where="X")
    assert repeated == 0
    assert (out.toarray() == values).all()
    assert (out.data != 0).all()
    if kind != "dense":
        assert (matrix.toarray() == values).all()


@settings(max_examples=60, deadline=None)
@given(pairs())
def test_shared_counts_are_sums_over_cells_that_have_both(pair):
    spliced, unspliced = pair
    both = (spliced > 0) & (unspliced > 0)
    expected = ((spliced + unspliced) * both).sum(axis=0)
    got = shared_counts(
        sparse.csr_matrix(spliced.astype("f4")), sparse.csr_matrix(unspliced.astype("f4"))
    )
    assert (got == expected).all()


@st.composite
def damaged(draw):
    """A CSR matrix some of whose structure was overwritten."""
    shape = draw(SHAPES)
    values = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 5)))
    values[0, 0] = 1
    matrix = sparse.csr_matrix(values.astype(np.float32))
    arrays = {key: getattr(matrix, key).astype(np.int64) for key in ("indices", "indptr")}
    arrays["data"] = matrix.data
    extreme = st.sampled_from([-(2**62), -(2**31), -1, shape[1], 2**31, 2**40, 2**62])
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(["indices", "indptr"]))
        place = draw(st.integers(0, len(arrays[key]) - 1))
        arrays[key][place] = draw(extreme | st.integers(-3, 12))
    if draw(st.booleans()):
        key = draw(st.sampled_from(["indices", "indptr", "data"]))
        arrays[key] = arrays[key][: draw(st.integers(0, len(arrays[key])))]
    return shape, arrays


def is_sound(shape, arrays) -> bool:
    """The rules of CSR, written the slow way."""
    pointers, indices = list(map(int, arrays["indptr"])), list(map(int, arrays["indices"]))
    return (
        len(pointers) == shape[0] + 1
        and len(indices) == len(arrays["data"])
        and pointers[0] == 0
        and pointers[-1] == len(indices)
        and all(a <= b for a, b in pairwise(pointers))
        and all(0 <= index < shape[1] for index in indices)
    )


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_structure_is_accepted_exactly_when_it_is_sound(case):
    shape, arrays = case
    parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    if is_sound(shape, arrays):
        check_arrays(*parts, shape, where="X")
    else:
        with pytest.raises(DataError, match=r"^X .*\.$"):
            check_arrays(*parts, shape, where="X")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damaged(), st.tuples(*[st.sampled_from(["int32", "int64", "uint64", "uint32"])] * 2))
def test_a_damaged_file_gives_a_sentence_and_no_crash(tmp_path, case, dtypes):
    shape, arrays = case
    path = tmp_path / "cells.h5ad"
    anndata.AnnData(np.ones(shape, dtype="f4")).write_h5ad(path)
    with h5py.File(path, "a") as file:
        del file["X"]
        group = file.create_group("X")
        group.attrs.update(
            {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array(shape)}
        )
        group["data"] = arrays["data"]
        with np.errstate(over="ignore"):
            for key, dtype in zip(("indices", "indptr"), dtypes, strict=True):
                arrays[key] = arrays[key].astype(dtype)
                group[key] = arrays[key]
    if is_sound(shape, arrays) and len(arrays["data"]):
        assert read(path).adata.X.sum() == arrays["data"].sum()
    else:
        with pytest.raises(DataError, match=r"^cells.h5ad: .*\.$"):
            read(path)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["cells.h5ad", "cells.zip", "cells.loom"]))
def test_random_bytes_give_a_sentence(tmp_path_factory, content, name):
    path = tmp_path_factory.mktemp("bytes") / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"^{name}: .*\.$"):
        read(path)


def everything(file: h5py.File) -> list[str]:
    """Names of all groups and arrays of a file."""
    names: list[str] = []
    file.visit(names.append)
    return sorted(names)


def overwrite(file: h5py.File, data: st.DataObject) -> None:
    """Put something else into one array or attribute, or take it away."""
    name = data.draw(st.sampled_from(everything(file)))
    item = file[name]
    if item.attrs and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(item.attrs)))
        if data.draw(st.booleans()):
            del item.attrs[key]
        else:
            encodings = st.sampled_from(["csr_matrix", "array", "dataframe", "categorical", "dict"])
            numbers = st.lists(st.integers(-(2**62), 2**62), max_size=3).map(np.array)
            item.attrs[key] = data.draw(encodings | st.text("ab/", max_size=5) | numbers)
    elif isinstance(item, h5py.Dataset) and item.shape and item.size:
        values = item[()]
        if values.dtype.kind == "O":
            values[data.draw(st.integers(0, values.size - 1))] = data.draw(
                st.text("ab/", max_size=5)
            )
        else:
            plain = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
            for _ in range(data.draw(st.integers(1, 6))):
                place = data.draw(st.integers(0, plain.size - 1))
                plain[place] = data.draw(st.integers(0, 255))
            values = plain.view(values.dtype).reshape(values.shape)
        item[...] = values
    else:
        del file[name]


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_overwritten_content_gives_data_or_a_sentence(tmp_path, counts_file, data):
    """Whatever stands in the file's arrays and attributes; damage to HDF5 itself is HDF5's own."""
    path = tmp_path / "cells.h5ad"
    path.write_bytes(counts_file)
    with h5py.File(path, "a") as file:
        for _ in range(data.draw(st.integers(1, 3))):
            overwrite(file, data)
    error, result = "", None
    try:
        result = read(path)
    except DataError as caught:
        error = str(caught)
    assert "\n" not in error
    if result is None:
        assert error.startswith("cells.h5ad: ")
    else:
        for matrix in (result.adata.X, *result.adata.layers.values()):
            sparse.csr_matrix(matrix).check_format(full_check=True)
            assert (matrix.data >= 0).all()
            assert (matrix.data == np.rint(matrix.data)).all()
        inspect(result)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=8))
def test_any_names_can_be_looked_at(names):
    for pair in find_pairs(names):
        assert {pair.spliced, pair.unspliced} <= set(names)
    assert set(total_names(names)) <= set(names)
    assert isinstance(gene_style(names), str)
    assert guess_species(names).confidence in ("certain", "likely", "unsure", "unknown")


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(["A", "A-1", "A-2", "B", "", "A-1-1"]), min_size=1, max_size=12))
def test_names_always_become_unique_and_first_ones_stay(names):
    data = anndata.AnnData(np.ones((2, len(names)), dtype="f4"))
    data.var_names = names
    out = list(from_anndata(data).adata.var_names)
    assert len(set(out)) == len(names)
    for place, name in enumerate(names):
        if name and name not in names[:place]:
            assert out[place] == name
