"""What the README says works: its Python runs, its links and commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from splicedvae import datasets
from splicedvae._core.keys import Layers, Var
from splicedvae.cli import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_block_runs_as_printed() -> None:
    """The same lines, on fewer cells and epochs."""
    (code,) = blocks("python")
    small = {
        "datasets.simulate(": "datasets.simulate(300, 80, ",
        "model.train()": "model.train(20)",
    }
    for printed, smaller in small.items():
        assert printed in code
        code = code.replace(printed, smaller)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    velocity = names["velocity"]
    assert velocity.layers[Layers.VELOCITY].shape == velocity.shape  # type: ignore[attr-defined]
    assert velocity.var[Var.VELOCITY_GENES].any()  # type: ignore[attr-defined]
    assert datasets.simulate(50, 20).n_obs == 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_every_command_named_is_one() -> None:
    shell = "\n".join(blocks("sh"))
    commands = set(re.findall(r"^splicedvae (\w+)", shell, flags=re.MULTILINE))
    assert commands >= {"inspect", "train", "predict", "velocity", "report"}
    for command in commands:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
    targets = set(re.findall(r"^make (\w+)", shell, flags=re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets >= {"app", "test"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
