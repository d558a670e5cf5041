"""The settings of a run and of its velocities, each declared once.

A setting is a field of `RunFields` or `VelocityFields`: its type, bounds and usual value, its label
and the words that explain it. Checks, options of the command line, the training form and the lists
of attributes follow from there. `RunConfig` of `splicedvae.runs` and `VelocitySettings` of
`splicedvae.velocity` are these fields with what can be done with them.
"""

from __future__ import annotations

import dataclasses
import inspect
import numbers
import textwrap
import types
import typing
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from splicedvae._core.errors import RunError, SplicedVAEError
from splicedvae._core.keys import Ambiguous, Counts, HeadKind, RatioLikelihood, VelocityMode

Kind = Literal["train", "predict"]
C = TypeVar("C", bound=type)

#: Whole numbers lie below it, as seeds of all libraries do.
_WHOLE: Final = 2**32
#: No other number is larger.
_LARGEST: Final = 1e12


def _whole(label: str, words: str, *, least: int = 0) -> Any:
    return Field(title=label, description=words, ge=least, lt=_WHOLE)


def _number(
    label: str,
    words: str,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float = _LARGEST,
) -> Any:
    return Field(title=label, description=words, ge=least, gt=above, lt=below, allow_inf_nan=False)


def _text(label: str, words: str) -> Any:
    return Field(title=label, description=words)


@dataclass(frozen=True)
class Setting:
    """What is declared of one setting.

    Attributes
    ----------
    name
        The field.
    label
        A few words, for forms.
    words
        What it is, in a sentence or two.
    kind
        Its type.
    usual
        Its value if nobody names it; `dataclasses.MISSING` where it must be named.
    least
        Least value, or None where there is no bound.
    """

    name: str
    label: str
    words: str
    kind: Any
    usual: Any
    least: float | None

    @property
    def choices(self) -> tuple[str, ...]:
        """What a setting can be that is one of a few words; empty for others."""
        kinds = (self.kind, *_options(self.kind))
        return next(
            (typing.get_args(kind) for kind in kinds if typing.get_origin(kind) is Literal), ()
        )


def settings_of(owner: Any) -> dict[str, Setting]:
    """Return what is declared of the settings of a class, by name and in their order.

    Parameters
    ----------
    owner
        `RunFields`, `VelocityFields` or a class made of one of them.
    """
    return _declared(owner)


@cache
def _declared(owner: Any) -> dict[str, Setting]:
    hints = typing.get_type_hints(owner, include_extras=True)
    found = {}
    for item in dataclasses.fields(owner):
        hint = hints[item.name]
        info = next(iter(getattr(hint, "__metadata__", ())), None)
        if not isinstance(info, FieldInfo):
            continue
        bounds = [getattr(one, "ge", None) for one in info.metadata]
        found[item.name] = Setting(
            name=item.name,
            label=info.title or item.name,
            words=info.description or "",
            kind=typing.get_args(hint)[0],
            usual=item.default,
            least=next((bound for bound in bounds if bound is not None), None),
        )
    return found


@cache
def _validators(owner: Any) -> dict[str, TypeAdapter[Any]]:
    hints = typing.get_type_hints(owner, include_extras=True)
    return {name: TypeAdapter(hints[name]) for name in settings_of(owner)}


def described(owner: C) -> C:
    """Add the attributes of a class of settings to its docstring, from their declarations."""
    lines = [inspect.cleandoc(owner.__doc__ or ""), "", "Attributes", "----------"]
    for name, setting in settings_of(owner).items():
        lines += [name, textwrap.indent(textwrap.fill(setting.words, 92), "    ")]
    owner.__doc__ = "\n".join(lines) + "\n"
    return owner


class _Checked:
    """Fields that are checked when they are set."""

    #: What is raised, and what a setting is called in its sentence.
    _error: ClassVar[type[SplicedVAEError]] = SplicedVAEError
    _noun: ClassVar[str] = "setting"

    def __post_init__(self) -> None:
        owner: Any = type(self)
        for name, adapter in _validators(owner).items():
            value = getattr(self, name)
            # numpy's numbers are read as Python's, and 1 and 1.0 are one request with one id.
            if isinstance(value, numbers.Integral) and not isinstance(value, bool):
                value = int(value)
            try:
                value = adapter.validate_python(value, strict=True)
            except ValidationError as error:
                raise self._error(self._refusal(name, value, error)) from None
            object.__setattr__(self, name, value)

    @classmethod
    def _refusal(cls, name: str, value: Any, error: ValidationError) -> str:
        """Say in a sentence what a value is and what it can be."""
        first = error.errors(include_url=False, include_input=False)[0]
        bounds = first.get("ctx", {})
        said = f"The {cls._noun} {name!r} is {str(value)[:60]!r}, "
        for bound, words in (
            ("ge", "and it must be at least {}: raise it."),
            ("gt", "and it must be above {}: raise it."),
            ("lt", "and it must be below {}: lower it."),
        ):
            if bound in bounds:
                least = bounds[bound]
                return said + words.format(f"{least:g}" if isinstance(least, float) else least)
        kind = settings_of(cls)[name].kind
        return f"{said}which is none of what it can be: {_kind_words(kind)}; correct it."


def _options(kind: Any) -> tuple[Any, ...]:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return typing.get_args(kind)
    return (kind,)


def _kind_words(kind: Any) -> str:
    words: list[str] = []
    for option in _options(kind):
        if option is types.NoneType:
            words.append("nothing")
        elif typing.get_origin(option) is Literal:
            words.extend(repr(item) for item in typing.get_args(option))
        else:
            words.append({int: "a whole number below 2^32", float: "a number", str: "text"}[option])
    return " or ".join(words)


@dataclass(frozen=True)
class VelocityFields(_Checked):
    """The settings of a velocity."""

    _noun: ClassVar[str] = "velocity setting"

    mode: Annotated[
        VelocityMode,
        _text(
            "Velocity model",
            "How the steady state is found. Balanced: relative to the gene's mean ratio, so that a "
            "constant ratio gives no velocity. Stochastic and deterministic: scVelo's models, with "
            "which composition and noise draw orderly arrows too.",
        ),
    ] = "balanced"
    n_top_genes: Annotated[
        int | None,
        _whole(
            "Velocity genes",
            "Most variable genes of the totals to use among the eligible ones, or all that pass.",
            least=1,
        ),
    ] = 2000
    min_shared_counts: Annotated[
        int,
        _whole(
            "Least shared counts",
            "Counts a gene needs in cells that have both its layers, or in all cells where there "
            "are no layers.",
        ),
    ] = 20
    n_pcs: Annotated[
        int,
        _whole(
            "Principal components",
            "Principal components that neighbours are found in; fewer where there are fewer genes "
            "or cells.",
            least=2,
        ),
    ] = 30
    n_neighbors: Annotated[
        int,
        _whole(
            "Neighbours",
            "Neighbours of a cell, itself included. The balanced model takes fewer where there are "
            "few cells: one in fifteen, but at least 10.",
            least=3,
        ),
    ] = 30
    seed: Annotated[int, _whole("Seed", "Seed of the neighbour search and of the map.")] = 0
    n_jobs: Annotated[
        int,
        _whole(
            "Threads",
            "Threads for moments, graph and confidence; -1 for one a core. The result is the same.",
            least=-1,
        ),
    ] = 1


@dataclass(frozen=True)
class RunFields(_Checked):
    """The settings of a run."""

    _error: ClassVar[type[SplicedVAEError]] = RunError

    data: Annotated[str, _text("File", "Path of the data file. It is not part of the id.")]
    data_sha256: Annotated[
        str,
        _text(
            "Digest",
            "Digest of the file's content, 64 hexadecimal digits; checked again before reading.",
        ),
    ]
    name: Annotated[
        str, _text("Name of the run", "Display name of the run. It is not part of the id.")
    ]
    kind: Annotated[
        Kind,
        _text(
            "Kind",
            "Train: fit both models on a file with S/U and evaluate them. Predict: ask the models "
            "of an earlier run about another file.",
        ),
    ] = "train"
    total: Annotated[
        str | None,
        _text(
            "Totals",
            "Where the raw total counts are: X, raw.X, a layer's name, 'spliced + unspliced' or "
            "'spliced + unspliced + ambiguous'. Found by itself if not given.",
        ),
    ] = None
    spliced_layer: Annotated[
        str | None,
        _text(
            "Spliced layer",
            "Layer with spliced counts. Found under its usual names if not given.",
        ),
    ] = None
    unspliced_layer: Annotated[
        str | None,
        _text(
            "Unspliced layer",
            "Layer with unspliced counts. Found under its usual names if not given.",
        ),
    ] = None
    ambiguous_layer: Annotated[
        str | None,
        _text(
            "Ambiguous layer",
            "Layer with ambiguous counts. Found under its usual names if not given.",
        ),
    ] = None
    ambiguous: Annotated[
        Ambiguous | None,
        _text(
            "Ambiguous counts",
            "Whether ambiguous counts are added to the spliced ones or kept apart; totals made of "
            "layers hold them either way. As the tool that counted advises if not given: added for "
            "kb and alevin-fry, apart for velocyto and STARsolo.",
        ),
    ] = None
    cluster_key: Annotated[
        str | None,
        _text(
            "Clusters",
            "Column of obs with cell groups: colours the figures and keeps each group's share in "
            "the held-out cells.",
        ),
    ] = None
    batch_key: Annotated[
        str | None,
        _text(
            "Batches",
            "Column of obs with the batch of each cell, which the models correct for; none for one "
            "experiment.",
        ),
    ] = None
    counts: Annotated[
        Counts,
        _text(
            "Totals contain",
            "Whether the totals contain reads in introns (STARsolo GeneFull, Cell Ranger 7 and "
            "later), so that spliced + unspliced = total, or exonic ones alone, so that unspliced "
            "counts come on top.",
        ),
    ] = "with-introns"
    held_out: Annotated[
        float,
        _number(
            "Held-out cells",
            "Share of the cells kept out of everything fitted; all numbers come from them.",
            above=0,
            below=1,
        ),
    ] = 0.2
    fold: Annotated[
        int,
        _whole(
            "Fold", "Which share is held out: folds 0, 1, ... of one seed hold out other cells."
        ),
    ] = 0
    split_by: Annotated[
        str | None,
        _text(
            "Held-out group",
            "Column of obs (batch, donor, species): hold out the group that the fold counts to, in "
            "the order of names, as a whole.",
        ),
    ] = None
    transitions: tuple[tuple[str, str], ...] = ()
    min_shared_counts: Annotated[
        int,
        _whole(
            "Least shared counts",
            "Counts, spliced and unspliced together, that a gene needs over the training cells "
            "that have both; genes with fewer are left out.",
        ),
    ] = 20
    min_cells: Annotated[
        int,
        _whole("Least cells", "Training cells in which each layer must have a molecule of a gene."),
    ] = 0
    n_top_genes: Annotated[
        int | None,
        _whole(
            "Most variable genes",
            "Most variable genes to model, chosen on the training cells, or all that pass.",
            least=1,
        ),
    ] = 2000
    max_epochs: Annotated[
        int | None,
        _whole(
            "Epochs",
            "Passes over the training cells, the same for SplicedVAE and scVI; if not given 100, "
            "and fewer above 20,000 cells.",
            least=1,
        ),
    ] = None
    batch_size: Annotated[
        int, _whole("Cells in one step", "Cells in one step of training.", least=2)
    ] = 128
    n_latent: Annotated[
        int,
        _whole(
            "Latent dimensions",
            "Dimensions of the latent space: how many numbers both models describe a cell by.",
            least=1,
        ),
    ] = 10
    ratio_likelihood: Annotated[
        RatioLikelihood,
        _text(
            "Ratio likelihood",
            "How far counts may scatter around the predicted ratio. Binomial: by sampling alone. "
            "Beta-binomial: further. Squared error: of the ratio, weighted by the count.",
        ),
    ] = "binomial"
    ratio_head: Annotated[
        HeadKind,
        _text(
            "Ratio decoder",
            "What leads from a cell's latent state to the ratio of each gene.",
        ),
    ] = "linear"
    ratio_weight: Annotated[
        float | None,
        _number(
            "Ratio weight", "Weight of the ratio's loss; the model's default if not given.", above=0
        ),
    ] = None
    ratio_shrinkage: Annotated[
        float | None,
        _number(
            "Ratio shrinkage",
            "Strength of the pull of each gene to its mean ratio; more is safer and flatter. "
            "Learned from the data if not given.",
            least=0,
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        _number("Learning rate", "Step size of the optimiser; 0.006 if not given.", above=0),
    ] = None
    velocity: VelocityFields = field(default=None)  # type: ignore[assignment]
    seed: Annotated[
        int,
        _whole(
            "Seed",
            "Seed of the split, the training and the maps: another seed is another run.",
        ),
    ] = 0
    model_run: Annotated[
        str | None,
        _text(
            "Model",
            "For a prediction: id or folder of the run whose models are asked.",
        ),
    ] = None
