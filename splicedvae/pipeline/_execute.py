"""The whole job of a run, in this process: read, train, predict, evaluate, velocity, write.

Each result is written when it is there, so that a page can show what is done while the rest is
still worked on.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import platform
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import anndata as ad
import numpy as np
import pandas as pd
import scvi
import torch
from anndata import AnnData
from numpy.typing import NDArray

from splicedvae import __version__
from splicedvae._core.counts import at_counts
from splicedvae._core.errors import DataError, RunError, SplicedVAEError
from splicedvae._core.files import replacing
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.keys import Layers, Obs, Obsm, Sources, Split, Uns, Var
from splicedvae._core.labels import batch_labels
from splicedvae._core.orthologs import Orthologs
from splicedvae._core.records import own_record
from splicedvae.evaluation import select_genes, split_cells, split_groups
from splicedvae.io import gate
from splicedvae.jobs.control import available_threads, ready_to_resume
from splicedvae.jobs.journal import Journal
from splicedvae.jobs.stopping import StopRequested, stop_signals
from splicedvae.model import Adaptation, SplicedVAE
from splicedvae.pipeline import _prediction, _training, _truth, _velocities, assessment
from splicedvae.pipeline._asking import cells_seen, known_cells_note, trained_on
from splicedvae.pipeline._velocity_stages import VelocityStages, batches_of, clear_outlines
from splicedvae.runs import files, stages, verdict
from splicedvae.runs.answering import ModelSource, need_trained, open_models
from splicedvae.runs.checkpoint import TRAININGS, Checkpoints
from splicedvae.runs.config import RunConfig, code_version, need_layers
from splicedvae.runs.edit import prepare_folder
from splicedvae.runs.run import HISTORY_COLUMNS, Run
from splicedvae.runs.stages import Work, stage_seconds
from splicedvae.runs.status import Status, read_status, write_worker

#: Size that the weights of the stages are of until the data were read.
_UNREAD: Final = 3_000

_LATENTS: Final = {
    Sources.SPLICEDVAE: (Obsm.LATENT, Obsm.UMAP_LATENT),
    Sources.SCVI: (Obsm.LATENT_SCVI, Obsm.UMAP_LATENT_SCVI),
}

#: Packages whose versions a result depends on.
_PACKAGES: Final = (
    "torch",
    "scvi-tools",
    "lightning",
    "scanpy",
    "scvelo",
    "anndata",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "umap-learn",
)

#: Loggers that have handlers of their own, which write to the terminal.
_LOUD: Final = ("scvi", "lightning", "lightning.pytorch", "lightning.fabric", "pytorch_lightning")

_PATH: Final = re.compile(r"(?:[A-Za-z]:)?[\\/](?:[^\s\\/:'\"]+[\\/])+[^\s:'\"]*")


def execute(
    config: RunConfig,
    folder: Path | str,
    *,
    resume: bool = False,
    progress: Callable[[Status], None] | None = None,
) -> Run:
    """Do the work of `splicedvae.pipeline.execute`; the parameters are explained there."""
    folder = Path(folder)
    if resume:
        ready_to_resume(Run(folder))
    _take_folder(folder, config)
    torch.set_num_threads(available_threads())
    stages = list(stage_seconds(Work.of(config, n_cells=_UNREAD, n_genes=_UNREAD)).items())
    with (
        stop_signals() as stop,
        _everything_to_log(folder),
        Journal(folder, stages, progress=progress, stop=stop) as journal,
    ):
        write_worker(folder, os.getpid())
        try:
            checkpoints = Checkpoints(folder, config)
            if config.kind == "train":
                _train_run(config, folder, journal, checkpoints)
            else:
                _predict_run(config, folder, journal)
            _write_provenance(config, folder, journal, checkpoints.resumed())
            checkpoints.clear()
            clear_outlines(folder)
            journal.close("finished")
        except StopRequested:
            journal.close("stopped", "Stopped before it was finished.")
            raise KeyboardInterrupt from None
        except SplicedVAEError as error:
            if error.__cause__ is not None:
                # The sentence says what to do; the traceback is for developers.
                journal.log(traceback.format_exc())
            journal.close("failed", str(error))
            raise
        except MemoryError as error:
            message = (
                "The data does not fit in the memory of this machine: use fewer cells, or "
                "fewer genes (n_top_genes)."
            )
            journal.close("failed", message)
            raise RunError(message) from error
        except Exception as error:
            message = _internal_error(error)
            journal.log(traceback.format_exc())
            journal.close("failed", message)
            raise RunError(message) from error
    return Run(folder)


def _internal_error(error: Exception) -> str:
    """Put an unforeseen error into a sentence without paths."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full: free some space and restart the run."
    first = str(error).strip().split("\n")[0]
    return (
        f"An internal error ended the run ({type(error).__name__}: "
        f"{_PATH.sub('...', first)[:200]}): see its log.txt and report it."
    )


def _take_folder(folder: Path, config: RunConfig) -> None:
    """Make the folder ready for this run, or refuse it.

    Raises
    ------
    RunError
        If it holds something else, or the run was done already.
    """
    if not (folder / files.CONFIG).exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            occupied = any(folder.iterdir())
        except (FileExistsError, NotADirectoryError) as error:
            raise RunError(
                f"{folder.name!r} is a file, expected a folder for the run: choose another name."
            ) from error
        if occupied:
            raise RunError(
                f"The folder {folder.name!r} is not empty and holds no run: choose a new folder."
            )
        prepare_folder(folder, config)
        return
    run = Run(folder)
    # The id also holds the code version, which may have moved on since the run was requested.
    if run.config != config:
        raise RunError(
            f"The folder {folder.name!r} holds another run ({run.name!r}): choose a new folder."
        )
    status = read_status(folder)
    begun_here = status.state == "running" and status.pid == os.getpid()
    if status.state != "queued" and not begun_here:
        raise RunError(
            f"The folder {folder.name!r} holds an earlier run, its state is "
            f"{run.status.state!r}: choose a new folder."
        )


@contextlib.contextmanager
def _everything_to_log(folder: Path) -> Iterator[None]:
    """Send what libraries print, log and warn of to the run's log, and put all back after."""
    handler = logging.FileHandler(folder / files.LOG, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in ("", "py.warnings", *_LOUD)]
    before = [(logger, list(logger.handlers), logger.propagate, logger.level) for logger in loggers]
    logging.captureWarnings(True)
    try:
        for logger in loggers:
            logger.handlers = [handler]
            logger.propagate = False
            logger.setLevel(logging.WARNING)
        with (
            (folder / files.LOG).open("a", encoding="utf-8") as log,
            contextlib.redirect_stdout(log),
        ):
            yield
    finally:
        logging.captureWarnings(False)
        for logger, handlers, propagate, level in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        handler.close()


# Reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Input:
    """Cells of the file that have counts, with the names every run uses."""

    cells: AnnData
    measured: bool
    #: Pairs of cell groups that follow each other, known from a simulation.
    transitions: tuple[tuple[str, str], ...] = ()


def _read(config: RunConfig, journal: Journal) -> _Input:
    """Read the file again and check that it is the file of the run."""
    journal.stage(stages.STAGE_READ)
    result = gate.read(
        config.data,
        total=config.total,
        spliced_layer=config.spliced_layer,
        unspliced_layer=config.unspliced_layer,
        ambiguous_layer=config.ambiguous_layer,
        ambiguous=config.ambiguous,
    )
    if result.sha256 != config.data_sha256:
        raise RunError(
            "The data file has changed since the run was requested: start a new run from "
            "the current file."
        )
    for note in result.notes:
        journal.note(note, "reading")
    if result.counts is not None and result.counts != config.counts:
        journal.note(
            f"The totals were found to be {result.counts}, but {config.counts} was "
            "requested; the requested setting is used.",
            "counts-other-than-asked",
        )
    cells = result.adata
    if not cells.var_names.is_unique:
        raise DataError(
            "The gene names of the file are not unique, so predictions would be ambiguous: "
            "make them unique, or sum the columns of one name."
        )
    obs = pd.DataFrame(index=cells.obs_names.astype(str))
    for key in (config.cluster_key, config.batch_key):
        if key is not None and key not in cells.obs:
            known = ", ".join(str(column) for column in list(cells.obs)[:8]) or "none"
            raise DataError(
                f"The file has no column {key[:60]!r} in obs: choose one of those it has ({known})."
            )
    if config.cluster_key is not None:
        obs[Obs.CLUSTERS] = _prediction.categories(cells.obs[config.cluster_key])
    left_out = partial(journal.note, code=_truth.LEFT_OUT)
    time = _truth.true_time(cells, left_out)
    if time is not None:
        obs[Obs.TRUE_TIME] = time
    if config.split_by is not None:
        if config.split_by not in cells.obs:
            raise DataError(
                f"The file has no column {config.split_by[:60]!r} in obs to split by: "
                "choose one of its columns."
            )
        obs[config.split_by] = _prediction.categories(cells.obs[config.split_by])
    if config.batch_key is not None:
        # The models are set up with the file's own column name, which their users expect.
        obs[config.batch_key] = batch_labels(cells.obs[config.batch_key])
        obs[Obs.BATCH] = pd.Categorical(obs[config.batch_key])
    totals = _prediction.counts(cells.X)
    kept = np.asarray(totals.sum(axis=1)).ravel() > 0
    if not kept.any():
        raise DataError("The file holds no counts: choose a file with raw counts.")
    if not kept.all():
        journal.note(f"{int((~kept).sum()):,} cells without counts were left out.", "cells-empty")
    layers: dict[str, Any] = {}
    if result.has_measured_layers:
        for name in (Layers.SPLICED, Layers.UNSPLICED):
            layers[name] = _prediction.counts(cells.layers[name])[kept]
    velocity = _truth.true_velocity(cells, left_out)
    if velocity is not None:
        layers[Layers.TRUE_VELOCITY] = velocity[kept]
    var = _identified(cells.var, result.sha256, journal)
    return _Input(
        AnnData(X=totals[kept], obs=obs.loc[kept].copy(), var=var, layers=layers),
        bool(result.has_measured_layers),
        _known_transitions(cells, config),
    )


def _identified(var: pd.DataFrame, sha256: str, journal: Journal) -> pd.DataFrame:
    """Return the identity of genes; genes that are only numbered are valid in their file.

    Parameters
    ----------
    sha256
        Of the file.
    """
    known = GeneIdentity.of(var)
    unknown = (known.identifiers == "") & (known.symbols == "")
    if known.only_numbers:
        journal.note(
            "The genes of the file are numbered, not named, and numbers do not identify "
            "genes: models and predictions can be used with this file only.",
            "genes-only-numbered",
        )
    elif unknown.any():
        journal.note(
            f"{int(unknown.sum()):,} genes have neither an identifier nor a unique name, so "
            "models cannot match them in other files.",
            "genes-unnamed",
        )
    if unknown.any():
        places = [f"{sha256[:16]}:{place}" for place in np.flatnonzero(unknown)]
        identifiers = known.identifiers.copy()
        identifiers[unknown] = places
        known = replace(known, identifiers=identifiers)
    return known.frame()


def _known_transitions(cells: AnnData, config: RunConfig) -> tuple[tuple[str, str], ...]:
    """Return the pairs of groups that a simulation says follow each other."""
    told = own_record(cells.uns, Uns.SIMULATION).get(Uns.TRANSITIONS)
    if told is None or config.cluster_key != Obs.CLUSTERS:
        return ()
    return tuple((str(first), str(second)) for first, second in told)


# Training -----------------------------------------------------------------------------------


def _train_run(config: RunConfig, folder: Path, journal: Journal, checkpoints: Checkpoints) -> None:
    resumed = checkpoints.go_on()
    for time_and_place in resumed:
        journal.note(_resumption(time_and_place), "resumed")
    taken = _read(config, journal)
    need_layers(taken.measured)
    journal.stage(stages.STAGE_CHOOSE)
    cells, train, held_out = _choose(taken.cells, config, journal)
    work = Work.of(config, n_cells=cells.n_obs, n_genes=cells.n_vars, n_train=int(train.sum()))
    journal.set_work(work)
    checkpoints.keep_work(work)
    models = _training.train_models(
        cells[train].copy(),
        config,
        journal,
        checkpoints,
        cells[held_out],
        epochs=work.epochs,
        resumed=bool(resumed),
    )
    for source, model in models.items():
        _write_model(folder, source, model)
    _write_history(folder)

    journal.stage(stages.STAGE_PREDICT)
    totals = _prediction.totals_only(cells, config.batch_key)
    _predict(models, totals, cells, journal)
    apart = cells[held_out].copy()
    cells.var[Var.GENE_MEAN] = assessment.gene_means(cells[train])
    _write_predictions(folder, cells, whole=False)
    velocities = VelocityStages.begin(config, folder, journal, cells, measured=True)

    journal.stage(stages.STAGE_HELD_OUT)
    apart_totals = totals[held_out].copy()
    judged = assessment.assess(
        cells[train],
        apart,
        {source: _prediction.ratio_of(model, apart_totals) for source, model in models.items()},
        concentrations={
            source: model.get_ratio_concentration().to_numpy() for source, model in models.items()
        },
        seed=config.seed,
    )
    latent = assessment.expression_and_latent(models, apart_totals, apart.obs, seed=config.seed)
    metrics = pd.concat([judged.metrics, latent], ignore_index=True)
    _write_table(folder / files.METRICS, metrics)
    _write_table(folder / files.GENES, judged.genes, index=True)

    _draw_latents(cells, models, config, journal)
    velocities.sample(cells, models[Sources.SPLICEDVAE], totals)
    velocities.complete(cells)
    evidence = velocities.test(batches_of(cells))

    journal.stage(stages.STAGE_COMPARE)
    rows, notes = _velocities.held_out_agreement(
        apart,
        {source: at_counts(apart.X, ratio) for source, ratio in judged.predictions.items()},
        {source: cells.obsm[_LATENTS[source][0]][held_out] for source in models},
        how=config.counts,
        settings=config.velocity,
        seed=config.seed,
        transitions=config.transitions or taken.transitions,
    )
    for note in notes:
        journal.note(note, "velocity-agreement")
    tables = [metrics, *(table for table in (evidence, rows) if len(table))]
    _write_table(folder / files.METRICS, pd.concat(tables, ignore_index=True))
    journal.stage(stages.STAGE_WRITE)
    _write_predictions(folder, cells)


def _resumption(told: Mapping[str, Any]) -> str:
    """Note that a run was interrupted, and where it was resumed."""
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(float(told["time"])))
    sentence = (
        f"The run was interrupted and resumed on {when}, after epoch {told['epoch']:,} of "
        f"{told['epochs']:,} of training {TRAININGS[told['training']]}"
    )
    here = "cuda" if torch.cuda.is_available() else "cpu"
    if told["device"] != here:
        sentence += f", started on {told['device']} and resumed on {here}"
    return sentence + "."


def _choose(
    cells: AnnData, config: RunConfig, journal: Journal
) -> tuple[AnnData, NDArray[np.bool_], NDArray[np.bool_]]:
    """Split the cells, then choose genes on the training cells alone.

    Returns
    -------
    Cells x chosen genes with the split in ``obs``; which cells train; which are held out.
    """
    by = next((name for name in (Obs.CLUSTERS, Obs.BATCH) if name in cells.obs), None)
    labels = None if by is None else cells.obs[by].astype(str).to_numpy()
    if config.split_by is not None:
        split = np.asarray(split_groups(list(cells.obs[config.split_by]), fold=config.fold))
        name = str(cells.obs.loc[split == Split.HELD_OUT, config.split_by].iloc[0])
        told = f"All cells of {name!r} in obs column {config.split_by!r} were held out."
        journal.note(told, "split-by-group")
    else:
        split = np.asarray(
            split_cells(
                cells.n_obs,
                held_out=config.held_out,
                stratify=labels,
                seed=config.seed,
                fold=config.fold,
            )
        )
    train = split == Split.TRAIN
    chosen = np.asarray(
        select_genes(
            cells[train].copy(),
            min_shared_counts=config.min_shared_counts,
            min_cells=config.min_cells,
            n_top_genes=config.n_top_genes,
        )
    )
    cells = cells[:, chosen].copy()
    cells.obs[Obs.SPLIT] = pd.Categorical(split, categories=[Split.TRAIN, Split.HELD_OUT])
    empty = np.asarray(cells.X.sum(axis=1)).ravel() == 0
    if (empty & train).any():
        journal.note(
            f"{int((empty & train).sum()):,} training cells have no counts in the selected "
            "genes and were not used for training.",
            "cells-untrained",
        )
    journal.note(
        f"{int((train & ~empty).sum()):,} cells were used for training, "
        f"{int((~train).sum()):,} were held out, and {cells.n_vars:,} of {chosen.size:,} "
        "genes were selected on the training cells.",
        "split",
    )
    return cells, train & ~empty, ~train


# Prediction ---------------------------------------------------------------------------------


def _predict_run(config: RunConfig, folder: Path, journal: Journal) -> None:
    taken = _read(config, journal)
    journal.stage(stages.STAGE_LOAD)
    assert config.model_run is not None
    trained = open_models(config.model_run)
    models = {source: trained.model(source) for source in trained.sources}
    if Sources.SPLICEDVAE not in models:
        raise RunError(
            f"The run {trained.name!r} has no SplicedVAE model: choose one that was trained."
        )
    if trained.stored is not None:
        journal.note(trained.stored.told, "model-stored")
    seen = cells_seen(trained, taken.cells)
    if seen.any():
        journal.note(_told_of_seen(trained, int(seen.sum())), "cells-known-to-model")
    journal.stage(stages.STAGE_PREDICT)
    orthologs = None
    if config.orthologs is not None:
        of_model = trained_on(trained).species.species or "unknown"
        orthologs = Orthologs(data=config.orthologs, model=of_model)
    cells, totals, found = _align(
        models[Sources.SPLICEDVAE], taken.cells, config, journal, orthologs
    )
    journal.set_work(
        Work.of(config, n_cells=cells.n_obs, n_genes=int(found.sum()), measured=taken.measured)
    )
    novelty = models[Sources.SPLICEDVAE].get_novelty(totals)
    adaptations, told = _prediction.adaptations_for(
        models, totals, novelty=novelty, orthologs=orthologs
    )
    if told:
        journal.note(told, "intercepts-adapted")
    _predict(models, totals, cells, journal, adaptations)
    cells = cells[:, found].copy()
    means = trained.gene_means
    if means is not None:
        cells.var[Var.GENE_MEAN] = means.reindex(cells.var_names).to_numpy()
    _write_predictions(folder, cells, whole=False)
    velocities = VelocityStages.begin(
        config,
        folder,
        journal,
        cells,
        measured=taken.measured,
        known=_known_of_models(trained, models, novelty),
    )

    assessed = pd.DataFrame()
    if taken.measured:
        journal.stage(stages.STAGE_MEASURED)
    if taken.measured and trained.run is None:
        journal.note(
            "A stored model has no training cells, so it was not evaluated against baselines on "
            "the measured counts of this file: evaluate a run with `splicedvae evaluate`.",
            "evaluation-left-out",
        )
    elif taken.measured and not seen.all():
        train = assessment.training_cells(need_trained(trained))[:, cells.var_names]
        test = cells[~seen].copy()
        note = assessment.groups_note(train, test)
        if note is not None:
            journal.note(note, "groups-unknown")
        judged = assessment.assess(
            train,
            test,
            {
                source: _prediction.ratio_of(model, totals, adaptations[source])[~seen][:, found]
                for source, model in models.items()
            },
            concentrations={
                source: model.get_ratio_concentration().to_numpy()[found]
                for source, model in models.items()
            },
            seed=config.seed,
        )
        assessed = judged.metrics
        _write_table(folder / files.METRICS, assessed)
        _write_table(folder / files.GENES, judged.genes, index=True)

    _draw_latents(cells, models, config, journal)
    velocities.sample(cells, models[Sources.SPLICEDVAE], totals, adaptations[Sources.SPLICEDVAE])
    velocities.complete(cells)
    evidence = velocities.test(batches_of(cells))
    if len(evidence) and len(assessed):
        _write_table(folder / files.METRICS, pd.concat([assessed, evidence], ignore_index=True))
    journal.stage(stages.STAGE_WRITE)
    _write_predictions(folder, cells)


def _told_of_seen(trained: ModelSource, n_seen: int) -> str:
    """Say that the model knows cells of the file from its training."""
    if trained.stored is not None:
        return known_cells_note(n_seen)
    return (
        f"{n_seen:,} of these cells were used to train the models and have better predictions than "
        "new cells; they are left out of the evaluation."
    )


def _known_of_models(
    trained: ModelSource, models: Mapping[str, SplicedVAE], novelty: float
) -> dict[str, dict[str, Any]]:
    """Report each model's novelty for the cells, and its results on its own held-out cells."""
    verdicts = trained.verdicts()
    known: dict[str, dict[str, Any]] = {}
    for source in models:
        known[source] = {} if not np.isfinite(novelty) else {verdict.NOVELTY: novelty}
        if source in verdicts:
            known[source][verdict.TRAINED] = verdicts[source]
    return known


def _align(
    model: SplicedVAE,
    cells: AnnData,
    config: RunConfig,
    journal: Journal,
    orthologs: Orthologs | None,
) -> tuple[AnnData, AnnData, NDArray[np.bool_]]:
    """Bring the file's genes and batches to the model's.

    Returns
    -------
    Cells x model genes with their layers; the same with totals alone; which genes were found.
    """
    aligned, alignment = model.align(cells, orthologs=orthologs)
    code = "genes-aligned" if orthologs is None else "genes-mapped"
    journal.note(str(alignment), code)
    aligned = aligned.copy()
    found = alignment.found
    if Layers.TRUE_VELOCITY in cells.layers:
        # Aligning brings counts along; this one is not a count and not sparse.
        position = np.maximum(alignment.position, 0)
        true = np.asarray(cells.layers[Layers.TRUE_VELOCITY])[:, position]
        aligned.layers[Layers.TRUE_VELOCITY] = true * found
    batch_key = model.registry_["setup_args"]["batch_key"]
    if batch_key is not None and batch_key not in aligned.obs:
        if Obs.BATCH not in aligned.obs:
            raise DataError(
                f"The model was trained with batches from obs[{batch_key[:40]!r}], but no "
                "batch column was named for this file: name the column that holds them."
            )
        aligned.obs[batch_key] = aligned.obs[Obs.BATCH].astype(str)
    return aligned, _prediction.totals_only(aligned, batch_key), found


def _predict(
    models: Mapping[str, SplicedVAE],
    totals: AnnData,
    cells: AnnData,
    journal: Journal,
    adaptations: Mapping[str, Adaptation | None] | None = None,
) -> None:
    """Add ratios and latent spaces to the cells; the models see totals alone."""
    for done, (source, model) in enumerate(models.items()):
        journal.advance(done / len(models), Sources.LABELS[source])
        scvi.settings.seed = 0
        cells.layers[Sources.RATIO_LAYERS[source]] = model.get_counted_splicing_ratio(
            totals, adaptation=None if adaptations is None else adaptations[source]
        )
        cells.obsm[_LATENTS[source][0]] = np.asarray(
            model.get_latent_representation(totals), dtype=np.float32
        )


def _draw_latents(
    cells: AnnData,
    models: Mapping[str, SplicedVAE],
    config: RunConfig,
    journal: Journal,
) -> None:
    """Add a UMAP of each model's latent space."""
    journal.stage(stages.STAGE_LATENTS)
    for done, source in enumerate(models):
        journal.advance(done / len(models), Sources.LABELS[source])
        latent, name = _LATENTS[source]
        drawn = _prediction.umap(cells.obsm[latent], config.seed)
        if drawn is None:
            journal.note(
                f"There are {cells.n_obs} cells, too few for a UMAP, which needs at least "
                f"{_prediction.MIN_CELLS_UMAP}.",
                "umap-left-out",
            )
        else:
            cells.obsm[name] = drawn


# Writing ------------------------------------------------------------------------------------


def _write_model(folder: Path, source: str, model: SplicedVAE) -> None:
    (folder / files.MODEL).mkdir(exist_ok=True)
    with replacing(folder / files.MODEL / source) as temporary:
        model.to_folder(temporary)


def _write_history(folder: Path) -> None:
    history = Run(folder).live()
    _write_table(folder / files.HISTORY, history[list(HISTORY_COLUMNS)])


def _write_table(file: Path, table: pd.DataFrame, *, index: bool = False) -> None:
    with replacing(file) as temporary:
        table.to_csv(temporary, index=index, index_label="gene" if index else None)


def _write_predictions(folder: Path, cells: AnnData, *, whole: bool = True) -> None:
    """Write the cells without what is in other files; less compressed if more is to come."""
    kept = (Layers.SPLICED, Layers.UNSPLICED, *Sources.RATIO_LAYERS.values())
    obs = [
        name for name in (Obs.CLUSTERS, Obs.BATCH, Obs.TRUE_TIME, Obs.SPLIT) if name in cells.obs
    ]
    with ad.settings.override(allow_write_nullable_strings=False):
        files.write_h5ad(
            folder / files.PREDICTIONS,
            AnnData(
                X=cells.X,
                obs=cells.obs[obs].copy(),
                var=cells.var.copy(),
                layers={name: cells.layers[name] for name in kept if name in cells.layers},
                obsm=dict(cells.obsm),
            ),
            fast=not whole,
        )


def _write_provenance(
    config: RunConfig, folder: Path, journal: Journal, resumed: Sequence[Mapping[str, Any]]
) -> None:
    status = read_status(folder)
    now = time.time()
    files.write_json(
        folder / files.PROVENANCE,
        {
            "splicedvae": __version__,
            "code": code_version(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "machine": platform.machine(),
            "device": "cuda" if torch.cuda.is_available() else "cpu",
            "threads": torch.get_num_threads(),
            "packages": {name: _version(name) for name in _PACKAGES},
            "data_sha256": config.data_sha256,
            "seed": config.seed,
            "started": status.started,
            "finished": now,
            "seconds": None
            if status.started is None
            else round(now - status.started + journal.seconds_before, 3),
            "stages": journal.seconds,
            "work": None if journal.work is None else journal.work.to_dict(),
            "resumed": list(resumed),
            "model": _model_account(config),
        },
    )


def _model_account(config: RunConfig) -> dict[str, str] | None:
    """Return which stored model answered, with its card; None where a run did or none was asked."""
    if config.model_run is None:
        return None
    found = open_models(config.model_run)
    return None if found.stored is None else dict(found.account())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
