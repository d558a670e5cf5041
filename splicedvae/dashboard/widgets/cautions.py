"""What a reader must know before believing an accuracy."""

from __future__ import annotations

import numpy as np

from splicedvae._core.keys import Sources
from splicedvae.runs import Run
from splicedvae.views import value_of


def gene_mean_sentence(run: Run, coverage: int) -> str | None:
    """State the metrics of a constant per gene, which gives no velocity.

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
        "The gene mean, one constant per gene and so no velocity at all, reaches r = "
        f"{reached:.2f}: a high r alone says little. See “skill over gene mean” and "
        "“within-gene r” for what a velocity needs."
    )
