"""How much of a run is done and how long the rest takes, from the speed it shows itself.

The speed of a training's epochs says how long that training takes, and, by the weights, how long
the later stages do. A short stage, such as reading the file, is not informative on a long one, so
there is no estimate until a long stage has shown its speed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

#: A finished stage predicts the others only if its weight is at least this share of all.
SPEAKS_FOR_OTHERS: Final = 0.1
#: Steps and seconds after which the speed of a stage is believed, whichever rule is met first.
ENOUGH: Final = ((3, 3.0), (1, 15.0))
#: Seconds of the past from which the present speed is taken.
WINDOW: Final = 60.0
#: Seconds between two samples that are kept.
SPACING: Final = 0.25


class TimeLeft:
    """The share of a run that is done, and an estimate of the seconds left.

    Parameters
    ----------
    stages
        Names of the stages in their order, each with its weight: about its share of the time.
    clock
        Seconds; only differences count.
    """

    def __init__(
        self, stages: Sequence[tuple[str, float]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._weights = dict(stages)
        self._names = [name for name, _ in stages]
        self._clock = clock
        self._spent = dict.fromkeys(self._names, 0.0)
        self._position = -1
        self._share = 0.0
        self._begun = clock()
        self._samples: deque[tuple[float, float]] = deque()
        self._steps = 0
        self._first: float | None = None

    def reweigh(self, weights: Mapping[str, float]) -> None:
        """Give stages other weights, as when the number of epochs becomes known.

        Parameters
        ----------
        weights
            New weights of some of the stages.
        """
        self._weights.update({name: weights[name] for name in self._names if name in weights})

    def begin(self, name: str) -> None:
        """Start a stage, which ends the previous one.

        Parameters
        ----------
        name
            One of the stages.
        """
        now = self._clock()
        if self._position >= 0:
            self._spent[self._names[self._position]] += now - self._begun
        self._position = self._names.index(name)
        self._share, self._begun = 0.0, now
        self._samples.clear()
        self._steps, self._first = 0, None

    def credit(self, seconds: float) -> None:
        """Add time that an earlier process spent on the present stage.

        Parameters
        ----------
        seconds
            The time.
        """
        self._spent[self._names[self._position]] += seconds

    def advance(self, share: float) -> None:
        """Record how much of the present stage is done.

        Parameters
        ----------
        share
            0 to 1. Where it begins above 0, as in a resumed training, speed is taken from
            there.
        """
        now = self._clock()
        self._share = min(max(share, 0.0), 1.0)
        if self._first is None:
            # Called before the first step; that step itself is not timed, as it also warms up.
            self._first = self._share
            return
        if self._share <= self._first:
            return
        if not self._samples:
            self._samples.append((now, self._share))
            return
        self._steps += 1
        if len(self._samples) < 2 or now - self._samples[-1][0] >= SPACING:
            self._samples.append((now, self._share))
        while len(self._samples) > 2 and now - self._samples[1][0] > WINDOW:
            self._samples.popleft()

    @property
    def fraction(self) -> float:
        """Share of the whole that is done, 0 to 1."""
        if self._position < 0:
            return 0.0
        before = sum(self._weights[name] for name in self._names[: self._position])
        now = self._weights[self._names[self._position]] * self._share
        return (before + now) / sum(self._weights.values())

    def _whole(self) -> float | None:
        """Seconds that the whole present stage takes at its own speed, None if not known yet."""
        if len(self._samples) < 2:
            return None
        (start, low), (end, high) = self._samples[0], self._samples[-1]
        enough = any(self._steps >= steps and end - start >= least for steps, least in ENOUGH)
        return (end - start) / (high - low) if enough and high > low and end > start else None

    def seconds(self) -> float | None:
        """Estimate the seconds left.

        Returns
        -------
        None until a long stage has shown its speed.
        """
        if self._position < 0:
            return None
        name = self._names[self._position]
        total = sum(self._weights.values())
        done = [
            item
            for item in self._names[: self._position]
            if self._weights[item] >= SPEAKS_FOR_OTHERS * total
        ]
        seconds = sum(self._spent[item] for item in done)
        weight = sum(self._weights[item] for item in done)
        whole = self._whole()
        speaks = whole is not None and self._weights[name] >= SPEAKS_FOR_OTHERS * total
        if whole is not None and speaks:
            seconds, weight = seconds + whole, weight + self._weights[name]
        if weight <= 0 or seconds <= 0:
            return None
        pace = seconds / weight
        after = pace * sum(self._weights[item] for item in self._names[self._position + 1 :])
        if whole is not None:
            since = self._clock() - self._samples[-1][0]
            return max((1 - self._share) * whole - since, 0.0) + after
        here = pace * self._weights[name] - (self._clock() - self._begun)
        return max(here, 0.0) + after
