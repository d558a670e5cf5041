"""The only access to scVelo, without side effects on the process.

Importing scVelo 0.3.4 silences every Python warning for good, and its functions print to
standard output. What a reader needs to know of its messages is checked by this package
and reported in the result's record instead.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet_scvelo() -> Iterator[Any]:
    """Lend the scvelo module; the warning filters and its verbosity are put back afterwards.

    Yields
    ------
    module
        ``scvelo``.
    """
    with warnings.catch_warnings():
        scvelo = importlib.import_module("scvelo")
        warnings.simplefilter("ignore")
        verbosity = scvelo.settings.verbosity
        scvelo.settings.verbosity = 0
        try:
            yield scvelo
        finally:
            scvelo.settings.verbosity = verbosity
