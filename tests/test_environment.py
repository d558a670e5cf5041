"""What `make app` says and does before anything is installed: .ci/environment.sh, really run.

The interpreters are small scripts that answer as a Python of some version would, so that each case
takes a moment; the whole installation is run by .ci/run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
TOOLS = ("cat", "cksum", "dirname", "grep", "ls", "mkdir", "rm", "rmdir", "sh")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="make and sh are not on Windows")

#: Answers a version; makes a venv that holds itself; notes what pip is asked for, and fails on
#: demand.
INTERPRETER = """#!/bin/sh
case "$*" in
  *version_info*) echo {version} ;;
  *"import ensurepip"*) exit {no_venv} ;;
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; : > "$3/pyvenv.cfg" ;;
  "-m pip --version"*) exit 0 ;;
  "-m pip "*) echo "$*" >> "$PIP_LOG"; [ ! -e "$PIP_LOG.fails" ] ;;
esac
"""


class Clone:
    """A copy of what the script reads, with a PATH that holds only what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.bin = folder / "bin"
        self.log = folder / "pip.log"
        self.bin.mkdir()
        for tool in (*TOOLS, "cp"):
            found = shutil.which(tool)
            assert found, tool
            (self.bin / tool).symlink_to(found)
        for name in (".ci/environment.sh", "requirements.txt", "pyproject.toml"):
            self._copy(name)
        self._copy("tests/requirements.txt")

    def _copy(self, name: str) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, target)

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    def python(self, name: str, version: str, *, no_venv: bool = False) -> None:
        script = self.bin / name
        script.write_text(INTERPRETER.format(version=version, no_venv=int(no_venv)))
        script.chmod(0o755)

    def run(self, tools: str = "app", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(self.folder / ".ci" / "environment.sh"), tools],
            env={"PATH": str(self.bin), "PIP_LOG": str(self.log), **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def pip_calls(self) -> list[str]:
        """What pip was asked for since the last question."""
        calls = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return calls


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error."""
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    return line


def test_no_python_is_one_sentence(clone: Clone) -> None:
    said = sentence(clone.run())
    assert "no Python 3.11, 3.12 or 3.13 found" in said
    assert "PYTHON=" in said
    assert not clone.venv.exists()


def test_old_python_is_named(clone: Clone) -> None:
    clone.python("python3", "3.10")
    assert "python3 is 3.10" in sentence(clone.run())


def test_named_python_must_fit(clone: Clone) -> None:
    clone.python("python3", "3.12")
    clone.python("newest", "3.14")
    assert "PYTHON=newest is Python 3.14" in sentence(clone.run(PYTHON="newest"))
    assert "PYTHON=absent does not run" in sentence(clone.run(PYTHON="absent"))


def test_missing_venv_module_is_told(clone: Clone) -> None:
    clone.python("python3", "3.11", no_venv=True)
    assert "python3-venv" in sentence(clone.run())


def test_another_name_is_found(clone: Clone) -> None:
    clone.python("python3", "3.9")
    clone.python("python3.12", "3.12")
    done = clone.run()
    assert done.returncode == 0, done.stderr
    assert "with Python 3.12" in done.stderr


def test_second_start_installs_nothing(clone: Clone) -> None:
    clone.python("python3", "3.11")
    assert clone.run().returncode == 0
    requirements, package = clone.pip_calls()
    assert requirements.endswith("-r requirements.txt")
    assert package.endswith("--no-deps -e .")
    again = clone.run()
    assert (again.returncode, again.stderr, clone.pip_calls()) == (0, "", [])


def test_tests_need_more_and_serve_the_app_too(clone: Clone) -> None:
    clone.python("python3", "3.13")
    clone.run()
    clone.pip_calls()
    clone.run("tests")
    assert clone.pip_calls()[0].endswith("-r requirements.txt -r tests/requirements.txt")
    clone.run("app")
    clone.run("tests")
    assert clone.pip_calls() == []


@pytest.mark.parametrize("file", ["requirements.txt", "pyproject.toml"])
def test_changed_requirements_are_installed(clone: Clone, file: str) -> None:
    clone.python("python3", "3.11")
    clone.run()
    (clone.venv / "kept").touch()
    clone.pip_calls()
    with (clone.folder / file).open("a") as stream:
        stream.write("# changed\n")
    assert clone.run().returncode == 0
    assert len(clone.pip_calls()) == 2
    assert (clone.venv / "kept").exists()


def test_cut_short_is_made_anew(clone: Clone) -> None:
    clone.python("python3", "3.11")
    failing = clone.log.with_name("pip.log.fails")
    failing.touch()
    assert "pip could not install" in sentence(clone.run())
    (clone.venv / "half").touch()
    failing.unlink()
    done = clone.run()
    assert done.returncode == 0, done.stderr
    assert "cut short" in done.stderr
    assert not (clone.venv / "half").exists()
    assert clone.run().stderr == ""


def test_environment_of_another_python_is_made_anew(clone: Clone) -> None:
    clone.python("python3", "3.10")
    subprocess.run([str(clone.bin / "python3"), "-m", "venv", str(clone.venv)], check=True)
    clone.python("python3", "3.12")
    done = clone.run()
    assert done.returncode == 0, done.stderr
    assert "made by Python 3.10" in done.stderr
    clone.python("other", "3.13")
    assert "PYTHON=other is 3.13" in clone.run(PYTHON="other").stderr
    assert clone.run().stderr == "", "an environment that serves is kept"


def test_environment_without_its_python_is_made_anew(clone: Clone) -> None:
    clone.python("python3", "3.12")
    clone.run()
    (clone.venv / "bin" / "python").unlink()
    done = clone.run()
    assert done.returncode == 0, done.stderr
    assert "does not run" in done.stderr


def test_moved_environment_is_made_anew(clone: Clone) -> None:
    clone.python("python3", "3.12")
    clone.run()
    clone.folder = clone.folder.rename(clone.folder.with_name("moved"))
    assert "another folder" in clone.run().stderr


def test_folder_of_something_else_is_left_alone(clone: Clone) -> None:
    clone.python("python3", "3.12")
    clone.venv.mkdir()
    (clone.venv / "thesis.txt").touch()
    assert "is not a virtual environment" in sentence(clone.run())
    assert (clone.venv / "thesis.txt").exists()


def test_folder_can_be_named(clone: Clone, tmp_path: Path) -> None:
    clone.python("python3", "3.11")
    there = tmp_path / "with a space"
    assert clone.run(VENV=str(there)).returncode == 0
    assert (there / "bin" / "python").exists()
    assert not clone.venv.exists()
    assert os.listdir(there)


def test_newest_takes_a_newer_python_and_no_pins(clone: Clone) -> None:
    clone.python("python3", "3.11")
    clone.python("python3.13", "3.13")
    done = clone.run("newest")
    assert done.returncode == 0, done.stderr
    assert "with Python 3.13" in done.stderr
    (call,) = clone.pip_calls()
    assert "--upgrade --upgrade-strategy eager -e .[dashboard]" in call
    assert "requirements.txt" not in call
    tools = (clone.venv / "test-tools.txt").read_text()
    assert "pytest==" in tools
    assert "\n-c " not in f"\n{tools}"
    clone.run("newest")
    assert len(clone.pip_calls()) == 1, "versions may have come out since"


def test_newest_without_a_newer_python_is_one_sentence(clone: Clone) -> None:
    clone.python("python3", "3.11")
    assert "no Python 3.12 or 3.13 found" in sentence(clone.run("newest"))
    assert clone.run("newest", PYTHON="python3").returncode == 0
