"""The store by command: a training becomes a model that predicts by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import pytest
from click.testing import Result

from splicedvae._core.keys import Layers, Uns
from splicedvae.io import sha256

Command = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPLICEDVAE_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_training_is_added_shown_asked_and_removed(
    command: Command, store: Path, trained: tuple[Path, Result], totals: Path, cells: Path
) -> None:
    words = ["--name", "lineage", "--tissue", "none at all", "--licence", "CC0"]
    result = command("models", "add", trained[0], *words, "--json")
    assert result.exit_code == 0, result.output
    digest = json.loads(result.stdout)["digest"]

    listed = json.loads(command("models", "list", "--json").stdout)
    (row,) = [row for row in listed if row["name"] == "lineage"]
    assert row["digest"] == digest
    assert row["tissues"] == ["none at all"]

    card = json.loads(command("models", "show", "lineage", "--json").stdout)
    assert card["source"]["sha256"] == sha256(cells)
    assert card["weights_from"] == "training cells"
    assert {"skill", "velocity_cosine_genes"} <= {
        row["metric"] for row in card["evaluation"]["metrics"]
    }
    shown = command("models", "show", "lineage")
    assert "skill" in shown.stdout
    assert "Not for" in shown.stdout

    files = []
    for name in ("lineage", f"lineage@{digest[:16]}", store / "lineage", trained[0]):
        out = store / f"{len(files)}.h5ad"
        result = command("predict", name, totals, "--out", out)
        assert result.exit_code == 0, result.output
        files.append(anndata.read_h5ad(out))
    for one in files[1:]:
        difference = abs(one.layers[Layers.RATIO] - files[0].layers[Layers.RATIO])
        assert difference.max() < 0.002
    account = files[0].uns[Uns.ROOT][Uns.PREDICTED]
    assert account["model"] == f"lineage@{digest[:16]}"
    assert account["model_sha256"] == digest
    assert json.loads(account["model_card"])["source"]["licence"] == "CC0"
    assert "run" not in account

    result = command("models", "remove", "lineage")
    assert result.exit_code == 0
    result = command("predict", "lineage", totals, "--out", store / "again.h5ad")
    assert result.exit_code == 1
    assert "no run and no stored model" in result.output


def test_the_best_model_is_proposed_with_its_reasons(
    command: Command, store: Path, trained: tuple[Path, Result], totals: Path
) -> None:
    assert command("models", "add", trained[0], "--name", "lineage").exit_code == 0
    result = command("inspect", totals, "--model", "best")
    assert result.exit_code == 0, result.output
    assert "of its" in result.output
    assert "hold" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "nothing"], "no model 'nothing'"),
        (["remove", "nothing"], "no added model 'nothing'"),
        (["add", "nothing.zip"], "no model at"),
        (["remove", "../x"], "is not a valid model name"),
    ],
)
def test_errors_are_one_sentence(
    command: Command, store: Path, words: list[str], said: str
) -> None:
    result = command("models", *words)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_orthologs_need_two_species(
    command: Command, store: Path, trained: tuple[Path, Result], totals: Path
) -> None:
    out = store.parent / "out.h5ad"
    result = command("predict", trained[0], totals, "--out", out, "--orthologs", "auto")
    assert result.exit_code == 1
    assert "cannot be inferred from its genes" in result.output
    assert not out.exists()
