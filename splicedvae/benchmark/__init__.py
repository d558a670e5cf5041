"""The protocol: every predictor on the same held-out cells, over several seeds, in one table."""

from __future__ import annotations

from splicedvae.benchmark._run import Benchmark, run
from splicedvae.benchmark._summary import LOWER_IS_BETTER, compare, summarise

__all__ = ["LOWER_IS_BETTER", "Benchmark", "compare", "run", "summarise"]
