"""The triage of a file on its page: what can be named, what is shown, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from anndata import AnnData
from streamlit.testing.v1 import AppTest
from trained_model import simulated

from splicedvae import triage
from splicedvae._core.errors import RunError
from splicedvae.dashboard import pages, uploads
from splicedvae.jobs import triage_file

REPOSITORY = Path(__file__).resolve().parents[2]


def measured() -> AnnData:
    cells = simulated()[:300]
    made = AnnData(
        X=cells.X.copy(),
        obs=cells.obs[["clusters"]].copy(),
        var=cells.var[[]].copy(),
        layers={name: cells.layers[name].copy() for name in ("spliced", "unspliced")},
    )
    made.obs["hours"] = (cells.obs["true_time"].to_numpy(dtype=float) * 10).round()
    return made


def opened(cells: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("SPLICEDVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SPLICEDVAE_MODELS", str(tmp_path / "models"))
    file = tmp_path / "cells.h5ad"
    cells.write_h5ad(file)
    with file.open("rb") as content:
        stored = uploads.add_upload(file.name, content)
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=400)
    app.run()
    app.switch_page(pages.INSPECT.script)
    app.query_params["data"] = stored.id
    app.run()
    assert not app.exception
    return app


def test_the_verdict_comes_with_reasons_and_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(measured(), tmp_path, monkeypatch)
    assert app.selectbox(key="triage-time").options == ["not known", "hours"]
    app.selectbox(key="triage-root").select("Progenitor")
    app.selectbox(key="triage-time").select("hours")
    app.button(key="run-triage").click().run()
    assert not app.exception
    said = "\n".join(str(item.value) for item in app.markdown).replace("\\", "")
    assert "splicedvae train" in said
    assert "pseudotime of expression from 'Progenitor'" in said
    assert "obs column 'hours'" in said
    assert any("Genes that draw the arrows" in str(item.value) for item in app.caption)
    # Another question is not answered by the old result.
    app.selectbox(key="triage-root").select("not known").run()
    assert "Next:" not in "\n".join(str(item.value) for item in app.markdown)


def test_totals_that_no_model_fits_are_offered_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = simulated()[:100]
    strange = AnnData(
        X=cells.X.copy(), var=pd.DataFrame(index=[f"STRANGE{i}" for i in range(cells.n_vars)])
    )
    app = opened(strange, tmp_path, monkeypatch)
    assert "run-triage" not in [button.key for button in app.button]


def test_a_refusal_of_the_process_is_its_sentence(tmp_path: Path) -> None:
    file = tmp_path / "cells.h5ad"
    measured().write_h5ad(file)
    with pytest.raises(RunError, match=r"^The file has no column 'days' in obs"):
        triage_file(file, time_key="days")
    with pytest.raises(RunError, match="took more than 0 seconds"):
        triage_file(file, longest=0.01)


def test_a_value_that_looks_like_an_option_is_none(tmp_path: Path) -> None:
    file = tmp_path / "cells.h5ad"
    measured().write_h5ad(file)
    with pytest.raises(RunError, match="no cell group '--help'"):
        triage_file(file, root="--help")


@pytest.mark.parametrize(
    ("name", "values", "offered"),
    [
        ("hours", [0, 24, 48], True),
        ("time_point", ["0", "24", "48"], True),
        ("age.days", [1.5, 2.5, None], True),
        ("latent_time", [0.1, 0.2, 0.3], True),
        ("times_passaged", [1, 1, 1], False),
        ("stage", ["E8", "E9", "E10"], False),
        ("percentage", [1, 2, 3], False),
        ("lineage", [1, 2, 3], False),
    ],
)
def test_columns_with_times_are_known_by_name_and_numbers(
    name: str, values: list[object], offered: bool
) -> None:
    cells = AnnData(obs=pd.DataFrame({name: values}, index=["a", "b", "c"]))
    assert triage.time_candidates(cells) == ([name] if offered else [])


def test_totals_are_seen_without_a_model_and_judged_apart_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = simulated()[:300]
    strange = AnnData(
        X=cells.X.copy(), var=pd.DataFrame(index=[f"STRANGE{i}" for i in range(cells.n_vars)])
    )
    app = opened(strange, tmp_path, monkeypatch)
    assert not app.error, [item.value for item in app.error]
    said = "\n".join(str(item.value) for item in (*app.markdown, *app.caption)).replace("\\", "")
    assert "**Your file**" in said
    assert "none fits yet" in said
    assert "Leiden clusters computed here" in said
    assert "no model was needed" in said.casefold()
    app.selectbox(key="look-color").set_value("counts of a gene").run()
    app.text_input(key="look-find").set_value("strange12").run()
    assert app.selectbox(key="look-gene").options[0] == "STRANGE12"
    assert not app.exception
