"""What a report of an error needs: versions, and the machine in a few words."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from splicedvae import __version__

#: Packages whose versions decide what happens.
_PACKAGES: Final = (
    "torch",
    "scvi-tools",
    "anndata",
    "scanpy",
    "scvelo",
    "numpy",
    "pandas",
    "scipy",
    "h5py",
    "zarr",
    "streamlit",
    "plotly",
)


def about() -> list[str]:
    """Return lines on the version of the package, of the packages under it, and the machine.

    No name of a person, a folder or a machine is among them, and nothing heavy is imported.
    """
    import psutil

    memory = psutil.virtual_memory().total / 2**30
    lines = [
        f"splicedvae {__version__}",
        f"Python {platform.python_version()} ({platform.python_implementation()})",
        f"{platform.system()} {platform.release()} on {platform.machine()}",
        f"{os.cpu_count()} processor cores, {memory:.0f} GB of memory",
    ]
    for name in _PACKAGES:
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lines.append(f"{name} not installed")
    return lines
