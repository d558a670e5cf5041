"""What the figures take: small frozen results, prepared elsewhere.

Nothing here is computed; every class checks at once that its arrays belong together, so
that a wrong length fails where it was made and not in a browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from splicedvae._core.errors import DataError

FloatArray: TypeAlias = NDArray[np.floating[Any]]


def placed(points: FloatArray) -> NDArray[np.bool_]:
    """Mark the cells whose position on a map, shape (n_cells, 2), is finite.

    Column by column: NumPy takes ten times as long along an axis of two.
    """
    return np.asarray(np.isfinite(points[:, 0]) & np.isfinite(points[:, 1]))


class StreamLinesLike(Protocol):
    """The arrays of `splicedvae.velocity.StreamLines`, which plotting does not import."""

    @property
    def x(self) -> FloatArray:
        """Horizontal positions of all lines, NaN between two lines."""

    @property
    def y(self) -> FloatArray:
        """Vertical positions of all lines, NaN between two lines."""

    @property
    def arrow_x(self) -> FloatArray:
        """Horizontal positions of the arrow heads."""

    @property
    def arrow_y(self) -> FloatArray:
        """Vertical positions of the arrow heads."""

    @property
    def arrow_dx(self) -> FloatArray:
        """Horizontal part of the arrow heads' directions."""

    @property
    def arrow_dy(self) -> FloatArray:
        """Vertical part of the arrow heads' directions."""


class ArrowsLike(Protocol):
    """The arrays of `splicedvae.velocity.GridArrows`, which plotting does not import."""

    @property
    def x(self) -> FloatArray:
        """Horizontal positions of the tails."""

    @property
    def y(self) -> FloatArray:
        """Vertical positions of the tails."""

    @property
    def dx(self) -> FloatArray:
        """Horizontal extents."""

    @property
    def dy(self) -> FloatArray:
        """Vertical extents."""


@dataclass(frozen=True)
class Categories:
    """A category for each cell, such as its cluster.

    Raises
    ------
    DataError
        If a code names no category.
    """

    #: What the categories are, for the legend.
    title: str
    #: Shape (n_cells,), integers into `names`; -1 where a cell has none.
    codes: NDArray[np.integer[Any]]
    names: tuple[str, ...]
    #: Colours that are already decided, by category name, as ``#rrggbb``.
    colors: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if self.codes.size and not -1 <= self.codes.min() <= self.codes.max() < len(self.names):
            raise DataError(
                f"The category codes of {self.title!r} run from {self.codes.min()} to "
                f"{self.codes.max()}, but there are {len(self.names)} names: give codes from -1 "
                f"(no category) to {len(self.names) - 1}."
            )

    def __len__(self) -> int:
        return int(self.codes.shape[0])


@dataclass(frozen=True)
class Values:
    """A number for each cell, such as its depth or a cosine."""

    #: What the numbers are, with their unit, for the colour bar.
    title: str
    #: Shape (n_cells,); NaN where a cell has none.
    values: FloatArray
    #: "diverging" for numbers around a meaningful middle.
    scale: Literal["sequential", "diverging"] = "sequential"
    #: Numbers at the ends of the colour scale; the data's smallest and largest if None.
    limits: tuple[float, float] | None = None

    def __len__(self) -> int:
        return int(self.values.shape[0])


CellColors: TypeAlias = Categories | Values


@dataclass(frozen=True)
class StreamPanel:
    """One velocity over one embedding.

    Raises
    ------
    DataError
        If the embedding is not of shape (n_cells, 2), or neither lines, arrows nor a message
        say what the panel shows.
    """

    #: Where the velocity comes from.
    title: str
    #: Shape (n_cells, 2).
    embedding: FloatArray
    #: None where the velocity was refused, or is drawn as arrows.
    lines: StreamLinesLike | None
    #: Why there are no lines, in a sentence.
    message: str | None = None
    #: A short line under the panel, such as the number of genes.
    caption: str | None = None
    #: Drawn instead of lines.
    arrows: ArrowsLike | None = None

    def __post_init__(self) -> None:
        _check_embedding(self.title, self.embedding)
        if self.lines is None and self.arrows is None and not self.message:
            raise DataError(
                f"The stream panel {self.title!r} has neither lines nor a message: "
                "say why its velocity is missing."
            )


@dataclass(frozen=True)
class LatentPanel:
    """One two-dimensional map of the cells.

    Raises
    ------
    DataError
        If the embedding is not of shape (n_cells, 2).
    """

    #: Whose latent space it is.
    title: str
    #: Shape (n_cells, 2).
    embedding: FloatArray
    #: A short line under the panel.
    caption: str | None = None

    def __post_init__(self) -> None:
        _check_embedding(self.title, self.embedding)


@dataclass(frozen=True)
class Outline:
    """A closed line drawn around cells on one map.

    Raises
    ------
    DataError
        If it has fewer than three corners, or not a height for each.
    """

    #: Which map, counted from 0.
    panel: int
    #: Corners in the units of that map, at least three; the last is joined to the first.
    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or len(self.x) < 3:
            raise DataError(
                f"The line around the cells has {len(self.x)} and {len(self.y)} coordinates: give "
                "at least three corners."
            )


@dataclass(frozen=True)
class Density:
    """How many entries fall on each pair of measured and predicted ratio.

    Raises
    ------
    DataError
        If the edges do not fit the counts.
    """

    #: The predictor, as in `splicedvae._core.keys.Sources`.
    predictor: str
    #: Shape (n_predicted_bins, n_measured_bins), numbers of entries.
    counts: NDArray[Any]
    #: Shape (n_measured_bins + 1,), ascending.
    measured_edges: FloatArray
    #: Shape (n_predicted_bins + 1,), ascending.
    predicted_edges: FloatArray
    #: A short line under the title, such as RMSE and r.
    caption: str | None = None

    def __post_init__(self) -> None:
        expected = (self.predicted_edges.size - 1, self.measured_edges.size - 1)
        if self.counts.shape != expected:
            raise DataError(
                f"The density of {self.predictor!r} has shape {self.counts.shape}, but its edges "
                f"make {expected}: give one more edge than bins along each axis."
            )


@dataclass(frozen=True)
class Histogram:
    """Numbers of things between edges.

    Raises
    ------
    DataError
        If the edges do not fit the counts.
    """

    #: What is counted: a predictor, or a layer.
    label: str
    #: One for each bin.
    counts: NDArray[Any] | Sequence[int]
    #: Ascending, one more than counts.
    edges: FloatArray | Sequence[float]
    #: Of the values themselves, drawn as a line; not drawn if None.
    median: float | None = None

    def __post_init__(self) -> None:
        counts, edges = len(self.counts), len(self.edges)
        if edges != counts + 1:
            raise DataError(
                f"The histogram of {self.label!r} has {counts} counts and {edges} edges: "
                "give one more edge than counts."
            )


def _check_embedding(title: str, embedding: FloatArray) -> None:
    if embedding.ndim != 2 or embedding.shape[1] != 2:
        raise DataError(
            f"The embedding of {title!r} has shape {embedding.shape}, "
            "but a map needs two columns: give its first two."
        )
