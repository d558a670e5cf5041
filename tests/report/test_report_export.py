"""What leaves a run: an AnnData for other tools, and the Python behind each figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import plotly.graph_objects as go
import pytest
from anndata import AnnData
from scipy import sparse

from splicedvae import datasets, io, views
from splicedvae._core.errors import DataError, RunError
from splicedvae._core.keys import Layers, Obs, Obsm, Obsp, Sources, Uns, Var
from splicedvae.dashboard import cache
from splicedvae.pipeline import execute
from splicedvae.report import FIGURES, FigureCall, export_h5ad, write_report
from splicedvae.runs import Run, RunConfig, demo_run
from splicedvae.velocity._scvelo import quiet_scvelo
from splicedvae.views import run_settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    data = folder / "cells.h5ad"
    datasets.simulate(n_cells=240, n_genes=60, mean_depth=600, seed=3).write_h5ad(data)
    config = RunConfig(
        data=str(data),
        data_sha256=io.sha256(data),
        name="cells",
        cluster_key=Obs.CLUSTERS,
        n_top_genes=None,
        max_epochs=3,
        n_latent=4,
    )
    return execute(config, folder / "run")


@pytest.fixture(scope="module")
def exported(run: Run, folder: Path) -> AnnData:
    export_h5ad(run, Sources.MEASURED, folder / "all.h5ad")
    return anndata.read_h5ad(folder / "all.h5ad")


def test_all_of_the_run_is_there_under_the_names_of_scvelo(exported: AnnData, run: Run) -> None:
    moving = run.velocity(Sources.MEASURED)
    assert list(exported.obs_names) == list(run.predictions.obs_names)
    assert {Layers.SPLICED, Layers.UNSPLICED, Layers.RATIO, Layers.VELOCITY, Layers.MS} <= set(
        exported.layers
    )
    assert {Layers.PREDICTED_SPLICED, Layers.PREDICTED_UNSPLICED, Layers.MU} <= set(exported.layers)
    assert {Obsm.UMAP, Obsm.LATENT, Obsm.LATENT_SCVI, Obsm.VELOCITY_UMAP} <= set(exported.obsm)
    assert {Var.VELOCITY_GENES, Var.VELOCITY_GAMMA} <= set(exported.var)
    for name in (Layers.SPLICED, Layers.UNSPLICED):
        assert (exported.layers[name] != run.predictions.layers[name]).nnz == 0
    both = exported.layers[Layers.PREDICTED_SPLICED] + exported.layers[Layers.PREDICTED_UNSPLICED]
    np.testing.assert_allclose(both.toarray(), exported.X.toarray(), rtol=1e-6)
    genes = exported.var_names.get_indexer(moving.var_names)
    np.testing.assert_array_equal(
        exported.layers[Layers.VELOCITY][:, genes], moving.layers[Layers.VELOCITY]
    )
    graph = exported.uns[Uns.VELOCITY_GRAPH]
    assert (graph != sparse.csr_matrix(moving.uns[Uns.VELOCITY_GRAPH])).nnz == 0
    record = exported.uns[Uns.ROOT][Uns.EXPORT]
    assert record["spliced_and_unspliced_are"].startswith("measured")
    assert record["data_sha256"] == run.config.data_sha256
    assert list(record["lacks"]) == ["nothing"]
    assert record["velocity_graph"] == (
        'scvelo.tl.velocity_graph(adata, xkey="Ms_expected", sqrt_transform=True)'
    )


def test_scvelo_goes_on_with_it(exported: AnnData) -> None:
    cells = exported.copy()
    confidence = cells.obs[Obs.CONFIDENCE].to_numpy().copy()
    with quiet_scvelo() as scvelo:
        scvelo.tl.velocity_confidence(cells)
        scvelo.tl.velocity_graph(
            cells,
            xkey=cells.uns[Uns.VELOCITY_PARAMS]["xkey"],
            sqrt_transform=bool(cells.uns[Uns.VELOCITY_PARAMS]["sqrt_transform"]),
            n_jobs=1,
            show_progress_bar=False,
        )
        axes = scvelo.pl.velocity_embedding_stream(cells, basis="umap", show=False)
    assert axes is not None
    known = np.isfinite(cells.obs[Obs.CONFIDENCE].to_numpy())
    np.testing.assert_allclose(cells.obs[Obs.CONFIDENCE][known], confidence[known], atol=1e-4)
    again = sparse.csr_matrix(cells.uns[Uns.VELOCITY_GRAPH])
    np.testing.assert_allclose(
        again.toarray(), exported.uns[Uns.VELOCITY_GRAPH].toarray(), atol=1e-4
    )


def test_cellrank_and_cellxgene_find_what_they_need(exported: AnnData) -> None:
    # CellRank's VelocityKernel: a velocity and its moments of one shape, flagged genes, and a
    # symmetric graph of connectivities.
    genes = exported.var[Var.VELOCITY_GENES].to_numpy(dtype=bool)
    assert genes.any()
    for name in (Layers.VELOCITY, Layers.MS):
        assert np.isfinite(exported.layers[name][:, genes]).all()
    connectivities = exported.obsp[Obsp.CONNECTIVITIES]
    assert abs(connectivities - connectivities.T).max() < 1e-6
    assert exported.uns[Uns.NEIGHBORS]["connectivities_key"] == Obsp.CONNECTIVITIES
    assert exported.uns[Uns.NEIGHBORS]["params"]["n_neighbors"] > 1
    # cellxgene: CSR of float32, unique names, embeddings, columns of one kind each.
    assert sparse.issparse(exported.X)
    assert exported.X.format == "csr"
    assert exported.X.dtype == np.float32
    assert exported.obs_names.is_unique
    assert exported.var_names.is_unique
    assert all(np.isfinite(exported.obsm[name]).all() for name in (Obsm.UMAP, Obsm.LATENT))
    assert exported.obs[Obs.CLUSTERS].dtype == "category"
    for name in exported.obs:
        column = exported.obs[name]
        assert column.dtype == "category" or np.issubdtype(column.dtype, np.number), name


def test_a_run_without_a_graph_says_what_it_lacks(tmp_path: Path) -> None:
    made = export_h5ad(demo_run(), out=tmp_path / "demo.h5ad")
    lacks = made.uns[Uns.ROOT][Uns.EXPORT]["lacks"]
    assert (Uns.VELOCITY_GRAPH in made.uns) is ("the velocity graph" not in lacks)
    assert (Layers.MS in made.layers) is (f"the layer {Layers.MS}" not in lacks)
    assert anndata.read_h5ad(tmp_path / "demo.h5ad").shape == made.shape


def test_wrong_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\.h5ad"):
        export_h5ad(demo_run(), out=tmp_path / "demo.csv")
    with pytest.raises(RunError, match="folder"):
        export_h5ad(demo_run(), out=tmp_path / "absent" / "demo.h5ad")
    with pytest.raises(RunError, match="no velocity"):
        export_h5ad(demo_run(), "magic")
    with pytest.raises(DataError, match="no figure"):
        FigureCall("portrait")


CALLS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in FIGURES),
    ("streams", {"sources": ["measured", "splicedvae"], "color_by": "clusters", "density": 0.6}),
    ("latents", {"color_by": "split"}),
    ("ratios", {"sources": ["splicedvae"], "coverage": 2}),
]


@pytest.mark.parametrize(("name", "settings"), CALLS)
def test_the_python_that_is_shown_draws_the_figure(
    name: str,
    settings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    run = demo_run()
    call = FigureCall(name, settings)
    made: dict[str, Any] = {}
    program: Callable[..., Any] = compile(call.python(run), name, "exec")  # type: ignore[assignment]
    exec(program, made)
    figure = made["figure"]
    assert isinstance(figure, go.Figure)
    assert figure.to_json() == call.draw(run).to_json()
    assert (tmp_path / f"{name}.html").is_file()


def test_settings_that_were_chosen_come_first() -> None:
    settings = run_settings(demo_run())
    usual = [setting.is_usual for setting in settings]
    assert usual == sorted(usual)
    assert len({setting.name for setting in settings}) == len(settings)
    values = {setting.name: setting.value for setting in settings}
    assert values["data_sha256"] == demo_run().config.data_sha256
    assert "/" not in values["data"]


def test_the_published_numbers_are_in_every_form_of_the_figure(tmp_path: Path) -> None:
    run = demo_run()
    call = FigureCall("coverage")
    texts = [str(note.text) for note in call.draw(run).layout.annotations]
    for value in views.PUBLISHED.values():
        assert any("published" in text and f"{value:g}" in text for text in texts), texts
    page = write_report(run, tmp_path / "report.html").read_text()
    assert all(f"published {value:g}" in page for value in views.PUBLISHED.values())
    assert cache.coverage_figure(run).to_json() == call.draw(run, dark=False).to_json()
    bare = views.coverage_figure(run, published=None)
    assert not any("published" in str(note.text) for note in bare.layout.annotations)
