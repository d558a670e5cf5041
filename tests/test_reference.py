"""The API reference has a page for every package it promises, and lists all that is public there.

That it builds without a warning is checked by `make docs`, which CI runs.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

API = Path(__file__).resolve().parents[1] / "docs" / "api"
PACKAGES = (
    "datasets",
    "evaluation",
    "io",
    "jobs",
    "model",
    "pipeline",
    "plotting",
    "report",
    "runs",
    "store",
    "triage",
    "velocity",
)


def test_every_page_is_in_the_table_of_contents() -> None:
    toctree = re.findall(r"^(\w+)$", (API / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(toctree) == sorted(PACKAGES)
    assert sorted(page.stem for page in API.glob("*.md") if page.stem != "index") == sorted(
        PACKAGES
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_public_is_documented(package: str) -> None:
    page = (API / f"{package}.md").read_text(encoding="utf-8")
    assert f".. automodule:: splicedvae.{package}\n   :members:" in page
    module = importlib.import_module(f"splicedvae.{package}")
    for name in module.__all__:
        value = getattr(module, name)
        if callable(value) and getattr(value, "__module__", "").startswith("splicedvae"):
            assert value.__doc__, f"splicedvae.{package}.{name} has no docstring"
