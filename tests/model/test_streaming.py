"""A file predicted block by block is what `reconstruct` gives for the same cells in memory."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scvi
from anndata import AnnData
from count_files import written
from scipy.sparse import csr_matrix

from splicedvae import SplicedVAE, datasets, io
from splicedvae._core.errors import DataError, GenesError
from splicedvae._core.keys import Layers, Obsm, Uns
from splicedvae._core.layers import named_layers
from splicedvae.io import _stored
from splicedvae.model import _streaming

OPTIONS = {"n_hidden": 16, "n_latent": 4, "ratio_shrinkage": 30.0}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of some ten cells, so that each file has several."""
    monkeypatch.setattr(_stored, "MAX_ENTRIES", 900)
    monkeypatch.setattr(_stored, "_DENSE_ENTRIES", 2000)
    monkeypatch.setattr(_streaming, "_ROWS", 30)


@pytest.fixture(scope="module")
def query(simulated) -> AnnData:
    adata = AnnData(
        simulated[1].X.copy(), obs=simulated[1].obs[["clusters"]].copy(), var=simulated[1].var[[]]
    )
    adata.obsm["X_pca"] = np.arange(2.0 * adata.n_obs).reshape(-1, 2)
    adata.uns["words"] = {"deep": np.arange(3)}
    return adata


def read(file: Path) -> AnnData:
    return ad.read_zarr(file) if file.suffix == ".zarr" else ad.read_h5ad(file)


def assert_same(found: AnnData, expected: AnnData) -> None:
    """All that prediction writes, and all that was there before."""
    assert set(found.layers) == set(expected.layers)
    for name in ("X", *named_layers(expected)):
        one = csr_matrix(found.X if name == "X" else found.layers[name])
        two = csr_matrix(expected.X if name == "X" else expected.layers[name])
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one.indptr, two.indptr)
        np.testing.assert_array_equal(one.indices, two.indices)
        np.testing.assert_allclose(one.data, two.data, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        found.obsm[Obsm.LATENT], expected.obsm[Obsm.LATENT], rtol=1e-5, atol=1e-6
    )
    assert set(found.obsm) == set(expected.obsm)
    pd.testing.assert_frame_equal(found.obs, expected.obs, check_names=False)
    pd.testing.assert_frame_equal(found.var, expected.var, check_names=False)
    ours, theirs = (dict(data.uns[Uns.ROOT][Uns.PREDICTED]) for data in (found, expected))
    for account in (ours, theirs):
        account["layers"] = list(account["layers"])
        account["measured_layers_kept"] = list(account["measured_layers_kept"])
    assert ours == theirs


def reordered(adata: AnnData) -> AnnData:
    return adata[:, ::-1].copy()


def missing(adata: AnnData) -> AnnData:
    return adata[:, 7:].copy()


def additional(adata: AnnData) -> AnnData:
    more = AnnData(
        csr_matrix(np.hstack([np.ones((adata.n_obs, 2), dtype="f4"), adata.X.toarray()])),
        obs=adata.obs,
        var=pd.DataFrame(index=["a", "b", *adata.var_names]),
    )
    return more


def dense(adata: AnnData) -> AnnData:
    other = adata.copy()
    other.X = other.X.toarray()
    return other


def as_it_is(adata: AnnData) -> AnnData:
    return adata.copy()


@pytest.mark.parametrize(("source", "out"), [("h5ad", "h5ad"), ("zarr", "zarr"), ("h5ad", "zarr")])
@pytest.mark.parametrize(
    "change", [as_it_is, reordered, missing, additional, dense], ids=lambda c: c.__name__
)
def test_a_file_of_several_blocks_is_what_reconstruct_gives(
    trained, query, tmp_path, source, out, change
):
    file, target = written(change(query), tmp_path, source), tmp_path / f"out.{out}"
    done = trained.reconstruct_to(file, target)
    expected = trained.reconstruct(io.read(file).adata)
    found = read(target)
    assert_same(found, expected)
    assert (done.path, done.n_obs, done.n_vars) == (target, *expected.shape)
    assert done.account["layers"] == ["spliced", "unspliced", "splicing_ratio"]
    assert any("Total counts were read from X" in note for note in done.notes)
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    with io.read_backed(file) as backed:
        assert len(list(backed.blocks())) > 2


def test_an_anndata_in_memory_is_written_as_reconstruct_gives_it(trained, simulated, tmp_path):
    measured = simulated[1].copy()
    measured.raw = measured
    trained.reconstruct_to(measured, tmp_path / "out.h5ad")
    found = ad.read_h5ad(tmp_path / "out.h5ad")
    assert_same(found, trained.reconstruct(measured))
    assert Layers.PREDICTED_SPLICED in found.layers
    assert found.raw.shape == measured.shape
    assert "predicted" not in measured.uns.get(Uns.ROOT, {})


def test_a_file_with_measured_layers_is_read_as_a_whole(trained, simulated, tmp_path):
    file = written(simulated[1].copy(), tmp_path, "h5ad")
    trained.reconstruct_to(file, tmp_path / "out.h5ad")
    assert_same(
        ad.read_h5ad(tmp_path / "out.h5ad"),
        trained.reconstruct(io.read(file).adata, counts=io.read(file).counts),
    )


@pytest.mark.parametrize("adapt", [None, True, False])
def test_cells_out_of_distribution_are_adapted_alike(trained, simulated, tmp_path, adapt):
    other = datasets.simulate(200, 80, mean_depth=400, seed=11)
    other = other[:, simulated[0].var_names].copy()
    strange = AnnData(other.X.copy(), obs=other.obs[[]], var=other.var[[]])
    file = written(strange, tmp_path, "h5ad")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = trained.reconstruct(io.read(file).adata, adapt=adapt)
    if adapt is None:
        with pytest.warns(UserWarning, match="do not trust"):
            trained.reconstruct_to(file, tmp_path / "out.h5ad", adapt=adapt)
    else:
        trained.reconstruct_to(file, tmp_path / "out.h5ad", adapt=adapt)
    found = ad.read_h5ad(tmp_path / "out.h5ad")
    assert_same(found, expected)
    assert bool(found.uns[Uns.ROOT][Uns.PREDICTED]["intercepts"]) == (adapt is not False)


def test_batches_and_a_layer_of_totals_reach_the_model(simulated, tmp_path):
    scvi.settings.seed = 0
    train, test = (part.copy() for part in simulated)
    for part in (train, test):
        part.obs["donor"] = pd.Categorical([f"d{n % 3}" for n in range(part.n_obs)])
        part.layers["counts"] = part.X.copy()
        part.X = part.X.log1p()
    SplicedVAE.setup_anndata(train, layer="counts", batch_key="donor")
    model = SplicedVAE(train, encode_covariates=True, **OPTIONS)
    model.train(max_epochs=20, enable_progress_bar=False)
    for name in (Layers.SPLICED, Layers.UNSPLICED, *set(named_layers(test)) - {"counts"}):
        test.layers.pop(name, None)
    file = written(test, tmp_path, "h5ad")
    model.reconstruct_to(file, tmp_path / "out.h5ad")
    found, expected = ad.read_h5ad(tmp_path / "out.h5ad"), model.reconstruct(test)
    ratio = csr_matrix(found.layers[Layers.RATIO])
    np.testing.assert_allclose(ratio.data, expected.layers[Layers.RATIO].data, rtol=0, atol=1e-6)
    assert (csr_matrix(found.X) != csr_matrix(expected.X)).nnz == 0
    model.reconstruct_to(test, tmp_path / "memory.h5ad")
    assert_same(ad.read_h5ad(tmp_path / "memory.h5ad"), expected)
    test.obs["donor"] = pd.Categorical(["elsewhere"] * test.n_obs)
    strange = written(test, tmp_path, "h5ad")
    with pytest.raises(DataError, match="The batch 'elsewhere' in obs"):
        model.reconstruct_to(strange, tmp_path / "none.h5ad")
    assert not (tmp_path / "none.h5ad").exists()


def test_what_reconstruct_refuses_is_refused_and_leaves_no_file(trained, query, tmp_path):
    out = tmp_path / "out.h5ad"
    few = query[:, :20].copy()
    with pytest.raises(GenesError, match="expected at least 50%"):
        trained.reconstruct_to(written(few, tmp_path, "h5ad"), out)
    negative = query.copy()
    negative.X.data[0] = -1
    with pytest.raises(DataError, match="holds negative values"):
        trained.reconstruct_to(written(negative, tmp_path, "h5ad"), out)
    with pytest.raises(DataError, match="negative or non-finite"):
        trained.reconstruct_to(negative, out)
    file = written(query, tmp_path, "h5ad")
    with pytest.raises(DataError, match=r"does not end with \.h5ad or \.zarr"):
        trained.reconstruct_to(file, tmp_path / "out.loom")
    with pytest.raises(DataError, match="does not exist"):
        trained.reconstruct_to(file, tmp_path / "none" / "out.h5ad")
    (tmp_path / "letters.zarr").mkdir()
    with pytest.raises(DataError, match="not a zarr store"):
        trained.reconstruct_to(file, tmp_path / "letters.zarr")
    backed = ad.read_h5ad(file, backed="r")
    with pytest.raises(DataError, match="give the name of the file"):
        trained.reconstruct_to(backed, out)
    backed.file.close()
    assert not out.exists()


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_a_failure_half_way_keeps_the_older_file(trained, query, tmp_path, monkeypatch, kind):
    file, out = written(query, tmp_path, "h5ad"), tmp_path / f"out.{kind}"
    trained.reconstruct_to(file, out)
    before = read(out).X
    divide, calls = _streaming.reconstruct_counts, []

    def failing(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise OSError("no space left")
        return divide(*args, **kwargs)

    monkeypatch.setattr(_streaming, "reconstruct_counts", failing)
    with pytest.raises(OSError, match="no space left"):
        trained.reconstruct_to(file, out)
    assert len(calls) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, file.name]
    assert (before != read(out).X).nnz == 0
    monkeypatch.undo()
    trained.reconstruct_to(file, out, adapt=True)
    assert read(out).uns[Uns.ROOT][Uns.PREDICTED]["intercepts"]


def test_more_is_recorded_where_it_is_given(trained, query, tmp_path):
    file = written(query, tmp_path, "h5ad")
    with io.read_backed(file) as backed:
        done = trained.reconstruct_to(
            backed,
            tmp_path / "out.h5ad",
            counts="exonic",
            compression="gzip",
            account={"predictor": "scVI + ratio head", "run": "0123"},
        )
        assert next(backed.blocks()).shape[0] > 0
    assert done.account["predictor"] == "scVI + ratio head"
    account = ad.read_h5ad(tmp_path / "out.h5ad").uns[Uns.ROOT][Uns.PREDICTED]
    assert (account["run"], account["counts"]) == ("0123", "exonic")


PROGRAM = """
import sys
from pathlib import Path
from splicedvae import SplicedVAE
from splicedvae.io import _stored

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

_stored.MAX_ENTRIES = 1 << 17
model = SplicedVAE.from_folder(sys.argv[1])
model.reconstruct_to(sys.argv[2], sys.argv[3], batch_size=1024)
few = peak()
model.reconstruct_to(sys.argv[4], sys.argv[3], batch_size=1024)
print((peak() - few) / 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak memory")
def test_memory_does_not_grow_with_the_counts(trained, tmp_path):
    trained.to_folder(tmp_path / "model")
    n_genes = len(trained.genes)
    counts = np.random.default_rng(0).integers(1, 9, (2_000, n_genes)).astype(np.float32)
    for name, repeats in (("few", 2), ("many", 60)):
        totals = csr_matrix(np.tile(counts, (repeats, 1)))
        AnnData(totals, var=pd.DataFrame(index=trained.genes)).write_h5ad(tmp_path / f"{name}.h5ad")
    results = 4 * (totals.data.nbytes + totals.indices.nbytes) / 2**20
    words = [tmp_path / part for part in ("model", "few.h5ad", "out.h5ad", "many.h5ad")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # What grows is obs and the latent states.
    assert float(done.stdout.splitlines()[-1]) < results / 3
    assert results > 150
