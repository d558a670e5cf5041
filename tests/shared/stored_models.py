"""Stored models as somebody would send them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from splicedvae.store._folder import DIGESTS, FILES


def zipped(folder: Path, file: Path, inside: str = "model/") -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name in (*FILES, DIGESTS):
            out.write(folder / name, f"{inside}{name}")
    return file
