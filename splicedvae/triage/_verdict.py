"""Is a velocity worth trying? A triage by counts, which no data set passes by promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from splicedvae._core.notes import Note
from splicedvae._core.novelty import NOVEL
from splicedvae.triage._findings import Doubt

if TYPE_CHECKING:
    from splicedvae.triage._summary import DataSummary

Answer = Literal["yes", "doubtful", "no"]

#: Least share of a model's genes that a file must have to be asked about.
FEW_GENES: Final = 0.5

#: What to do where no model is worth asking.
WAY_ON: Final = (
    "The way on: count these cells again with introns, or train a model on cells of the same "
    "species and tissue that have spliced and unspliced counts."
)


@dataclass(frozen=True)
class ModelFit:
    """How a trained model fits a file, from names alone unless the novelty was computed."""

    #: Genes of the model, and those of them that the file has by name.
    n_genes: int
    n_found: int
    #: Species that the names of the model's and the file's genes speak of.
    model_species: str | None
    file_species: str | None
    #: From `splicedvae.pipeline.novelty`; ``None`` where it was not computed.
    novelty: float | None = None
    #: Novelty above which a model knows hardly more than its genes' means.
    novel_above: float = NOVEL
    #: Share of the file's counts that the genes found hold, and of the counts of training;
    #: ``None`` where not known.
    counts_share: float | None = None
    training_share: float | None = None
    #: In words between which species genes were mapped; ``None`` where they were not.
    orthologs: str | None = None

    @property
    def share(self) -> float:
        """Share of the model's genes that the file has."""
        return self.n_found / max(self.n_genes, 1)

    @property
    def other_species(self) -> bool:
        """Whether both species are known and differ."""
        both = self.model_species is not None and self.file_species is not None
        return both and self.model_species != self.file_species

    @property
    def fits(self) -> bool:
        """Whether the model can be asked at all."""
        return self.share >= FEW_GENES


@dataclass(frozen=True)
class Verdict:
    """Whether a velocity is worth trying, judged by counts alone."""

    answer: Answer
    #: One sentence each: what speaks against it first, then what speaks for it.
    reasons: tuple[str, ...]


def judge(summary: DataSummary, doubts: Sequence[Doubt]) -> Verdict:
    """Say whether a velocity is worth trying on a file, without any model.

    Parameters
    ----------
    summary
        What is in the file.
    doubts
        What a reviewer would raise.

    Returns
    -------
    ``"no"`` where a doubt forbids it or nothing was measured, ``"doubtful"`` where there is any
    other doubt, else ``"yes"``.
    """
    against = [doubt for doubt in doubts if doubt.weight != "remark"]
    words = [doubt.words for doubt in against]
    if any(doubt.weight == "forbids" for doubt in against) or not summary.has_measured_layers:
        return Verdict("no", tuple(words))
    told = (*words, _measured(summary), _deep(summary))
    return Verdict("doubtful" if against else "yes", told)


def judge_with_model(summary: DataSummary, fit: ModelFit | None) -> Verdict:
    """Say whether a velocity is worth trying on totals, with the model that fits them best.

    Parameters
    ----------
    summary
        What is in a file without measured S/U.
    fit
        Of the best model there is, or None.

    Returns
    -------
    ``"no"`` without a model that fits, or where the cells are new to it; ``"doubtful"`` as long
    as the cells were not compared with those of training, or where the counts raise a doubt;
    ``"yes"`` else.
    """
    own = summary.verdict
    if fit is None:
        return Verdict(
            "no",
            (
                "There are no spliced and unspliced counts, and no trained model is here to "
                "predict them.",
                WAY_ON,
            ),
        )
    through = "" if fit.orthologs is None else f", found through {fit.orthologs}"
    held = "" if fit.counts_share is None else f"; they hold {fit.counts_share:.0%} of its counts"
    missing = (
        "There are no spliced and unspliced counts, and the best model here knows "
        f"{fit.n_genes:,} genes, of which this file has "
        f"{fit.n_found:,} ({fit.share:.0%}{through}){held}"
    )
    if not fit.fits:
        few = f"{missing}, and at least {FEW_GENES:.0%} are needed to predict."
        return Verdict("no", (few, WAY_ON))
    against = []
    if fit.novelty is not None and fit.novelty > fit.novel_above:
        against.append(
            "The cells are of another kind than those the model was trained on (novelty "
            f"{fit.novelty:.2f}, above {fit.novel_above:.2f} a model knows hardly more than its "
            "genes' means)."
        )
    if fit.other_species and (fit.orthologs is None or fit.novelty is None or against):
        against.append(
            f"The best model here was trained on {fit.model_species} genes, and this file looks "
            f"like {fit.file_species}: ratios differ between species."
        )
    if against:
        return Verdict("no", (*against, f"{missing}.", WAY_ON))
    unchecked = "Nothing in this file can check a prediction"
    counts = [words for words in own.reasons if Note.of(words).code != "layers-missing"]
    if fit.novelty is None:
        return Verdict(
            "doubtful",
            (
                *counts,
                f"{missing}.",
                f"{unchecked}, and the cells were not yet compared with those of training.",
            ),
        )
    told = (
        *counts,
        f"{missing}.",
        f"The cells are like those of training (novelty {fit.novelty:.2f}, below "
        f"{fit.novel_above:.2f}).",
        f"{unchecked}.",
    )
    if fit.other_species:
        told = (*told, f"The model is of {fit.model_species}, and ratios differ between species.")
    return Verdict("doubtful" if counts or fit.other_species else "yes", told)


def _measured(summary: DataSummary) -> str:
    fraction, shared = summary.unspliced_fraction or 0.0, summary.genes_with_shared_counts or 0
    return (
        f"Spliced and unspliced counts were measured: {fraction:.0%} are unspliced, and {shared:,} "
        "genes have enough of both."
    )


def _deep(summary: DataSummary) -> str:
    return f"{summary.n_cells:,} cells have a median of {summary.umis_per_cell.median:,.0f} counts."
