"""RNA velocity for single-cell data sets without spliced and unspliced counts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from splicedvae import (
        datasets,
        evaluation,
        io,
        model,
        module,
        plotting,
        reconstruction,
        velocity,
    )
    from splicedvae.model import SplicedVAE
    from splicedvae.reconstruction import add_predicted_layers, reconstruct_counts

_ROOMS = (
    "datasets",
    "evaluation",
    "io",
    "model",
    "module",
    "plotting",
    "reconstruction",
    "velocity",
)
_NAMES = {
    "SplicedVAE": "splicedvae.model",
    "add_predicted_layers": "splicedvae.reconstruction",
    "reconstruct_counts": "splicedvae.reconstruction",
}

__all__ = [
    "SplicedVAE",
    "__version__",
    "add_predicted_layers",
    "datasets",
    "evaluation",
    "io",
    "model",
    "module",
    "plotting",
    "reconstruct_counts",
    "reconstruction",
    "velocity",
]


def __getattr__(name: str) -> Any:
    """Import packages on first use: torch and scanpy take seconds, ``--help`` must not.

    Parameters
    ----------
    name
        A public name.
    """
    if name in _ROOMS:
        return importlib.import_module(f"splicedvae.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'splicedvae' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
