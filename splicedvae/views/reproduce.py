"""How a run is made again: as a command line, and exactly, as Python."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from splicedvae.runs import RunConfig
from splicedvae.velocity import VelocitySettings

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: Settings that are not options of the command.
_ELSEWHERE: Final = ("data", "data_sha256", "kind", "model_run", "orthologs", "velocity")
#: Settings that the command would judge by the file if they were not named.
_JUDGED: Final = ("cluster_key", "counts")
#: Options of ``train`` and of ``velocity`` for the settings of the velocity; the number of threads
#: has none, as it changes nothing.
_VELOCITY: Final[dict[str, tuple[str, str]]] = {
    "mode": ("--velocity-mode", "--mode"),
    "n_neighbors": ("--n-neighbors", "--n-neighbors"),
    "n_pcs": ("--n-pcs", "--n-pcs"),
    "n_top_genes": ("--velocity-genes", "--n-top-genes"),
    "min_shared_counts": ("--velocity-min-counts", "--min-shared-counts"),
    "seed": ("--velocity-seed", "--seed"),
}
#: Settings of the prediction that the command ``predict`` takes.
_PREDICT: Final = (
    "total",
    "spliced_layer",
    "unspliced_layer",
    "ambiguous_layer",
    "ambiguous",
    "counts",
    "batch_key",
    "orthologs",
)


def file_name(path: str) -> str:
    """Return the last part of a path: where a file lay on a machine concerns no reader."""
    return Path(path.replace("\\", "/")).name


def command_line(run: Run) -> str:
    """Return the ``splicedvae`` command that does the work of a run again.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    For a shell, with file names instead of paths and only the settings that the command would
    not choose itself. A run of kind ``"predict"`` takes two commands, which write its
    predictions and their velocity into files.
    """
    config = run.config
    data = file_name(config.data)
    if config.kind == "predict":
        words = ["splicedvae", "predict", file_name(str(config.model_run)), data]
        options = _options(config, _PREDICT)
        first = shlex.join([*words, *options, "--out", "predicted.h5ad"])
        velocity = _velocity_options(config.velocity, VelocitySettings(), "velocity")
        words = ["splicedvae", "velocity", "predicted.h5ad", "--use", "predicted", *velocity]
        return f"{first}\n{shlex.join([*words, '--out', 'velocity.h5ad'])}"
    velocity = _velocity_options(config.velocity, config.with_velocity().velocity, "train")
    names = [item.name for item in dataclasses.fields(RunConfig) if item.name not in _ELSEWHERE]
    words = ["splicedvae", "train", data, "--out", "RUN", *_options(config, names), *velocity]
    return shlex.join(words)


def _options(config: RunConfig, names: Iterable[str]) -> list[str]:
    defaults = {item.name: item.default for item in dataclasses.fields(RunConfig)}
    words: list[str] = []
    for name in names:
        value = getattr(config, name)
        if name == "transitions":
            words += [word for pair in value for word in ("--transitions", ">".join(pair))]
        elif name in _JUDGED or value != defaults[name]:
            # The command writes "none" as an empty name and "all genes" as 0.
            nothing = "0" if name == "n_top_genes" else ""
            words += [f"--{name.replace('_', '-')}", nothing if value is None else str(value)]
    return words


def _velocity_options(
    settings: VelocitySettings, usual: VelocitySettings, command: Literal["train", "velocity"]
) -> list[str]:
    """Return the options for the settings that a command would not choose itself."""
    words: list[str] = []
    for name, (train, velocity) in _VELOCITY.items():
        value = getattr(settings, name)
        if value != getattr(usual, name):
            words.append(train if command == "train" else velocity)
            words.append("0" if value is None else str(value))
    return words


def python_call(run: Run) -> str:
    """Return the Python that does the work of a run again, with every setting.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    A program; the data file is named without its folder.
    """
    values: dict[str, Any] = run.config.to_dict()
    values["data"] = file_name(values["data"])
    if values.get("model_run"):
        values["model_run"] = file_name(values["model_run"])
    text = json.dumps(values, indent=4, ensure_ascii=False)
    return (
        "import json\n\n"
        "from splicedvae.pipeline import execute\n"
        "from splicedvae.runs import RunConfig\n\n"
        f"config = json.loads({_raw(text)})\n"
        'run = execute(RunConfig.from_dict(config), "RUN")\n'
    )


def _raw(text: str) -> str:
    """Write a text as a Python literal over several lines where that is safe."""
    if "'''" in text or "\\" in text:
        return repr(text)
    return f"r'''\n{text}\n'''"
