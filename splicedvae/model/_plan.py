"""How the ratio head is optimised beside scVI's networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from scvi.module.base import BaseModuleClass
from scvi.train import TrainingPlan

#: Adam's epsilon for the head. scVI's 0.01 is far above the gradient of a gene with a few
#: molecules in a minibatch, and would hold most genes at their intercept whatever the data say.
RATIO_EPS = 1e-8


class RatioTrainingPlan(TrainingPlan):
    """scvi-tools' training plan with a learning rate of its own for the ratio head.

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
        """Return what makes an optimiser with the head in a group of its own."""
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
