"""File systems of their own for tests: small, full or read-only ones, where root may mount them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    """A disk of a size at a place; the test is skipped where none can be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command to make a disk with")
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()[:80]}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def make_read_only(place: Path) -> None:
    """Let nobody write to a mounted disk, root included."""
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
