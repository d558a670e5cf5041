"""What a reader of a run must know first, in plain sentences that hold for this run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from splicedvae._errors import RunError
from splicedvae._keys import Obs, Sources
from splicedvae.evaluation import velocity_cautions

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: Holds for every velocity that was ever drawn.
SMOOTHNESS: Final = (
    "Smoothness is not correctness: a velocity is averaged over neighbours before it is drawn, so "
    "stream lines look orderly whether they are right or not."
)


def run_cautions(run: Run) -> list[str]:
    """List what speaks against trusting a run's velocities, the gravest first.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    Plain sentences, at least `SMOOTHNESS`.

    Raises
    ------
    RunError
        If the run is not finished.
    """
    said = []
    try:
        said += velocity_cautions(run.metrics)
    except RunError:
        said.append(
            "The data has no measured spliced and unspliced counts, so nothing here could be "
            "compared with a measurement."
        )
    for source, entry in run.velocity_account.items():
        if entry.get("state") == "refused":
            label = Sources.LABELS.get(source, source)
            said.append(f"The {label} velocity was refused: {entry.get('message', '')}")
    if Obs.SPLIT in run.predictions.obs:
        said.append(
            "Streams are drawn over all cells, those that trained the models included; numbers are "
            "of held-out cells alone."
        )
    return [*said, SMOOTHNESS]
