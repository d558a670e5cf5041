"""What the pages keep for all visitors, and what is left to Python's garbage collection."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae._core.errors import DataError
from splicedvae.dashboard import cache, server
from splicedvae.dashboard.widgets import tables
from splicedvae.runs import Run, demo_run


class _Node:
    """Something that refers to itself, which only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


def test_settling_leaves_modules_out_and_garbage_in() -> None:
    gc.unfreeze()
    server._settled.clear()  # type: ignore[attr-defined]
    try:
        assert server.settle()
        assert gc.get_freeze_count() > 10_000
        assert not server.settle(), "nothing was imported since"
        node = _Node()
        gone = weakref.ref(node)
        del node
        gc.collect()
        assert gone() is None
    finally:
        gc.unfreeze()


_CALLS: list[tuple[object, ...]] = []


def _counted(run: Run, *parts: str, strict: bool = False) -> tuple[object, ...]:
    _CALLS.append((run.path.name, parts, strict))
    if "broken" in parts:
        raise DataError("This part is broken: choose another.")
    return (run.path.name, parts, strict)


def test_a_result_is_found_once_for_each_question() -> None:
    run = demo_run()
    _CALLS.clear()
    cache._found.clear()  # type: ignore[attr-defined]
    first = cache.once(_counted, run, "a", "b")
    assert first == (run.path.name, ("a", "b"), False)
    assert cache.once(_counted, Run(run.path), "a", "b") is first
    assert cache.once(_counted, run, "a", "b", strict=True) != first
    assert cache.once(_counted, run, "a") == (run.path.name, ("a",), False)
    assert len(_CALLS) == 3


def test_an_error_is_told_each_time_and_not_kept() -> None:
    run = demo_run()
    _CALLS.clear()
    for _ in range(2):
        with pytest.raises(DataError, match="broken"):
            cache.once(_counted, run, "broken")
    assert len(_CALLS) == 2


_ROW = st.tuples(
    st.sampled_from(["splicedvae", "scvi"]),
    st.sampled_from(["rmse", "pearson"]),
    st.sampled_from([1.0, 5.0, 10.0, float("nan")]),
    st.floats(-1, 1),
)


@given(
    st.lists(_ROW, max_size=12),
    st.sampled_from(["splicedvae", "scvi"]),
    st.sampled_from([None, 1, 5]),
)
def test_a_number_is_looked_up_as_a_table_would(
    rows: list[tuple[str, str, float, float]], predictor: str, coverage: int | None
) -> None:
    metrics = pd.DataFrame(rows, columns=["predictor", "metric", "coverage", "value"])
    found = metrics[(metrics["predictor"] == predictor) & (metrics["metric"] == "rmse")]
    if coverage is None:
        found = found.sort_values("coverage", kind="stable")
    else:
        found = found[found["coverage"] == coverage]
    expected = float(found["value"].iloc[0]) if len(found) else float("nan")
    given_back = tables.value_of(metrics, predictor, "rmse", coverage)
    np.testing.assert_equal(given_back, expected)
