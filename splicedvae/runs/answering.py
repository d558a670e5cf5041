"""Whose models answer a prediction: those of a finished training, or a stored model.

Both are asked in the same way. What only a run has, its training cells with their counts, a stored
model lacks, and who needs them is told so.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from splicedvae._core.errors import RunError, SplicedVAEError, StoreError
from splicedvae._core.keys import Counts, Sources, Var
from splicedvae.runs import files
from splicedvae.runs.find import DEMO, demo_run, find_run, list_runs, open_run
from splicedvae.runs.run import Run
from splicedvae.runs.verdict import velocity_verdict
from splicedvae.store import (
    StoredModel,
    bundled_folder,
    find_model,
    is_stored_model,
    list_models,
    models_folder,
    read_stored,
)

if TYPE_CHECKING:
    import pandas as pd

    from splicedvae.model import SplicedVAE


@dataclass(frozen=True)
class ModelSource:
    """A finished training run or a stored model: what a prediction needs to know of it.

    Attributes
    ----------
    run
        The run, if it is one.
    stored
        The stored model, if it is one.
    """

    run: Run | None = None
    stored: StoredModel | None = None

    def __post_init__(self) -> None:
        """Refuse what is neither or both."""
        assert (self.run is None) != (self.stored is None)

    @property
    def name(self) -> str:
        """Name for people."""
        return self._trained.name if self.stored is None else self.stored.name

    @property
    def _trained(self) -> Run:
        assert self.run is not None
        return self.run

    @property
    def reference(self) -> str:
        """By what `open_models` finds it again: id of a run, name and digest, or a folder."""
        if self.stored is None:
            demo = Path(__file__).parents[1] / DEMO
            return DEMO if self._trained.path == demo else self._trained.path.name
        if self.stored.place == "folder":
            return str(self.stored.path.absolute())
        return self.stored.reference

    @property
    def counts(self) -> Counts:
        """What the totals of training contained."""
        return self._trained.config.counts if self.stored is None else self.stored.card.counts

    @property
    def batch_key(self) -> str | None:
        """Column of ``obs`` with the batches that it was trained with."""
        # Batches of one data set mean nothing elsewhere, so stored models have none.
        return self._trained.config.batch_key if self.stored is None else None

    @property
    def sources(self) -> tuple[str, ...]:
        """Which models there are: SplicedVAE, and of a run the baseline."""
        if self.stored is not None:
            return (Sources.SPLICEDVAE,)
        folder = self._trained.path / files.MODEL
        return tuple(source for source in Sources.RATIO_LAYERS if (folder / source).is_dir())

    def model(self, source: str = Sources.SPLICEDVAE) -> SplicedVAE:
        """Load one of its models.

        Parameters
        ----------
        source
            One of `sources`.

        Raises
        ------
        RunError
            If there is no such model.
        """
        if self.stored is None:
            return self._trained.model(source)
        if source != Sources.SPLICEDVAE:
            raise RunError(
                f"The stored model {self.name!r} has no {source} model, only a run has the "
                "baseline: ask for splicedvae, or name a run."
            )
        return self.stored.model()

    @property
    def gene_means(self) -> pd.Series | None:
        """Mean spliced fraction of each gene in training, by name; None where not known."""
        table = self._trained.predictions.var if self.stored is None else self.stored.genes
        return table.get(Var.GENE_MEAN)

    def verdicts(self) -> dict[str, str]:
        """Return what velocities were worth on its own held-out cells, by source."""
        if self.stored is not None:
            answer = self.stored.card.evaluation.verdict
            return {Sources.SPLICEDVAE: answer} if answer else {}
        account = self._trained.velocity_account
        return {
            source: velocity_verdict(self._trained, source).answer
            for source in self.sources
            if source in account
        }

    def account(self) -> Mapping[str, str]:
        """Return what results say of it: which model, which weights, trained on what."""
        if self.stored is None:
            return {
                "run": self._trained.id,
                "data_sha256": self._trained.config.data_sha256,
            }
        card = self.stored.card
        return {
            "model": self.stored.reference,
            "model_sha256": self.stored.digest,
            "model_card": card.to_json(),
            "data_sha256": card.source.sha256,
        }


def open_models(name: str | Path) -> ModelSource:
    """Return the models of a run or of the store.

    Parameters
    ----------
    name
        Folder or id of a run, or ``"demo"``; folder, name or ``name@digest`` of a stored model.

    Raises
    ------
    RunError
        If there is neither a run nor a model of this name.
    StoreError
        If the stored model is damaged.
    """
    if is_stored_model(Path(name)):
        return ModelSource(stored=read_stored(name))
    if Path(name).exists():
        return ModelSource(run=open_run(name))
    try:
        return ModelSource(run=find_run(str(name)))
    except RunError:
        pass
    try:
        return ModelSource(stored=find_model(str(name)))
    except StoreError as error:
        if "@" in str(name) or _in_store(str(name)):
            raise
        raise RunError(
            f"There is no run and no stored model {str(name)[:60]!r}: name a run folder, its id, "
            "or one of `splicedvae models list`."
        ) from error


def _in_store(name: str) -> bool:
    """Whether the store has a folder of this name, which then is damaged."""
    return Path(name).name == name and any(
        (folder / name).is_dir() for folder in (bundled_folder(), models_folder())
    )


def need_trained(found: ModelSource) -> Run:
    """Return the run behind some models, or say what a stored model cannot do.

    Parameters
    ----------
    found
        Of `open_models`.

    Raises
    ------
    RunError
        If it is a stored model.
    """
    if found.run is None:
        raise RunError(
            f"The stored model {found.name!r} comes without its training cells, which are needed "
            "here: name a finished run."
        )
    return found.run


def model_sources() -> list[ModelSource]:
    """Return all models that can be asked: of the store, of finished trainings, and the demo's.

    Warns
    -----
    UserWarning
        For each model or run that cannot be read, which is left out.
    """
    found = [ModelSource(stored=stored) for stored in list_models()]
    for run in list_runs():
        try:
            if run.is_finished and run.config.kind == "train":
                found.append(ModelSource(run=run))
        except SplicedVAEError as error:
            warnings.warn(f"The run {run.path.name[:40]} is left out: {error}", stacklevel=2)
    try:
        found.append(ModelSource(run=demo_run()))
    except SplicedVAEError as error:
        warnings.warn(f"The demo is left out: {error}", stacklevel=2)
    return found
