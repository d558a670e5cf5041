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
        Lower bound, or None if there is none.
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
            ("ge", "expected at least {}: raise it."),
            ("gt", "expected more than {}: raise it."),
            ("lt", "expected less than {}: lower it."),
        ):
            if bound in bounds:
                least = bounds[bound]
                return said + words.format(f"{least:g}" if isinstance(least, float) else least)
        kind = settings_of(cls)[name].kind
        return f"{said}expected {_kind_words(kind)}; correct it."


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
            "How the steady state is estimated. Balanced: relative to the gene's mean "
            "ratio, so a constant ratio gives no velocity. Stochastic and deterministic: "
            "scVelo's models, with which composition and noise also give orderly arrows.",
        ),
    ] = "balanced"
    n_top_genes: Annotated[
        int | None,
        _whole(
            "Velocity genes",
            "Number of highly variable genes of the totals to use among the eligible ones, "
            "or all that pass.",
            least=1,
        ),
    ] = 2000
    min_shared_counts: Annotated[
        int,
        _whole(
            "Minimum shared counts",
            "Minimum counts of a gene in cells that have both its layers, or in all cells "
            "without layers.",
        ),
    ] = 20
    n_pcs: Annotated[
        int,
        _whole(
            "Principal components",
            "Principal components for the neighbor search; fewer with fewer genes or cells.",
            least=2,
        ),
    ] = 30
    n_neighbors: Annotated[
        int,
        _whole(
            "Neighbors",
            "Neighbors of a cell, including itself. With few cells the balanced model uses "
            "fewer: one in fifteen, but at least 10.",
            least=3,
        ),
    ] = 30
    seed: Annotated[int, _whole("Seed", "Seed of the neighbor search and of the embedding.")] = 0
    n_jobs: Annotated[
        int,
        _whole(
            "Threads",
            "Threads for moments, graph and confidence; -1 for one per core. The result is "
            "the same.",
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
            "Checksum of the file's content, 64 hexadecimal digits; checked again before reading.",
        ),
    ]
    name: Annotated[
        str, _text("Name of the run", "Display name of the run. It is not part of the id.")
    ]
    kind: Annotated[
        Kind,
        _text(
            "Kind",
            "Train: fit both models on a file with S/U and evaluate them. Predict: apply "
            "the models of an earlier run to another file.",
        ),
    ] = "train"
    total: Annotated[
        str | None,
        _text(
            "Totals",
            "Where the raw total counts are: X, raw.X, a layer's name, 'spliced + "
            "unspliced' or 'spliced + unspliced + ambiguous'. Detected if not given.",
        ),
    ] = None
    spliced_layer: Annotated[
        str | None,
        _text(
            "Spliced layer",
            "Layer with spliced counts. Detected by its usual names if not given.",
        ),
    ] = None
    unspliced_layer: Annotated[
        str | None,
        _text(
            "Unspliced layer",
            "Layer with unspliced counts. Detected by its usual names if not given.",
        ),
    ] = None
    ambiguous_layer: Annotated[
        str | None,
        _text(
            "Ambiguous layer",
            "Layer with ambiguous counts. Detected by its usual names if not given.",
        ),
    ] = None
    ambiguous: Annotated[
        Ambiguous | None,
        _text(
            "Ambiguous counts",
            "Whether ambiguous counts are added to the spliced ones or kept separate; "
            "totals that are sums of layers include them either way. If not given, as the "
            "counting tool recommends: added for kb and alevin-fry, separate for velocyto "
            "and STARsolo.",
        ),
    ] = None
    cluster_key: Annotated[
        str | None,
        _text(
            "Clusters",
            "Column of obs with cell groups. It colors the figures, and each group keeps "
            "its share in the held-out cells.",
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
            "Whether the totals contain intronic reads (STARsolo GeneFull, Cell Ranger 7 "
            "and later), so that spliced + unspliced = total, or only exonic ones, so that "
            "unspliced counts are additional.",
        ),
    ] = "with-introns"
    held_out: Annotated[
        float,
        _number(
            "Held-out cells",
            "Share of cells to hold out from training and all fitted parameters; all "
            "metrics use these cells.",
            above=0,
            below=1,
        ),
    ] = 0.2
    fold: Annotated[
        int,
        _whole(
            "Fold", "Which fold is held out: folds 0, 1, ... of one seed hold out different cells."
        ),
    ] = 0
    split_by: Annotated[
        str | None,
        _text(
            "Held-out group",
            "Column of obs (batch, donor, species): hold out one whole group, the one that "
            "the fold numbers in the order of names.",
        ),
    ] = None
    transitions: tuple[tuple[str, str], ...] = ()
    min_shared_counts: Annotated[
        int,
        _whole(
            "Minimum shared counts",
            "Minimum spliced plus unspliced counts of a gene over the training cells that "
            "have both; genes with fewer are left out.",
        ),
    ] = 20
    min_cells: Annotated[
        int,
        _whole(
            "Minimum cells",
            "Minimum number of training cells with a molecule of the gene in each layer.",
        ),
    ] = 0
    n_top_genes: Annotated[
        int | None,
        _whole(
            "Highly variable genes",
            "Number of highly variable genes to model, selected on the training cells, or "
            "all that pass.",
            least=1,
        ),
    ] = 2000
    max_epochs: Annotated[
        int | None,
        _whole(
            "Epochs",
            "Passes over the training cells, the same for SplicedVAE and scVI; if not "
            "given 100, fewer above 20,000 cells.",
            least=1,
        ),
    ] = None
    batch_size: Annotated[int, _whole("Batch size", "Cells in one training step.", least=2)] = 128
    n_latent: Annotated[
        int,
        _whole(
            "Latent dimensions",
            "Size of the latent space of both models.",
            least=1,
        ),
    ] = 10
    ratio_likelihood: Annotated[
        RatioLikelihood,
        _text(
            "Ratio likelihood",
            "How counts vary around the predicted ratio. Binomial: sampling noise only. "
            "Beta-binomial: overdispersion per gene. Squared error: of the ratio, weighted "
            "by the count.",
        ),
    ] = "binomial"
    ratio_head: Annotated[
        HeadKind,
        _text(
            "Ratio decoder",
            "Decodes the ratio of each gene from a cell's latent state.",
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
            "How strongly ratios shrink to the gene's mean; more is safer, with smaller "
            "differences between cells. Learned from the data if not given.",
            least=0,
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        _number("Learning rate", "Learning rate; 0.006 if not given.", above=0),
    ] = None
    velocity: VelocityFields = field(default=None)  # type: ignore[assignment]
    seed: Annotated[
        int,
        _whole(
            "Seed",
            "Seed of split, training and embeddings: another seed gives another run.",
        ),
    ] = 0
    model_run: Annotated[
        str | None,
        _text(
            "Model",
            "For a prediction: id or folder of the run whose models are used, or a stored model as "
            "name@digest or folder.",
        ),
    ] = None
    orthologs: Annotated[
        str | None,
        _text(
            "Orthologs of",
            "For a prediction: species of the data, to match its genes to the model's through "
            "one-to-one orthologs. If not given, genes are matched by identifier and name.",
        ),
    ] = None
