"""Lineage trees: which segment follows which, for how long, and what their cells are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from splicedvae._core.errors import SplicedVAEError


@dataclass(frozen=True)
class Segment:
    """A stretch of differentiation without branching; its cells form one cluster.

    Parameters
    ----------
    name
        Name of the cluster.
    parent
        Name of the segment before it. The root of a tree has none; where every segment has a
        parent and they close one loop, the lineage is a cycle.
    duration
        Time from its start to its end, in units of the median lifetime of spliced molecules.
    weight
        Share of the cells, relative to the other segments; its duration when not given, which
        samples time evenly.
    """

    name: str
    parent: str | None = None
    duration: float = 2.0
    weight: float | None = None


TOPOLOGIES: dict[str, tuple[Segment, ...]] = {
    "linear": (
        Segment("Progenitor"),
        Segment("Early", "Progenitor"),
        Segment("Late", "Early"),
        Segment("Mature", "Late"),
    ),
    "bifurcation": (
        Segment("Progenitor"),
        Segment("Intermediate", "Progenitor"),
        Segment("Fate A", "Intermediate", 2.5),
        Segment("Fate B", "Intermediate", 2.5),
    ),
    "trifurcation": (
        Segment("Progenitor"),
        Segment("Intermediate", "Progenitor"),
        Segment("Fate A", "Intermediate", 2.5),
        Segment("Fate B", "Intermediate", 2.5),
        Segment("Fate C", "Intermediate", 2.5),
    ),
    "tree": (
        Segment("Progenitor"),
        Segment("Intermediate A", "Progenitor"),
        Segment("Intermediate B", "Progenitor"),
        Segment("Fate A1", "Intermediate A", 2.5),
        Segment("Fate A2", "Intermediate A", 2.5),
        Segment("Fate B1", "Intermediate B", 2.5),
        Segment("Fate B2", "Intermediate B", 2.5),
    ),
    "cycle": (
        Segment("G1", "M"),
        Segment("S", "G1", 1.5),
        Segment("G2", "S", 1.0),
        Segment("M", "G2", 1.0),
    ),
}


@dataclass(frozen=True)
class Lineage:
    """A checked lineage in an order in which parents come before children.

    Parameters
    ----------
    segments
        The segments; a cycle starts at the first one given.
    cyclic
        Whether the last segment leads back to the first.
    """

    segments: tuple[Segment, ...]
    cyclic: bool = False

    @property
    def parents(self) -> list[int]:
        """Per segment, the index of its parent; -1 for a root."""
        index = {segment.name: i for i, segment in enumerate(self.segments)}
        return [-1 if s.parent is None else index[s.parent] for s in self.segments]

    @property
    def depths(self) -> list[int]:
        """Per segment, the number of segments between it and the first."""
        depths: list[int] = []
        for i, parent in enumerate(self.parents):
            depths.append(0 if i == 0 else depths[parent] + 1)
        return depths

    @property
    def names(self) -> list[str]:
        """Names of the segments, in order."""
        return [segment.name for segment in self.segments]

    @property
    def durations(self) -> np.ndarray:
        """Durations of the segments, in order."""
        return np.array([segment.duration for segment in self.segments], dtype=np.float64)

    @property
    def starts(self) -> np.ndarray:
        """Time from the start of the lineage to the start of each segment."""
        starts = np.zeros(len(self.segments))
        for i, parent in enumerate(self.parents):
            if i > 0:
                starts[i] = starts[parent] + self.segments[parent].duration
        return starts

    @property
    def probabilities(self) -> np.ndarray:
        """Expected share of the cells in each segment; they sum to one."""
        weights = np.array(
            [s.duration if s.weight is None else s.weight for s in self.segments], dtype=np.float64
        )
        return weights / weights.sum()

    @property
    def transitions(self) -> list[list[str]]:
        """Known transitions between clusters as pairs ``[from, to]``."""
        return [
            [self.segments[parent].name, segment.name]
            for segment, parent in zip(self.segments, self.parents, strict=True)
            if parent >= 0
        ]

    def children(self, segment: int) -> list[int]:
        """Return the indices of the segments that follow ``segment``."""
        return [i for i, parent in enumerate(self.parents) if parent == segment]

    def subtree(self, segment: int) -> list[int]:
        """Return the indices of ``segment`` and of all that descend from it, in a tree."""
        inside = [segment]
        for i in range(segment + 1, len(self.segments)):
            if self.parents[i] in inside:
                inside.append(i)
        return inside

    @property
    def branch_starts(self) -> list[int]:
        """Indices of the segments that begin at a branching point."""
        if self.cyclic:
            return []
        return [
            i
            for i, parent in enumerate(self.parents)
            if parent >= 0 and len(self.children(parent)) > 1
        ]

    @property
    def branches(self) -> list[str]:
        """Per segment, the branch it belongs to.

        That is the name of the last segment before or at it that begins at a branching point,
        ``"trunk"`` before the first, and ``"cycle"`` all round a cycle.
        """
        if self.cyclic:
            return ["cycle"] * len(self.segments)
        starts = set(self.branch_starts)
        names: list[str] = []
        for i, (segment, parent) in enumerate(zip(self.segments, self.parents, strict=True)):
            if i in starts:
                names.append(segment.name)
            else:
                names.append("trunk" if parent < 0 else names[parent])
        return names


def lineage(topology: str | Sequence[Segment]) -> Lineage:
    """Look up a topology by name, or check and order segments given by the caller.

    Parameters
    ----------
    topology
        One of the names of ``TOPOLOGIES``, or the segments of a tree or cycle in any order.

    Returns
    -------
    The lineage, parents before children.

    Raises
    ------
    SplicedVAEError
        The name is unknown, or the segments form neither one tree nor one cycle.
    """
    if isinstance(topology, str):
        if topology not in TOPOLOGIES:
            known = ", ".join(repr(name) for name in TOPOLOGIES)
            raise SplicedVAEError(
                f"The topology {topology!r} is not known; give one of {known}, or a list of "
                "splicedvae.datasets.Segment."
            )
        segments: tuple[Segment, ...] = TOPOLOGIES[topology]
    else:
        segments = tuple(topology)
    _check_values(segments)
    roots = [segment for segment in segments if segment.parent is None]
    if len(roots) > 1:
        raise SplicedVAEError(
            f"The topology has {len(roots)} segments without a parent "
            f"({', '.join(repr(s.name) for s in roots)}) where a lineage has one root; give all "
            "but one of them a parent."
        )
    start = roots[0] if roots else segments[0]
    ordered = [start]
    for segment in ordered:
        # A cycle comes back to its start, which is already there.
        ordered += [s for s in segments if s.parent == segment.name and s is not start]
        if len(ordered) > len(segments):
            break
    names = {segment.name for segment in ordered}
    lost = [segment.name for segment in segments if segment.name not in names]
    if not roots:
        closed = ordered[-1].name == start.parent
        successors = [segment.parent for segment in segments]
        if lost or not closed or len(set(successors)) != len(successors):
            raise SplicedVAEError(
                "The topology has no root, and its segments do not close one loop; give one "
                "segment parent=None for a tree, or each segment exactly one successor for a cycle."
            )
        return Lineage(tuple(ordered), cyclic=True)
    if lost:
        raise SplicedVAEError(
            f"The segments {', '.join(repr(name) for name in lost)} cannot be reached from the "
            f"root {start.name!r}; give them parents that descend from it."
        )
    return Lineage(tuple(ordered))


def _check_values(segments: tuple[Segment, ...]) -> None:
    """Check each segment for itself: its name, parent, duration and weight."""
    if not segments:
        raise SplicedVAEError("The topology has no segments; give at least one.")
    names = [segment.name for segment in segments]
    if len(set(names)) != len(names) or not all(names):
        raise SplicedVAEError(
            f"The segments are named {names}; give each a name of its own that is not empty."
        )
    for segment in segments:
        if segment.parent is not None and segment.parent not in names:
            raise SplicedVAEError(
                f"The parent {segment.parent!r} of the segment {segment.name!r} is not among the "
                f"segments {names}; add it or correct the name."
            )
        weight = segment.duration if segment.weight is None else segment.weight
        if not (np.isfinite(segment.duration) and segment.duration > 0):
            raise SplicedVAEError(
                f"The duration of the segment {segment.name!r} is {segment.duration}; give a "
                "positive number."
            )
        if not (np.isfinite(weight) and weight >= 0):
            raise SplicedVAEError(
                f"The weight of the segment {segment.name!r} is {weight}; give a number that is "
                "not negative."
            )
    if not any((s.duration if s.weight is None else s.weight) > 0 for s in segments):
        raise SplicedVAEError("All segments have weight 0; give at least one a positive weight.")
