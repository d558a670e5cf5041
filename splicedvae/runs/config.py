"""What a run was asked to do: every choice that changes a result, and a digest of them.

The digest is the run's id. It takes the data's sha256, the parameters and the code version, and
neither the file's path nor the display name, so that the same request is the same run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import types
import typing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from splicedvae import __version__
from splicedvae._core.errors import DataError, RunError, SplicedVAEError
from splicedvae._core.keys import Ambiguous, Counts, HeadKind, RatioLikelihood
from splicedvae.runs import files
from splicedvae.store import is_stored_model, read_stored
from splicedvae.velocity import VelocitySettings

#: Version of the run folder's layout, written in ``config.json``.
FORMAT: Final = 1

Kind = Literal["train", "predict"]

#: Rooms whose source only shows a result; all else decides it.
_SHOWING: Final = ("plotting", "views", "report", "dashboard", "cli")
#: Settings of the velocity that are those of the run unless others are asked for.
FOLLOWING: Final = ("n_top_genes", "min_shared_counts", "seed")
#: No setting is larger; also holds off infinities and NaN.
_LARGEST: Final = 1e12
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RunConfig:
    """Everything a run was asked to do.

    Attributes
    ----------
    kind
        ``"train"`` fits both models on a file with S/U and evaluates them; ``"predict"`` asks the
        models of an earlier run about another file.
    data
        Path of the data file. It is not part of the id.
    data_sha256
        Digest of the file's content, 64 hexadecimal digits; checked again before reading.
    name
        Display name. It is not part of the id.
    total, spliced_layer, unspliced_layer, ambiguous_layer, ambiguous
        Where the counts are, and where ambiguous ones go, as `splicedvae.io.read` takes them; None
        lets it find them.
    cluster_key, batch_key
        Columns of ``obs`` with cell groups and batches, or None.
    counts
        Whether the totals contain intronic reads (``"with-introns"``) or not (``"exonic"``).
    held_out
        Share of the cells kept out of everything fitted, above 0 and below 1.
    fold
        Which share is held out: folds 0, 1, ... of one seed hold out different cells.
    split_by
        Column of ``obs``, such as a batch, a donor or a species: instead of a share of the cells,
        the group that ``fold`` counts to, in the order of names, is held out as a whole.
    transitions
        Pairs of cell groups, from and to, that are known to follow each other; by them the
        direction of velocities is judged. A simulation brings its own.
    min_shared_counts
        Least number of counts, spliced and unspliced together, a gene needs over the training
        cells.
    min_cells
        Least number of training cells in which each layer must have a molecule of a gene.
    n_top_genes
        How many of the most variable genes to model; None for all that pass.
    max_epochs
        Passes over the training cells, the same for both models; None for the default.
    batch_size
        Cells in one step of training.
    n_latent
        Dimensions of the latent space.
    ratio_likelihood, ratio_head
        Likelihood and form of the ratio's decoder.
    ratio_weight, ratio_shrinkage
        Weight of the ratio's loss and strength of the pull to the gene's mean; None for the
        model's defaults.
    learning_rate
        Step size of the optimiser; None for the default, 0.006.
    velocity
        Settings shared by all velocities of the run; if not given, those of `with_velocity`.
    seed
        Seed of the split, the training and the embeddings.
    model_run
        For ``"predict"``: id or folder of the run whose models are asked; or a stored model, as
        ``name@digest`` or folder.
    orthologs
        For ``"predict"``: species of the data, if its genes are to be found through one-to-one
        orthologs of the model's; None finds them by identifier and name.
    """

    data: str
    data_sha256: str
    name: str
    kind: Kind = "train"
    total: str | None = None
    spliced_layer: str | None = None
    unspliced_layer: str | None = None
    ambiguous_layer: str | None = None
    ambiguous: Ambiguous | None = None
    cluster_key: str | None = None
    batch_key: str | None = None
    counts: Counts = "with-introns"
    held_out: float = 0.2
    fold: int = 0
    split_by: str | None = None
    transitions: tuple[tuple[str, str], ...] = ()
    min_shared_counts: int = 20
    min_cells: int = 0
    n_top_genes: int | None = 2000
    max_epochs: int | None = None
    batch_size: int = 128
    n_latent: int = 10
    ratio_likelihood: RatioLikelihood = "binomial"
    ratio_head: HeadKind = "linear"
    ratio_weight: float | None = None
    ratio_shrinkage: float | None = None
    learning_rate: float | None = None
    velocity: VelocitySettings = field(default=None)  # type: ignore[assignment]
    seed: int = 0
    model_run: str | None = None
    orthologs: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no run can do.

        Raises
        ------
        RunError
            If a value has another type or lies outside what is allowed.
        """
        for name, hint in _hints().items():
            value = getattr(self, name)
            if name == "velocity":
                if value is not None and not isinstance(value, VelocitySettings):
                    raise RunError("The setting 'velocity' must be a VelocitySettings.")
                continue
            if name == "transitions":
                object.__setattr__(self, name, _transitions(value))
                continue
            if not _fits(value, hint):
                raise RunError(
                    f"The setting {name!r} is {str(value)[:60]!r}, which is none of what it can "
                    f"be: {_words(hint)}; correct it."
                )
            if float in _options(hint) and value is not None:
                # 1 and 1.0 are one request and must have one id.
                object.__setattr__(self, name, float(value))
        if not _SHA256.fullmatch(self.data_sha256):
            raise RunError(
                "The setting 'data_sha256' must be the 64 hexadecimal digits of the data file: "
                "compute them with splicedvae.io.sha256."
            )
        for name, lowest in _LOWEST.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise RunError(
                    f"The setting {name!r} is {value}, and it must be at least {lowest}: raise it."
                )
        for name in ("ratio_weight", "learning_rate"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise RunError(
                    f"The setting {name!r} is {value}, and it must be above 0: raise it."
                )
        if not 0 < self.held_out < 1:
            raise RunError(
                f"The setting 'held_out' is {self.held_out}, and it is a share of the cells: "
                "choose a number above 0 and below 1, such as 0.2."
            )
        if self.kind == "predict" and not self.model_run:
            raise RunError(
                "A prediction needs the run whose model answers: name it as 'model_run', or train "
                "a model first."
            )
        if self.velocity is None:
            object.__setattr__(self, "velocity", self._velocity({}))

    def with_velocity(self, **settings: Any) -> RunConfig:
        """Return the same request with other settings of its velocities.

        Parameters
        ----------
        **settings
            Of `splicedvae.velocity.VelocitySettings`. What is not named follows the run where the
            run has a setting of the same name (genes, counts and seed: `FOLLOWING`), and is the
            default elsewhere.

        Raises
        ------
        SplicedVAEError
            If a setting is unknown or outside what is allowed.
        """
        return dataclasses.replace(self, velocity=self._velocity(settings))

    def _velocity(self, settings: dict[str, Any]) -> VelocitySettings:
        return VelocitySettings.from_dict(
            {name: getattr(self, name) for name in FOLLOWING} | settings
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as JSON holds it; `from_dict` takes it back unchanged."""
        values = {
            item.name: getattr(self, item.name)
            for item in dataclasses.fields(self)
            if item.name != "velocity"
        }
        values["velocity"] = self.velocity.to_dict()
        values["transitions"] = [list(pair) for pair in self.transitions]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunConfig:
        """Make a configuration of a dictionary, strictly.

        Parameters
        ----------
        values
            What `to_dict` gave. Entries with a default may be left out.

        Raises
        ------
        RunError
            If an entry is unknown, missing, of another type or outside what is allowed.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        unknown = sorted(str(name) for name in set(values) - known)
        if unknown:
            raise RunError(
                f"The configuration holds {unknown[0][:60]!r}, which this version does not know: "
                "remove it, or open the run with the version of SplicedVAE that wrote it."
            )
        missing = [name for name in ("data", "data_sha256", "name") if name not in values]
        if missing:
            raise RunError(
                f"The configuration lacks {missing[0]!r}: add it, or write the configuration with "
                "RunConfig.to_dict."
            )
        values = dict(values)
        if "velocity" in values:
            values["velocity"] = _velocity_settings(values["velocity"])
        return cls(**values)

    def digest(self) -> str:
        """Return the id of the run this configuration asks for: 16 hexadecimal digits.

        The same data, parameters and code version give the same id. The path of the data and
        the display name do not enter; the run whose model answers enters by its own id.
        """
        values = self.to_dict()
        for name in ("data", "name"):
            del values[name]
        if self.orthologs is None:
            # Runs from before there was a choice keep their ids.
            del values["orthologs"]
        if self.model_run is not None:
            values["model_run"] = _id_of(self.model_run)
        values["code"] = code_version()
        values["format"] = FORMAT
        text = json.dumps(values, sort_keys=True, ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_LOWEST: Final[dict[str, float]] = {
    "fold": 0,
    "min_shared_counts": 0,
    "min_cells": 0,
    "n_top_genes": 1,
    "max_epochs": 1,
    "batch_size": 2,
    "n_latent": 1,
    "ratio_shrinkage": 0,
    "seed": 0,
}


@lru_cache(maxsize=1)
def _hints() -> dict[str, Any]:
    return typing.get_type_hints(RunConfig)


def _options(hint: Any) -> tuple[Any, ...]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.get_args(hint)
    return (hint,)


def _fits(value: Any, hint: Any) -> bool:
    for option in _options(hint):
        if option is types.NoneType:
            if value is None:
                return True
        elif typing.get_origin(option) is Literal:
            if isinstance(value, str) and value in typing.get_args(option):
                return True
        elif option is float:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and abs(value) < _LARGEST:
                return True
        elif option is int:
            if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**32:
                return True
        elif isinstance(value, option):
            return True
    return False


def _words(hint: Any) -> str:
    words: list[str] = []
    for option in _options(hint):
        if option is types.NoneType:
            words.append("nothing")
        elif typing.get_origin(option) is Literal:
            words.extend(repr(item) for item in typing.get_args(option))
        else:
            words.append({int: "a whole number below 2^32", float: "a number", str: "text"}[option])
    return " or ".join(words)


def _transitions(values: Any) -> tuple[tuple[str, str], ...]:
    """Read pairs of cell groups."""
    pairs = tuple(
        tuple(pair) if isinstance(pair, list | tuple) else pair
        for pair in (values if isinstance(values, list | tuple) else (values,))
    )
    for pair in pairs:
        if not (
            isinstance(pair, tuple)
            and len(pair) == 2
            and all(isinstance(name, str) and name for name in pair)
        ):
            raise RunError(
                f"The setting 'transitions' holds {str(pair)[:60]!r}, and pairs of cell groups, "
                "from and to, are expected: correct it."
            )
    return pairs


def _velocity_settings(values: Any) -> VelocitySettings:
    if isinstance(values, VelocitySettings):
        return values
    if not isinstance(values, dict):
        raise RunError("The configuration's 'velocity' holds no settings: give them by name.")
    try:
        return VelocitySettings.from_dict(values)
    except SplicedVAEError as error:
        raise RunError(str(error)) from error


def _id_of(model_run: str) -> str:
    """Return the id of a run, or the digest of a stored model, named by id or folder.

    A name that leads nowhere stays as it is.
    """
    if is_stored_model(Path(model_run)):
        return read_stored(model_run).reference
    file = Path(model_run) / files.CONFIG
    if file.is_file():
        return str(files.read_json(file, "the configuration").get("id", model_run))
    return model_run


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the package's version and a digest of the source that decides a result.

    Returns
    -------
    Such as ``"0.1.0+3f2a9c1b"``: a checkout with a changed model is another code version.
    """
    return f"{__version__}+{source_digest(Path(__file__).parents[1])}"


def source_digest(root: Path) -> str:
    """Return a digest of the source that decides a result, of eight hexadecimal digits.

    Parameters
    ----------
    root
        Folder of the package.
    """
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py"), key=lambda item: item.as_posix()):
        if file.relative_to(root).parts[0] not in _SHOWING:
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def need_layers(measured: bool) -> None:
    """Refuse to train on a file without measured layers.

    Parameters
    ----------
    measured
        Whether the file has spliced and unspliced counts; see `splicedvae.io.ReadResult`.

    Raises
    ------
    DataError
        If it has none.
    """
    if not measured:
        raise DataError(
            "The file has no spliced and unspliced counts, which training needs: name the layers "
            "that hold them, or predict with a run trained on other data."
        )
