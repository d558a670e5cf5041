"""A run's settings for a reader: first what somebody chose, then what is as usual."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from splicedvae.runs import RunConfig
from splicedvae.views.reproduce import file_name

if TYPE_CHECKING:
    from splicedvae.runs import Run

#: Settings that name things and have no usual value.
_NAMES: Final = ("data", "name", "data_sha256")
_PATHS: Final = ("data", "model_run")


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting of a run.

    Attributes
    ----------
    name
        As in `splicedvae.runs.RunConfig`; those of the velocity start with ``velocity:``.
    value
        What it was, as text.
    usual
        What it is if nobody names it, as text; empty for what has no usual value.
    is_usual
        Whether both are the same.
    """

    name: str
    value: str
    usual: str
    is_usual: bool


def run_settings(run: Run) -> list[Setting]:
    """List all settings of a run, those that differ from the defaults first.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    Every field of its configuration once; paths without their folders.
    """
    config = run.config
    found = []
    for item in dataclasses.fields(RunConfig):
        if item.name == "velocity":
            continue
        value = getattr(config, item.name)
        if item.name in _PATHS and value is not None:
            value = file_name(str(value))
        has_usual = item.name not in _NAMES
        found.append(
            Setting(
                item.name,
                _text(value),
                _text(item.default) if has_usual else "",
                has_usual and value == item.default,
            )
        )
    usual = config.with_velocity().velocity.to_dict()
    for name, value in config.velocity.to_dict().items():
        found.append(
            Setting(f"velocity: {name}", _text(value), _text(usual[name]), value == usual[name])
        )
    return sorted(found, key=lambda setting: setting.is_usual)


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list | tuple):
        return (
            ", ".join(
                " > ".join(map(str, item)) if isinstance(item, list | tuple) else str(item)
                for item in value
            )
            or "none"
        )
    return str(value)
