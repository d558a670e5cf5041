"""The estimate of the time left, under a clock that the test turns."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splicedvae.jobs._time_left import TimeLeft
from splicedvae.runs.stages import STAGE_HEAD, STAGE_SCVI, STAGE_SPLICEDVAE, Work, stage_seconds

STAGES = [("read", 1.0), ("train", 60.0), ("fit", 30.0), ("draw", 9.0)]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def epochs(left: TimeLeft, clock: Clock, first: int, last: int, of: int, seconds: float) -> None:
    """Tell of epochs that take equally long; the first call tells of none, as a training does."""
    if first == 1:
        left.advance(0.0)
    for epoch in range(first, last + 1):
        clock.now += seconds
        left.advance(epoch / of)


def test_nothing_is_said_before_a_training_has_shown_its_speed(clock: Clock) -> None:
    left = TimeLeft(STAGES, clock=clock)
    assert left.seconds() is None
    left.begin("read")
    clock.now += 0.5
    assert left.seconds() is None
    left.begin("train")
    # A file that was read fast says nothing about 5,000 epochs.
    epochs(left, clock, 1, 11, 5000, 0.1)
    assert left.seconds() is None
    epochs(left, clock, 12, 60, 5000, 0.1)
    assert left.seconds() == pytest.approx(494 + 500 * 39 / 60, rel=0.01)


def test_slow_epochs_are_believed_after_two(clock: Clock) -> None:
    left = TimeLeft(STAGES, clock=clock)
    left.begin("train")
    epochs(left, clock, 1, 1, 100, 20)
    assert left.seconds() is None
    epochs(left, clock, 2, 2, 100, 20)
    assert left.seconds() == pytest.approx(98 * 20 + 100 * 20 * 39 / 60)


def test_later_stages_are_expected_by_their_weights(clock: Clock) -> None:
    left = TimeLeft(STAGES, clock=clock)
    left.begin("train")
    epochs(left, clock, 1, 100, 100, 1.0)
    left.begin("fit")
    assert left.seconds() == pytest.approx(50 + 15)
    clock.now += 10
    assert left.seconds() == pytest.approx(40 + 15)
    clock.now += 100
    # Longer than expected: what is left of it is unknown, and not below nothing.
    assert left.seconds() == pytest.approx(15)
    left.begin("draw")
    assert left.seconds() == pytest.approx((100 + 110) / 90 * 9)


def test_a_first_epoch_that_warms_up_is_not_timed(clock: Clock) -> None:
    left = TimeLeft(STAGES, clock=clock)
    left.begin("train")
    left.advance(0.0)
    clock.now += 30
    left.advance(0.01)
    for epoch in range(2, 11):
        clock.now += 1
        left.advance(epoch / 100)
    assert left.seconds() == pytest.approx(90 + 65)


def test_speed_is_that_of_the_last_minute(clock: Clock) -> None:
    left = TimeLeft(STAGES, clock=clock)
    left.begin("train")
    epochs(left, clock, 1, 100, 1000, 0.5)
    epochs(left, clock, 101, 200, 1000, 2.0)
    assert left.seconds() == pytest.approx(800 * 2 + 1000 * 2 * 39 / 60, rel=0.02)


def test_a_training_that_goes_on_is_timed_from_there(clock: Clock) -> None:
    left = TimeLeft(STAGES, clock=clock)
    left.begin("train")
    left.credit(60)
    left.advance(0.6)
    for epoch in range(61, 71):
        clock.now += 1
        left.advance(epoch / 100)
    assert left.fraction == pytest.approx((1 + 60 * 0.7) / 100)
    assert left.seconds() == pytest.approx(30 + 65)


def test_a_training_that_is_not_repeated_still_speaks_for_the_next(clock: Clock) -> None:
    left = TimeLeft(STAGES, clock=clock)
    left.begin("train")
    left.credit(120)
    left.begin("fit")
    assert left.seconds() == pytest.approx(60 + 18)


def test_epochs_weigh_on_trainings_alone() -> None:
    work = Work("train", 1_000, 800, 500, 100, 128)
    usual = stage_seconds(work)
    many = stage_seconds(dataclasses.replace(work, epochs=1_000))
    changed = {name for name in usual if many[name] != usual[name]}
    assert changed == {STAGE_SPLICEDVAE, STAGE_SCVI, STAGE_HEAD}
    assert 8 * usual[STAGE_SCVI] < many[STAGE_SCVI] <= 10 * usual[STAGE_SCVI]
    left = TimeLeft([("read", 1.0), (STAGE_SCVI, usual[STAGE_SCVI])])
    left.begin(STAGE_SCVI)
    assert left.fraction == pytest.approx(1 / (1 + usual[STAGE_SCVI]))
    left.reweigh({**many, "not a stage": 5.0})
    assert left.fraction == pytest.approx(1 / (1 + many[STAGE_SCVI]))


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 1e4), st.floats(-0.5, 1.5), st.integers(0, 3)), max_size=40
    )
)
def test_whatever_is_told_the_estimate_is_no_nonsense(
    steps: list[tuple[float, float, int]],
) -> None:
    clock = Clock()
    left = TimeLeft(STAGES, clock=clock)
    position = -1
    for seconds, share, stage in steps:
        clock.now += seconds
        if stage > position:
            position = stage
            left.begin(STAGES[stage][0])
        elif position >= 0:
            left.advance(share)
        assert 0 <= left.fraction <= 1 + 1e-9
        found = left.seconds()
        assert found is None or 0 <= found < float("inf")
