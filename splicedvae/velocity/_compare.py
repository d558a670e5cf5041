"""Several sources of spliced and unspliced counts on one common ground."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anndata import AnnData

from splicedvae._core.errors import VelocityError
from splicedvae.velocity._account import VelocityAccount
from splicedvae.velocity._compute import velocity_on
from splicedvae.velocity._neighbours import Neighbours
from splicedvae.velocity._prepared import check_prepared
from splicedvae.velocity._settings import VelocitySettings


@dataclass(frozen=True, eq=False)
class VelocityComparison:
    """Velocities of several sources on the same genes, neighbours and embedding.

    Attributes
    ----------
    results
        One AnnData, as from `compute_velocity`, per source that has a velocity.
    refusals
        One sentence per source that has none.
    genes
        Names of the genes, the same for all.
    settings
        The settings, the same for all.
    """

    results: dict[str, AnnData]
    refusals: dict[str, str]
    genes: tuple[str, ...]
    settings: VelocitySettings

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return, per source, a dictionary that JSON can hold.

        Its ``state`` is ``"ok"``, with the account beside it, or ``"refused"``, with the
        ``message``.
        """
        told: dict[str, dict[str, Any]] = {
            name: {"state": "ok", "message": "", **VelocityAccount.from_adata(result).to_dict()}
            for name, result in self.results.items()
        }
        for name, message in self.refusals.items():
            told[name] = {
                "state": "refused",
                "message": message,
                "settings": self.settings.to_dict(),
                "fallbacks": [],
                "notes": [],
            }
        return told


def compare_velocities(
    prepared: AnnData,
    sources: Mapping[str, tuple[str, str]],
    settings: VelocitySettings | None = None,
    *,
    bases: Sequence[str] = ("umap",),
    progress: Callable[[str], None] | None = None,
) -> VelocityComparison:
    """Compute a velocity per source, with the same genes, neighbours and settings.

    Parameters
    ----------
    prepared
        A result of `prepare` with the layers of all sources; not changed.
    sources
        Per source its spliced and unspliced layer.
    settings
        scVelo's model; ``None`` for the defaults.
    bases
        Embeddings to project onto.
    progress
        Called with a source's name before it is computed.

    Returns
    -------
    VelocityComparison
        A result or a refusal for each source.

    Raises
    ------
    DataError
        If the object was not prepared, or a layer or embedding is absent or not of counts.
    """
    check_prepared(prepared)
    settings = VelocitySettings() if settings is None else settings
    neighbours = Neighbours(prepared)
    results: dict[str, AnnData] = {}
    refusals: dict[str, str] = {}
    for source, (spliced_layer, unspliced_layer) in sources.items():
        if progress is not None:
            progress(source)
        try:
            results[source] = velocity_on(
                prepared,
                neighbours,
                spliced_layer=spliced_layer,
                unspliced_layer=unspliced_layer,
                settings=settings,
                source=source,
                bases=bases,
            )
        except VelocityError as refusal:
            refusals[source] = str(refusal)
    return VelocityComparison(
        results=results,
        refusals=refusals,
        genes=tuple(str(name) for name in prepared.var_names),
        settings=settings,
    )
