"""Is a velocity worth computing? A screening that uses counts only and is no guarantee."""

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

#: Minimum share of a model's genes that a file must have for a prediction.
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
    #: Species inferred from the gene names of the model and of the file.
    model_species: str | None
    file_species: str | None
    #: From `splicedvae.pipeline.novelty`; ``None`` where it was not computed.
    novelty: float | None = None
    #: Novelty above which predictions are hardly better than each gene's mean.
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
        """Whether the model can predict for the file."""
        return self.share >= FEW_GENES


@dataclass(frozen=True)
class Verdict:
    """Whether a velocity is worth computing, judged from counts only."""

    answer: Answer
    #: One sentence each: reasons against it first, then reasons for it.
    reasons: tuple[str, ...]


def judge(summary: DataSummary, doubts: Sequence[Doubt]) -> Verdict:
    """Judge whether a velocity is worth computing on a file, without any model.

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


def judge_counts(summary: DataSummary) -> Verdict:
    """Judge the counts of a file of totals by themselves, whatever models there are.

    Parameters
    ----------
    summary
        What is in a file without measured S/U.

    Returns
    -------
    ``"doubtful"`` with what the counts raise, else ``"yes"``: a model that fits could be asked.
    """
    against = _of_counts(summary)
    return Verdict("doubtful" if against else "yes", (*against, _deep(summary)))


def judge_models(summary: DataSummary, fit: ModelFit | None) -> Verdict:
    """Judge the best model for a file of totals, apart from what the counts raise.

    Parameters
    ----------
    summary, fit
        As for `judge_with_model`.

    Returns
    -------
    The verdict of `judge_with_model` without the reasons of `judge_counts`.
    """
    whole = judge_with_model(summary, fit)
    of_counts = _of_counts(summary)
    reasons = tuple(reason for reason in whole.reasons if reason not in of_counts)
    compared = fit is not None and fit.novelty is not None and not fit.other_species
    return Verdict("yes" if whole.answer != "no" and compared else whole.answer, reasons)


def _of_counts(summary: DataSummary) -> list[str]:
    """Return the reasons against a file that have nothing to do with its missing layers."""
    return [words for words in summary.verdict.reasons if Note.of(words).code != "layers-missing"]


def judge_with_model(summary: DataSummary, fit: ModelFit | None) -> Verdict:
    """Judge whether a velocity is worth computing on totals, with the best-fitting model.

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
    if fit is None:
        return Verdict(
            "no",
            (
                "There are no spliced and unspliced counts, and no trained model is "
                "available to predict them.",
                WAY_ON,
            ),
        )
    through = "" if fit.orthologs is None else f", found through {fit.orthologs}"
    held = "" if fit.counts_share is None else f"; they hold {fit.counts_share:.0%} of its counts"
    missing = (
        "There are no spliced and unspliced counts, and the best model here has "
        f"{fit.n_genes:,} genes, of which this file has "
        f"{fit.n_found:,} ({fit.share:.0%}{through}){held}"
    )
    if not fit.fits:
        few = f"{missing}, but at least {FEW_GENES:.0%} are needed to predict."
        return Verdict("no", (few, WAY_ON))
    against = []
    if fit.novelty is not None and fit.novelty > fit.novel_above:
        against.append(
            "The cells are out of distribution for the model (novelty "
            f"{fit.novelty:.2f}; above {fit.novel_above:.2f} its predictions are hardly better "
            "than each gene's mean)."
        )
    if fit.other_species and (fit.orthologs is None or fit.novelty is None or against):
        against.append(
            f"The best model here was trained on {fit.model_species} genes, and this file looks "
            f"like {fit.file_species}: ratios differ between species."
        )
    if against:
        return Verdict("no", (*against, f"{missing}.", WAY_ON))
    unchecked = "A prediction cannot be checked on this file"
    counts = _of_counts(summary)
    if fit.novelty is None:
        return Verdict(
            "doubtful",
            (
                *counts,
                f"{missing}.",
                f"{unchecked}, and the cells were not yet compared with the training cells.",
            ),
        )
    told = (
        *counts,
        f"{missing}.",
        f"The cells are similar to the training cells (novelty {fit.novelty:.2f}, below "
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
