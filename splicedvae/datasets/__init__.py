"""Cells to work on: simulations with known velocity, and public data sets."""

from __future__ import annotations

from splicedvae.datasets._lineage import Segment
from splicedvae.datasets._simulate import simulate

__all__ = ["Segment", "simulate"]
