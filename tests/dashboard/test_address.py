"""The address of a page holds its view: each control, back from a link."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import app_pages
import pytest
from streamlit.testing.v1 import AppTest

from splicedvae import runs
from splicedvae.dashboard import pages, uploads
from splicedvae.dashboard.widgets import run_list
from splicedvae.datasets import simulate

VELOCITY = pages.VELOCITY.script
GENES = pages.GENES.script
LATENT = pages.LATENT.script
DATA = pages.INSPECT.script
TRAIN = pages.TRAIN.script
OTHER = pages.PROVENANCE.script


def open_page(page: str, **query: str) -> AppTest:
    """Open a page as the first one that draws what it draws, so that the address is read."""
    # The bare address opened the velocities, whose controls a session then knows.
    return app_pages.open_page(page, through=OTHER, **query)


def warnings_of(app: AppTest) -> list[str]:
    return [str(item.value) for item in app.warning if "default is shown" in item.value]


def asked(app: AppTest, name: str) -> list[str]:
    """What stands in the address under a name."""
    value = app.query_params.get(name, [])
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    ("page", "query", "kind", "key", "value"),
    [
        (VELOCITY, {"driver-source": "scVI + ratio head"}, "selectbox", None, None),
        (VELOCITY, {"driver-group": "Progenitor"}, "selectbox", None, None),
        (
            VELOCITY,
            {"details": "Start, end and time", "time-source": "measured"},
            "selectbox",
            "time-source",
            "measured",
        ),
        (GENES, {"find-genes": "1"}, "text_input", None, None),
        (GENES, {"gene-cells": "all cells"}, "segmented_control", None, None),
    ],
)
def test_a_link_restores_a_control(
    runs_folder: Path,
    page: str,
    query: dict[str, str],
    kind: str,
    key: str | None,
    value: str | None,
) -> None:
    app = open_page(page, run="demo", **query)
    key = key or next(iter(query))
    assert getattr(app, kind)(key=key).value == (value or query[key])
    assert not warnings_of(app)
    assert asked(app, key) == [value or query[key]]


def test_a_link_leads_to_the_drivers_of_a_cluster(runs_folder: Path) -> None:
    cluster = "Progenitor"
    whole = open_page(VELOCITY, run="demo").dataframe[0].value
    app = open_page(VELOCITY, run="demo", **{"driver-group": cluster})
    assert list(app.dataframe[0].value.index) != list(whole.index)
    # Another velocity of the same cells.
    app.selectbox(key="driver-source").set_value("measured").run()
    assert not app.exception
    assert app.selectbox(key="driver-group").value == cluster


def test_a_search_of_the_address_narrows_the_table(runs_folder: Path) -> None:
    name = str(runs.demo_run().predictions.var_names[3])
    app = open_page(GENES, run="demo", **{"find-genes": name})
    found = app.dataframe[0].value
    assert len(found) < runs.demo_run().predictions.n_vars
    assert all(name in str(gene) for gene in found.index)


@pytest.mark.parametrize(
    ("page", "name"),
    [
        (VELOCITY, "driver-source"),
        (VELOCITY, "driver-group"),
        (VELOCITY, "details"),
        (GENES, "gene-cells"),
        (GENES, "gene"),
        (LATENT, "cells-of"),
    ],
)
def test_a_control_of_the_address_that_means_nothing_is_told(
    runs_folder: Path, page: str, name: str
) -> None:
    app = open_page(page, run="demo", **{name: "![x](http://h/p)"})
    (said,) = warnings_of(app)
    assert "default is shown" in said
    assert "![x](http" not in said


def test_clusters_looked_at_are_part_of_the_link(runs_folder: Path) -> None:
    app = open_page(LATENT, run="demo", **{"cells-of": "Progenitor"})
    assert app.multiselect(key="latent-clusters").value == ["Progenitor"]
    assert "cells selected" in "\n".join(str(item.value) for item in app.markdown)
    app.button(key="clear-selection").click().run()
    assert app.multiselect(key="latent-clusters").value == []
    assert not asked(app, "cells-of")
    app.multiselect(key="latent-clusters").set_value(["Progenitor"]).run()
    assert asked(app, "cells-of") == ["Progenitor"]


def test_clusters_of_a_file_are_part_of_the_link(runs_folder: Path, tmp_path: Path) -> None:
    adata = simulate(n_cells=120, n_genes=50, seed=5)
    first = [str(value) for value in adata.obs["clusters"]]
    adata.obs["sorted"] = ["one" if name == first[0] else "other" for name in first]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with (tmp_path / "cells.h5ad").open("rb") as content:
        stored = uploads.add_upload("cells.h5ad", content)
    app = open_page(DATA, data=stored.id, clusters="sorted")
    assert app.selectbox(key="clusters").value == "sorted"
    assert not warnings_of(app)
    (said,) = warnings_of(open_page(DATA, data=stored.id, clusters="nothing"))
    assert "default is shown" in said


def test_the_list_of_runs_is_found_and_sorted_by_a_link(
    runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_list, "MANY", 1)
    app = open_page(TRAIN, **{"find-runs": "was not found", "order-runs": "name"})
    assert app.text_input(key="find-runs").value == "was not found"
    assert app.segmented_control(key="order-runs").value == "name"
    assert any("No run has this" in str(item.value) for item in app.caption)
    (said,) = warnings_of(open_page(TRAIN, **{"order-runs": "luck"}))
    assert "default is shown" in said


def test_the_link_to_copy_leads_to_the_same_view(runs_folder: Path) -> None:
    query = {"run": "demo", "driver-group": "Progenitor", "style": "arrows"}
    app = open_page(VELOCITY, **query)
    assert not any("/velocity?" in str(item.value) for item in app.code)
    app.session_state["link"] = True
    app.run()
    (link,) = [str(item.value) for item in app.code if "/velocity?" in str(item.value)]
    assert parse_qs(urlsplit(link).query) == {name: [value] for name, value in query.items()}
