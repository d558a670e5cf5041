"""One rule for the verdict on a velocity: trust, look closer, or do not show.

Every place that says so, a page, a slide, a report, a figure, the command line and an exported
Pages, slides, reports, figures, the command line and exported files use it. `docs/trust.md`
explains the rule and gives its error rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from splicedvae._core.novelty import NOVEL
from splicedvae._core.shares import FEW_GENES

Answer = Literal["trust", "look closer", "do not show"]
Weight = Literal["against", "caution", "for", "unknown"]
Origin = Literal["measured", "predicted"]

#: p-values up to this one are more than chance, and up to the second clearly so.
MAX_P: Final = 0.05
CLEAR_P: Final = 0.02
#: Split-half cosine in gene space below which a measurement is mostly noise.
MIN_HALVES: Final = 0.03
#: Minimum cosine in gene space, as a share of the split-half cosine.
MIN_SHARE: Final = 0.5
#: Minimum number of held-out cells for a verdict on the arrows of all.
MIN_JUDGED: Final = 100
#: Counted molecules of a cell (median) below which a velocity is looked at with care.
MIN_DEPTH: Final = 100.0

_NAN: Final = float("nan")
_ORDER: Final[tuple[Weight, ...]] = ("against", "caution", "unknown", "for")


@dataclass(frozen=True)
class VelocityFacts:
    """What is known of a velocity; NaN means unknown.

    Attributes
    ----------
    origin
        Whether its counts were measured or predicted from totals.
    evidence_p
        That the measured ratios vary with the cells' state, by permutation.
    evidence_within_p
        The same within groups of cells.
    skill
        Of the predicted ratios over one ratio per gene, on held-out cells.
    agreement_genes, agreement_genes_p, agreement_genes_chance
        Cosine to the measured velocity in gene space among held-out cells, each gene in units of
        its own spread so that no gene counts for many, its p-value, and what chance does not exceed
        in 95 of 100 draws.
    agreement_map, agreement_map_p, agreement_map_chance
        The same for the arrows in the embedding.
    halves_genes, halves_map
        Agreement of two velocities from half of the measured molecules each.
    direction, direction_chance
        CBDir over known transitions, and with random neighbors.
    effective_genes
        How many genes draw a cell's arrow, mean over cells.
    n_judged
        Cells among which all this was found.
    novelty
        Of the cells to the model (`splicedvae.SplicedVAE.get_novelty`).
    trained
        The verdict on the model's velocity in its own training data.
    depth
        Median over cells of the counts in the genes used.
    """

    origin: Origin
    evidence_p: float = _NAN
    evidence_within_p: float = _NAN
    skill: float = _NAN
    agreement_genes: float = _NAN
    agreement_genes_p: float = _NAN
    agreement_genes_chance: float = _NAN
    agreement_map: float = _NAN
    agreement_map_p: float = _NAN
    agreement_map_chance: float = _NAN
    halves_genes: float = _NAN
    halves_map: float = _NAN
    direction: float = _NAN
    direction_chance: float = _NAN
    effective_genes: float = _NAN
    n_judged: int = 0
    novelty: float = _NAN
    trained: Answer | None = None
    depth: float = _NAN


@dataclass(frozen=True)
class Reason:
    """One ground of a verdict.

    Attributes
    ----------
    weight
        ``"against"`` showing the velocity, a ``"caution"``, what is ``"unknown"``, or ``"for"``.
    short
        A few words.
    sentence
        Plain text with its numbers.
    """

    weight: Weight
    short: str
    sentence: str


@dataclass(frozen=True)
class VelocityVerdict:
    """The verdict on a velocity, with reasons.

    Attributes
    ----------
    answer
        ``"do not show"`` if there is a reason against it, ``"look closer"`` if there is a caution,
        ``"trust"`` else.
    reasons
        The gravest first.
    """

    answer: Answer
    reasons: tuple[Reason, ...] = ()

    @property
    def short(self) -> str:
        """The answer and its gravest ground, for the title of a panel."""
        if self.answer == "trust":
            unknown = next((ground for ground in self.reasons if ground.weight == "unknown"), None)
            if unknown is not None:
                return f"trust in gene space; {unknown.short}"
            ground = next((ground for ground in self.reasons if ground.weight == "for"), None)
        else:
            ground = self.reasons[0] if self.reasons else None
        return self.answer if ground is None else f"{self.answer}: {ground.short}"

    @property
    def sentence(self) -> str:
        """All grounds."""
        return " ".join(reason.sentence for reason in self.reasons)


def judge_velocity(facts: VelocityFacts, more: Sequence[Reason] = ()) -> VelocityVerdict:
    """Judge a velocity.

    Parameters
    ----------
    facts
        What is known of it.
    more
        Further reasons, which weigh as those from the facts do.

    Returns
    -------
    The answer with its grounds, the gravest first.
    """
    reasons = [
        reason
        for reason in (
            *(_of_agreement(facts) if facts.origin == "predicted" else _of_halves(facts)),
            _of_novelty(facts),
            _of_evidence(facts),
            _of_groups(facts),
            _of_skill(facts),
            _of_direction(facts),
            _of_genes(facts),
            _of_training(facts),
            _of_depth(facts),
            *more,
        )
        if reason is not None
    ]
    reasons.sort(key=lambda reason: _ORDER.index(reason.weight))
    weights = {reason.weight for reason in reasons}
    if "against" in weights:
        return VelocityVerdict("do not show", tuple(reasons))
    judged = np.isfinite(
        facts.agreement_genes_p if facts.origin == "predicted" else facts.evidence_p
    )
    if "caution" in weights or not judged:
        return VelocityVerdict("look closer", tuple(reasons))
    return VelocityVerdict("trust", tuple(reasons))


def _of_novelty(facts: VelocityFacts) -> Reason | None:
    if not np.isfinite(facts.novelty):
        return None
    if facts.novelty > NOVEL:
        return Reason(
            "against",
            "out-of-distribution cells",
            f"The cells are out of distribution for the model (novelty {facts.novelty:.2f}; "
            f"above {NOVEL:.2f} its predictions are hardly better than each gene's mean).",
        )
    return Reason(
        "for",
        "cells similar to training",
        "The cells are similar to those the model was trained on (novelty "
        f"{facts.novelty:.2f}, below {NOVEL:.2f}).",
    )


def _of_evidence(facts: VelocityFacts) -> Reason | None:
    p = facts.evidence_p
    if not np.isfinite(p):
        return None
    if p > MAX_P:
        return Reason(
            "against",
            "no velocity in the measured counts",
            "The measured spliced and unspliced counts vary with the cells' state no more "
            f"than by chance (p = {p:.2g}).",
        )
    clear = p <= CLEAR_P
    return Reason(
        "for" if clear else "caution",
        "measured counts vary" if clear else "weak evidence in measured counts",
        "The measured spliced and unspliced counts vary with the cells' state more than by "
        f"chance (p = {p:.2g}).",
    )


def _of_groups(facts: VelocityFacts) -> Reason | None:
    p = facts.evidence_within_p
    if not np.isfinite(p):
        return None
    if p > MAX_P:
        return Reason(
            "caution",
            "ratios differ only between groups",
            "Within groups of cells the measured ratios vary no more than by chance (p = "
            f"{p:.2g}): resting cell types would look the same.",
        )
    return Reason(
        "for",
        "measured counts vary within groups",
        f"They also vary within groups of cells (p = {p:.2g}).",
    )


def _of_skill(facts: VelocityFacts) -> Reason | None:
    if facts.origin == "measured" or not np.isfinite(facts.skill):
        return None
    if facts.skill <= 0:
        return Reason(
            "against",
            "no better than one ratio per gene",
            "On held-out cells the predicted ratios are no better than one ratio per gene (skill "
            f"{facts.skill:.4f}), which gives no velocity.",
        )
    return Reason(
        "for",
        "ratios better than one per gene",
        "On held-out cells the predicted ratios are better than one ratio per gene (skill "
        f"{facts.skill:.4f}).",
    )


def _of_agreement(facts: VelocityFacts) -> tuple[Reason | None, ...]:
    if not np.isfinite(facts.agreement_genes_p):
        if np.isfinite(facts.agreement_genes):
            return (
                Reason(
                    "caution",
                    "not tested against chance",
                    "In gene space, with each gene scaled by its spread, the cosine to the "
                    f"measured velocity is {facts.agreement_genes:z.2f} among "
                    f"{facts.n_judged:,} held-out cells. This run of an earlier version did "
                    "not test it against chance; train again.",
                ),
            )
        if np.isfinite(facts.evidence_p):
            return (
                Reason(
                    "unknown",
                    "not compared with the measured",
                    "The velocity was not compared with the measured one on held-out cells.",
                ),
            )
        return (
            Reason(
                "unknown",
                "nothing measured to compare with",
                "These cells have no measured spliced and unspliced counts, so the arrows "
                "cannot be checked.",
            ),
        )
    return _over_genes(facts), _on_map(facts)


def _over_genes(facts: VelocityFacts) -> Reason:
    value, p = facts.agreement_genes, facts.agreement_genes_p
    told = (
        "In gene space, with each gene scaled by its spread, the cosine to the measured "
        f"velocity is {value:z.2f} among {facts.n_judged:,} held-out cells (95% limit by "
        f"chance {facts.agreement_genes_chance:z.2f}, p = {p:.2g}"
    )
    if np.isfinite(facts.halves_genes):
        told += f"; two halves of the measured molecules {facts.halves_genes:z.2f}"
    told += ")"
    if p > MAX_P:
        if _powerless(facts.halves_genes, facts.agreement_genes_chance):
            return Reason(
                "caution",
                "too few cells for gene space",
                f"{told}. Two halves of the measurement do not exceed chance either, so "
                "there are too few cells or counts to evaluate it.",
            )
        return Reason(
            "against",
            "no better than chance in gene space",
            f"{told}. This is no better than chance.",
        )
    if np.isfinite(facts.halves_genes) and facts.halves_genes < MIN_HALVES:
        return Reason(
            "caution",
            "measured velocity is mostly noise",
            f"{told}. The measured velocity is mostly noise there.",
        )
    if np.isfinite(facts.halves_genes) and value < MIN_SHARE * facts.halves_genes:
        return Reason(
            "caution",
            "agrees with measured only in part",
            f"{told}. This is better than chance, but less than half of the split-half cosine.",
        )
    if facts.n_judged < MIN_JUDGED:
        return Reason(
            "caution",
            "few cells for evaluation",
            f"{told}. This is better than chance, but fewer than {MIN_JUDGED} cells say "
            "little about the direction of all.",
        )
    return Reason(
        "for" if p <= CLEAR_P else "caution",
        f"cosine {value:z.2f}, chance up to {facts.agreement_genes_chance:z.2f}",
        f"{told}.",
    )


def _on_map(facts: VelocityFacts) -> Reason | None:
    value, p = facts.agreement_map, facts.agreement_map_p
    if not np.isfinite(p):
        return None
    told = (
        f"In the embedding the cosine is {value:z.2f} (95% limit by chance "
        f"{facts.agreement_map_chance:z.2f}, p = {p:.2g}"
    )
    if np.isfinite(facts.halves_map):
        told += f"; two halves {facts.halves_map:z.2f}"
    told += ")"
    if p <= MAX_P:
        return Reason("for", "above chance in the embedding", f"{told}.")
    if _powerless(facts.halves_map, facts.agreement_map_chance):
        return Reason(
            "unknown",
            "embedding not evaluated",
            f"{told}. Two halves of the measurement do not exceed chance there either, so "
            "there are too few cells to evaluate the arrows in the embedding.",
        )
    return Reason(
        "caution",
        "no better than chance in embedding",
        f"{told}. This is no better than chance.",
    )


def _powerless(halves: float, chance: float) -> bool:
    """Whether not even half of the measurement exceeds chance."""
    return bool(np.isfinite(halves) and np.isfinite(chance) and halves <= chance)


def _of_halves(facts: VelocityFacts) -> tuple[Reason, ...]:
    if not np.isfinite(facts.halves_genes):
        return ()
    told = (
        f"The split-half cosine of the measured velocity is {facts.halves_genes:z.2f} in "
        "gene space, with each gene scaled by its spread"
    )
    if np.isfinite(facts.halves_map):
        told += f" and {facts.halves_map:z.2f} in the embedding"
    told += f", among {facts.n_judged:,} cells"
    if facts.halves_genes < MIN_HALVES:
        return (Reason("caution", "two halves hardly agree", f"{told}. It is mostly noise."),)
    # The words are shown with the embedding, so its number comes first.
    short = f"split-half cosine {facts.halves_genes:z.2f} in gene space"
    if np.isfinite(facts.halves_map):
        short = f"split-half cosine {facts.halves_map:z.2f} (gene space {facts.halves_genes:z.2f})"
    return (Reason("for", short, f"{told}."),)


def _of_direction(facts: VelocityFacts) -> Reason | None:
    value, chance = facts.direction, facts.direction_chance
    if not (np.isfinite(value) and np.isfinite(chance)):
        return None
    told = (
        f"Along the known transitions the arrows have a mean cosine of {value:z.2f} (CBDir; "
        f"{chance:z.2f} to random neighbors)"
    )
    if value <= 0 and value < chance:
        return Reason("against", "against the known transitions", f"{told}. They run backwards.")
    if value <= chance:
        return Reason(
            "caution", "known transitions not followed", f"{told}. This is no better than chance."
        )
    return Reason("for", "follows the known transitions", f"{told}.")


def _of_genes(facts: VelocityFacts) -> Reason | None:
    if not facts.effective_genes < FEW_GENES:
        return None
    return Reason(
        "caution",
        "few genes behind the arrows",
        f"A cell's arrow rests on {facts.effective_genes:.0f} genes (effective number, mean "
        f"over cells). Below {FEW_GENES}, single genes dominate the figure.",
    )


def _of_training(facts: VelocityFacts) -> Reason | None:
    if facts.trained is None:
        return None
    if facts.trained == "do not show":
        return Reason(
            "against",
            "the model failed on its own data",
            "On held-out cells of its own training data the model's velocity should not be "
            "shown either.",
        )
    return Reason(
        "for" if facts.trained == "trust" else "caution",
        "the model was tested on its own data",
        "On held-out cells of its own training data the verdict on the model's velocity was "
        f"“{facts.trained}”.",
    )


def _of_depth(facts: VelocityFacts) -> Reason | None:
    if not np.isfinite(facts.depth) or facts.depth >= MIN_DEPTH:
        return None
    return Reason(
        "caution",
        "few counts per cell",
        f"The median cell has {facts.depth:,.0f} counts in the genes used, which says "
        "little about its state.",
    )
