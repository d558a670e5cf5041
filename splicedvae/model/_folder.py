"""A model as weights.safetensors and model.json: data only, no code is executed when read."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from splicedvae._core.errors import RunError
from splicedvae._core.files import replacing, write_text
from splicedvae.model._gene_prior import GenePrior

if TYPE_CHECKING:
    from splicedvae.model._model import SplicedVAE

FORMAT = 3
WEIGHTS = "weights.safetensors"
DESCRIPTION = "model.json"
#: Tensors with at least so many numbers, as matrices over genes are, can be written with 16 bits.
LARGE = 4096
#: Parts of scvi-tools' registry that a model needs to answer on new data.
_REGISTRY_PARTS = ("scvi_version", "model_name", "setup_args", "field_registries")


def _to_json(value: Any) -> Any:
    """Turn scvi-tools' registry into what JSON can hold; arrays are tagged."""
    if isinstance(value, dict):
        return {str(key): _to_json(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return {"__array__": value.tolist()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_to_json(entry) for entry in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise RunError(
        f"The model's setup holds a {type(value).__name__}, but JSON holds numbers, text "
        "and lists; use columns of plain numbers or text for batches and covariates."
    )


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"__array__"}:
            entries = value["__array__"]
            text = any(isinstance(entry, str) for entry in entries)
            return np.array(entries, dtype=object if text else None)
        return {key: _from_json(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_from_json(entry) for entry in value]
    return value


def _unused(model: SplicedVAE) -> tuple[str, ...]:
    """Return beginnings of names of weights that no answer of a model depends on.

    scvi-tools makes an encoder of library sizes, and heads of the decoder for dropout and for
    dispersions of single cells, whether a model uses them or not.
    """
    module = model.module
    unused = []
    if module.use_observed_lib_size:
        unused.append("l_encoder.")
    if module.gene_likelihood != "zinb":
        unused.append("decoder.px_dropout_decoder.")
    if module.dispersion != "gene-cell":
        unused.append("decoder.px_r_decoder.")
    return tuple(unused)


def _small(model: SplicedVAE, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out what no answer depends on, and write large tensors with 16 bits."""
    kept = {}
    for name, tensor in weights.items():
        if name.startswith(_unused(model)):
            continue
        if tensor.dtype == torch.float32 and tensor.numel() >= LARGE:
            half = tensor.to(torch.float16)
            # Numbers of a range that 16 bits do not have stay as they are.
            kept[name] = half if bool(torch.isfinite(half).all()) else tensor
        else:
            kept[name] = tensor
    return kept


def write(model: SplicedVAE, folder: Path, details: dict[str, Any], *, small: bool = False) -> None:
    """Write a trained model to a folder, each file in one move.

    Parameters
    ----------
    model
        The model.
    folder
        Where to; made if need be.
    details
        What travels with it.
    small
        Whether to leave out weights that no answer depends on and to write large ones with 16
        bits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "format": FORMAT,
        "class": type(model).__name__,
        "versions": {name: version(name) for name in ("scvi-tools", "torch", "anndata")},
        "options": model.init_params_["non_kwargs"],
        "registry": {
            part: _to_json(model.registry_[part])
            for part in _REGISTRY_PARTS
            if part in model.registry_
        },
        "expression_frozen": model.expression_frozen_,
        "gene_prior": model.gene_prior_,
        "details": details,
    }
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.module.state_dict().items()
    }
    with replacing(folder / WEIGHTS) as temporary:
        save_file(_small(model, weights) if small else weights, temporary)
    write_text(folder / DESCRIPTION, json.dumps(description, indent=1, allow_nan=False))


def _left_out(model: SplicedVAE, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return zeros for the weights that a small model was written without."""
    return {
        name: torch.zeros_like(tensor)
        for name, tensor in model.module.state_dict().items()
        if name not in weights and name.startswith(_unused(model))
    }


def read(cls: type[SplicedVAE], folder: Path) -> SplicedVAE:
    """Read a model from a folder.

    Parameters
    ----------
    cls
        Class to make.
    folder
        The folder.

    Returns
    -------
    The model, on the CPU, ready to answer.

    Raises
    ------
    RunError
        If the folder does not hold such a model.
    """
    for name in (DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            raise RunError(
                f"The model folder '{folder.name}' has no file {name}, expected both "
                f"{DESCRIPTION} and {WEIGHTS}; give the folder of a finished run's model."
            )
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        found = description["format"]
        options, registry = description["options"], _from_json(description["registry"])
        frozen = bool(description["expression_frozen"])
        # Models written before there was one have none.
        prior = GenePrior.from_json(description.get("gene_prior"))
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"The file {DESCRIPTION} of the model folder '{folder.name}' cannot be read "
            f"({type(error).__name__}), expected a model's description; train the model "
            "again."
        ) from error
    if found != FORMAT:
        raise RunError(
            f"The model folder '{folder.name}' has format {found}, expected {FORMAT}; use "
            "the version of splicedvae that wrote it, or train again."
        )
    try:
        model = cls(registry=registry, **options)
        weights = load_file(folder / WEIGHTS)
        model.module.load_state_dict(weights | _left_out(model, weights))
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"The weights of the model folder '{folder.name}' do not fit its description "
            f"({type(error).__name__}), expected the same names and shapes; train the model "
            "again."
        ) from error
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise RunError(
                f"The weights '{name}' of the model folder '{folder.name}' are not all "
                "finite, expected finite numbers; train the model again, with a lower "
                "learning rate if its loss diverged."
            )
    model.is_trained_ = True
    model.gene_prior_ = None if prior is None else prior.to_json()
    model.head_fitted_ = True
    if frozen:
        model._freeze_expression()
    model.module.eval()
    return model
