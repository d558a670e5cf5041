"""What a reader must know before believing an accuracy, in plain language."""

from __future__ import annotations

import numpy as np

from splicedvae._core.keys import Sources
from splicedvae.runs import Run
from splicedvae.views import value_of


def gene_mean_sentence(run: Run, coverage: int) -> str | None:
    """Say how far a constant for each gene gets, without any velocity.

    Parameters
    ----------
    run
        A finished run.
    coverage
        Least S + U of an entry.

    Returns
    -------
    A sentence, or None where the run was not evaluated.
    """
    reached = value_of(run.metrics, Sources.GENE_MEAN, "pearson", coverage)
    if not np.isfinite(reached):
        return None
    return (
        f"The gene mean alone, one constant for each gene and so no velocity at all, reaches "
        f"r = {reached:.2f}: a high r here says little. What a velocity needs is in the columns "
        "“skill over gene mean” and “within-gene r”."
    )
