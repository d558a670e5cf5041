"""Each format written for real, by its own tool where there is one, and read back equal."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import anndata
import h5py
import loompy
import numpy as np
import pytest
from count_files import divided
from scipy import sparse
from scipy.io import mmwrite

from splicedvae._core.errors import DataError
from splicedvae._core.formats import ACCEPTED, FORMATS, UPLOADS, format_of_ending
from splicedvae.io import read, sha256


def same(a, b) -> bool:
    a, b = (m.toarray() if sparse.issparse(m) else np.asarray(m) for m in (a, b))
    return a.shape == b.shape and bool((a == b).all())


def check_equal(result, counts, *, layers=True) -> None:
    adata = result.adata
    assert list(adata.obs_names) == list(counts.obs_names)
    assert list(adata.var_names) == list(counts.var_names)
    assert same(adata.X, counts.X)
    assert adata.X.format == "csr"
    assert adata.X.dtype == np.float32
    if layers:
        for key in ("spliced", "unspliced"):
            assert same(adata.layers[key], counts.layers[key])
            assert adata.layers[key].format == "csr"
            assert adata.layers[key].dtype == np.float32
        assert result.has_measured_layers
        assert result.counts == "with-introns"


def write_mtx(path: Path, matrix) -> None:
    mmwrite(path, sparse.coo_matrix(matrix).astype(np.int64))


def pack(path: Path) -> None:
    with path.open("rb") as plain, gzip.open(f"{path}.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    path.unlink()


def write_names(path: Path, rows) -> None:
    path.write_text("".join(f"{row}\n" for row in rows))


@pytest.mark.parametrize("declared", FORMATS, ids=lambda declared: declared.name)
def test_a_declared_format_can_be_recognized_and_read(declared):
    assert callable(declared.code.recognizes)
    assert callable(declared.code.read)
    assert hasattr(declared.code, "stored") == declared.in_blocks
    assert declared.label in ACCEPTED
    assert declared.upload in UPLOADS


def test_an_ending_claims_one_format_or_none():
    endings = [ending for one in FORMATS for ending in one.endings]
    assert len(set(endings)) == len(endings)
    assert format_of_ending(".LOOM").name == "loom"
    # 10x's ending is that of any HDF5 file.
    assert format_of_ending(".h5") is None
    assert format_of_ending(".txt") is None


def test_h5ad(tmp_path, counts):
    path = tmp_path / "cells.h5ad"
    counts.write_h5ad(path)
    result = read(path)
    check_equal(result, counts)
    assert result.name == "cells.h5ad"
    assert result.sha256 == sha256(path)
    assert (result.total_source, result.spliced_source) == ("X", "layers/spliced")
    assert list(result.adata.obs["clusters"]) == list(counts.obs["clusters"])
    assert same(result.adata.obsm["X_umap"], counts.obsm["X_umap"])
    assert result.adata.uns["origin"] == "made for a test"


@pytest.mark.parametrize("kind", ["dense", "csc", "int32", "float64", "uint16"])
def test_h5ad_of_other_types(tmp_path, counts, kind):
    written = counts.copy()
    for place in ("X", "spliced", "unspliced"):
        matrix = written.X if place == "X" else written.layers[place]
        if kind == "dense":
            matrix = matrix.toarray()
        elif kind == "csc":
            matrix = matrix.tocsc()
        else:
            matrix = matrix.astype(kind)
        if place == "X":
            written.X = matrix
        else:
            written.layers[place] = matrix
    written.write_h5ad(tmp_path / "cells.h5ad")
    check_equal(read(tmp_path / "cells.h5ad"), counts)


def test_what_was_read_can_be_written_and_read_again(tmp_path, counts):
    counts.write_h5ad(tmp_path / "one.h5ad")
    first = read(tmp_path / "one.h5ad")
    first.adata.write_h5ad(tmp_path / "two.h5ad")
    second = read(tmp_path / "two.h5ad")
    check_equal(second, counts)
    record = second.adata.uns["splicedvae"]["read"]
    assert record["name"] == "two.h5ad"
    assert record["total_source"] == "X"
    assert list(record["notes"]) == list(second.notes)


def test_h5ad_of_before_anndata_0_7(tmp_path, counts):
    """Tables as compound arrays, sparse matrices marked by h5sparse_format."""
    path = tmp_path / "old.h5ad"
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        group.attrs["h5sparse_format"] = b"csr"
        group.attrs["h5sparse_shape"] = np.array(counts.shape)
        for key in ("data", "indices", "indptr"):
            group[key] = getattr(counts.X, key)
        for key, names in (("obs", counts.obs_names), ("var", counts.var_names)):
            table = np.array([(n.encode(),) for n in names], dtype=[("index", "S20")])
            file[key] = table
    check_equal(read(path), counts, layers=False)


def test_loom_as_loompy_writes_it(tmp_path, counts):
    path = tmp_path / "velocyto.loom"
    layers = {"": counts.X.T.toarray()}
    layers |= {k: counts.layers[k].T.toarray() for k in ("spliced", "unspliced")}
    layers["ambiguous"] = np.zeros((20, 30), dtype=np.float32)
    loompy.create(
        str(path),
        layers,
        {"Gene": np.array(counts.var_names), "Accession": np.array([f"ENS{i}" for i in range(20)])},
        {
            "CellID": np.array(counts.obs_names),
            "Clusters": np.array([f"c{i % 3}" for i in range(30)]),
        },
    )
    result = read(path)
    check_equal(result, counts)
    assert result.adata.var["Accession"].iloc[3] == "ENS3"
    assert result.adata.obs["Clusters"].nunique() == 3
    assert result.ambiguous_source is None  # the layer is there and holds nothing


def write_loom(counts, path: Path) -> None:
    """Write as anndata does, or skip where it cannot."""
    try:
        counts.write_loom(path)
    except AttributeError:
        pytest.skip("anndata 0.13 cannot write loom where it lists X among the layers")


def test_loom_as_anndata_writes_it(tmp_path, counts):
    path = tmp_path / "cells.loom"
    write_loom(counts, path)
    check_equal(read(path), counts)


def write_10x_v3(path: Path, counts, types=None) -> None:
    matrix = counts.X.T.tocsc().astype(np.int32)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for key in ("data", "indices", "indptr"):
            group[key] = getattr(matrix, key)
        group["shape"] = np.array(matrix.shape, dtype=np.int32)
        group["barcodes"] = np.array([n.encode() for n in counts.obs_names])
        features = group.create_group("features")
        n = counts.n_vars
        features["id"] = np.array([f"ENSMUSG{i:011d}".encode() for i in range(n)])
        features["name"] = np.array([name.encode() for name in counts.var_names])
        features["feature_type"] = np.array(types or [b"Gene Expression"] * n)
        features["genome"] = np.array([b"mm10"] * n)


def test_10x_h5_of_version_3(tmp_path, counts):
    path = tmp_path / "filtered_feature_bc_matrix.h5"
    write_10x_v3(path, counts)
    result = read(path)
    check_equal(result, counts, layers=False)
    assert result.adata.var["gene_ids"].iloc[1] == "ENSMUSG00000000001"
    assert not result.has_measured_layers
    assert result.counts is None


def test_antibodies_of_a_10x_h5_are_left_out(tmp_path, counts):
    path = tmp_path / "cite.h5"
    write_10x_v3(path, counts, [b"Gene Expression"] * 18 + [b"Antibody Capture"] * 2)
    result = read(path)
    assert same(result.adata.X, counts.X[:, :18])
    assert any("Antibody Capture" in note for note in result.notes)


def test_10x_h5_of_version_2(tmp_path, counts):
    path = tmp_path / "filtered_gene_bc_matrices_h5.h5"
    matrix = counts.X.T.tocsc().astype(np.int32)
    with h5py.File(path, "w") as file:
        group = file.create_group("mm10")
        for key in ("data", "indices", "indptr"):
            group[key] = getattr(matrix, key)
        group["shape"] = np.array(matrix.shape)
        group["barcodes"] = np.array([n.encode() for n in counts.obs_names])
        group["genes"] = np.array([f"id{i}".encode() for i in range(counts.n_vars)])
        group["gene_names"] = np.array([name.encode() for name in counts.var_names])
    check_equal(read(path), counts, layers=False)


def few_ambiguous(counts) -> sparse.csr_matrix:
    """Fewer ambiguous than spliced counts, as velocyto's rules give."""
    return sparse.csr_matrix(counts.layers["unspliced"] > 1).astype(np.float32)


def check_velocyto(result, counts) -> None:
    """Measured layers as they are, and all molecules in the totals."""
    ambiguous = few_ambiguous(counts)
    for key in ("spliced", "unspliced"):
        assert same(result.adata.layers[key], counts.layers[key])
    assert same(result.adata.layers["ambiguous"], ambiguous)
    assert same(result.adata.X, counts.X + ambiguous)
    assert result.total_source == "spliced + unspliced + ambiguous"
    assert result.counts == "with-introns"
    assert result.ambiguous == "apart"
    assert result.ambiguous_share == ambiguous.sum() / (counts.X + ambiguous).sum()


def write_starsolo(folder: Path, counts, packed: bool) -> None:
    folder.mkdir(parents=True)
    for key in ("spliced", "unspliced"):
        write_mtx(folder / f"{key}.mtx", counts.layers[key].T)
    write_mtx(folder / "ambiguous.mtx", few_ambiguous(counts).T)
    write_names(folder / "barcodes.tsv", counts.obs_names)
    rows = [f"ENSMUSG{i:011d}\t{name}\tGene Expression" for i, name in enumerate(counts.var_names)]
    write_names(folder / "features.tsv", rows)
    if packed:
        for path in list(folder.iterdir()):
            pack(path)


@pytest.mark.parametrize("packed", [False, True])
def test_starsolo_velocyto_folder(tmp_path, counts, packed):
    folder = tmp_path / "Solo.out" / "Velocyto" / "filtered"
    write_starsolo(folder, counts, packed)
    result = read(folder)
    check_velocyto(result, counts)
    assert len(result.sha256) == 64


def test_of_a_starsolo_run_the_velocyto_folder_is_taken(tmp_path, counts):
    run = tmp_path / "Solo.out"
    write_starsolo(run / "Velocyto" / "filtered", counts, packed=False)
    write_starsolo(run / "Velocyto" / "raw", counts, packed=False)
    gene = run / "Gene" / "filtered"
    gene.mkdir(parents=True)
    write_mtx(gene / "matrix.mtx", counts.X.T)
    result = read(run)
    check_velocyto(result, counts)
    assert any("Velocyto/filtered" in note and "Gene/filtered" in note for note in result.notes)


@pytest.mark.parametrize("zipped", [False, True])
def test_cell_ranger_folder(tmp_path, counts, zipped):
    folder = tmp_path / "sample" / "filtered_feature_bc_matrix"
    folder.mkdir(parents=True)
    write_mtx(folder / "matrix.mtx", counts.X.T)
    write_names(folder / "barcodes.tsv", counts.obs_names)
    write_names(
        folder / "features.tsv",
        [f"ENSG{i:011d}\t{name}\tGene Expression" for i, name in enumerate(counts.var_names)],
    )
    for path in list(folder.iterdir()):
        pack(path)
    place = folder
    if zipped:
        place = Path(shutil.make_archive(str(tmp_path / "sample"), "zip", tmp_path / "sample"))
    result = read(place)
    check_equal(result, counts, layers=False)
    assert result.adata.var["gene_ids"].iloc[2] == "ENSG00000000002"


def test_folder_with_a_prefix_on_every_file(tmp_path, counts):
    write_mtx(tmp_path / "GSM1_matrix.mtx", counts.X.T)
    write_names(tmp_path / "GSM1_barcodes.tsv", counts.obs_names)
    write_names(tmp_path / "GSM1_genes.tsv", [f"{n}\t{n}" for n in counts.var_names])
    check_equal(read(tmp_path), counts, layers=False)


def test_folder_with_several_samples_is_refused(tmp_path, counts):
    for sample in ("GSM1", "GSM2"):
        write_mtx(tmp_path / f"{sample}_matrix.mtx", counts.X.T)
        write_names(tmp_path / f"{sample}_barcodes.tsv", counts.obs_names)
        write_names(tmp_path / f"{sample}_genes.tsv", counts.var_names)
    with pytest.raises(DataError, match="several matrices"):
        read(tmp_path)


def test_kallisto_bustools_folder(tmp_path, counts):
    """kb count --workflow nac: cells x genes, one list of names for all matrices."""
    mature, ambiguous = divided(counts.layers["spliced"])
    write_mtx(tmp_path / "cells_x_genes.mature.mtx", mature)
    write_mtx(tmp_path / "cells_x_genes.nascent.mtx", counts.layers["unspliced"])
    write_mtx(tmp_path / "cells_x_genes.ambiguous.mtx", ambiguous)
    write_names(tmp_path / "cells_x_genes.barcodes.txt", counts.obs_names)
    write_names(tmp_path / "cells_x_genes.genes.txt", [f"id{i}" for i in range(20)])
    write_names(tmp_path / "cells_x_genes.genes.names.txt", counts.var_names)
    result = read(tmp_path)
    check_equal(result, counts)
    assert result.spliced_source == "layers/mature + layers/ambiguous"
    assert list(result.adata.var["gene_ids"]) == [f"id{i}" for i in range(20)]


def test_kallisto_bustools_folder_whose_matrices_list_other_cells(tmp_path, counts):
    """kb count --workflow lamanno: each matrix has its own barcodes, in its own order."""
    cells = list(counts.obs_names)
    for key, kept in (("spliced", cells[5:]), ("unspliced", cells[:25][::-1])):
        write_mtx(tmp_path / f"{key}.mtx", counts[kept].layers[key])
        write_names(tmp_path / f"{key}.barcodes.txt", kept)
        write_names(tmp_path / f"{key}.genes.txt", counts.var_names)
    result = read(tmp_path)
    check_equal(result, counts[cells[5:25]].copy())
    assert any("list different cells" in note for note in result.notes)


def test_alevin_fry_folder_in_usa_mode(tmp_path, counts):
    genes = list(counts.var_names)
    columns = genes + [f"{g}-U" for g in genes] + [f"{g}-A" for g in genes]
    mature, ambiguous = divided(counts.layers["spliced"])
    blocks = [mature, counts.layers["unspliced"], ambiguous]
    folder = tmp_path / "quant" / "alevin"
    folder.mkdir(parents=True)
    write_mtx(folder / "quants_mat.mtx", sparse.hstack(blocks))
    write_names(folder / "quants_mat_rows.txt", counts.obs_names)
    write_names(folder / "quants_mat_cols.txt", columns)
    result = read(tmp_path / "quant")
    check_equal(result, counts)
    assert result.ambiguous == "spliced"


def test_alevin_fry_folder_without_usa_mode(tmp_path, counts):
    write_mtx(tmp_path / "quants_mat.mtx", counts.X)
    write_names(tmp_path / "quants_mat_rows.txt", counts.obs_names)
    write_names(tmp_path / "quants_mat_cols.txt", counts.var_names)
    check_equal(read(tmp_path), counts, layers=False)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_zarr(tmp_path, counts, version, zipped):
    folder = tmp_path / "cells.zarr"
    before = anndata.settings.zarr_write_format
    anndata.settings.zarr_write_format = version
    try:
        counts.write_zarr(folder)
    finally:
        anndata.settings.zarr_write_format = before
    place = folder
    if zipped:
        place = Path(shutil.make_archive(str(folder), "zip", folder))
    result = read(place)
    check_equal(result, counts)
    assert result.name == place.name


def test_an_h5ad_in_a_zip(tmp_path, counts):
    inside = tmp_path / "inside"
    inside.mkdir()
    counts.write_h5ad(inside / "cells.h5ad")
    check_equal(read(shutil.make_archive(str(tmp_path / "cells"), "zip", inside)), counts)


def test_content_counts_rather_than_the_name(tmp_path, counts):
    counts.write_h5ad(tmp_path / "cells.h5ad")
    (tmp_path / "cells.h5ad").rename(tmp_path / "cells.loom")
    result = read(tmp_path / "cells.loom")
    check_equal(result, counts)
    assert any("ends in .loom, but it is h5ad" in note for note in result.notes)


def test_digest_of_a_folder_follows_content_and_not_order(tmp_path):
    for name, order in (("a", (1, 2)), ("b", (2, 1))):
        (tmp_path / name / "sub").mkdir(parents=True)
        for number in order:
            (tmp_path / name / "sub" / f"{number}.txt").write_text(str(number))
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b")
    (tmp_path / "b" / "sub" / "1.txt").write_text("other")
    assert sha256(tmp_path / "a") != sha256(tmp_path / "b")
    (tmp_path / "a" / "sub" / "1.txt").rename(tmp_path / "a" / "sub" / "3.txt")
    assert len({sha256(tmp_path / "a"), sha256(tmp_path / "b")}) == 2
    with pytest.raises(DataError):
        sha256(tmp_path / "missing")


def test_loom_with_names_under_words_of_its_own(tmp_path, counts):
    """As anndata writes an index that has a name; kb calls the genes target_name."""
    path = tmp_path / "adata.loom"
    counts.obs.index.name, counts.var.index.name = "barcode", "target_name"
    write_loom(counts, path)
    result = read(path)
    check_equal(result, counts)
    assert any("from the loom attribute target_name" in note for note in result.notes)
