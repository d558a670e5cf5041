"""The parameters of a simulation, checked before anything is drawn."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from splicedvae._core.errors import SplicedVAEError

_COUNTED = ("n_cells", "n_genes", "n_batches")
_POSITIVE = (
    "mean_depth",
    "capture_efficiency",
    "unspliced_capture",
    "beta_median",
    "gamma_median",
)
#: Standard deviations of logarithms and a squared coefficient of variation: beyond the limit the
#: draws span more than a floating point number of the result holds.
_SPREADS = (
    "capture_sd",
    "unspliced_capture_sd",
    "alpha_sd",
    "beta_sd",
    "gamma_sd",
    "batch_sd",
    "expression_noise",
)
_LARGEST_SPREAD = 5.0


@dataclass(frozen=True)
class Parameters:
    """All parameters of ``simulate`` besides its topology, which documents each.

    Raises
    ------
    SplicedVAEError
        A value is outside its range.
    """

    n_cells: int
    n_genes: int
    mean_depth: float
    capture_efficiency: float
    capture_sd: float
    unspliced_capture: float
    unspliced_capture_sd: float
    alpha_sd: float
    beta_median: float
    beta_sd: float
    gamma_median: float
    gamma_sd: float
    fold_change: float
    expression_noise: float
    #: Infinite for binomial counts; a file holds that, where it cannot hold None.
    ratio_concentration: float
    n_batches: int
    batch_sd: float
    seed: int

    def __post_init__(self) -> None:
        for name in _COUNTED:
            value = getattr(self, name)
            if not _is_whole(value) or value < 1:
                raise SplicedVAEError(f"{name} is {value}; give a whole number of at least 1.")
        if not _is_whole(self.seed) or self.seed < 0:
            raise SplicedVAEError(f"seed is {self.seed}; give a whole number that is not negative.")
        for name in _POSITIVE:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise SplicedVAEError(f"{name} is {value}; give a positive number.")
        if self.capture_efficiency > 1:
            raise SplicedVAEError(
                f"capture_efficiency is {self.capture_efficiency}; give the share of "
                "molecules that is counted, at most 1."
            )
        for name in _SPREADS:
            value = getattr(self, name)
            if not 0 <= value <= _LARGEST_SPREAD:
                raise SplicedVAEError(
                    f"{name} is {value}; give a number from 0 to {_LARGEST_SPREAD:g}."
                )
        if not 1 <= self.fold_change < math.inf:
            raise SplicedVAEError(
                f"fold_change is {self.fold_change}; give a number of at least 1."
            )
        if not self.ratio_concentration > 0:
            raise SplicedVAEError(
                f"ratio_concentration is {self.ratio_concentration}; give a positive number, or "
                "None for binomial counts."
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters by name, as a file holds them."""
        return asdict(self)


def _is_whole(value: float) -> bool:
    return math.isfinite(value) and int(value) == value


def default_depth(n_genes: int) -> float:
    """Mean number of counts per cell that fits a number of genes.

    As many per gene as the mouse pancreas has, and where few genes are requested up to as many as
    its well expressed genes have, so that a small simulation can be analyzed.
    """
    return max(0.86 * n_genes, min(2.5 * n_genes, 1000.0))
