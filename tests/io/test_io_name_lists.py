"""Lists of cells and genes of a matrix folder, however they are written beside the matrix."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.io import mmwrite

from splicedvae._core.errors import DataError
from splicedvae.io import read

X = np.random.default_rng(4).poisson(1.5, (9, 7))
LAYERS = {"unspliced": X // 3, "spliced": X - X // 3}
CELLS = [f"ACGTACGTTGC{'ACGT'[i % 4]}{'ACGT'[i // 4]}-1" for i in range(9)]
SYMBOLS = ["Xkr4", "Gm1992", "nan", "beta'COP", "5S rRNA", "H2-K1", "Sox17"]
IDS = [f"ENSMUSG{i:011d}" for i in range(7)]


def folder_of(
    place: Path,
    features: str,
    barcodes: str,
    *,
    names: tuple[str, str] = ("features.tsv", "barcodes.tsv"),
) -> Path:
    """A folder with the matrix, genes x cells, and two lists as they stand."""
    place.mkdir(exist_ok=True)
    mmwrite(place / "matrix.mtx", sparse.coo_matrix(X.T))
    for name, text in zip(names, (features, barcodes), strict=True):
        (place / name).write_bytes(text.encode())
    return place


def lines(*columns: list[str], end: str = "\n") -> str:
    return "".join("\t".join(row) + end for row in zip(*columns, strict=True))


def check(result) -> None:
    adata = result.adata
    assert list(adata.obs_names) == CELLS
    assert list(adata.var_names) == SYMBOLS
    assert list(adata.var["gene_ids"]) == IDS
    assert np.array_equal(adata.X.toarray(), X)


GENE_HEADERS = [
    ("gene_id", "gene_name"),
    ("gene_ids", "feature_name"),
    ("Ensembl ID", "Gene Symbol"),
    ("Geneid", "gene"),
    ("V1", "V2"),
    ("", "x"),
    ("what we call it", "and this"),
]
CELL_HEADERS = ["barcode", "Barcodes", "cell_id", "x", "V1", "0", "", "our cells"]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_lists_are_read_however_they_are_written(data):
    """Header, quotes, numbers of rows, further columns, separators and ends of lines."""
    draw = data.draw
    separator, suffix = draw(st.sampled_from([("\t", "tsv"), ("\t", "txt"), (",", "csv")]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quoted, numbered, last_end = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    header = draw(st.none() | st.sampled_from(GENE_HEADERS))
    of_cells = draw(st.none() | st.sampled_from(CELL_HEADERS))
    swapped = header in GENE_HEADERS[:4] and draw(st.booleans())
    extra = draw(st.lists(st.sampled_from(["chr1", "Gene Expression", "lincRNA", ""]), max_size=2))

    def text(rows: list[list[str]], first: list[str] | None) -> str:
        if numbered:
            rows = [[str(i + 1), *row] for i, row in enumerate(rows)]
            first = None if first is None else ["", *first]
        rows = rows if first is None else [first, *rows]
        mark = '"' if quoted else ""
        out = end.join(separator.join(f"{mark}{field}{mark}" for field in row) for row in rows)
        return out + (end if last_end else "")

    genes = [[*pair, *extra] for pair in zip(IDS, SYMBOLS, strict=True)]
    titles = None if header is None else [*header, *(f"more{i}" for i in range(len(extra)))]
    if swapped:
        genes = [[row[1], row[0], *row[2:]] for row in genes]
        titles = [titles[1], titles[0], *titles[2:]]
    features = text(genes, titles)
    barcodes = text([[cell] for cell in CELLS], None if of_cells is None else [of_cells])
    with tempfile.TemporaryDirectory() as place:
        names = (f"features.{suffix}", f"barcodes.{suffix}")
        result = read(folder_of(Path(place), features, barcodes, names=names))
    check(result)
    told = [note for note in result.notes if "is a header" in note]
    assert len(told) == (header is not None) + (of_cells is not None)


def test_lists_as_r_writes_them(tmp_path):
    """write.table: quoted, separated by spaces, no name for the column of row names."""
    features = '"gene_id" "symbol"\n' + "".join(
        f'"{i + 1}" "{gene}" "{name}"\n'
        for i, (gene, name) in enumerate(zip(IDS, SYMBOLS, strict=True))
    )
    barcodes = '"x"\n' + "".join(f'"{i + 1}" "{cell}"\n' for i, cell in enumerate(CELLS))
    check(read(folder_of(tmp_path / "m", features, barcodes)))


def test_lists_as_pandas_writes_them(tmp_path):
    genes = pd.DataFrame({"gene_ids": IDS, "n_cells": 3, "feature_types": "Gene Expression"})
    genes.index = pd.Index(SYMBOLS, name="gene_name")
    features = genes.to_csv()
    barcodes = pd.DataFrame({"sample": "s1"}, index=pd.Index(CELLS, name="barcode")).to_csv()
    names = ("genes.csv", "barcodes.csv")
    result = read(folder_of(tmp_path / "m", features, barcodes, names=names))
    check(result)
    assert set(result.adata.var["feature_types"]) == {"Gene Expression"}


def test_antibodies_of_a_list_with_header_are_left_out(tmp_path):
    kinds = ["Gene Expression"] * 5 + ["Antibody Capture"] * 2
    features = "id\tname\tfeature_type\n" + lines(IDS, SYMBOLS, kinds)
    result = read(folder_of(tmp_path / "m", features, lines(CELLS)))
    assert list(result.adata.var_names) == SYMBOLS[:5]
    assert any("Antibody Capture" in note for note in result.notes)


def test_a_folder_of_parse_biosciences(tmp_path):
    """split-pipe: cells x genes, both lists as csv with headers."""
    folder = tmp_path / "DGE_filtered"
    folder.mkdir()
    mmwrite(folder / "DGE.mtx", sparse.coo_matrix(X))
    genes = pd.DataFrame({"gene_id": IDS, "gene_name": SYMBOLS, "genome": "mm10"})
    genes.to_csv(folder / "all_genes.csv", index=False)
    cells = pd.DataFrame({"bc_wells": CELLS, "sample": "s1", "gene_count": 7})
    cells.to_csv(folder / "cell_metadata.csv", index=False)
    check(read(folder))


@pytest.mark.parametrize("which", ["features", "barcodes"])
def test_a_first_line_that_is_no_known_header_is_named(tmp_path, which):
    texts = {"features": lines(IDS, SYMBOLS), "barcodes": lines(CELLS)}
    texts[which] = texts[which].splitlines()[-1] + "\n" + texts[which]
    with pytest.raises(DataError, match=rf"{which}.tsv has one line more .* line 1, '.*remove it"):
        read(folder_of(tmp_path / "m", texts["features"], texts["barcodes"]))


def test_a_header_in_place_of_a_gene_is_refused(tmp_path):
    """As many lines as genes, but every name would be that of the next gene."""
    features = "gene_id\tgene_name\n" + lines(IDS[:-1], SYMBOLS[:-1])
    with pytest.raises(DataError, match=r"begins with a header \(line 1: gene_id, gene_name\)"):
        read(folder_of(tmp_path / "m", features, lines(CELLS)))


def test_cells_and_genes_that_are_only_numbered_have_no_header(tmp_path):
    numbers = [str(i) for i in range(8)]
    with pytest.raises(DataError, match=r"features\.tsv has one line more"):
        read(folder_of(tmp_path / "m", lines(numbers), lines(CELLS)))
    result = read(folder_of(tmp_path / "n", lines(numbers[:7]), lines(CELLS)))
    assert list(result.adata.var_names) == numbers[:7]


def test_one_header_of_three_matrices_is_told_once(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    for key in ("spliced", "unspliced"):
        mmwrite(folder / f"{key}.mtx", sparse.coo_matrix(LAYERS[key].T))
    (folder / "features.tsv").write_text("gene_id\tgene_name\n" + lines(IDS, SYMBOLS))
    (folder / "barcodes.tsv").write_text("barcode\n" + lines(CELLS))
    result = read(folder)
    check(result)
    assert sum("is a header" in note for note in result.notes) == 2
    assert np.array_equal(result.adata.layers["spliced"].toarray(), LAYERS["spliced"])
