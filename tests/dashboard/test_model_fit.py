"""Totals and the trained models: how they fit, how unlike the cells are, what is answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from anndata import AnnData
from app_pages import open_page
from streamlit.testing.v1 import AppTest

from splicedvae import pipeline, runs, store
from splicedvae._core.errors import RunError
from splicedvae._core.keys import Obs
from splicedvae.dashboard import pages, uploads
from splicedvae.datasets import simulate

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = pages.INSPECT.script


def totals_of(cells: AnnData) -> AnnData:
    return AnnData(X=cells.X.copy(), obs=cells.obs[[Obs.CLUSTERS]].copy(), var=cells.var[[]].copy())


def opened(cells: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    file = tmp_path / "totals.h5ad"
    cells.write_h5ad(file)
    with file.open("rb") as content:
        stored = uploads.add_upload(file.name, content)
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=400)
    app.query_params["data"] = stored.id
    app.run()
    app.switch_page(DATA)
    app.query_params["data"] = stored.id
    app.run()
    assert not app.exception
    return app


def told(app: AppTest) -> str:
    kinds = (app.markdown, app.info, app.warning, app.error, app.success)
    return "\n".join(str(item.value) for kind in kinds for item in kind).replace("\\", "")


def test_what_a_run_was_trained_on_is_read_without_its_counts(tmp_path: Path) -> None:
    demo = runs.demo_run()
    known = pipeline.trained_on(demo)
    assert list(known.genes) == list(demo.predictions.var_names)
    assert known.n_cells == demo.predictions.n_obs
    assert "/" not in known.file
    home = tmp_path / "cut"
    home.mkdir()
    (home / "config.json").write_bytes((demo.path / "config.json").read_bytes())
    (home / "predictions.h5ad").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(RunError, match="cannot be read"):
        pipeline.trained_on(runs.Run(home))


def test_totals_are_compared_with_the_training_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(totals_of(runs.demo_run().predictions), tmp_path, monkeypatch)
    assert "one may fit" in told(app)
    assert "not yet compared" in told(app)
    table = next(item.value for item in app.dataframe if "trained on" in item.value)
    # The bundled models know none of these genes.
    assert table["genes in this file"].tolist()[0] == 1.0
    assert set(table["genes in this file"].tolist()[1:]) == {0.0}
    app.button(key="compare-cells").click().run()
    assert not app.exception
    assert not app.error, told(app)
    assert "similar to the training cells" in told(app)
    table = next(item.value for item in app.dataframe if "trained on" in item.value)
    assert 0 <= table["novelty"].iloc[0] < 0.25


def test_cells_of_another_kind_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = runs.demo_run()
    genes = demo.predictions.var_names
    other = simulate(n_cells=220, n_genes=180, seed=3)
    found = pipeline.novelty(demo, totals_of(other))
    assert found.value > found.novel_above
    app = opened(totals_of(other), tmp_path, monkeypatch)
    app.button(key="compare-cells").click().run()
    assert "out of distribution for the model" in told(app)
    assert genes.isin(other.var_names).all()


def test_the_demo_is_no_model_for_real_genes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = totals_of(simulate(n_cells=210, n_genes=60, seed=4))
    cells.var_names = [f"GENE{number}A" for number in range(60)]
    app = opened(cells, tmp_path, monkeypatch)
    assert "No model here fits this file" in told(app)
    assert "How to get a model that fits" in told(app)
    assert "predict" not in [button.key for button in app.button]


def test_a_stored_model_is_proposed_and_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLICEDVAE_MODELS", str(tmp_path / "models"))
    demo = runs.demo_run()
    made = pipeline.store_run(
        demo, tmp_path / "made", name="lineage", words=pipeline.CardWords(title="A lineage")
    )
    store.add_model(made.path)
    app = opened(totals_of(demo.predictions), tmp_path, monkeypatch)
    assert "Proposed: lineage" in told(app).replace("*", "")
    assert "of the counts of this file" in told(app)
    app.button(key="compare-cells").click().run()
    assert not app.exception
    assert "The novelty of the cells is 0." in told(app)
    asked = []
    monkeypatch.setattr("splicedvae.jobs.start", lambda config: asked.append(config) or demo)
    app.button(key="predict").click().run()
    assert not app.exception
    (config,) = asked
    assert config.model_run.startswith("lineage@")
    assert config.counts == made.card.counts


def test_the_page_of_models_adds_shows_and_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLICEDVAE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    made = pipeline.store_run(runs.demo_run(), tmp_path / "made", name="lineage")
    store.add_model(made.path)
    app = open_page("pages/model/models.py")
    assert "lineage" in told(app)
    assert "Not for" in "\n".join(str(item.value) for item in app.caption)
    numbers = next(item.value for item in app.dataframe if "number" in item.value)
    assert "SplicedVAE" in numbers.columns
    assert "noise ceiling" in numbers.columns
    app.button(key="remove-yes-lineage").click().run()
    assert not app.exception
    assert "lineage" not in [model.name for model in store.list_models()]
