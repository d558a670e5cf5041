"""Cells to work on: simulations with known velocity, and public data sets."""

from __future__ import annotations

from splicedvae.datasets._fetch import cache_folder, fetch
from splicedvae.datasets._lineage import Segment
from splicedvae.datasets._public import (
    bonemarrow,
    dentategyrus,
    forebrain,
    gastrulation_erythroid,
    load,
    pancreas,
    pbmc68k,
)
from splicedvae.datasets._registry import DATASETS, PublicDataset, available
from splicedvae.datasets._simulate import simulate

__all__ = [
    "DATASETS",
    "PublicDataset",
    "Segment",
    "available",
    "bonemarrow",
    "cache_folder",
    "dentategyrus",
    "fetch",
    "forebrain",
    "gastrulation_erythroid",
    "load",
    "pancreas",
    "pbmc68k",
    "simulate",
]
