"""A stored model made of a finished training: its weights with a card, without its counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from splicedvae._core.errors import RunError
from splicedvae._core.keys import Layers, Obs, Sources, Split, Var
from splicedvae.pipeline._asking import trained_on
from splicedvae.runs.config import RunConfig, code_version
from splicedvae.runs.verdict import velocity_verdict
from splicedvae.store import (
    CardEvaluation,
    CardMetric,
    CardSource,
    ModelCard,
    StoredModel,
    write_stored,
)

if TYPE_CHECKING:
    from anndata import AnnData

    from splicedvae.model import SplicedVAE
    from splicedvae.runs.run import Run

#: Numbers of a run that its card holds: metric and least molecules.
CARD_METRICS: Final = (
    ("skill", 1),
    ("rmse", 1),
    ("pearson", 1),
    ("pearson", 5),
    ("within_gene_r_by_cluster", 1),
    ("interval_coverage", 5),
    ("velocity_cosine_genes", 1),
    ("velocity_cosine_umap", 1),
    ("cbdir", 1),
)
#: Whose numbers they are: the model, and what it is compared with.
CARD_PREDICTORS: Final = (
    Sources.SPLICEDVAE,
    Sources.SCVI,
    Sources.RIDGE,
    Sources.GENE_MEAN,
    Sources.SHUFFLED,
)


@dataclass(frozen=True)
class CardWords:
    """What of a card no run knows: where the data come from and what the model is for."""

    title: str = ""
    tissues: tuple[str, ...] = ()
    assay: str = ""
    species: str = ""
    source: CardSource = field(default_factory=CardSource)
    not_for: tuple[str, ...] = (
        "Cells of another tissue, species or technique than those it was trained on.",
    )


def store_run(
    run: Run, folder: Path | str, *, name: str, words: CardWords | None = None
) -> StoredModel:
    """Write the model of a finished training as a stored model.

    The weights are those that the run evaluated, trained on its training cells.

    Parameters
    ----------
    run
        A finished training.
    folder
        Where to; it must not exist.
    name
        Name of the model.
    words
        What the run does not know.

    Returns
    -------
    The stored model.

    Raises
    ------
    RunError
        If the run is not a finished training, or was trained with batches.
    """
    _need_training(run)
    cells = run.predictions
    train = cells[(cells.obs[Obs.SPLIT] == Split.TRAIN).to_numpy()]
    return _written(run, folder, name, words or CardWords(), run.model(), train, all_cells=False)


def store_all_cells(run: Run, folder: Path | str, *, name: str, words: CardWords) -> StoredModel:
    """Train again on all cells of a run's file, and write that as a stored model.

    Settings, seed and rules for genes are those of the run, whose numbers on held-out cells the
    card holds.

    Parameters
    ----------
    run, folder, name, words
        As for `store_run`.

    Raises
    ------
    RunError
        As for `store_run`, or the data file has changed.
    """
    _need_training(run)
    model, cells = _trained_on_all(run.config)
    return _written(run, folder, name, words, model, cells, all_cells=True)


def _need_training(run: Run) -> None:
    run.need_finished("only a finished training makes a model of the store")
    if run.config.kind != "train":
        raise RunError(
            f"The run {run.name!r} is a prediction and has no model of its own: name the training "
            "whose model it asked."
        )
    if run.config.batch_key is not None:
        raise RunError(
            f"The run {run.name!r} was trained with batches, which mean nothing in other data: "
            "train without --batch-key to store a model."
        )


def _trained_on_all(config: RunConfig) -> tuple[SplicedVAE, AnnData]:
    """Train SplicedVAE on all cells of a file, as a run trains on its training cells."""
    import scvi

    from splicedvae.evaluation import select_genes
    from splicedvae.io import gate
    from splicedvae.model import SplicedVAE, default_epochs, plan_options, whole_batches
    from splicedvae.pipeline._prediction import counts
    from splicedvae.pipeline._training import head_options

    result = gate.read(config.data)
    if result.sha256 != config.data_sha256:
        raise RunError("The data file has changed since the run: train again.")
    cells = result.adata
    kept = np.asarray(cells.X.sum(axis=1)).ravel() > 0
    cells = cells[kept].copy()
    genes = select_genes(
        cells,
        min_shared_counts=config.min_shared_counts,
        min_cells=config.min_cells,
        n_top_genes=config.n_top_genes,
    )
    cells = cells[:, np.asarray(genes)].copy()
    cells.X = counts(cells.X)
    scvi.settings.seed = config.seed
    SplicedVAE.setup_anndata(cells, spliced_layer=Layers.SPLICED, unspliced_layer=Layers.UNSPLICED)
    model = SplicedVAE(cells, n_latent=config.n_latent, **head_options(config))
    epochs = config.max_epochs or default_epochs(cells.n_obs)
    scvi.settings.seed = config.seed
    model.train(
        max_epochs=epochs,
        batch_size=whole_batches(cells.n_obs, config.batch_size),
        train_size=1.0,
        enable_progress_bar=False,
        plan_kwargs=plan_options(epochs, {}),
    )
    return model, cells


def _written(
    run: Run,
    folder: Path | str,
    name: str,
    words: CardWords,
    model: SplicedVAE,
    cells: AnnData,
    *,
    all_cells: bool,
) -> StoredModel:
    from splicedvae.pipeline.assessment import gene_means

    known = trained_on(run)
    card = ModelCard(
        name=name,
        title=words.title or run.name,
        species=words.species or known.species.sure or "",
        tissues=words.tissues,
        assay=words.assay,
        counts=run.config.counts,
        n_genes=len(model.genes),
        n_cells=cells.n_obs,
        weights_from="all cells" if all_cells else "training cells",
        source=_source(words.source, known.file, run.config.data_sha256),
        command=_command(run.config, known.file),
        code=code_version(),
        evaluation=evaluation_of(run),
        not_for=words.not_for,
    )
    means = (
        pd.Series(gene_means(cells), index=cells.var_names)
        if all_cells
        else run.predictions.var[Var.GENE_MEAN]
    )
    return write_stored(
        folder,
        card,
        model,
        gene_means=means,
        gene_counts=np.asarray(cells.X.sum(axis=0), dtype=np.float64).ravel(),
        cell_names=cells.obs_names,
    )


def _source(given: CardSource, file: str, sha256: str) -> CardSource:
    return CardSource(given.title or file, given.accession, given.licence, given.citation, sha256)


def _command(config: RunConfig, file: str) -> str:
    words = ["splicedvae", "train", file, "--out", "RUN"]
    for option, value in (
        ("--cluster-key", config.cluster_key),
        ("--n-top-genes", config.n_top_genes),
        ("--min-shared-counts", config.min_shared_counts),
        ("--seed", config.seed),
    ):
        words += [option, str(value if value is not None else 0)]
    return " ".join(f"'{word}'" if " " in word else word for word in words)


def evaluation_of(run: Run) -> CardEvaluation:
    """Take from a run what a card says of its held-out cells.

    Parameters
    ----------
    run
        A finished training.
    """
    table = run.metrics
    split = run.predictions.obs[Obs.SPLIT]
    rows = []
    for metric, coverage in CARD_METRICS:
        chosen = table[(table["metric"] == metric) & (table["coverage"] == coverage)]
        for predictor in CARD_PREDICTORS:
            for row in chosen[chosen["predictor"] == predictor].itertuples():
                rows.append(
                    CardMetric(
                        predictor, metric, coverage, _number(row.value), _number(row.ceiling)
                    )
                )
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    if Sources.SPLICEDVAE in run.velocity_sources:
        judged = velocity_verdict(run, Sources.SPLICEDVAE)
        verdict, reasons = judged.answer, tuple(one.sentence for one in judged.reasons)
    return CardEvaluation(
        n_train=int((split == Split.TRAIN).sum()),
        n_held_out=int((split == Split.HELD_OUT).sum()),
        verdict=verdict,
        reasons=reasons,
        metrics=tuple(rows),
    )


def _number(value: object) -> float | None:
    number = float(str(value))
    return float(f"{number:.5g}") if np.isfinite(number) else None
