"""Oddities of a file that stop no run: numbers of cells, others' words, annotation, numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix

from splicedvae import datasets, io
from splicedvae._core.errors import GenesError
from splicedvae._core.keys import Layers, Obs, Sources, Uns
from splicedvae.pipeline import execute
from splicedvae.pipeline.assessment import trained_on
from splicedvae.runs import Run, RunConfig
from splicedvae.velocity import VelocitySettings


def simulated(n_cells: int = 120, n_genes: int = 30) -> AnnData:
    """Cells that the file does not say were simulated."""
    adata = datasets.simulate(n_cells, n_genes, seed=5)
    del adata.uns[Uns.ROOT]
    adata.varm.clear()
    return adata


def run_on(adata: AnnData, folder: Path, **options: Any) -> Run:
    file = folder / "cells.h5ad"
    adata.write_h5ad(file)
    config = RunConfig(
        data=str(file),
        data_sha256=io.sha256(file),
        name="strange",
        max_epochs=2,
        min_shared_counts=5,
        velocity=VelocitySettings(n_neighbors=10, min_shared_counts=5),
        **options,
    )
    return execute(config, folder / "run")


@pytest.mark.parametrize("n_cells", [160, 161, 162])
def test_a_last_minibatch_of_one_cell_stops_neither_model(tmp_path: Path, n_cells: int) -> None:
    adata = simulated(n_cells)
    adata.obs = adata.obs[[]].copy()
    run = run_on(adata, tmp_path)
    assert (run.predictions.obs[Obs.SPLIT] == "train").sum() == {160: 128, 161: 129, 162: 130}[
        n_cells
    ]
    for source in (Sources.SPLICEDVAE, Sources.SCVI):
        assert np.isfinite(run.predictions.layers[Sources.RATIO_LAYERS[source]].data).all()


def _texts(adata: AnnData) -> None:
    adata.obs["true_time"] = pd.Categorical([f"E{12 + i % 4}.5" for i in range(adata.n_obs)])


def _gaps(adata: AnnData) -> None:
    adata.obs["true_time"] = np.where(np.arange(adata.n_obs) % 9 == 0, np.nan, 1.0)
    adata.layers["true_velocity"] = csr_matrix(np.full(adata.shape, np.nan))
    adata.obs["split"] = "mine"


def _damaged_record(adata: AnnData) -> None:
    adata.uns[Uns.ROOT] = {"simulation": {"seed": 1}, "predicted": "no", "velocity": 3}
    _gaps(adata)


def _foreign_record(adata: AnnData) -> None:
    adata.uns[Uns.ROOT] = "a word of others"


@pytest.mark.parametrize("change", [_texts, _gaps, _damaged_record, _foreign_record])
def test_our_words_in_files_of_others_are_left_out_and_told(tmp_path: Path, change: Any) -> None:
    adata = simulated()
    del adata.obs["true_time"], adata.layers["true_velocity"]
    change(adata)
    run = run_on(adata, tmp_path)
    assert run.status.state == "finished"
    assert "true_time" not in run.predictions.obs
    assert Sources.TRUE not in run.velocity_sources
    if change is not _foreign_record:
        assert any("true_time of obs was left out" in note for note in run.notes)
    if Layers.TRUE_VELOCITY in adata.layers:
        assert any("true_velocity was left out" in note for note in run.notes)


def test_genes_that_are_only_numbered_train_and_are_known_in_their_file_alone(
    tmp_path: Path,
) -> None:
    adata = simulated()
    adata.var = pd.DataFrame(index=[str(place) for place in range(adata.n_vars)])
    run = run_on(adata, tmp_path)
    assert run.status.state == "finished"
    assert any("numbered, not named" in note for note in run.notes)
    other = io.from_anndata(adata[:, ::-1].copy()).adata
    other.var_names = adata.var_names
    with pytest.raises(GenesError, match="numbered, not named"):
        run.model().reconstruct(other)


def test_cells_of_training_are_known_by_counts_of_the_same_genes(tmp_path: Path) -> None:
    adata = simulated()
    adata.var = pd.DataFrame(
        {"gene_ids": [f"ENSMUSG{place:011d}" for place in range(adata.n_vars)]},
        index=[*[f"Abc{place}" for place in range(adata.n_vars - 2)], "Twin", "Twin"],
    )
    run = run_on(adata, tmp_path)
    expected = run.predictions.obs[Obs.SPLIT] == "train"
    turned = adata[:, ::-1].copy()
    turned.var.index = turned.var["gene_ids"] + ".3"
    del turned.var["gene_ids"]
    seen = trained_on(run, io.from_anndata(turned).adata)
    assert seen.tolist() == expected.reindex(adata.obs_names).tolist()


def test_annotation_that_files_cannot_hold_stops_no_run(tmp_path: Path) -> None:
    adata = simulated()
    with ad.settings.override(allow_write_nullable_strings=True):
        adata.obs["note"] = pd.array([None, *["x"] * (adata.n_obs - 1)], dtype="string")
        adata.obs.index = adata.obs.index.astype("string")
        adata.var.index = adata.var.index.astype("string")
        run = run_on(adata, tmp_path, cluster_key="note")
    assert run.status.state == "finished"
