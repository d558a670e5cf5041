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
from scvi.model._utils import get_max_epochs_heuristic

from splicedvae._errors import RunError, SplicedVAEError
from splicedvae._keys import Layers, Sources
from splicedvae.model import SplicedVAE
from splicedvae.runs._config import RunConfig
from splicedvae.runs._journal import Journal

if TYPE_CHECKING:
    from anndata import AnnData

#: The stages of training, as a person reads them.
STAGE_SPLICEDVAE = "training SplicedVAE"
STAGE_SCVI = "training scVI"
STAGE_HEAD = "fitting the ratio head on scVI"


class _Watch(Callback):
    """Tell each epoch, look for a stop between batches, and end a training that diverges.

    Parameters
    ----------
    journal
        Where to tell.
    predictor
        Whose curves these are.
    label
        Its name in a sentence.
    only_ratio
        Whether to record the ratio's losses alone, as the others stand still.
    """

    def __init__(self, journal: Journal, predictor: str, label: str, only_ratio: bool) -> None:
        self._journal = journal
        self._predictor = predictor
        self._label = label
        self._only_ratio = only_ratio
        self.epoch = 0
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
        self._journal.advance(0.0, f"epoch 0 of {self.epochs}")

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """End the training when it was asked for or when the loss is no number any more.

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
        """Find out whether an error came from weights that are no numbers any more.

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
            f"The training of {self._label} diverged in epoch {self.epoch + 1}, its loss is no "
            "finite number any more: use a lower learning rate or ratio weight, and look for cells "
            "with extreme counts."
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


def _train(
    model: Any, watch: _Watch, config: RunConfig, max_epochs: int | None, n_cells: int
) -> None:
    """Train one model under watch; a training that diverged ends with a sentence."""
    scvi.settings.seed = config.seed
    if max_epochs is None:
        max_epochs = get_max_epochs_heuristic(n_cells)
    plan = {} if config.learning_rate is None else {"plan_kwargs": {"lr": config.learning_rate}}
    try:
        model.train(
            max_epochs=max_epochs,
            batch_size=config.batch_size,
            # The run's held-out cells judge; none is kept from training besides them.
            train_size=1.0,
            callbacks=[watch],
            enable_progress_bar=False,
            **plan,
        )
    except SplicedVAEError:
        raise
    except (ValueError, RuntimeError) as error:
        if watch.diverged:
            raise watch.divergence() from error
        raise
    if any(not bool(torch.isfinite(weights).all()) for weights in model.module.parameters()):
        raise watch.divergence()


def _head_options(config: RunConfig) -> dict[str, Any]:
    options: dict[str, Any] = {
        "ratio_likelihood": config.ratio_likelihood,
        "ratio_head": config.ratio_head,
    }
    if config.ratio_weight is not None:
        options["ratio_weight"] = config.ratio_weight
    if config.ratio_shrinkage is not None:
        options["ratio_shrinkage"] = config.ratio_shrinkage
    return options


def train_models(cells: AnnData, config: RunConfig, journal: Journal) -> dict[str, SplicedVAE]:
    """Train SplicedVAE and the baseline on the same cells and genes.

    Parameters
    ----------
    cells
        Training cells x model genes: totals in ``X``, both measured layers, and the batch column
        if the configuration names one. It is registered with both models.
    config
        The settings.
    journal
        Is told each epoch.

    Returns
    -------
    The trained models by predictor, ``"splicedvae"`` and ``"scvi"``.

    Raises
    ------
    RunError
        If a training diverges.
    DataError
        If the cells cannot be trained on.
    """
    journal.stage(STAGE_SPLICEDVAE)
    scvi.settings.seed = config.seed
    SplicedVAE.setup_anndata(
        cells,
        spliced_layer=Layers.SPLICED,
        unspliced_layer=Layers.UNSPLICED,
        batch_key=config.batch_key,
    )
    joint = SplicedVAE(cells, n_latent=config.n_latent, **_head_options(config))
    watch = _Watch(journal, Sources.SPLICEDVAE, "SplicedVAE", only_ratio=False)
    _train(joint, watch, config, config.max_epochs, cells.n_obs)
    epochs = watch.epochs

    journal.stage(STAGE_SCVI)
    scvi.settings.seed = config.seed
    SCVI.setup_anndata(cells, batch_key=config.batch_key)
    standard = SCVI(cells, n_latent=config.n_latent, gene_likelihood="nb")
    watch = _Watch(journal, Sources.SCVI, "scVI", only_ratio=False)
    _train(standard, watch, config, epochs, cells.n_obs)

    journal.stage(STAGE_HEAD)
    scvi.settings.seed = config.seed
    baseline = SplicedVAE.from_scvi_model(
        standard,
        cells,
        spliced_layer=Layers.SPLICED,
        unspliced_layer=Layers.UNSPLICED,
        **_head_options(config),
    )
    watch = _Watch(journal, Sources.SCVI, "the ratio head on scVI", only_ratio=True)
    _train(baseline, watch, config, epochs, cells.n_obs)
    return {Sources.SPLICEDVAE: joint, Sources.SCVI: baseline}
