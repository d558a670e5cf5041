"""Trained models with cards and digests: with the package, added by the user, or fetched.

A stored model is a folder of safetensors, JSON and CSV without any counts; see
`splicedvae.store.StoredModel`. Runs are no part of the store: `splicedvae.runs.store_run` makes a
stored model of a finished training.
"""

from __future__ import annotations

from splicedvae.store._card import (
    CardEvaluation,
    CardMetric,
    CardSource,
    ModelCard,
    checked_name,
)
from splicedvae.store._folder import (
    COUNTS_SHARE,
    StoredModel,
    is_stored_model,
    read_stored,
    write_stored,
)
from splicedvae.store._places import (
    add_model,
    bundled_folder,
    find_model,
    list_models,
    models_folder,
    open_stored,
    remove_model,
)

__all__ = [
    "COUNTS_SHARE",
    "CardEvaluation",
    "CardMetric",
    "CardSource",
    "ModelCard",
    "StoredModel",
    "add_model",
    "bundled_folder",
    "checked_name",
    "find_model",
    "is_stored_model",
    "list_models",
    "models_folder",
    "open_stored",
    "read_stored",
    "remove_model",
    "write_stored",
]
