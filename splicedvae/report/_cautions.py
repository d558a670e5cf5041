"""What a reader of a run must know first, in plain sentences that hold for this run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from splicedvae._keys import Obs, Sources
from splicedvae.report.views import verdicts

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: Holds for every velocity that was ever drawn.
SMOOTHNESS: Final = (
    "Smoothness is not correctness: a velocity is averaged over neighbours before it is drawn, so "
    "stream lines look orderly whether they are right or not."
)


def _verdicts(run: Run) -> list[str]:
    """Say of each velocity of a run what it is worth, and why.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    A plain sentence or several for each source that was tried, the answer first; none of the
    known velocity of a simulation.
    """
    said = []
    for source, found in verdicts(run).items():
        label = Sources.LABELS.get(source, source)
        if found.answer == "refused":
            message = run.velocity_account[source].get("message", "")
            said.append(f"The {label} velocity was refused: {message}")
        elif found.answer != "known":
            grounds = " ".join(reason.sentence for reason in found.reasons)
            said.append(f"{label} velocity: {found.answer}. {grounds}".strip())
    return said


def worth_of_streams(run: Run) -> str:
    """Say in one sentence what each velocity of a run is worth, for a figure of them.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    A sentence; empty where nothing was judged.
    """
    said = [
        f"{Sources.LABELS.get(source, source)} – {found.short}"
        for source, found in verdicts(run).items()
        if found.reasons
    ]
    return f"What the arrows are worth: {'; '.join(said)}." if said else ""


def run_cautions(run: Run) -> list[str]:
    """List what a reader must know of a run's velocities: what each is worth, first.

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
    return [*_verdicts(run), *reading_cautions(run)]


def reading_cautions(run: Run) -> list[str]:
    """List what a reader of any stream must know, whatever its velocity is worth.

    Parameters
    ----------
    run
        A finished run.

    Returns
    -------
    Plain sentences, at least `SMOOTHNESS`.
    """
    said = []
    if Obs.SPLIT in run.predictions.obs:
        said.append(
            "Streams are drawn over all cells, those that trained the models included; numbers are "
            "of held-out cells alone."
        )
    return [*said, SMOOTHNESS]
