"""The pages of one gene and of diagnostics: the demo, a run without counts, odd addresses."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest
from app_pages import open_page
from streamlit.testing.v1 import AppTest

from splicedvae import datasets, io, pipeline, runs, views
from splicedvae._core.keys import Obs
from splicedvae._core.layers import named_layers
from splicedvae.dashboard import pages
from splicedvae.runs.results import seal

GENES = pages.GENES.script
DIAGNOSTICS = pages.DIAGNOSTICS.script
PREDICTED = "0123456789abcdef"
PARTS = (
    "Predicted and measured",
    "By coverage",
    "Within genes",
    "Calibration",
    "Cells",
    "Velocities",
    "Expression",
    "Training",
)


def told(app: AppTest) -> str:
    """All that is said on a page, without Markdown's escapes."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.info, app.warning, app.error)
    return "\n".join(str(item.value) for kind in kinds for item in kind).replace("\\", "")


def test_the_page_opens_on_the_gene_that_leads_the_velocity(
    runs_folder: Path,
) -> None:
    app = open_page(GENES, run="demo")
    demo = runs.demo_run()
    first = views.leading_gene(demo)
    assert first == views.driver_table(demo, "splicedvae").index[0]
    assert app.selectbox(key="gene").value == first
    said = told(app)
    for sentence in views.gene_facts(demo, first).sentences:
        assert sentence in said
    assert "Concentration" in said
    heads = list(app.dataframe[0].value.columns)
    assert heads[0] == "skill, SplicedVAE"
    assert heads.index("skill, SplicedVAE") < heads.index("skill, k nearest neighbors")
    metrics = {metric.label: metric for metric in app.metric}
    assert "noise ceiling" in metrics["Within-gene r"].delta
    assert "scVI" in metrics["Skill over the gene mean"].delta


def test_a_gene_of_the_address_is_shown_and_another_is_chosen(runs_folder: Path) -> None:
    app = open_page(GENES, run="demo", gene="Gene0004")
    assert "Gene0004" in [item.value for item in app.subheader]
    assert not app.warning
    app.selectbox(key="gene").select("Gene0005").run()
    assert "Gene0005" in [item.value for item in app.subheader]
    app.segmented_control(key="gene-cells").set_value("all cells").run()
    assert not app.exception


@pytest.mark.parametrize("gene", ["no such gene", "<script>alert(1)</script>", "![x](http://h/p)"])
def test_a_gene_that_does_not_exist_is_told(runs_folder: Path, gene: str) -> None:
    app = open_page(GENES, run="demo", gene=gene)
    assert len(app.warning) == 1
    assert "asks for the gene" in app.warning[0].value
    assert "![x](http" not in app.warning[0].value
    assert len(app.subheader) == 1
    assert not app.error


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_the_diagnostics_opens(runs_folder: Path, part: str) -> None:
    app = open_page(DIAGNOSTICS, run="demo", part=part)
    assert not app.error, told(app)
    assert not app.warning, told(app)
    assert app.dataframe[0].value.index[-1] == "noise ceiling"
    said = told(app)
    expected = {
        "By coverage": "RMSE 0.1271: SplicedVAE",
        "Calibration": "Slope of measured on predicted within genes: SplicedVAE",
        "Cells": "cells are predicted better than by the gene mean",
        "Velocities": "Two measured halves",
        "Training": "Losses on the training cells",
    }
    assert expected.get(part, "gene mean") in said


def test_a_part_that_does_not_exist_is_told(runs_folder: Path) -> None:
    app = open_page(DIAGNOSTICS, run="demo", part="1e99")
    assert len(app.warning) == 1
    assert "part of the page" in app.warning[0].value


@pytest.fixture
def predicted(runs_folder: Path) -> str:
    """A finished run on totals alone, of the demo's genes."""
    runs_folder.mkdir(parents=True)
    cells = datasets.simulate(n_cells=60, n_genes=180, seed=7)
    for name in named_layers(cells):
        del cells.layers[name]
    del cells.obs[Obs.TRUE_TIME]
    file = runs_folder.parent / "totals.h5ad"
    cells.write_h5ad(file)
    config = runs.RunConfig(
        data=str(file),
        data_sha256=io.sha256(file),
        name="totals",
        kind="predict",
        model_run="demo",
    )
    pipeline.execute(config, runs_folder / PREDICTED)
    return PREDICTED


def test_a_run_without_measured_counts_says_what_it_cannot(predicted: str) -> None:
    app = open_page(GENES, run=predicted)
    assert not app.error, told(app)
    said = told(app)
    assert "this gene cannot be checked" in said
    assert "total counts" in app.dataframe[0].value.columns
    app = open_page(DIAGNOSTICS, run=predicted)
    assert "cannot be compared with a measurement" in told(app)
    assert not app.error


def test_a_run_without_a_time_says_so(predicted: str, runs_folder: Path) -> None:
    for file in (runs_folder / predicted / "velocity").glob("*.h5ad"):
        moving = anndata.read_h5ad(file)
        moving.obs[Obs.PSEUDOTIME] = np.float32(np.nan)
        moving.write_h5ad(file)
    seal(runs_folder / predicted)
    app = open_page(GENES, run=predicted)
    assert not app.error, told(app)
    assert "no pseudotime" in told(app)
