"""One set of settings for every velocity of a comparison: sources differ in nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, cast, get_args

from splicedvae._core.errors import SplicedVAEError
from splicedvae._core.keys import VelocityMode

#: Modes whose graph compares signed square roots of velocities and displacements, as velocyto does
#: and scVelo in its stochastic mode. Without them the few genes with the largest counts decide.
SQRT_MODES: Final = frozenset({"balanced", "stochastic"})
#: Steps over the neighbour graph that moments are taken over, where it is not one as in scVelo.
#: Two suit the balanced model, whose graph is free of the noise that more smoothing would spread.
_SMOOTHING_STEPS: Final = {"balanced": 2}
#: With the balanced model a cell has at most one in so many of all cells as neighbours, but this
#: many at least: two steps over more would reach most of the cells (benchmarks/few_cells.py).
_CELLS_PER_NEIGHBOR: Final = 15
_LEAST_NEIGHBORS: Final = 10
#: Stands for ``None`` where a file format has no null.
_ALL: Final = "all"


@dataclass(frozen=True)
class VelocitySettings:
    """How genes are chosen, neighbours found and velocity fitted.

    Attributes
    ----------
    mode
        How the steady state is found. ``"balanced"``: relative to the gene's mean ratio, so that
        a constant ratio gives no velocity. Moments are taken over neighbours of neighbours, and
        the graph compares square roots of velocities and of differences in total counts.
        ``"stochastic"`` and ``"deterministic"``: scVelo's models, which fit first and second
        moments or the first alone; with them composition and noise draw orderly arrows too, so
        compare with permuted ratios.
    n_top_genes
        How many highly variable genes of the totals are kept among the eligible ones; ``None``
        keeps all.
    min_shared_counts
        A gene is eligible with at least this many counts in cells where both layers are not
        zero (scVelo's definition), or in all cells if the data have no layers.
    n_pcs
        Principal components that the neighbours are found in; fewer are taken if there are
        fewer genes or cells.
    n_neighbors
        Neighbours of a cell, itself included. The balanced model takes fewer where there are few
        cells: one in fifteen, but at least 10.
    seed
        Seed of the neighbour search and of UMAP.
    n_jobs
        Threads for moments, graph and confidence; -1 for one a core. The result is the same.

    Raises
    ------
    SplicedVAEError
        If a value is outside its range.
    """

    mode: VelocityMode = "balanced"
    n_top_genes: int | None = 2000
    min_shared_counts: int = 20
    n_pcs: int = 30
    n_neighbors: int = 30
    seed: int = 0
    n_jobs: int = 1

    def __post_init__(self) -> None:
        if self.mode not in get_args(VelocityMode):
            raise SplicedVAEError(
                f"The velocity mode is {self.mode!r}, expected 'balanced', 'stochastic' or "
                "'deterministic'; name one of the three."
            )
        lowest = {"min_shared_counts": 0, "n_pcs": 2, "n_neighbors": 3, "seed": 0}
        if self.n_top_genes is not None:
            lowest["n_top_genes"] = 1
        for name, bound in lowest.items():
            value = getattr(self, name)
            if value < bound:
                raise SplicedVAEError(
                    f"The velocity setting {name} is {value}, expected at least {bound}; "
                    "give a larger number."
                )
        if self.n_jobs == 0:
            raise SplicedVAEError(
                "The velocity setting n_jobs is 0, expected 1 or more, or -1 for all cores; "
                "give another number."
            )

    @property
    def sqrt_transform(self) -> bool:
        """Whether the graph compares square roots: scVelo's argument of the same name."""
        return self.mode in SQRT_MODES

    @property
    def smoothing_steps(self) -> int:
        """Steps over the neighbour graph that moments are taken over."""
        return _SMOOTHING_STEPS.get(self.mode, 1)

    def neighbors_among(self, n_cells: int) -> int:
        """Return how many neighbours a cell has.

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
                f"The velocity settings hold the unknown name {unknown[0]!r}, expected some of "
                f"{', '.join(sorted(known))}; correct or remove it."
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
