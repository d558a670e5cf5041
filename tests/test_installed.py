"""The package as users install it: a wheel in an environment of its own, far from any clone.

The environment borrows the installed libraries, so that nothing is downloaded; the package itself
comes from the wheel alone.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from browser_pages import ready
from playwright.sync_api import Browser

from splicedvae.runs import code_version

pytest.importorskip("hatchling", reason="it builds the wheel: make test-environment installs it")

REPOSITORY = Path(__file__).resolve().parents[1]


def run(*words: object, **options: object) -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=REPOSITORY)
    (wheel,) = folder.glob("*.whl")
    home = folder / "environment"
    venv.create(home, symlinks=os.name != "nt", with_pip=False)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install"]
    run(*pip, "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel)
    borrowed = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    packages = sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)})
    (Path(packages) / "borrowed.pth").write_text("\n".join(borrowed), encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a user who has neither a clone nor runs."""
    folder = tmp_path_factory.mktemp("user")
    own = {"SPLICEDVAE_RUNS": str(folder / "runs"), "SPLICEDVAE_CACHE": str(folder / "cache")}
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, **own, "OMP_NUM_THREADS": "1"}


def is_alive(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=20) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="module")
def dashboard(
    home: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of the dashboard that the installed command serves."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(home / "bin" / "splicedvae"), "app", "--port", str(port), "--no-browser"],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://localhost:{port}"
    try:
        until = time.monotonic() + 120
        while not is_alive(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.25)
        yield url
    finally:
        server = psutil.Process(process.pid).children(recursive=True)
        for part in [*server, process]:
            part.kill()
        process.wait()


def test_the_installed_command_serves_the_dashboard(dashboard: str) -> None:
    with urllib.request.urlopen(f"{dashboard}/velocity", timeout=60) as answer:
        assert answer.status == 200
        assert b"<html" in answer.read()


@pytest.mark.browser
def test_a_page_of_the_installed_dashboard_stands(dashboard: str, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{dashboard}/genes?run=demo")
    ready(page)
    assert page.get_by_role("heading", name="Genes").count()
    assert page.get_by_test_id("stException").count() == 0
    # The look is that of .streamlit/config.toml.
    size = page.evaluate("getComputedStyle(document.documentElement).fontSize")
    assert size == "15px"
    page.close()


def test_an_installed_package_gives_runs_the_ids_of_a_clone(
    home: Path, environment: dict[str, str]
) -> None:
    code = (
        "import splicedvae; from splicedvae.runs import code_version; "
        "print(splicedvae.__file__); print(code_version())"
    )
    python = home / "bin" / "python"
    where, version = run(python, "-c", code, cwd=home, env=environment).split()
    assert Path(where).is_relative_to(home)
    assert version == code_version()
