"""The velocity page through Streamlit's test runner: styles, maps, cautions, drivers and time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from splicedvae import io, pipeline, runs, views
from splicedvae._core.keys import Obs
from splicedvae.datasets import simulate
from splicedvae.velocity import VelocitySettings

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    folder = tmp_path_factory.mktemp("velocity-page")
    file = folder / "cells.h5ad"
    cells = simulate(260, 60, seed=3)
    # As scanpy's users save them; the t-SNE lies on its side.
    at = np.random.default_rng(3).normal(size=(260, 2))
    cells.obsm["X_umap"] = at
    cells.obsm["X_tSNE"] = at[:, ::-1] * [9.0, 3.0]
    cells.write_h5ad(file)
    config = runs.RunConfig(
        data=str(file),
        data_sha256=io.sha256(file),
        name="small",
        cluster_key=Obs.CLUSTERS,
        max_epochs=3,
        n_top_genes=40,
        held_out=0.25,
        min_shared_counts=10,
        velocity=VelocitySettings(n_neighbors=12, min_shared_counts=10),
    )
    return pipeline.execute(config, folder / "run")


@pytest.fixture
def run_id(made: runs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    st.cache_resource.clear()
    st.cache_data.clear()
    shutil.copytree(made.path, tmp_path / "runs" / made.id)
    return made.id


def open_page(**query: str) -> AppTest:
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=240)
    # The bare address leads here: what stands in it is there before any widget is.
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    assert not app.error, [item.value for item in app.error]
    return app


def told(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.info, app.warning)
    return "\n".join(str(item.value) for kind in kinds for item in kind).replace("\\", "")


def drawn(app: AppTest) -> list[str]:
    """Kinds of what is drawn: charts and components."""
    return [item.type for item in (*app.get("plotly_chart"), *app.get("bidi_component"))]


def test_styles_and_maps_stand_in_the_address(run_id: str) -> None:
    app = open_page(run=run_id, style="grid", basis="each model's own", density="sparse")
    assert not app.warning or "default is shown" not in app.warning[0].value
    said = told(app)
    assert "Positions in different embeddings cannot be compared" in said
    assert "the cosine to the measured velocity is" in said
    for style in ("stream", "arrows", "particles"):
        app.segmented_control(key="style").set_value(style).run()
        assert not app.exception, app.exception
        # A component without a surface measures the window.
        assert drawn(app) == (
            ["bidi_component", "bidi_component"]
            if style == "particles"
            else ["plotly_chart", "bidi_component"]
        )
    app.segmented_control(key="basis").set_value("SplicedVAE's").run()
    assert "Positions in different embeddings" not in told(app)


def test_driver_genes_lead_to_their_pages(run_id: str) -> None:
    app = open_page(run=run_id)
    table = app.dataframe[0].value
    assert {"page", "share", "time"} <= set(table.columns)
    assert table["page"].iloc[0].startswith(f"/genes?run={run_id}&gene=")
    assert table.index[0] in table["page"].iloc[0]
    assert "skill above 0" in told(app)
    box = app.selectbox(key="driver-group")
    box.set_value(box.options[1]).run()
    assert "score" in app.dataframe[0].value.columns


def test_start_and_end_come_with_a_warning(run_id: str) -> None:
    app = open_page(run=run_id)
    assert "if the arrows are reversed" not in told(app)
    app.session_state["details"] = "Start, end and time"
    said = told(app.run())
    assert "if the arrows are reversed" in said
    assert "It is not scVelo's latent time" in said


def test_cosines_of_cells_say_which_trained(run_id: str) -> None:
    app = open_page(run=run_id)
    said = told(app.selectbox(key="color").set_value(views.color_words(Obs.COSINE_GENES)).run())
    assert "training cells" in said
    assert "held-out cells only" in said


def test_values_of_the_address_that_mean_nothing_are_told(run_id: str) -> None:
    app = open_page(run=run_id, style="comic", basis="<b>")
    assert sum("default is shown" in item.value for item in app.warning) == 2


def test_one_velocity_is_drawn_alone_and_the_link_keeps_it(run_id: str) -> None:
    app = open_page(run=run_id, large="SplicedVAE")
    assert not app.warning or "default is shown" not in app.warning[0].value
    alone = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert "yaxis2" not in alone["layout"]
    app.selectbox(key="large").set_value("all").run()
    assert "yaxis2" in json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]


def test_the_figure_follows_the_window_of_the_visit(run_id: str) -> None:
    app = open_page(run=run_id)
    usual = json.loads(app.get("plotly_chart")[0].proto.spec)["layout"]
    app.session_state["_window"] = (340, 720)
    narrow = json.loads(app.run().get("plotly_chart")[0].proto.spec)["layout"]
    # Stacked panels all begin at the left.
    assert {narrow[name]["domain"][0] for name in narrow if name.startswith("xaxis")} == {0.0}
    assert narrow["height"] > usual["height"]


def test_the_page_opens_in_the_embedding_of_the_file(run_id: str, made: runs.Run) -> None:
    app = open_page(run=run_id)
    assert list(app.segmented_control(key="basis").options)[:3] == [
        "the file's UMAP",
        "the file's t-SNE",
        "common",
    ]
    assert app.segmented_control(key="basis").value == "the file's UMAP"
    wide = views.map_points(made, "splicedvae", on="the file's t-SNE")
    assert np.ptp(wide[:, 0]) > 2 * np.ptp(wide[:, 1])


def test_a_gene_without_a_prediction_colors_the_cells(run_id: str, made: runs.Run) -> None:
    others = runs.other_genes(made)
    assert others
    assert not set(others) & set(made.predictions.var_names)
    gene = others[0]
    app = open_page(run=run_id, color="counts of a gene", **{"color-gene": gene})
    assert not app.warning
    assert app.selectbox(key="color-gene").value == gene
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert gene in figure["layout"]["coloraxis"]["colorbar"]["title"]["text"]
    # It has no spliced fraction, so it is not offered for that.
    app.selectbox(key="color").set_value("spliced fraction of a gene").run()
    assert not app.error
    assert gene not in app.selectbox(key="color-gene").options


def test_the_first_gene_to_color_by_leads_the_velocity(run_id: str, made: runs.Run) -> None:
    app = open_page(run=run_id, color="counts of a gene")
    assert app.selectbox(key="color-gene").value == views.leading_gene(made)


def test_columns_have_words_and_old_links_still_work(run_id: str) -> None:
    app = open_page(run=run_id, color=Obs.LENGTH)
    assert app.selectbox(key="color").value == "velocity length"
    assert not app.warning
    assert not [name for name in app.selectbox(key="color").options if "_" in name]
