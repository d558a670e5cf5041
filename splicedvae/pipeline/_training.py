"""Training both models of a run, epoch by epoch in the open.

SplicedVAE is trained jointly; the baseline is standard scVI on the same cells, genes, seed and
epochs, then the same ratio head on its frozen latent space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import scvi
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from scvi.model import SCVI

from splicedvae._core.errors import DataError, RunError, SplicedVAEError
from splicedvae._core.keys import Layers, Sources
from splicedvae.jobs.checkpoint_callback import Keeper, keep_finished, restore_finished
from splicedvae.jobs.journal import Journal
from splicedvae.model import LearningRateDecay, SplicedVAE, plan_options, whole_batches
from splicedvae.pipeline._watching import HeldOutCurves, Watched, epochs_between_looks
from splicedvae.runs.checkpoint import TRAININGS, Checkpoints
from splicedvae.runs.config import RunConfig
from splicedvae.runs.stages import STAGE_HEAD, STAGE_SCVI, STAGE_SPLICEDVAE, TRAINING_STAGES

if TYPE_CHECKING:
    from anndata import AnnData


class _Watch(Callback):
    """Report each epoch, check for a stop between batches, and end a training that diverges.

    Parameters
    ----------
    journal
        Where to report.
    predictor
        Whose curves these are.
    label
        Its name in a sentence.
    only_ratio
        Whether to record only the ratio's losses, because the others do not change.
    done
        Epochs that were done before this process.
    """

    def __init__(
        self, journal: Journal, predictor: str, label: str, only_ratio: bool, done: int
    ) -> None:
        self._journal = journal
        self._predictor = predictor
        self._label = label
        self._only_ratio = only_ratio
        self.epoch = done
        self.epochs = 0
        self.diverged = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note how many epochs there will be.

        Parameters
        ----------
        trainer
            Lightning's trainer.
        pl_module
            The training plan.
        """
        self.epochs = trainer.max_epochs or 0
        self._journal.advance(
            self.epoch / max(self.epochs, 1), f"epoch {self.epoch} of {self.epochs}"
        )

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """End the training on request or when the loss is no longer finite.

        Parameters
        ----------
        trainer
            Lightning's trainer.
        pl_module
            The training plan.
        outputs
            Holds the loss.
        batch
            Not used.
        batch_idx
            Not used.
        """
        self._journal.check()
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if loss is not None and not bool(torch.isfinite(loss).all()):
            self.diverged = True
            raise self.divergence()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch's losses.

        Parameters
        ----------
        trainer
            Lightning's trainer.
        pl_module
            The training plan.
        """
        self.epoch += 1
        metrics = {
            curve: float(value)
            for name, value in trainer.callback_metrics.items()
            if (curve := _curve(str(name))) and (not self._only_ratio or curve.startswith("ratio"))
        }
        self._journal.live(self._predictor, self.epoch, metrics)
        self._journal.advance(
            self.epoch / max(self.epochs, 1), f"epoch {self.epoch} of {self.epochs}"
        )

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Return whether an error came from weights that are no longer finite.

        Parameters
        ----------
        trainer
            Lightning's trainer.
        pl_module
            The training plan.
        exception
            What ended the training.
        """
        self.diverged = self.diverged or any(
            not bool(torch.isfinite(weights).all()) for weights in pl_module.parameters()
        )

    def divergence(self) -> RunError:
        """Return the error that says that the training diverged."""
        return RunError(
            f"The training of {self._label} diverged in epoch {self.epoch + 1}, its loss is "
            "no longer finite: use a lower learning rate or ratio weight, and check for "
            "cells with extreme counts."
        )


#: scvi-tools' name of the total loss, and that of the run's curves.
_LOSSES = {"train_loss": "loss_train"}


def _curve(name: str) -> str:
    """Return the name of a curve in the run, empty for what is none.

    There are no global latent variables, so their divergence is always 0.
    """
    if name.startswith("kl_global"):
        return ""
    return _LOSSES.get(name, name if name.endswith("_train") else "")


class _Trainings:
    """One training after the other, each checkpointed, monitored and reported.

    Parameters
    ----------
    config
        The settings.
    journal
        Receives each epoch.
    checkpoints
        State of each training; finished ones are not repeated.
    watched
        Held-out cells to monitor, or None.
    epochs
        How many each training takes.
    """

    def __init__(
        self,
        config: RunConfig,
        journal: Journal,
        checkpoints: Checkpoints,
        watched: Watched | None,
        epochs: int,
    ) -> None:
        self._config = config
        self._journal = journal
        self._checkpoints = checkpoints
        self._watched = watched
        self._epochs = epochs

    def run(self, model: Any, training: str, predictor: str, *, head: bool) -> None:
        """Do one training, or what is left of it.

        Parameters
        ----------
        model
            A model that was just made, with the run's seed.
        training
            One of `TRAININGS`.
        predictor
            Whose curves these are.
        head
            Whether only the ratio's head is trained.

        Raises
        ------
        RunError
            If the training diverges.
        """
        saved = self._checkpoints.record(training)
        if saved is not None:
            self._journal.credit(saved.seconds)
            if saved.finished:
                restore_finished(self._checkpoints, training, model)
                return
        keeper = Keeper(self._checkpoints, training)
        label = TRAININGS[training]
        watch = _Watch(self._journal, predictor, label, only_ratio=head, done=keeper.epoch)
        callbacks: list[Callback] = [watch]
        if self._watched is not None and isinstance(model, SplicedVAE):
            callbacks.append(self._curves(model, training, predictor, self._watched))
        if not isinstance(model, SplicedVAE):
            # The baseline has the same schedule as SplicedVAE.
            callbacks.append(LearningRateDecay())
        # Last, so that the checkpoint includes the report of the epoch.
        callbacks.append(keeper)
        try:
            self._fit(model, watch, callbacks)
        except BaseException:
            if watch.diverged:
                # It would diverge again from there.
                self._checkpoints.clear()
            else:
                keeper.flush()
            raise
        record = self._checkpoints.new_record(
            training,
            epoch=self._epochs,
            epochs=self._epochs,
            finished=True,
            seconds=keeper.seconds,
            device=next(model.module.parameters()).device.type,
        )
        keep_finished(self._checkpoints, training, model, record)

    def _curves(
        self, model: SplicedVAE, training: str, predictor: str, watched: Watched
    ) -> HeldOutCurves:
        assert self._journal.work is not None
        every = epochs_between_looks(self._journal.work, TRAINING_STAGES[training], watched.n_cells)
        return HeldOutCurves(self._journal, predictor, model, watched, every=every)

    def _fit(self, model: Any, watch: _Watch, callbacks: list[Callback]) -> None:
        """Train a model; a training that diverged ends with a sentence."""
        config = self._config
        scvi.settings.seed = config.seed
        given = {} if config.learning_rate is None else {"lr": config.learning_rate}
        try:
            model.train(
                max_epochs=self._epochs,
                # SplicedVAE joins a last minibatch that is too small, scvi-tools does not.
                batch_size=whole_batches(model.adata.n_obs, config.batch_size),
                # The run's held-out cells judge; none is kept from training besides them.
                train_size=1.0,
                callbacks=callbacks,
                enable_progress_bar=False,
                plan_kwargs=plan_options(self._epochs, given),
            )
        except SplicedVAEError:
            raise
        except (ValueError, RuntimeError) as error:
            if watch.diverged:
                raise watch.divergence() from error
            raise
        if any(not bool(torch.isfinite(weights).all()) for weights in model.module.parameters()):
            watch.diverged = True
            raise watch.divergence()


def head_options(config: RunConfig) -> dict[str, Any]:
    """Return the options of the ratio's head that a configuration asks for."""
    options: dict[str, Any] = {
        "ratio_likelihood": config.ratio_likelihood,
        "ratio_head": config.ratio_head,
    }
    if config.ratio_weight is not None:
        options["ratio_weight"] = config.ratio_weight
    if config.ratio_shrinkage is not None:
        options["ratio_shrinkage"] = config.ratio_shrinkage
    return options


def _watched(
    held_out: AnnData, train: AnnData, config: RunConfig, journal: Journal
) -> Watched | None:
    """Choose the cells that are watched, or note why there are none."""
    try:
        return Watched(held_out, train, batch_key=config.batch_key, seed=config.seed)
    except DataError:
        journal.note(
            "No held-out cell has counts in the selected genes and a batch from training, "
            "so accuracy was not monitored during training.",
            "watching-left-out",
        )
        return None


def train_models(
    cells: AnnData,
    config: RunConfig,
    journal: Journal,
    checkpoints: Checkpoints,
    held_out: AnnData,
    *,
    epochs: int,
    resumed: bool,
) -> dict[str, SplicedVAE]:
    """Train SplicedVAE and the baseline on the same cells and genes.

    Parameters
    ----------
    cells
        Training cells x model genes: totals in ``X``, both measured layers, and the batch column
        if the configuration names one. It is registered with both models.
    config
        The settings.
    journal
        Receives each epoch.
    checkpoints
        Checkpoints of the trainings, to restore and to write.
    held_out
        Held-out cells x the same genes, some of which are watched meanwhile; nothing is chosen by
        them.
    epochs
        Passes over the training cells.
    resumed
        Whether an earlier run is resumed.

    Returns
    -------
    The trained models by predictor, ``"splicedvae"`` and ``"scvi"``.

    Raises
    ------
    RunError
        If a training diverges, or a checkpoint is damaged.
    DataError
        If the cells cannot be trained on.
    """
    watched = _watched(held_out, cells, config, journal)
    if watched is not None and not resumed:
        watched.tell_limits(journal)
    trainings = _Trainings(config, journal, checkpoints, watched, epochs)

    journal.stage(STAGE_SPLICEDVAE)
    scvi.settings.seed = config.seed
    SplicedVAE.setup_anndata(
        cells,
        spliced_layer=Layers.SPLICED,
        unspliced_layer=Layers.UNSPLICED,
        batch_key=config.batch_key,
    )
    joint = SplicedVAE(cells, n_latent=config.n_latent, **head_options(config))
    trainings.run(joint, "splicedvae", Sources.SPLICEDVAE, head=False)

    journal.stage(STAGE_SCVI)
    scvi.settings.seed = config.seed
    SCVI.setup_anndata(cells, batch_key=config.batch_key)
    standard = SCVI(cells, n_latent=config.n_latent, gene_likelihood="nb")
    trainings.run(standard, "scvi", Sources.SCVI, head=False)

    journal.stage(STAGE_HEAD)
    scvi.settings.seed = config.seed
    baseline = SplicedVAE.from_scvi_model(
        standard,
        cells,
        spliced_layer=Layers.SPLICED,
        unspliced_layer=Layers.UNSPLICED,
        **head_options(config),
    )
    trainings.run(baseline, "scvi_head", Sources.SCVI, head=True)
    return {Sources.SPLICEDVAE: joint, Sources.SCVI: baseline}
