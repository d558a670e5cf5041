"""The command that judges all predictors, over a real run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result

from splicedvae._core.errors import RunError
from splicedvae.benchmark import Benchmark
from splicedvae.cli._options import pairs_of

Command = Callable[..., Result]
QUICK = ["--max-epochs", 3, "--min-shared-counts", 10, "--seeds", 1]


@pytest.fixture(scope="module")
def judged(command: Command, cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("judged") / "out"
    result = command("benchmark", cells, "--out", out, *QUICK, "--no-keep-runs", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["plan"]["seeds"] == [0]
    assert told["plan"]["settings"]["cluster_key"] == "clusters"
    return out


def test_table_json_and_figure_are_written(judged: Path) -> None:
    table = pd.read_csv(judged / "metrics.csv")
    assert {"skill", "interval_coverage", "expression_nll", "velocity_cosine_genes"} <= set(
        table["metric"]
    )
    assert json.loads((judged / "summary.json").read_text())["comparison"]
    assert (judged / "figure.html").stat().st_size > 1_000_000
    assert not (judged / "runs" / "seed0_fold0").exists()


def test_the_same_again_is_shown_at_once(command: Command, judged: Path, cells: Path) -> None:
    before = (judged / "runs" / "seed0_fold0.csv").stat().st_mtime_ns
    result = command("benchmark", cells, "--out", judged, *QUICK, "--no-keep-runs")
    assert result.exit_code == 0, result.output
    assert (judged / "runs" / "seed0_fold0.csv").stat().st_mtime_ns == before
    skill = Benchmark(judged).summary.query("metric == 'skill' and predictor == 'splicedvae'")
    assert f"{skill['mean'].iloc[0]:.4f}" in result.stdout


def test_what_cannot_be_is_one_sentence(command: Command, cells: Path, tmp_path: Path) -> None:
    result = command("benchmark", cells, "--out", tmp_path / "out", "--design", "groups")
    assert result.exit_code == 1
    assert "belongs to the design 'groups'" in result.output
    result = command("benchmark", cells, "--out", tmp_path / "out", "--transitions", "Ductal")
    assert result.exit_code == 1
    assert "FROM>TO was expected" in result.output


def test_pairs_are_read_from_words() -> None:
    assert pairs_of(["A>B", " Ngn3 low EP > Beta "]) == (("A", "B"), ("Ngn3 low EP", "Beta"))
    assert pairs_of(None) == ()
    for text in ("A", "A>", ">B", ""):
        with pytest.raises(RunError, match="FROM>TO"):
            pairs_of([text])
