"""Monitor held-out cells while a model trains; nothing is chosen with them.

A look neither changes a weight nor draws a random number that the training would draw, so a run
gives the same results with and without. Looks are spaced so that they take little of the time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from splicedvae._core.keys import Layers, Sources
from splicedvae.evaluation import GeneMean, WatchedRatio
from splicedvae.jobs.journal import Journal
from splicedvae.pipeline import _prediction
from splicedvae.runs.stages import Work, looking_seconds

if TYPE_CHECKING:
    from anndata import AnnData

    from splicedvae.model import SplicedVAE

#: Most cells that are watched.
MAX_CELLS: Final = 300
#: Looks in a training, if they are cheap enough.
LOOKS: Final = 50
#: About the most of a training's time that looks may take, by the measured cost of both.
SHARE: Final = 0.03
#: Ending of the curves' names.
HELD_OUT: Final = "held_out"


def epochs_between_looks(work: Work, stage: str, n_watched: int) -> int:
    """Return after how many epochs monitored cells are evaluated again.

    Parameters
    ----------
    work
        How much there is to train.
    stage
        The stage of the training.
    n_watched
        Cells that are monitored.
    """
    look, epoch = looking_seconds(work, stage, n_watched)
    return max(1, math.ceil(work.epochs / LOOKS), math.ceil(look / (SHARE * epoch)))


class Watched:
    """The cells that are watched in a run, the same for all its trainings.

    Parameters
    ----------
    cells
        Held-out cells x model genes with totals and both measured layers.
    train
        Training cells x the same genes, with both layers: they give the gene means.
    batch_key
        Column of ``obs`` with the models' batches, or None.
    seed
        Seed of the choice of cells.

    Raises
    ------
    DataError
        If the cells hold no count.
    """

    def __init__(self, cells: AnnData, train: AnnData, *, batch_key: str | None, seed: int) -> None:
        kept = np.arange(cells.n_obs)
        if cells.n_obs > MAX_CELLS:
            kept = np.sort(np.random.default_rng(seed).choice(kept, MAX_CELLS, replace=False))
        if batch_key is not None:
            # A batch that is held out as a whole is unknown to the models.
            known = set(train.obs[batch_key].astype(str))
            kept = kept[cells.obs[batch_key].iloc[kept].astype(str).isin(known).to_numpy()]
        self._cells = cells[kept].copy()
        self._batch_key = batch_key
        self.judge = WatchedRatio(
            self._cells.layers[Layers.SPLICED],
            self._cells.layers[Layers.UNSPLICED],
            np.asarray(GeneMean().fit(train).predict(train[:1])[0]),
        )

    @property
    def n_cells(self) -> int:
        """How many cells are watched."""
        return int(self._cells.n_obs)

    def tensors(self, model: SplicedVAE) -> list[dict[str, torch.Tensor]]:
        """Register the cells' totals with a model once, as stored minibatches.

        Parameters
        ----------
        model
            A model with data registered.
        """
        totals = _prediction.totals_only(self._cells, self._batch_key)
        with _own_randomness():
            loader = model._make_data_loader(adata=model._validate_anndata(totals))
            return list(loader)

    def tell_limits(self, journal: Journal) -> None:
        """Write what the gene mean reaches on these cells, and what is possible.

        Parameters
        ----------
        journal
            The run's.
        """
        limits = {f"{name}_{HELD_OUT}": value for name, value in self.judge.gene_mean.items()}
        for name, value in self.judge.ceiling.items():
            limits[f"{name}_{HELD_OUT}_ceiling"] = value
        journal.live(Sources.GENE_MEAN, 1, limits)


def _own_randomness() -> Any:
    return torch.random.fork_rng(devices=range(torch.cuda.device_count()))


class HeldOutCurves(Callback):
    """Evaluate the monitored cells every few epochs, and in the last.

    Parameters
    ----------
    journal
        Where to report.
    predictor
        Whose ratios these are.
    model
        The model that trains.
    watched
        The cells.
    every
        Epochs between two looks, by the size of the work and not by a clock, so that the curves of
        a run are the same whenever it is run; see `epochs_between_looks`.
    """

    def __init__(
        self, journal: Journal, predictor: str, model: SplicedVAE, watched: Watched, *, every: int
    ) -> None:
        self._journal = journal
        self._predictor = predictor
        self._model = model
        self._watched = watched
        self._tensors: list[dict[str, torch.Tensor]] | None = None
        self._every = every

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate, if it is due.

        Parameters
        ----------
        trainer
            Lightning's trainer.
        pl_module
            The training plan.
        """
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        if epoch < epochs and (epoch - 1) % self._every:
            return
        found = self._look(pl_module)
        if found:
            self._journal.live(
                self._predictor,
                epoch,
                {f"{name}_{HELD_OUT}": value for name, value in found.items()},
            )

    def _look(self, plan: LightningModule) -> dict[str, float]:
        if self._tensors is None:
            self._tensors = self._watched.tensors(self._model)
        module: Any = plan.module
        training = module.training
        module.eval()
        try:
            with torch.inference_mode(), _own_randomness():
                ratio = torch.cat([module.ratio(part).cpu() for part in self._tensors])
        finally:
            module.train(training)
        # A training that diverges is ended by its loss, with a sentence of its own.
        return self._watched.judge.metrics(ratio.numpy()) if ratio.isfinite().all() else {}
