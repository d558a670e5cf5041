"""Write and restore checkpoints, so that a resumed training equals an uninterrupted one.

A snapshot is taken between two epochs, with the state of torch's random number generators, so that
the order of the next minibatches, dropout and the noise of the latent states are those that would
have come. It is written at times, and when a stop is requested.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from scvi.model._utils import parse_device_args

from splicedvae._core.files import replacing
from splicedvae.runs.checkpoint import Checkpoints, Record, damaged
from splicedvae.runs.sealed import is_intact, sealed

#: Seconds between two writings of a checkpoint, after the first minute of a training.
WRITE_EVERY: Final = 30.0
#: Seconds between two snapshots in memory, which are what a stop writes.
SNAPSHOT_EVERY: Final = 1.0

_WEIGHTS: Final = "weights."
_OPTIMIZER: Final = "optimizer."
_RANDOM: Final = "random."


@dataclass(frozen=True)
class _Snapshot:
    record: Record
    tensors: dict[str, torch.Tensor]


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format)


def _weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {f"{_WEIGHTS}{name}": _copy(tensor) for name, tensor in module.state_dict().items()}


def _write(file: Path, tensors: dict[str, torch.Tensor], record: Record) -> None:
    with replacing(file) as temporary:
        temporary.write_bytes(sealed(save(tensors, metadata=record.to_header())))


def _read(file: Path) -> dict[str, torch.Tensor]:
    if not is_intact(file):
        raise damaged(file)
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise damaged(file) from error


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _load_weights(module: torch.nn.Module, tensors: dict[str, torch.Tensor], file: Path) -> None:
    try:
        module.load_state_dict(_part(tensors, _WEIGHTS))
    except (RuntimeError, KeyError) as error:
        raise damaged(file) from error


def random_state() -> dict[str, torch.Tensor]:
    """Return the states of a training's random generators: torch's, on the CPU and each GPU."""
    state = {"cpu": torch.random.get_rng_state()}
    for device in range(torch.cuda.device_count()):
        state[f"cuda_{device}"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, torch.Tensor]) -> None:
    """Put back what `random_state` returned; generators of devices that are gone are left out.

    Parameters
    ----------
    state
        As returned.
    """
    torch.random.set_rng_state(state["cpu"])
    for device in range(torch.cuda.device_count()):
        if f"cuda_{device}" in state:
            torch.cuda.set_rng_state(state[f"cuda_{device}"], device)


def keep_finished(checkpoints: Checkpoints, training: str, model: Any, record: Record) -> None:
    """Replace the checkpoint of a finished training by its weights.

    Parameters
    ----------
    checkpoints
        Those of the run.
    training
        Which.
    model
        The trained model.
    record
        From `Checkpoints.new_record`.
    """
    checkpoints.ready()
    _write(checkpoints.file(training), _weights(model.module), record)


def restore_finished(checkpoints: Checkpoints, training: str, model: Any) -> None:
    """Give a model that was just made the weights of its finished training.

    Parameters
    ----------
    checkpoints
        Those of the run.
    training
        Which.
    model
        A model of scvi-tools, registered with the same cells.

    Raises
    ------
    RunError
        If the checkpoint is damaged.
    """
    file = checkpoints.file(training)
    _load_weights(model.module, _read(file), file)
    model.is_trained_ = True
    if hasattr(model, "head_fitted_"):
        model.head_fitted_ = True
    model.module.eval()
    _, _, device = parse_device_args(accelerator="auto", devices="auto", return_device="torch")
    model.to_device(device)


class Keeper(Callback):
    """Save the state of a training, and restore it.

    Parameters
    ----------
    checkpoints
        Those of the run.
    training
        Which training this is.
    clock
        Seconds; only differences count.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        training: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkpoints = checkpoints
        self._training = training
        self._clock = clock
        self._saved = checkpoints.record(training)
        self._random: dict[str, torch.Tensor] | None = None
        self._newest: _Snapshot | None = None
        self._begun = self._written = clock()
        self._taken = float("-inf")

    @property
    def epoch(self) -> int:
        """Epochs that were done before this process."""
        return 0 if self._saved is None else self._saved.epoch

    @property
    def seconds(self) -> float:
        """Time spent on this training, that of earlier processes included."""
        before = 0.0 if self._saved is None else self._saved.seconds
        return before + self._clock() - self._begun

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore weights, optimizer and epoch, so that KL warm-up continues.

        Parameters
        ----------
        trainer
            Lightning's trainer.
        pl_module
            The training plan.
        """
        self._begun = self._written = self._clock()
        if self._saved is None:
            return
        file = self._checkpoints.file(self._training)
        tensors = _read(file)
        _load_weights(_module(pl_module), tensors, file)
        optimizer = trainer.optimizers[0]
        state: dict[int, dict[str, torch.Tensor]] = {}
        try:
            for name, value in _part(tensors, _OPTIMIZER).items():
                index, entry = name.split(".", 1)
                state.setdefault(int(index), {})[entry] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        except (ValueError, KeyError, RuntimeError) as error:
            raise damaged(file) from error
        self._random = _part(tensors, _RANDOM)
        if "cpu" not in self._random:
            raise damaged(file)
        loop = trainer.fit_loop
        counted = ("ready", "started", "processed", "completed")
        done = dict.fromkeys(counted, self._saved.epoch)
        loop.epoch_progress.load_state_dict({"total": done, "current": done})
        steps = loop.epoch_loop
        total = (
            steps.automatic_optimization.optim_progress.optimizer.step.total
            if pl_module.automatic_optimization
            else steps.manual_optimization.optim_step_progress.total
        )
        total.ready = total.completed = self._saved.steps

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the random generators: the minibatches are drawn after this.

        Parameters
        ----------
        trainer
            Not used.
        pl_module
            Not used.
        """
        if self._random is not None:
            set_random_state(self._random)
            self._random = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take a snapshot and write it, each if enough time has passed.

        Parameters
        ----------
        trainer
            Lightning's trainer.
        pl_module
            The training plan.
        """
        now = self._clock()
        if now - self._taken < SNAPSHOT_EVERY:
            return
        self._newest = self._snapshot(trainer, pl_module)
        self._taken = now
        # Often in the beginning, so that a run killed after a minute has not lost half of it.
        if now - self._written >= min(WRITE_EVERY, max((now - self._begun) / 2, SNAPSHOT_EVERY)):
            self.flush()

    def _snapshot(self, trainer: Trainer, pl_module: LightningModule) -> _Snapshot:
        tensors = _weights(_module(pl_module))
        for index, entries in trainer.optimizers[0].state_dict()["state"].items():
            for name, value in entries.items():
                tensors[f"{_OPTIMIZER}{index}.{name}"] = _copy(torch.as_tensor(value))
        tensors.update({f"{_RANDOM}{name}": value for name, value in random_state().items()})
        record = self._checkpoints.new_record(
            self._training,
            # Lightning counts the epoch that ends after this.
            epoch=trainer.current_epoch + 1,
            epochs=trainer.max_epochs or 0,
            steps=trainer.global_step,
            seconds=self.seconds,
            device=pl_module.device.type,
        )
        return _Snapshot(record, tensors)

    def flush(self) -> None:
        """Write the newest snapshot, if there is one that was not written."""
        if self._newest is None:
            return
        self._checkpoints.ready()
        _write(self._checkpoints.file(self._training), self._newest.tensors, self._newest.record)
        self._written = self._clock()
        self._newest = None


def _module(plan: LightningModule) -> torch.nn.Module:
    module = plan.module
    assert isinstance(module, torch.nn.Module)
    return module
