"""Default number of passes over the training cells.

It is separate from the models so that a time estimate does not import torch.
"""

from __future__ import annotations

from typing import Final

#: Passes up to `FEWER_ABOVE` training cells.
MOST_EPOCHS: Final = 100
#: Above so many training cells there are fewer passes, so that the number of steps stays.
FEWER_ABOVE: Final = 20_000


def default_epochs(n_cells: int) -> int:
    """Return the default number of passes over the training cells.

    scvi-tools counts them in the same way (``get_max_epochs_heuristic``), with a cap of 400.

    Parameters
    ----------
    n_cells
        Number of training cells, at least 1.
    """
    return max(1, min(round(FEWER_ABOVE / n_cells * MOST_EPOCHS), MOST_EPOCHS))
