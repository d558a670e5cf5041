"""umap-learn with its compiled functions kept on disk.

pynndescent 0.6 and umap-learn 0.5 compile most of their functions anew in every process, which
takes about ten seconds of processor time and is most of the time of a first neighbour search and
embedding. numba can keep what it compiled, beside the packages or in the user's cache, as it does
for `splicedvae.velocity`. The functions and their results are the same.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

import numba

_DECORATORS: Final = ("jit", "njit", "vectorize")
#: Modules whose functions are kept. Those of pynndescent.pynndescent_ are given other functions,
#: which numba takes for new ones in every process: it would write files that it never reads.
_KEPT: Final = (
    "umap.",
    "pynndescent.distances",
    "pynndescent.rp_trees",
    "pynndescent.sparse",
    "pynndescent.utils",
)
_LOCK: Final = threading.Lock()


def load_umap() -> None:
    """Import umap-learn and pynndescent, unless they are there; call it before scanpy does."""
    with _LOCK:
        if "umap" in sys.modules and "pynndescent" in sys.modules:
            return
        plain = {name: getattr(numba, name) for name in _DECORATORS}
        try:
            for name, decorator in plain.items():
                setattr(numba, name, _keeping(decorator))
            importlib.import_module("umap")
        finally:
            for name, decorator in plain.items():
                setattr(numba, name, decorator)


def _keeping(decorator: Callable[..., Any]) -> Callable[..., Any]:
    def decorate(*arguments: Any, **options: Any) -> Any:
        if sys._getframe(1).f_globals.get("__name__", "").startswith(_KEPT):
            options = {"cache": True, **options}
        return decorator(*arguments, **options)

    return decorate
