"""Optimize the ratio head together with scVI's networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from scvi.module.base import BaseModuleClass
from scvi.train import TrainingPlan

from splicedvae.model._minibatches import moved
from splicedvae.module import SparseMinibatch, training_step

#: Adam's epsilon for the head. scVI's 0.01 is far above the gradient of a gene with a few
#: molecules in a minibatch, and would hold most genes at their intercept whatever the data say.
RATIO_EPS = 1e-8


class RatioTrainingPlan(TrainingPlan):
    """scvi-tools' training plan with its own learning rate for the ratio head.

    Parameters
    ----------
    module
        The module to train.
    ratio_lr
        Learning rate of the ratio head; None takes that of the rest, ``lr``.
    **kwargs
        As for `scvi.train.TrainingPlan`.
    """

    def __init__(
        self, module: BaseModuleClass, *, ratio_lr: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(module, **kwargs)
        self.ratio_lr = self.lr if ratio_lr is None else ratio_lr

    def get_optimizer_creator(
        self,
    ) -> Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]:
        """Return what makes an optimizer with the head in its own group."""
        create = super().get_optimizer_creator()
        head = {
            id(parameter) for expert in self.module.ratio_heads for parameter in expert.parameters()
        }

        def with_groups(parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
            everything = list(parameters)
            groups: list[dict[str, Any]] = [
                {"params": [p for p in everything if id(p) not in head]},
                {
                    "params": [p for p in everything if id(p) in head],
                    "lr": self.ratio_lr,
                    "eps": RATIO_EPS,
                    # The prior on the loadings is part of the loss; the intercepts have none.
                    "weight_decay": 0.0,
                },
            ]
            optimizer: torch.optim.Optimizer = create(
                [group for group in groups if group["params"]]
            )
            if isinstance(optimizer, torch.optim.Adam):
                # One pass over each weight instead of ten: the same steps up to rounding.
                for group in optimizer.param_groups:
                    group["fused"], group["foreach"] = True, False
            return optimizer

        return with_groups


class BlockTrainingPlan(RatioTrainingPlan):
    """The same steps, several of them in each call of Lightning's.

    Parameters
    ----------
    module
        The module to train.
    **kwargs
        As for `RatioTrainingPlan`.
    """

    def __init__(self, module: BaseModuleClass, **kwargs: Any) -> None:
        super().__init__(module, **kwargs)
        self.automatic_optimization = False

    def training_step(self, batch: list[SparseMinibatch], batch_idx: int) -> dict[str, Any]:
        """Take a step for each minibatch of a block, and log the means over the block.

        Parameters
        ----------
        batch
            The block.
        batch_idx
            Its number.
        """
        optimizer = self.optimizers()
        kl_weight, n_obs = self.kl_weight, self.n_obs_training
        self.log("kl_weight", kl_weight, on_step=True, on_epoch=False)
        sums = torch.zeros(4, device=self.device)
        n_cells = 0
        for given in batch:
            minibatch = moved(given, self.device)
            found = training_step(self.module, minibatch, kl_weight=kl_weight, n_obs=n_obs)
            optimizer.zero_grad()
            self.manual_backward(found.loss)
            optimizer.step()
            n = minibatch.n_cells
            sums += torch.stack(
                (found.loss.detach() * n, found.reconstruction, found.kl, found.ratio * n)
            )
            n_cells += n
        loss, ratio = sums[0] / n_cells, sums[3] / n_cells
        self.train_metrics["elbo_train"].update(
            reconstruction_loss=sums[1],
            kl_local=sums[2],
            kl_global=torch.zeros((), device=self.device),
            n_obs_minibatch=n_cells,
        )
        for values in ({"train_loss": loss, "ratio_loss_train": ratio}, self.train_metrics):
            self.log_dict(
                values,
                on_step=self.on_step,
                on_epoch=self.on_epoch,
                batch_size=n_cells,
                prog_bar=values is not self.train_metrics,
            )
        return {"loss": loss}
