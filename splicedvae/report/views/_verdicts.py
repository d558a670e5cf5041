"""What one velocity is worth, in a few words that stand at its picture, and in a sentence.

The numbers are those of held-out cells, with chance and two measured halves beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from splicedvae._errors import RunError
from splicedvae._keys import Sources
from splicedvae.evaluation import velocity_cautions

if TYPE_CHECKING:
    from splicedvae.runs import Run

_GENES: Final = "velocity_cosine_genes"
#: How a sentence of `splicedvae.model` begins that finds cells of another kind.
_NOVEL: Final = "These cells are of another kind"
_UNCHECKED: Final = (
    "Made from total counts; this file has no measured spliced and unspliced counts, so nothing "
    "here says whether the arrows are right."
)

Trust = Literal["refused", "doubtful", "unchecked", "above chance", "known"]


@dataclass(frozen=True)
class Verdict:
    """What is known of one velocity.

    Attributes
    ----------
    trust
        In one word: "doubtful" is no better than chance, or judged by a measurement that is noise.
    short
        A few words for a panel.
    sentence
        Plain text, with numbers.
    """

    trust: Trust
    short: str
    sentence: str


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
    try:
        metrics = run.metrics
    except RunError:
        metrics = pd.DataFrame()
    rows = metrics[metrics["metric"] == _GENES] if len(metrics) else metrics
    if source == Sources.MEASURED:
        return _of_the_measured(metrics, rows)
    novel = next((note for note in run.notes if note.startswith(_NOVEL)), None)
    if novel is not None:
        return Verdict("doubtful", "do not trust: cells of another kind", novel)
    ours = _value(rows, source)
    if not np.isfinite(ours):
        if len(metrics) and (metrics["predictor"] == Sources.MEASURED).any():
            return Verdict(
                "unchecked",
                "not compared with the measured",
                "Made from total counts; not compared with the measured velocity on held-out "
                "cells.",
            )
        return Verdict("unchecked", "nothing measured to compare", _UNCHECKED)
    return _of_a_model(metrics, rows, source, ours)


def _of_the_measured(metrics: pd.DataFrame, rows: pd.DataFrame) -> Verdict:
    halves = float(rows["ceiling"].iloc[0]) if len(rows) else float("nan")
    said = "Made from the measured counts."
    if np.isfinite(halves):
        said += f" Two halves of their molecules agree by {halves:z.2f} over genes."
    against = (
        velocity_cautions(
            metrics[(metrics["predictor"] == Sources.MEASURED) | (metrics["metric"] == _GENES)]
        )
        if len(metrics)
        else []
    )
    against = [sentence for sentence in against if not sentence.startswith("The velocity of")]
    if against:
        return Verdict("doubtful", "mostly noise: do not trust", " ".join([said, *against]))
    short = f"two halves agree by {halves:z.2f}" if np.isfinite(halves) else "measured counts"
    return Verdict("known", short, said)


def _of_a_model(metrics: pd.DataFrame, rows: pd.DataFrame, source: str, ours: float) -> Verdict:
    chance = _value(rows, Sources.SHUFFLED)
    halves = float(rows["ceiling"].iloc[0])
    beside = []
    if np.isfinite(chance):
        beside.append(f"shuffled {chance:z.2f}")
    if np.isfinite(halves):
        beside.append(f"two measured halves {halves:z.2f}")
    said = f"Made from total counts; cosine to the measured {ours:z.2f} on held-out cells"
    said += f" ({', '.join(beside)})." if beside else "."
    own = metrics[metrics["predictor"].isin([source, Sources.SHUFFLED])]
    if against := velocity_cautions(own):
        noisy = all(not sentence.startswith("The velocity of") for sentence in against)
        short = "measured is noise: do not trust" if noisy else "not above chance: do not trust"
        return Verdict("doubtful", short, " ".join([said, *against]))
    short = f"cosine {ours:z.2f}"
    if np.isfinite(chance):
        short += f", shuffled {chance:z.2f}"
    if np.isfinite(halves):
        short += f", halves {halves:z.2f}"
    return Verdict("above chance", short, said)


def _value(rows: pd.DataFrame, predictor: str) -> float:
    if not len(rows):
        return float("nan")
    found = rows.loc[rows["predictor"] == predictor, "value"].to_numpy(dtype=float)
    return float(found[0]) if found.size else float("nan")
