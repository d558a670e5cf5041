"""A simulated file, a file of totals and a trained run, all made by the command itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from splicedvae.cli import app

Command = Callable[..., Result]


def run_command(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="session")
def command() -> Command:
    """Run ``splicedvae`` with some words in this process."""
    return run_command


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="session")
def cells(folder: Path) -> Path:
    """260 cells x 60 genes with S/U."""
    file = folder / "cells.h5ad"
    result = run_command("simulate", "--out", file, "--n-cells", 260, "--n-genes", 60)
    assert result.exit_code == 0, result.output
    return file


@pytest.fixture(scope="session")
def totals(folder: Path) -> Path:
    """120 other cells, totals alone."""
    file = folder / "totals.h5ad"
    words = ["--n-cells", 120, "--n-genes", 60, "--totals-only"]
    result = run_command("simulate", "--out", file, *words)
    assert result.exit_code == 0, result.output
    return file


@pytest.fixture(scope="session")
def trained(folder: Path, cells: Path) -> tuple[Path, Result]:
    """A run folder made by ``train --json``, and what the command said."""
    out = folder / "run"
    words = ["--max-epochs", 3, "--n-neighbors", 12, "--held-out", 0.3, "--min-shared-counts", 10]
    result = run_command("train", cells, "--out", out, *words, "--json")
    assert result.exit_code == 0, result.output
    return out, result
