"""Options that several commands share, with one spelling and one help text each."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from splicedvae._core.errors import RunError
from splicedvae._core.formats import ACCEPTED
from splicedvae._core.keys import Ambiguous, Counts
from splicedvae._core.settings import RunFields, Setting, settings_of

#: Panels of a command's help.
_WHERE: Final = "Where the counts are"
VELOCITY: Final = "Velocity"


def _option(owner: type, name: str, panel: str) -> Any:
    return typer.Option(help=settings_of(owner)[name].words, rich_help_panel=panel)


def takes(
    into: str,
    owner: type,
    panels: Mapping[Any, Sequence[str]],
    renamed: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option to a command for each of some settings.

    Parameters
    ----------
    into
        The command's parameter that takes what was given, a dictionary by name of the setting.
    owner
        Class whose fields the settings are.
    panels
        Names of settings by the panel of the help that they are in; None is the first.
    renamed
        Options that are not called as the setting is, by name of the setting.
    """
    options = {
        (renamed or {}).get(name, name): (settings_of(owner)[name], panel)
        for panel, names in panels.items()
        for name in names
    }

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapper(**given: Any) -> None:
            values = {
                setting.name: given.pop(option) or None
                if _can_be_all(setting)
                else given.pop(option)
                for option, (setting, _) in options.items()
            }
            command(**given, **{into: values})

        parameters: list[inspect.Parameter] = []
        signature = inspect.signature(command, eval_str=True)
        for name, parameter in signature.parameters.items():
            if name == into:
                parameters += [_parameter(option, *told) for option, told in options.items()]
            else:
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return wrapper

    return decorate


def _can_be_all(setting: Setting) -> bool:
    """Whether a command writes 0 for the None of a number that is usually given."""
    return setting.kind == int | None and setting.usual is not None


def _parameter(option: str, setting: Setting, panel: str | None) -> inspect.Parameter:
    every = _can_be_all(setting)
    words = f"{setting.words} 0 for all." if every else setting.words
    kind = int if every else setting.kind
    return inspect.Parameter(
        option,
        inspect.Parameter.KEYWORD_ONLY,
        default=setting.usual,
        annotation=Annotated[kind, typer.Option(help=words, rich_help_panel=panel)],
    )


Total = Annotated[str | None, _option(RunFields, "total", _WHERE)]
SplicedLayer = Annotated[str | None, _option(RunFields, "spliced_layer", _WHERE)]
UnsplicedLayer = Annotated[str | None, _option(RunFields, "unspliced_layer", _WHERE)]
AmbiguousLayer = Annotated[str | None, _option(RunFields, "ambiguous_layer", _WHERE)]
AmbiguousPlace = Annotated[Ambiguous | None, _option(RunFields, "ambiguous", _WHERE)]
HowCounted = Annotated[
    Counts | None,
    typer.Option(
        help="Whether intronic reads were counted (STARsolo GeneFull, Cell Ranger 7 and later) "
        "or not. Inferred from the file if not given, else with-introns.",
        rich_help_panel=_WHERE,
    ),
]
BatchKey = Annotated[str | None, _option(RunFields, "batch_key", _WHERE)]
ClusterKey = Annotated[
    str | None,
    typer.Option(
        help="Column of obs with cell groups. If not given, the first that looks like one; '' "
        "for none.",
        rich_help_panel=_WHERE,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Overwrite an existing output.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder or id of a finished run, or 'demo'.")
]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Folder or id of a finished run, 'demo', or a model of `splicedvae models list`.",
    ),
]
OrthologsOf = Annotated[
    str | None,
    typer.Option(
        "--orthologs",
        metavar="SPECIES",
        help="Find the model's genes through one-to-one orthologs: species of the data, or 'auto' "
        "to read it off its genes. For a model of another species.",
    ),
]
DataFile = Annotated[
    Path,
    typer.Argument(metavar="DATA", help=f"{ACCEPTED}."),
]
Transitions = Annotated[
    list[str] | None,
    typer.Option(
        "--transitions",
        metavar="FROM>TO",
        help="Cell groups known to follow each other, such as 'Ductal>Ngn3 low EP'; repeat for "
        "several pairs. The direction of velocities is tested against them.",
        rich_help_panel=VELOCITY,
    ),
]


def pairs_of(transitions: list[str] | None) -> tuple[tuple[str, str], ...]:
    """Read pairs of cell groups from a command line.

    Parameters
    ----------
    transitions
        Texts such as ``"A>B"``.

    Raises
    ------
    RunError
        If one is not a pair.
    """
    pairs = []
    for text in transitions or ():
        first, arrow, second = (part.strip() for part in text.partition(">"))
        if not (first and arrow and second):
            raise RunError(
                f"The transition {text[:60]!r} is not a pair of cell groups, expected "
                "FROM>TO: write the names as in the file, with > between them."
            )
        pairs.append((first, second))
    return tuple(pairs)
