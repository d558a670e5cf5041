"""What one velocity is worth, in a few words that stand at its picture, and in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from splicedvae._core.keys import Sources
from splicedvae.evaluation import Answer, Reason
from splicedvae.runs import velocity_verdict

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: What stands behind a velocity before its grounds are told.
_MADE: Final = {
    "measured": "Made from the measured counts.",
    "predicted": "Made from total counts.",
}
_UNJUDGED: Final = "not judged yet"


@dataclass(frozen=True)
class Verdict:
    """What is known of one velocity.

    Attributes
    ----------
    answer
        Of `splicedvae.evaluation.judge_velocity`; ``"refused"`` where there is no velocity,
        ``"known"`` for that of a simulation, and ``"not judged yet"`` while the run still works on
        what the answer rests on.
    short
        A few words for a panel.
    sentence
        Plain text, with numbers.
    reasons
        Its grounds, the gravest first.
    """

    answer: Answer | Literal["refused", "known", "not judged yet"]
    short: str
    sentence: str
    reasons: tuple[Reason, ...] = ()


def verdict(run: Run, source: str) -> Verdict:
    """Say what one velocity of a run is worth.

    Parameters
    ----------
    run
        The run.
    source
        One that was tried.

    Returns
    -------
    Words for its panel and below it.
    """
    entry = run.velocity_account[source]
    if entry.get("state") != "ok":
        reason = str(entry.get("message") or "no reason is known.")
        return Verdict("refused", "refused", f"Refused: {reason}")
    if source == Sources.TRUE:
        return Verdict("known", "known", "The velocity of the simulation, not fitted.")
    if not run.is_judged:
        return Verdict(_UNJUDGED, _UNJUDGED, "Not judged yet: its tests are still running.")
    found = velocity_verdict(run, source)
    made = _MADE["measured" if source == Sources.MEASURED else "predicted"]
    return Verdict(found.answer, found.short, f"{made} {found.sentence}".strip(), found.reasons)
