"""Records that this package wrote into a file: a name alone, such as true_time, proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from splicedvae._core.keys import Uns


def own_root(uns: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of what the package wrote to ``uns``; what others wrote there is left out.

    Parameters
    ----------
    uns
        Of an AnnData from anywhere.
    """
    root = uns.get(Uns.ROOT)
    return dict(root) if isinstance(root, Mapping) else {}


def own_record(uns: Mapping[str, Any], entry: str) -> Mapping[str, Any]:
    """Return an entry that the package wrote to ``uns``, empty where there is none.

    Parameters
    ----------
    uns
        Of an AnnData from anywhere.
    entry
        One of the names in `Uns` under its root.
    """
    found = own_root(uns).get(entry)
    return found if isinstance(found, Mapping) else {}


def is_simulation(uns: Mapping[str, Any]) -> bool:
    """Say whether `splicedvae.datasets.simulate` made the data, so that the truth is known.

    Parameters
    ----------
    uns
        Of the AnnData.
    """
    return bool(own_record(uns, Uns.SIMULATION))
