"""How long models train unless told otherwise, and how fast they learn.

scvi-tools' defaults (400 epochs up to 20,000 cells, a learning rate of 0.001, a KL weight that
grows over 400 epochs) are careful ones. On the pancreas a quarter of the epochs at four times the
rate reaches the same skill of the ratio and the same held-out evidence lower bound, of scVI alone
as well (`benchmarks/schedule.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scvi.model._utils import get_max_epochs_heuristic

#: Learning rate of Adam, for scVI's networks and the ratio's heads.
LEARNING_RATE: Final = 4e-3
#: Epochs up to 20,000 cells; fewer above, as scvi-tools counts them.
MOST_EPOCHS: Final = 100
#: Share of the epochs over which the weight of the KL divergence grows to 1.
WARM_UP: Final = 0.5


def default_epochs(n_cells: int) -> int:
    """Return the passes over the training cells that are made unless told otherwise.

    Parameters
    ----------
    n_cells
        Number of training cells.
    """
    return int(get_max_epochs_heuristic(n_cells, epochs_cap=MOST_EPOCHS))


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
