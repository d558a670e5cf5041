"""Folders of Matrix Market files: the one that is meant is found, then read."""

from __future__ import annotations

from pathlib import Path

from anndata import AnnData

from splicedvae.io._limits import Limits
from splicedvae.io.formats._folders import choose_folder
from splicedvae.io.formats._market import read_market_folder


def recognizes(folder: Path) -> bool:
    """Whether a folder may hold matrices: `read` says what it lacks."""
    return True


def read(place: Path, limits: Limits, notes: list[str]) -> AnnData:
    """Read the matrices of a folder, or of the likeliest one in it."""
    return read_market_folder(choose_folder(place, limits, notes), limits, notes)
