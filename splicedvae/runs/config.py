"""What a run was asked to do: every choice that changes a result, and a digest of them.

The digest is the run's id. It takes the data's sha256, the parameters and the code version, and
neither the file's path nor the display name, so that the same request is the same run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from splicedvae import __version__
from splicedvae._core.errors import DataError, RunError, SplicedVAEError
from splicedvae._core.settings import RunFields, described
from splicedvae.runs import files
from splicedvae.store import is_stored_model, read_stored
from splicedvae.velocity import VelocitySettings

#: Version of the run folder's layout, written in ``config.json``.
FORMAT: Final = 1

#: Packages whose source only displays results; all others determine them.
_SHOWING: Final = ("plotting", "views", "report", "dashboard", "cli")
#: Settings of the velocity that are those of the run unless others are requested.
FOLLOWING: Final = ("n_top_genes", "min_shared_counts", "seed")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@described
@dataclass(frozen=True)
class RunConfig(RunFields):
    """Everything a run was asked to do.

    Transitions are pairs of cell groups, from and to, that are known to follow each other; by them
    the direction of velocities is judged. A simulation brings its own. The settings of the
    velocities are those of `with_velocity` if they are not given.
    """

    velocity: VelocitySettings = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Refuse what no run can do.

        Raises
        ------
        RunError
            If a value has another type or is outside the allowed range.
        """
        super().__post_init__()
        if self.velocity is not None and not isinstance(self.velocity, VelocitySettings):
            raise RunError("The setting 'velocity' must be a VelocitySettings.")
        object.__setattr__(self, "transitions", _transitions(self.transitions))
        if not _SHA256.fullmatch(self.data_sha256):
            raise RunError(
                "The setting 'data_sha256' must be the 64 hexadecimal digits of the data "
                "file: compute them with splicedvae.io.sha256."
            )
        if self.kind == "predict" and not self.model_run:
            raise RunError(
                "A prediction needs a run with a trained model: name it as 'model_run', or "
                "train a model first."
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
                f"The setting 'transitions' holds {str(pair)[:60]!r}, expected pairs of "
                "cell groups, from and to: correct it."
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
