"""The files beside the code keep what they promise: pins inside ranges, colors that stay apart."""

from __future__ import annotations

import itertools
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from splicedvae.plotting import PREDICTOR_COLORS

REPOSITORY = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
CONFIG = tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text(encoding="utf-8"))

#: Linear RGB as seen by a normal eye and with one kind of cone missing: Machado, Oliveira and
#: Fernandes 2009 (doi:10.1109/TVCG.2009.113), severity 1.
EYES = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def pins(file: str) -> dict[str, Requirement]:
    """Requirements of a file by canonical name."""
    lines = (REPOSITORY / file).read_text(encoding="utf-8").splitlines()
    found = (Requirement(line) for line in lines if line and line[0] not in "#-")
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def ranges() -> dict[str, SpecifierSet]:
    """What the package's dependencies may be, by name."""
    wanted = map(Requirement, PYPROJECT["project"]["dependencies"])
    return {requirement.name: requirement.specifier for requirement in wanted}


@pytest.mark.parametrize("file", ["requirements.txt", "tests/requirements.txt"])
def test_every_requirement_is_pinned(file: str) -> None:
    for requirement in pins(file).values():
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", requirement
        assert not specifier.version.endswith(".*"), requirement
        assert "+" not in specifier.version, f"{requirement} names a build of one machine"


def test_pins_lie_inside_the_ranges() -> None:
    # The extra "hub" is for the tests alone: nothing that is served needs it.
    pinned = {**pins("tests/requirements.txt"), **pins("requirements.txt")}
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    ranges = [*PYPROJECT["project"]["dependencies"], *itertools.chain(*extras)]
    assert len(ranges) > 20
    for text in ranges:
        wanted = Requirement(text)
        name = canonicalize_name(wanted.name)
        assert name in pinned, f"{text} is not pinned"
        (specifier,) = pinned[name].specifier
        assert specifier.version in wanted.specifier, f"{pinned[name]} lies outside {text}"


@pytest.mark.parametrize(
    ("name", "broken"),
    [("numpy", "2.4.0"), ("pandas", "3.0.0"), ("scipy", "1.17.0"), ("pynndescent", "0.7.0")],
)
def test_ranges_hold_off_versions_that_break(name: str, broken: str) -> None:
    assert broken not in ranges()[name]


@pytest.mark.parametrize(
    ("name", "version"),
    [("scvi-tools", "1.5.1"), ("anndata", "0.13.4"), ("scanpy", "1.12.4")],
)
def test_ranges_allow_what_newer_pythons_have(name: str, version: str) -> None:
    assert version in ranges()[name]


def test_commits_are_checked_by_what_ci_runs() -> None:
    """The same three commands of the same environment, so that no second version can differ."""
    hooks = (REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    lint = re.search(r"^lint: test-environment.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert lint
    commands = re.findall(r"@\$\(PY\) (.*)", lint[1])
    assert len(commands) == 3
    entries = re.findall(r"entry: \.venv/bin/python (.*)", hooks)
    assert entries == commands
    assert hooks.count("- id:") == hooks.count("language: system") == len(commands)
    assert not re.search(r"^\s*(rev|additional_dependencies):", hooks, re.MULTILINE)
    assert {"ruff", "mypy", "pre-commit"} <= set(pins("tests/requirements.txt"))


def test_pythons_agree() -> None:
    supported = SpecifierSet(PYPROJECT["project"]["requires-python"])
    named = [
        match[1]
        for text in PYPROJECT["project"]["classifiers"]
        if (match := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", text))
    ]
    assert named == ["3.11", "3.12", "3.13"]
    assert all(f"{version}.0" in supported for version in named)
    assert "3.10.0" not in supported
    assert "3.14.0" not in supported
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in named


# --- The look -----------------------------------------------------------------------------------


def linear(color: str) -> np.ndarray:
    """Linear RGB between 0 and 1 of ``#rrggbb``."""
    rgb = np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of linear RGB."""
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    ratio = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(colors: list[str], eye: str) -> float:
    """Smallest CIE76 distance between two of the colors, as an eye sees them."""
    seen = [lab(EYES[eye] @ linear(color)) for color in colors]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))


def contrast(one: str, other: str) -> float:
    """WCAG contrast ratio of two colors, from 1 to 21."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    dark, light = sorted(float(linear(color) @ weights) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def test_distance_and_contrast_know_their_ends() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert nearest(["#000000", "#FFFFFF"], "normal") == pytest.approx(100, abs=0.01)
    # Red and green of one lightness, the pair that most color-blind people confuse.
    assert nearest(["#C04040", "#608000"], "normal") > 60
    assert nearest(["#C04040", "#608000"], "deuteranopia") < 20


@pytest.mark.parametrize("eye", EYES)
def test_categories_stay_apart(eye: str) -> None:
    colors = CONFIG["theme"]["chartCategoricalColors"]
    assert len(colors) == 10
    assert nearest(colors, eye) > 15


@pytest.mark.parametrize("eye", EYES)
def test_predictors_stay_apart(eye: str) -> None:
    assert nearest(list(PREDICTOR_COLORS.values()), eye) > 15


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colors_show_on_the_background(theme: str) -> None:
    look = CONFIG["theme"][theme]
    for background in (look["backgroundColor"], look["secondaryBackgroundColor"]):
        assert contrast(look["textColor"], background) > 7
        assert contrast(look["linkColor"], background) > 4.5
    assert contrast("#FFFFFF", look["primaryColor"]) > 3.5, "the label of a primary button"
    for color in CONFIG["theme"]["chartCategoricalColors"]:
        assert contrast(color, look["backgroundColor"]) > 1.9, color


def test_streamlit_knows_every_option() -> None:
    from streamlit import config

    def names(table: dict[str, object], prefix: str = "") -> list[str]:
        found = []
        for key, value in table.items():
            if isinstance(value, dict):
                found += names(value, f"{prefix}{key}.")
            else:
                found.append(f"{prefix}{key}")
        return found

    written = names(CONFIG)
    assert "theme.dark.sidebar.backgroundColor" in written
    known = set(config.get_config_options())
    assert not set(written) - known


def test_nothing_is_fetched_from_elsewhere() -> None:
    text = (REPOSITORY / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    assert "://" not in text
    assert CONFIG["browser"]["gatherUsageStats"] is False
