"""Whether a finished run still has all its parts: a copy may be cut off, a file lost."""

from __future__ import annotations

from typing import Final

from splicedvae._core.errors import RunError
from splicedvae.dashboard import cache
from splicedvae.runs import Run

#: Files of every finished run, and of those that were trained on S/U.
_ALWAYS: Final = ("predictions.h5ad", "velocity.json", "provenance.json")
_TRAINED: Final = ("metrics.csv", "genes.csv")


def complaint(run: Run) -> str | None:
    """Return a sentence on what is missing in a finished run.

    Parameters
    ----------
    run
        A run whose state is ``"finished"``.

    Returns
    -------
    The sentence, or None where its parts are there and can be read.
    """
    wanted = (*_ALWAYS, *(_TRAINED if run.config.kind == "train" else ()))
    lacking = [name for name in wanted if not (run.path / name).is_file()]
    if lacking:
        return (
            f"The run {run.name!r} is damaged, {' and '.join(lacking)} missing: open "
            "another run, or delete this one and train again."
        )
    whole = cache.cached_run(run)
    try:
        run.check(*wanted)
        # Both are kept once they were read, so this costs a page nothing.
        account = whole.velocity_account
        broken = not all(isinstance(entry, dict) for entry in account.values())
        whole.predictions.obs_names  # noqa: B018
    except RunError as failure:
        return str(failure)
    if broken:
        return (
            f"The run {run.name!r} is damaged, its record of velocities (velocity.json) "
            "cannot be read: delete it and train again."
        )
    return None
