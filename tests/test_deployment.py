"""The Dockerfile and the page on operations name what is there. No image is built here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LINES = re.sub(r"\\\n\s*", " ", DOCKERFILE).splitlines()


def of(instruction: str) -> list[str]:
    return [line[len(instruction) + 1 :] for line in LINES if line.startswith(f"{instruction} ")]


def known_variables() -> set[str]:
    sources = [*ROOT.glob("splicedvae/**/*.py"), *ROOT.glob("pages/**/*.py")]
    text = "".join(file.read_text(encoding="utf-8") for file in sources)
    return set(re.findall(r"\bSPLICEDVAE_[A-Z_]+\b", text))


def test_the_image_has_a_python_that_the_package_supports() -> None:
    (base,) = of("FROM")
    found = re.fullmatch(r"python:(\d+\.\d+)-slim-\w+", base)
    assert found is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert SpecifierSet(project["requires-python"]).contains(found[1])


def test_the_image_does_not_run_as_root() -> None:
    (user,) = of("USER")
    assert user.isdigit()
    assert int(user) > 0
    assert LINES.index(f"USER {user}") < next(
        number for number, line in enumerate(LINES) if line.startswith("CMD")
    )


def test_everything_that_is_copied_exists_and_is_sent_to_the_build() -> None:
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in of("COPY"):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in sent


def test_the_health_of_the_container_is_the_servers() -> None:
    (check,) = of("HEALTHCHECK")
    (port,) = of("EXPOSE")
    assert f"http://localhost:{port}/_stcore/health" in check
    assert f'"--server.port", "{port}"' in of("CMD")[-1]


@pytest.mark.parametrize("file", ["Dockerfile", "docs/operations.md", "SECURITY.md"])
def test_only_variables_that_the_package_reads_are_named(file: str) -> None:
    named = re.findall(r"\bSPLICEDVAE_[A-Z_]+\b", (ROOT / file).read_text(encoding="utf-8"))
    assert set(named) <= known_variables()


def test_every_variable_of_the_package_is_on_the_page_on_operations() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [
        name for name in sorted(known_variables() - {"SPLICEDVAE_DATA"}) if name not in page
    ] == []
