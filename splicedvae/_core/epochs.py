"""How many passes over the cells a training makes unless told otherwise.

This is apart from the models because what asks how long a training takes must not wait for torch.
"""

from __future__ import annotations

from typing import Final

#: Passes up to `FEWER_ABOVE` training cells.
MOST_EPOCHS: Final = 100
#: Above so many training cells there are fewer passes, so that the number of steps stays.
FEWER_ABOVE: Final = 20_000


def default_epochs(n_cells: int) -> int:
    """Return the passes over the training cells that are made unless told otherwise.

    scvi-tools counts them in the same way (``get_max_epochs_heuristic``), with a cap of 400.

    Parameters
    ----------
    n_cells
        Number of training cells, at least 1.
    """
    return max(1, min(round(FEWER_ABOVE / n_cells * MOST_EPOCHS), MOST_EPOCHS))
