"""Presenting, saving and telling how a run was made, through Streamlit's own test runner."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from app_pages import open_page
from streamlit.testing.v1 import AppTest

from splicedvae import runs
from splicedvae.dashboard import pages

PRESENT = pages.PRESENT.script


def slide_of(app: AppTest) -> str:
    found = app.query_params["slide"]
    return found[0] if isinstance(found, list) else found


def shown(app: AppTest) -> str:
    return "\n".join(item.value for item in app.markdown)


def test_slides_follow_each_other_and_stand_in_the_address(runs_folder: Path) -> None:
    app = open_page(PRESENT, run="demo")
    titles = [app.title[0].value]
    assert slide_of(app) == "1"
    assert app.button(key="back").disabled
    n_slides = int(re.search(r"1 / (\d+)", shown(app))[1])
    for at in range(2, n_slides + 1):
        app.button(key="next").click().run()
        assert not app.exception, app.exception
        assert slide_of(app) == str(at)
        titles.append(app.title[0].value)
    assert len(set(titles)) == n_slides
    assert app.button(key="next").disabled
    assert app.button(key="page-down").disabled
    assert runs.demo_run().id in shown(app)
    app.button(key="page-up").click().run()
    assert slide_of(app) == str(n_slides - 1)


def test_a_link_leads_to_its_slide_and_nonsense_to_the_first(runs_folder: Path) -> None:
    assert open_page(PRESENT, run="demo", slide="6").title[0].value == "How far to trust it"
    app = open_page(PRESENT, run="demo", slide="-2e9")
    assert slide_of(app) == "1"
    assert "slide" in "\n".join(item.value for item in app.warning)


def test_the_stage_is_bare_and_its_end_leads_back(runs_folder: Path) -> None:
    app = open_page(pages.LATENT.script, run="demo")
    assert len(app.sidebar.caption)
    app.switch_page(PRESENT)
    app.run()
    assert not len(app.sidebar.caption)
    app.button(key="end").click().run()
    assert not app.exception, app.exception
    assert app.title[0].value == "Latent spaces"


def test_how_it_was_made_is_readable(runs_folder: Path) -> None:
    run = runs.demo_run()
    app = open_page(pages.PROVENANCE.script, run="demo")
    assert not len(app.json)
    tables = [table.value for table in app.dataframe]
    settings = next(table for table in tables if list(table.columns)[:1] == ["setting"])
    assert run.config.name in set(settings["value"])
    usual = next(table for table in tables if list(table.columns) == ["setting", "value"])
    assert not set(settings["setting"]) & set(usual["setting"])
    cells = {str(value) for table in tables for value in table.to_numpy().ravel()}
    assert run.config.data_sha256 in cells
    assert str(run.provenance["packages"]["torch"]) in cells
    code = "\n".join(item.value for item in app.code)
    assert "splicedvae train" in code
    assert "RunConfig.from_dict" in code


@pytest.mark.parametrize(
    ("page", "name"), [("velocity", "streams"), ("latent", "latents"), ("diagnostics", "ratios")]
)
def test_each_main_figure_can_be_saved_and_shows_its_python(
    runs_folder: Path, page: str, name: str
) -> None:
    app = open_page(f"pages/results/{page}.py", run="demo")
    assert app.selectbox(key=f"save-size-{name}").value == "double"
    assert any(f'figure.write_html("{name}.html")' in item.value for item in app.code)
