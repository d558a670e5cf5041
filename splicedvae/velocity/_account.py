"""What was done to get a velocity: read by pages and reports, kept in the file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from anndata import AnnData

from splicedvae._core.errors import DataError
from splicedvae._core.keys import Uns, VelocityMode
from splicedvae._core.records import own_record
from splicedvae.velocity._settings import VelocitySettings


@dataclass(frozen=True)
class VelocityAccount:
    """One velocity's origin, and everything that differs from what was requested.

    Attributes
    ----------
    source
        Where the layers come from: one of ``splicedvae._core.keys.Sources`` or a user's word.
    layers
        The layers read: spliced and unspliced, or the velocity alone.
    settings
        As requested.
    mode_used
        scVelo's model that was fitted; ``"given"`` for a velocity that was not fitted.
    n_cells
        Cells.
    n_genes
        Genes of the common ground.
    n_genes_degenerate
        Genes left out since their ratio does not vary beyond rounding.
    n_genes_uncounted
        Genes left out since this source has no counts for them.
    n_velocity_genes
        Genes that scVelo fitted well enough to use.
    largest_ratio_sd
        Largest within-gene standard deviation of the ratio; NaN where no ratio was read.
    fallbacks
        Sentences on what was replaced.
    notes
        Notes for a reader.
    """

    source: str
    layers: tuple[str, ...]
    settings: VelocitySettings
    mode_used: str
    n_cells: int
    n_genes: int
    n_genes_degenerate: int
    n_genes_uncounted: int
    n_velocity_genes: int
    largest_ratio_sd: float
    fallbacks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def mode_requested(self) -> VelocityMode:
        """The model that was requested."""
        return self.settings.mode

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary that JSON can hold, with ``None`` for a missing number."""
        values = asdict(self)
        values["settings"] = self.settings.to_dict()
        values["mode_requested"] = self.mode_requested
        for name in ("layers", "fallbacks", "notes"):
            values[name] = list(values[name])
        if np.isnan(self.largest_ratio_sd):
            values["largest_ratio_sd"] = None
        return values

    def to_uns(self) -> dict[str, Any]:
        """Return a dictionary that h5ad can hold."""
        values = self.to_dict()
        values["settings"] = self.settings.to_uns()
        values["largest_ratio_sd"] = self.largest_ratio_sd
        return values

    @classmethod
    def from_adata(cls, adata: AnnData) -> VelocityAccount:
        """Read the account of a result, fresh or back from a file.

        Parameters
        ----------
        adata
            A result of `compute_velocity` or `true_velocity`.

        Raises
        ------
        DataError
            If there is none.
        """
        values = own_record(adata.uns, Uns.VELOCITY)
        if not values:
            raise DataError(
                "The data has no record of a velocity, expected a result of "
                "compute_velocity; compute the velocity first."
            )
        return cls(
            source=str(values["source"]),
            layers=tuple(str(name) for name in values["layers"]),
            settings=VelocitySettings.from_dict(values["settings"]),
            mode_used=str(values["mode_used"]),
            n_cells=int(values["n_cells"]),
            n_genes=int(values["n_genes"]),
            n_genes_degenerate=int(values["n_genes_degenerate"]),
            n_genes_uncounted=int(values["n_genes_uncounted"]),
            n_velocity_genes=int(values["n_velocity_genes"]),
            largest_ratio_sd=float(values["largest_ratio_sd"]),
            fallbacks=tuple(str(sentence) for sentence in values["fallbacks"]),
            notes=tuple(str(sentence) for sentence in values["notes"]),
        )
