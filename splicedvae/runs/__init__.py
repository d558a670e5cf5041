"""What a run is: a folder with its configuration, status and results, and how it is found."""

from splicedvae.runs.answering import ModelSource, model_sources, need_trained, open_models
from splicedvae.runs.checkpoint import TRAININGS, Record
from splicedvae.runs.config import FORMAT, RunConfig, code_version, need_layers
from splicedvae.runs.edit import NOTE_LENGTH, annotate, delete, rename
from splicedvae.runs.find import (
    DamagedRun,
    all_runs,
    damaged_runs,
    demo_run,
    find_run,
    list_runs,
    open_run,
    runs_folder,
)
from splicedvae.runs.run import Run, resumable
from splicedvae.runs.status import Pulse, Status
from splicedvae.runs.unmodelled import other_gene_counts, other_genes
from splicedvae.runs.verdict import velocity_facts, velocity_verdict

__all__ = [
    "FORMAT",
    "NOTE_LENGTH",
    "TRAININGS",
    "DamagedRun",
    "ModelSource",
    "Pulse",
    "Record",
    "Run",
    "RunConfig",
    "Status",
    "all_runs",
    "annotate",
    "code_version",
    "damaged_runs",
    "delete",
    "demo_run",
    "find_run",
    "list_runs",
    "model_sources",
    "need_layers",
    "need_trained",
    "open_models",
    "open_run",
    "other_gene_counts",
    "other_genes",
    "rename",
    "resumable",
    "runs_folder",
    "velocity_facts",
    "velocity_verdict",
]
