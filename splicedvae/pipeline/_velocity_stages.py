"""The velocities of a run, step by step: arrows that a page can draw first, all else after them.

The first streams (embedding, arrows, record) are written as soon as possible; what takes longer
(posterior draws, latent UMAPs, driver genes, tests) follows and is written in its place.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from splicedvae._core.keys import Obs, Obsm, Sources, Uns
from splicedvae.jobs.journal import Journal
from splicedvae.model import Adaptation, SplicedVAE
from splicedvae.pipeline import _velocities, _velocity_details
from splicedvae.runs import files, stages
from splicedvae.runs.config import RunConfig

#: Shares of the stage at which the velocity of each source begins.
_SHARES: Final = (0.5, 0.95)


@dataclass
class VelocityStages:
    """The velocities of a run between its stages.

    Attributes
    ----------
    config, folder, journal
        Those of the run.
    beside
        Cells with the counts of all sources, from `_velocities.velocity_cells`.
    found
        The velocities as far as they have come.
    measured
        Whether there are measured counts among them.
    """

    config: RunConfig
    folder: Path
    journal: Journal
    beside: AnnData
    found: _velocities.Velocities
    measured: bool

    @classmethod
    def begin(
        cls,
        config: RunConfig,
        folder: Path,
        journal: Journal,
        cells: AnnData,
        *,
        measured: bool,
        known: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> VelocityStages:
        """Compute the velocity of each source, and write what figures need of it.

        Parameters
        ----------
        config, folder, journal
            Those of the run.
        cells
            Cells x model genes with the ratios of all models; gets the embedding that velocities
            are drawn on.
        measured
            Whether the measured layers are a source.
        known
            What to add to the account of a source.
        """
        journal.stage(stages.STAGE_VELOCITIES)
        ratios = {
            source: cells.layers[layer]
            for source, layer in Sources.RATIO_LAYERS.items()
            if layer in cells.layers
        }
        beside = _velocities.velocity_cells(cells, ratios, how=config.counts, measured=measured)
        share = iter(np.linspace(*_SHARES, len(ratios) + 2))
        found = _velocities.compute(
            beside,
            config.velocity,
            progress=lambda source: journal.advance(
                float(next(share, _SHARES[1])), Sources.LABELS[source]
            ),
        )
        if found.ground is not None:
            for name in (Obsm.PCA, Obsm.UMAP):
                cells.obsm[name] = np.asarray(found.ground.obsm[name], dtype=np.float32)
        for source, entry in found.account.items():
            if entry["state"] == "refused":
                refused = f"The {Sources.LABELS[source]} velocity was refused: {entry['message']}"
                journal.note(refused, "velocity-refused")
            entry.update((known or {}).get(source, {}))
        begun = cls(config, folder, journal, beside, found, measured)
        begun._write_outlines()
        return begun

    def _write_outlines(self) -> None:
        """Write what figures need, which is small, and notify pages."""
        (self.folder / files.OUTLINES).mkdir(exist_ok=True)
        for source, result in self.found.results.items():
            outline = AnnData(
                obs=result.obs,
                var=result.var,
                obsm=dict(result.obsm),
                uns={Uns.ROOT: result.uns[Uns.ROOT]},
            )
            files.write_h5ad(self.folder / files.OUTLINES / f"{source}.h5ad", outline)
        self._write_account()
        self.journal.publish()

    def _write_account(self) -> None:
        files.write_json(self.folder / files.VELOCITY_ACCOUNT, self.found.account)

    def sample(
        self,
        cells: AnnData,
        model: SplicedVAE,
        totals: AnnData,
        adaptation: Adaptation | None = None,
    ) -> None:
        """Add its posterior uncertainty to SplicedVAE's velocity.

        Parameters
        ----------
        cells
            Cells x genes that the file has.
        model
            SplicedVAE.
        totals
            The same cells x model genes, totals alone.
        adaptation
            Of the model to these cells, or None.
        """
        self.journal.stage(stages.STAGE_UNCERTAINTY)
        ground = self.found.ground
        if ground is None or Sources.SPLICEDVAE not in self.found.results:
            return
        where = model.genes.get_indexer(cells.var_names)
        n_draws = _velocities.N_DRAWS
        draws = model.sample_splicing_ratio(
            totals, n_draws, seed=self.config.seed, adaptation=adaptation
        )

        def noted() -> Any:
            for number, draw in enumerate(draws):
                self.journal.advance(number / n_draws, f"draw {number + 1} of {n_draws}")
                yield draw[:, where]

        spread, notes = _velocities.uncertainty(
            ground,
            cells.X,
            cells.var_names,
            noted(),
            how=self.config.counts,
            settings=self.config.velocity,
        )
        for note in notes:
            self.journal.note(note, "velocity-uncertainty")
        if spread is not None:
            obs = self.found.results[Sources.SPLICEDVAE].obs
            for name in spread.columns:
                obs[name] = spread[name].to_numpy(dtype=np.float32)

    def complete(self, cells: AnnData) -> None:
        """Add the details of each velocity, and write the complete velocities.

        Parameters
        ----------
        cells
            The cells with the UMAPs of the latent spaces.
        """
        self.journal.stage(stages.STAGE_DETAILS)
        if self.found.ground is not None:
            _velocity_details.complete(self.found, cells.obsm)
        (self.folder / files.VELOCITY).mkdir(exist_ok=True)
        for source, result in self.found.results.items():
            file = self.folder / files.VELOCITY / f"{source}.h5ad"
            files.write_h5ad(file, _without_foreign(result, source))
        self._write_account()
        self.journal.publish()

    def test(self, batches: list[str] | None) -> pd.DataFrame:
        """Test whether the measured counts carry a velocity at all.

        Parameters
        ----------
        batches
            A batch per cell, or None.

        Returns
        -------
        Rows of the run's metrics; none where nothing was measured, or the velocity was refused.
        """
        if not self.measured:
            return pd.DataFrame()
        self.journal.stage(stages.STAGE_EVIDENCE)
        if self.found.ground is None:
            return pd.DataFrame()
        evidence, notes = _velocities.evidence(
            self.beside,
            self.found.ground,
            self.config.velocity,
            batches=batches,
            seed=self.config.seed,
        )
        for note in notes:
            self.journal.note(note, "velocity-evidence")
        return evidence


def batches_of(cells: AnnData) -> list[str] | None:
    """Return a batch per cell, or None where there are none."""
    return list(cells.obs[Obs.BATCH].astype(str)) if Obs.BATCH in cells.obs else None


def clear_outlines(folder: Path) -> None:
    """Remove the temporary outlines of the velocities."""
    shutil.rmtree(folder / files.OUTLINES, ignore_errors=True)


def _without_foreign(result: AnnData, source: str) -> AnnData:
    """Drop the other sources' layers, which have their own files."""
    foreign = {
        name
        for other in (Sources.SPLICEDVAE, Sources.SCVI)
        for name in _velocities.layer_names(other)
    }
    for name in foreign & set(result.layers):
        del result.layers[name]
    return result
