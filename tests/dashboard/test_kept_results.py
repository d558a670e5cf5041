"""What the pages keep for all visitors, and what is left to Python's garbage collection."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
import streamlit
from hypothesis import given
from hypothesis import strategies as st

from splicedvae import views
from splicedvae._core.errors import DataError
from splicedvae.dashboard import cache, server
from splicedvae.dashboard.widgets import slides, tables
from splicedvae.runs import Run, demo_run


class _Node:
    """Something that refers to itself, which only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


def test_freezing_leaves_modules_out_and_garbage_in() -> None:
    gc.unfreeze()
    server._frozen.clear()  # type: ignore[attr-defined]
    try:
        assert server.freeze_imports()
        assert gc.get_freeze_count() > 10_000
        assert not server.freeze_imports(), "nothing was imported since"
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
    streamlit.cache_resource.clear()
    first = cache.cached(_counted, run, "a", "b")
    assert first == (run.path.name, ("a", "b"), False)
    assert cache.cached(_counted, Run(run.path), "a", "b") is first
    assert cache.cached(_counted, run, "a", "b", strict=True) != first
    assert cache.cached(_counted, run, "a") == (run.path.name, ("a",), False)
    assert len(_CALLS) == 3


def test_an_error_is_told_each_time_and_not_kept() -> None:
    run = demo_run()
    _CALLS.clear()
    for _ in range(2):
        with pytest.raises(DataError, match="broken"):
            cache.cached(_counted, run, "broken")
    assert len(_CALLS) == 2


def test_a_function_of_a_script_is_refused() -> None:
    # Streamlit runs a page anew each time, so that its functions are others each time.
    with pytest.raises(TypeError, match="no function of a module"):
        cache.cached(lambda run: run.id, demo_run())


def test_results_of_two_functions_are_kept_apart() -> None:
    run = demo_run()
    assert cache.cached(_name, run) == run.name
    assert cache.cached(_path, run) == str(run.path)


def _name(run: Run) -> str:
    return run.name


def _path(run: Run) -> str:
    return str(run.path)


def test_a_slide_leaves_the_figure_that_is_kept_as_it_is() -> None:
    kept = cache.figure(views.gain_figure, demo_run())
    before = kept.to_json()
    enlarged = slides.enlarge(kept, 290)
    assert enlarged.layout.height == 290
    assert cache.figure(views.gain_figure, demo_run()).to_json() == before


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
