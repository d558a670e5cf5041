"""Inputs that broke the package, each written by a script of its own; skipped where absent."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def hostile_folder() -> Path:
    """The folder of the cases: next to the real counts that SPLICEDVAE_DATA names."""
    named = os.environ.get("SPLICEDVAE_DATA")
    here = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return (Path(named).expanduser().resolve() if named else here).parent / "hostile"


def hostile_case(name: str) -> Callable[[str], Any]:
    """Return the function that writes a case into a folder, or skip the test."""
    script = hostile_folder() / name / "make.py"
    if not script.is_file():
        pytest.skip(
            f"no hostile case {name}: set SPLICEDVAE_DATA to a folder next to the folder hostile "
            "(default: ../shared/data)"
        )
    spec = importlib.util.spec_from_file_location(f"hostile_{name}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    make: Callable[[str], Any] = module.make
    return make
