"""One set of settings for all velocities of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, cast

from splicedvae._core.errors import SplicedVAEError
from splicedvae._core.keys import VelocityMode
from splicedvae._core.settings import VelocityFields, described

#: Modes whose graph compares signed square roots of velocities and displacements, as velocyto does
#: and scVelo in its stochastic mode. Without them the few genes with the largest counts decide.
SQRT_MODES: Final = frozenset({"balanced", "stochastic"})
#: Steps over the neighbor graph that moments are taken over, where it is not one as in scVelo.
#: Two suit the balanced model, whose graph is free of the noise that more smoothing would spread.
_SMOOTHING_STEPS: Final = {"balanced": 2}
#: With the balanced model a cell has at most one in so many of all cells as neighbors, but this
#: many at least: two steps over more would reach most of the cells (benchmarks/few_cells.py).
_CELLS_PER_NEIGHBOR: Final = 15
_LEAST_NEIGHBORS: Final = 10
#: Represents ``None`` in file formats without null.
_ALL: Final = "all"


@described
@dataclass(frozen=True)
class VelocitySettings(VelocityFields):
    """How genes are chosen, neighbors found and velocity fitted.

    With the balanced model moments are computed over neighbors of neighbors, and the graph compares
    square roots of velocities and of differences in total counts. scVelo's models fit first and
    second moments (stochastic) or the first alone (deterministic); compare them with permuted
    ratios. ``n_top_genes`` is ``None`` where all genes are kept. A value outside its range is
    refused by a `SplicedVAEError`.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_jobs == 0:
            raise SplicedVAEError(
                "The velocity setting 'n_jobs' is 0, expected 1 or more, or -1 for all cores; "
                "give another number."
            )

    @property
    def sqrt_transform(self) -> bool:
        """Whether the graph compares square roots: scVelo's argument of the same name."""
        return self.mode in SQRT_MODES

    @property
    def smoothing_steps(self) -> int:
        """Steps over the neighbor graph that moments are taken over."""
        return _SMOOTHING_STEPS.get(self.mode, 1)

    def neighbors_among(self, n_cells: int) -> int:
        """Return how many neighbors a cell has.

        Parameters
        ----------
        n_cells
            All cells among which they are found.
        """
        if self.mode != "balanced":
            return self.n_neighbors
        return min(self.n_neighbors, max(_LEAST_NEIGHBORS, n_cells // _CELLS_PER_NEIGHBOR))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dictionary that JSON can hold."""
        return asdict(self)

    def to_uns(self) -> dict[str, Any]:
        """Return the settings as a dictionary that h5ad can hold: ``"all"`` for ``None``."""
        return {name: _ALL if value is None else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VelocitySettings:
        """Read what `to_dict` or `to_uns` wrote; what is absent takes its default.

        Parameters
        ----------
        values
            Names and values, with numpy's scalars allowed.

        Raises
        ------
        SplicedVAEError
            If a name is unknown or a value is not of its kind.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise SplicedVAEError(
                f"The velocity settings have the unknown name {unknown[0]!r}, expected some "
                f"of {', '.join(sorted(known))}; correct or remove it."
            )
        taken: dict[str, Any] = {}
        for name, value in values.items():
            if name == "mode":
                taken[name] = cast(VelocityMode, str(value))
            elif name == "n_top_genes" and (value is None or str(value) == _ALL):
                taken[name] = None
            else:
                taken[name] = _whole_number(name, value)
        return cls(**taken)


def _whole_number(name: str, value: Any) -> int:
    """Read a whole number; refuse fractions, truth values and text."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, bool | str | bytes) or number != value:
        raise SplicedVAEError(
            f"The velocity setting {name} is {value!r}, expected a whole number; correct it."
        )
    return number
