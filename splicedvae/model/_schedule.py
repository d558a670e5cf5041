"""How fast models learn unless told otherwise; for how long is in `splicedvae._core.epochs`.

scvi-tools' defaults (400 epochs up to 20,000 cells, a constant learning rate of 0.001, a KL weight
that grows over 400 epochs) are careful ones. On the pancreas a quarter of the epochs, at six times
the rate to begin with and a falling one later, reaches the same skill of the ratio and the same
held-out evidence lower bound, of scVI alone as well (`python benchmarks/speed schedule`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lightning.pytorch import Callback, LightningModule, Trainer

#: Learning rate of Adam, for scVI's networks and the ratio's heads.
LEARNING_RATE: Final = 6e-3
#: Share of the epochs after which the learning rate falls, and what is left of it in the end.
DECAY_FROM: Final = 0.5
DECAY_TO: Final = 0.05
#: Share of the epochs over which the weight of the KL divergence grows to 1.
WARM_UP: Final = 0.5


def plan_options(max_epochs: int, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the options of a training plan, those that were given first.

    Parameters
    ----------
    max_epochs
        Passes over the cells.
    given
        Options of `scvi.train.TrainingPlan`.
    """
    options = dict(given or {})
    options.setdefault("lr", LEARNING_RATE)
    if not {"n_epochs_kl_warmup", "n_steps_kl_warmup"} & set(options):
        options["n_epochs_kl_warmup"] = max(1, round(WARM_UP * max_epochs))
    return options


class LearningRateDecay(Callback):
    """Let the learning rates of a training fall along a line to its end.

    Each epoch's rate follows from its number alone, so a training that is resumed goes on with the
    rates that it would have had.
    """

    def __init__(self) -> None:
        self._first: list[float] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the rates to begin with.

        Parameters
        ----------
        trainer
            Lightning's trainer.
        pl_module
            Not used.
        """
        self._first = [group["lr"] for group in trainer.optimizers[0].param_groups]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the rates of an epoch.

        Parameters
        ----------
        trainer
            Lightning's trainer.
        pl_module
            Not used.
        """
        share = rate_left(trainer.current_epoch, trainer.max_epochs or 1)
        for group, first in zip(trainer.optimizers[0].param_groups, self._first, strict=True):
            group["lr"] = share * first


def rate_left(epoch: int, max_epochs: int) -> float:
    """Return the share of the learning rate that is left in an epoch.

    Parameters
    ----------
    epoch
        Number of the epoch, from 0.
    max_epochs
        Passes over the cells.
    """
    past = max(epoch / max_epochs - DECAY_FROM, 0.0) / (1 - DECAY_FROM)
    return 1 - (1 - DECAY_TO) * past
