"""Stop a run cleanly on request.

SIGTERM (the page's stop button) and SIGINT (Ctrl-C) raise `StopRequested` wherever the work is.
An exception raised inside a callback of another library can be swallowed there, so the request
is also remembered and looked at between batches and stages.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequested(BaseException):
    """A person requested a stop. Not an ``Exception``, so that no handler catches it."""


class StopSignal:
    """Whether a stop was requested."""

    def __init__(self) -> None:
        self.requested = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note the request and raise; later signals are only noted, so that tidying up can end.

        Parameters
        ----------
        number
            The signal.
        frame
            Where it arrived; not used.
        """
        if not self.requested:
            self.requested = True
            raise StopRequested

    def check(self) -> None:
        """Raise `StopRequested` if the end was requested."""
        if self.requested:
            raise StopRequested


@contextmanager
def stop_signals() -> Iterator[StopSignal]:
    """Turn SIGTERM and SIGINT into `StopRequested` inside the body.

    Yields
    ------
    The signal's memory. Outside the main thread, where signals cannot be taken, it stays unset.
    """
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, stop.handle) for number in numbers}
    hook = sys.unraisablehook

    def unraisable(found: sys.UnraisableHookArgs) -> None:
        # Raised inside a callback from C, as of a compiler: it is remembered, not lost.
        if found.exc_type is not StopRequested:
            hook(found)

    sys.unraisablehook = unraisable
    try:
        yield stop
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
