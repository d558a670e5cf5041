"""RNA velocity for single-cell data sets without spliced and unspliced counts."""

from __future__ import annotations

__version__ = "0.1.0"
