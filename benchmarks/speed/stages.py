"""Time and peak memory of the stages inside a call, from the functions that do them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks.speed.alone import forget_peak, peak

#: Seconds on the clock, seconds of processor time of all threads, and peak memory in GB.
Stage = dict[str, float]


def measured(act: Callable[[], Any]) -> Stage:
    """Time a call, and find its peak memory."""
    forget_peak()
    start = clocks()
    act()
    return {**since(start), "peak": peak()}


def clocks() -> tuple[float, float]:
    """Read the clock and the processor time of this process."""
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> Stage:
    """Seconds on both since they were read."""
    now = clocks()
    return {"seconds": now[0] - start[0], "processor": now[1] - start[1]}


@contextmanager
def stages(owner: Any, names: Mapping[str, str]) -> Iterator[dict[str, Stage]]:
    """Measure functions of a module, or methods of a class, while this is open.

    Parameters
    ----------
    owner
        The module or class whose attributes are called. None of them may call another one.
    names
        Attribute to name of the stage.

    Yields
    ------
    Stages by name; the times of several calls are added up.
    """
    found: dict[str, Stage] = {}
    kept = {name: getattr(owner, name) for name in names}

    def watched(function: Any, stage: str) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            results = []
            one = measured(lambda: results.append(function(*arguments, **options)))
            before = found.get(stage, dict.fromkeys(one, 0.0))
            found[stage] = {name: before[name] + value for name, value in one.items()}
            found[stage]["peak"] = max(before["peak"], one["peak"])
            return results[0]

        return run

    for name, stage in names.items():
        setattr(owner, name, watched(kept[name], stage))
    try:
        yield found
    finally:
        for name, function in kept.items():
            setattr(owner, name, function)
