"""How a run is made again: as a command line, and exactly, as Python."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splicedvae.runs import RunConfig

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: Settings that stand in the command at another place than among its options.
_ELSEWHERE = ("data", "data_sha256", "kind", "model_run", "velocity")


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
    One line for a shell, with file names in place of paths and only the settings that are not
    the defaults.
    """
    config = run.config
    data = file_name(config.data)
    if config.kind == "predict":
        words = ["splicedvae", "predict", file_name(str(config.model_run)), data]
        words += ["--out", "predicted.h5ad"]
    else:
        words = ["splicedvae", "train", data, "--out", "RUN"]
    for item in dataclasses.fields(RunConfig):
        if item.name in _ELSEWHERE:
            continue
        value = getattr(config, item.name)
        if value is not None and value != item.default:
            words += [f"--{item.name.replace('_', '-')}", str(value)]
    return shlex.join(words)


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
        "from splicedvae.runs import RunConfig, execute\n\n"
        f"config = json.loads({_raw(text)})\n"
        'run = execute(RunConfig.from_dict(config), "RUN")\n'
    )


def _raw(text: str) -> str:
    """Write a text as a Python literal over several lines where that is safe."""
    if "'''" in text or "\\" in text:
        return repr(text)
    return f"r'''\n{text}\n'''"
