"""`splicedvae triage`: a verdict with reasons, for people and for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Command = Callable[..., Result]
Trained = tuple[Path, Result]


def test_people_and_scripts_hear_the_same_of_measured_counts(command: Command, cells: Path) -> None:
    found = json.loads(command("triage", cells, "--root", "Progenitor", "--json").stdout)
    told = command("triage", cells, "--root", "Progenitor")
    assert told.exit_code == 0, told.output
    text = " ".join(told.stdout.split())
    assert f"cells.h5ad: {found['answer']}" in text
    assert found["origin"] == "measured"
    assert found["file"]["n_cells"] == 260
    for reason in found["reasons"]:
        assert " ".join(reason["sentence"].split()) in text
    assert f"Next: {found['next_step']}" in text


def test_totals_are_judged_with_a_model(command: Command, totals: Path, trained: Trained) -> None:
    found = json.loads(command("triage", totals, "--model", trained[0], "--json").stdout)
    assert found["origin"] == "predicted"
    assert found["genes_found"] == found["genes_of_model"] > 0
    assert 0 < found["share_of_counts"] <= 1
    assert found["answer"] in {"look closer", "do not show"}
    assert len(found["stability"]) == 3


def test_totals_without_a_model_end_with_the_way_on(command: Command, totals: Path) -> None:
    told = command("triage", totals)
    assert told.exit_code == 0
    text = " ".join(told.stdout.split())
    assert "totals.h5ad: do not show" in text
    assert "Next: Train a model" in text


def test_what_is_not_in_the_file_is_one_sentence(command: Command, cells: Path) -> None:
    told = command("triage", cells, "--time-key", "hours")
    assert told.exit_code == 1
    assert told.stderr.startswith("Error: The file has no column 'hours' in obs")
