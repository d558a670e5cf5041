"""Lines of Matrix Market files with one count, with three, and with what is neither."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from splicedvae._core.errors import DataError
from splicedvae.io import read
from splicedvae.io.formats._market_files import FieldCount


def write_lines(folder: Path, counts, matrices, *, packed: bool = False, extra: str = "") -> Path:
    """A folder as STARsolo of 2019 and 2020 wrote it: genes x cells, all counts on each line."""
    folder.mkdir(parents=True)
    dense = [np.asarray(matrix.todense()).T.astype(int) for matrix in matrices]
    genes, cells = np.nonzero(sum(dense))
    lines = [
        " ".join(map(str, [g + 1, c + 1, *(matrix[g, c] for matrix in dense)]))
        for g, c in zip(genes, cells, strict=True)
    ]
    if extra:
        lines[-1] += extra
    head = f"%%MatrixMarket matrix coordinate integer general\n%\n{counts.n_vars} {counts.n_obs} "
    content = f"{head}{len(lines)}\n" + "\n".join(lines) + "\n"
    if packed:
        (folder / "matrix.mtx.gz").write_bytes(gzip.compress(content.encode()))
    else:
        (folder / "matrix.mtx").write_text(content)
    (folder / "barcodes.tsv").write_text("\n".join(counts.obs_names) + "\n")
    (folder / "features.tsv").write_text(
        "".join(f"ENSMUSG{i:011d}\t{n}\tGene Expression\n" for i, n in enumerate(counts.var_names))
    )
    return folder


def few(counts) -> sparse.csr_matrix:
    return sparse.csr_matrix(counts.layers["unspliced"] > 1).astype(np.float32)


@pytest.mark.parametrize("packed", [False, True])
def test_three_counts_on_a_line_are_three_layers(tmp_path, counts, packed):
    parts = [counts.layers["spliced"], counts.layers["unspliced"], few(counts)]
    folder = write_lines(tmp_path / "Velocyto" / "raw", counts, parts, packed=packed)
    result = read(folder)
    for key, part in zip(("spliced", "unspliced", "ambiguous"), parts, strict=True):
        assert (result.adata.layers[key] != part).nnz == 0
    assert (sum(parts) != result.adata.X).nnz == 0
    assert list(result.adata.obs_names) == list(counts.obs_names)
    assert any("three counts per line" in note for note in result.notes)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("number", [2, 4, 5])
def test_other_numbers_of_counts_are_refused(tmp_path, counts, number, packed):
    parts = [counts.X, few(counts), few(counts), few(counts), few(counts)][:number]
    folder = write_lines(tmp_path / "m", counts, parts, packed=packed)
    with pytest.raises(DataError, match=f"holds {number + 2} fields per line, expected 3"):
        read(folder)


@pytest.mark.parametrize("packed", [False, True])
def test_one_line_with_more_is_refused(tmp_path, counts, packed):
    folder = write_lines(tmp_path / "m", counts, [counts.X], packed=packed, extra=" 7")
    with pytest.raises(DataError, match=r"fields in [0-9,]+ entries, .* write it again"):
        read(folder)


@pytest.mark.parametrize("extra", [" 7", " 7 8"])
def test_one_line_of_three_counts_with_more_is_refused(tmp_path, counts, extra):
    parts = [counts.layers["spliced"], counts.layers["unspliced"], few(counts)]
    folder = write_lines(tmp_path / "m", counts, parts, extra=extra)
    with pytest.raises(DataError, match="damaged Matrix Market file"):
        read(folder)


def test_three_counts_beside_another_matrix_are_refused(tmp_path, counts):
    parts = [counts.layers["spliced"], counts.layers["unspliced"], few(counts)]
    folder = write_lines(tmp_path / "m", counts, parts)
    for name in ("spliced", "unspliced"):
        (folder / f"{name}.mtx").write_text((folder / "matrix.mtx").read_text())
    with pytest.raises(DataError, match="three counts per line and there are other matrices"):
        read(folder)


@given(st.lists(st.text(" \t\n\r1a", max_size=6).map(str.encode), max_size=8))
def test_fields_are_counted_across_blocks(blocks):
    count = FieldCount()
    for block in blocks:
        count.add(block)
    assert count.fields == len(b"".join(blocks).split())
