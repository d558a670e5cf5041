"""Time and peak memory of the stages inside a call, from the functions that do them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks.speed.alone import forget_peak, peak

#: Seconds and peak memory in GB of a stage.
Stage = dict[str, float]


def measured(act: Callable[[], Any]) -> Stage:
    """Time a call, and find its peak memory."""
    forget_peak()
    start = time.perf_counter()
    act()
    return {"seconds": time.perf_counter() - start, "peak": peak()}


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
    Stages by name; the seconds of several calls are added up.
    """
    found: dict[str, Stage] = {}
    kept = {name: getattr(owner, name) for name in names}

    def watched(function: Any, stage: str) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            results = []
            one = measured(lambda: results.append(function(*arguments, **options)))
            before = found.get(stage, {"seconds": 0.0, "peak": 0.0})
            found[stage] = {
                "seconds": before["seconds"] + one["seconds"],
                "peak": max(before["peak"], one["peak"]),
            }
            return results[0]

        return run

    for name, stage in names.items():
        setattr(owner, name, watched(kept[name], stage))
    try:
        yield found
    finally:
        for name, function in kept.items():
            setattr(owner, name, function)
