"""What a model is, in words and numbers that travel with it: the card of a stored model."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
import typing
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from splicedvae._core.errors import StoreError
from splicedvae._core.keys import Counts

#: Version of the card's layout.
CARD_FORMAT: Final = 1
#: What a model may be called: it becomes the name of a folder and a word of a command.
NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
#: Most characters of one text of a card, which may come from anywhere.
_LONGEST: Final = 4000


def checked_name(name: str) -> str:
    """Return a model's name if it can be one.

    Parameters
    ----------
    name
        The name.

    Raises
    ------
    StoreError
        If it holds anything but small letters, digits, dots, dashes and underscores.
    """
    if not NAME.fullmatch(name) or ".." in name:
        raise StoreError(
            f"{name[:60]!r} cannot be a model's name: use small letters, digits, dots, dashes and "
            "underscores, at most 64, such as mouse-pancreas."
        )
    return name


@dataclass(frozen=True)
class CardSource:
    """The data that a model was trained on; the counts themselves are not part of a model."""

    #: What they are, in a line.
    title: str = ""
    #: Where they are published, such as a GEO accession.
    accession: str = ""
    #: Under which licence or terms.
    licence: str = ""
    #: The article to cite.
    citation: str = ""
    #: SHA-256 of the file that was trained on, 64 hexadecimal digits; empty where not known.
    sha256: str = ""


@dataclass(frozen=True)
class CardMetric:
    """One number about held-out cells, as a run's table of metrics has it."""

    predictor: str
    metric: str
    #: Least molecules of the entries that it is about.
    coverage: int
    #: ``None`` where it is not defined.
    value: float | None
    #: What the noise of the data allows at most; ``None`` where not known.
    ceiling: float | None = None


@dataclass(frozen=True)
class CardEvaluation:
    """How the model was judged: on cells that an otherwise equal training did not see."""

    n_train: int = 0
    n_held_out: int = 0
    #: What the velocity of the held-out protocol was worth; empty where not judged.
    verdict: str = ""
    #: Reasons of the verdict, one sentence each.
    reasons: tuple[str, ...] = ()
    metrics: tuple[CardMetric, ...] = ()


@dataclass(frozen=True)
class ModelCard:
    """What a model is, where it comes from, how good it is and what it is not for.

    Attributes
    ----------
    name
        By which it is asked for; small letters, digits, dots, dashes and underscores.
    title
        What it is, in a line.
    species
        Common name, as `splicedvae.triage.guess_species` gives; empty where not known.
    tissues, assay
        What was measured, and by which technique.
    counts
        Whether the totals it was trained on contain intronic reads.
    n_genes, n_cells
        Genes that it knows, cells that its weights were trained on.
    weights_from
        ``"all cells"`` where the weights were trained on all cells of the source and the
        evaluation is of another training with the same settings, ``"training cells"`` where the
        evaluated weights are these.
    source
        The data.
    command
        What was called to train it.
    code
        Version of the package and digest of its source; see `splicedvae.runs.code_version`.
    evaluation
        Numbers on held-out cells, with baselines and ceilings.
    not_for
        What it must not be used for, one sentence each.
    """

    name: str
    title: str
    species: str
    tissues: tuple[str, ...]
    assay: str
    counts: Counts
    n_genes: int
    n_cells: int
    weights_from: Literal["all cells", "training cells"]
    source: CardSource = CardSource()
    command: str = ""
    code: str = ""
    evaluation: CardEvaluation = CardEvaluation()
    not_for: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no card can say.

        Raises
        ------
        StoreError
            If the name cannot be one, a count is negative or a digest is none.
        """
        checked_name(self.name)
        for what, value in (("genes", self.n_genes), ("cells", self.n_cells)):
            if value < 1:
                raise StoreError(
                    f"The card of the model {self.name!r} says {value} {what}, at least 1 was "
                    "expected: correct the card."
                )
        if self.source.sha256 and not _SHA256.fullmatch(self.source.sha256):
            raise StoreError(
                f"The card of the model {self.name!r} holds no SHA-256 of its data, 64 "
                "hexadecimal digits were expected: correct it or leave it out."
            )

    def renamed(self, name: str) -> ModelCard:
        """Return the same card under another name.

        Parameters
        ----------
        name
            The name.
        """
        return dataclasses.replace(self, name=checked_name(name))

    def metric(self, predictor: str, metric: str, coverage: int = 1) -> CardMetric | None:
        """Return one number on held-out cells, or None if the card does not have it.

        Parameters
        ----------
        predictor
            Such as ``"splicedvae"``.
        metric
            Key of `splicedvae._core.metrics`.
        coverage
            Least molecules of the entries.
        """
        wanted = (predictor, metric, coverage)
        for one in self.evaluation.metrics:
            if (one.predictor, one.metric, one.coverage) == wanted:
                return one
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the card as JSON holds it; `from_dict` takes it back unchanged."""
        return {"format": CARD_FORMAT, **_plain(self)}

    def to_json(self) -> str:
        """Return the card as text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Make a card of what JSON held, strictly.

        Parameters
        ----------
        values
            What `to_dict` gave, from anywhere.

        Raises
        ------
        StoreError
            If an entry is unknown, missing, of another type or outside what is allowed.
        """
        if not isinstance(values, dict):
            raise StoreError(
                "The card of the model holds no JSON object: get the model again from where it is "
                "published."
            )
        found = values.get("format")
        if found != CARD_FORMAT:
            raise StoreError(
                f"The card of the model has format {str(found)[:20]}, and this version reads "
                f"format {CARD_FORMAT}: use the version of SplicedVAE that wrote it."
            )
        return _read(cls, {key: value for key, value in values.items() if key != "format"}, "card")

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Make a card of its text.

        Parameters
        ----------
        text
            What `to_json` gave.

        Raises
        ------
        StoreError
            As for `from_dict`, or the text is no JSON.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise StoreError(
                "The card of the model (card.json) is not readable JSON: get the model again from "
                "where it is published."
            ) from error
        return cls.from_dict(values)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _read(kind: Any, values: Any, where: str) -> Any:
    """Make a dataclass of a dictionary whose entries have the types of its fields."""
    if not isinstance(values, dict):
        raise _refused(where, values)
    fields = {item.name: item for item in dataclasses.fields(kind)}
    unknown = sorted(str(name) for name in set(values) - set(fields))
    if unknown:
        raise StoreError(
            f"The {where} of the model holds {unknown[0][:40]!r}, which this version does not "
            "know: use the version of SplicedVAE that wrote it."
        )
    needed = [
        name
        for name, item in fields.items()
        if item.default is dataclasses.MISSING and name not in values
    ]
    if needed:
        raise StoreError(
            f"The {where} of the model lacks {needed[0]!r}: get the model again from where it is "
            "published."
        )
    hints = typing.get_type_hints(kind)
    return kind(**{name: _value(hints[name], value, name) for name, value in values.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return a value as a field's type asks, or refuse it."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _read(hint, value, where)
    if origin is tuple:
        if isinstance(value, list | tuple) and len(value) <= _LONGEST:
            return tuple(_value(options[0], item, where) for item in value)
        raise _refused(where, value)
    if origin is Literal:
        fits = isinstance(value, str) and value in options
    elif origin is types.UnionType:
        fits = value is None or _is_number(value)
        value = float(value) if fits and value is not None else value
    elif hint is int:
        fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40
    else:
        fits = isinstance(value, str) and len(value) <= _LONGEST
    if not fits:
        raise _refused(where, value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _refused(where: str, value: Any) -> StoreError:
    return StoreError(
        f"The card of the model holds {str(value)[:40]!r} under {where!r}, which is none of what "
        "can stand there: get the model again from where it is published."
    )
