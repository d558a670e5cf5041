"""What reading a file gives: the data in one shape, and what was taken from where."""

from __future__ import annotations

from dataclasses import dataclass

from anndata import AnnData

from splicedvae._core.keys import Ambiguous, Counts


@dataclass(frozen=True)
class ReadResult:
    """Counts from outside in the one shape that the rest of the package works on.

    See Also
    --------
    splicedvae.io.read : From a file or folder.
    splicedvae.io.from_anndata : From an AnnData in memory.
    """

    #: ``X`` holds raw total counts, CSR float32, cells x genes; ``layers["spliced"]``,
    #: ``["unspliced"]`` and ``["ambiguous"]`` are there when found, in the same form. Names of
    #: cells and genes are unique; ``obs``, ``var``, ``obsm`` and ``uns`` are otherwise kept.
    adata: AnnData
    #: One sentence each: what was taken from where, what was changed or left out.
    notes: tuple[str, ...]
    #: File name without its folder.
    name: str
    #: SHA-256 of the file; of a folder's sorted contents; of counts and names in memory.
    sha256: str
    #: ``"X"``, ``"raw.X"``, ``"layers/<name>"``, ``"spliced + unspliced"`` or
    #: ``"spliced + unspliced + ambiguous"``.
    total_source: str
    #: ``"layers/<name>"``, two of them joined by ``" + "`` where ambiguous counts were added to the
    #: spliced ones, or ``None`` where no measured layers were found.
    spliced_source: str | None
    #: As for `spliced_source`.
    unspliced_source: str | None
    #: What the totals contain, judged by the measured layers; ``None`` if unknown.
    counts: Counts | None
    #: Names of the layers of the file that may hold measured counts, in its order.
    layers: tuple[str, ...] = ()
    #: Whether the totals are known to be exactly spliced + unspliced.
    totals_are_sum: bool = False
    #: ``"layers/<name>"``, or ``None`` where there are no ambiguous counts.
    ambiguous_source: str | None = None
    #: Where the ambiguous counts went; ``None`` where there are none.
    ambiguous: Ambiguous | None = None
    #: Share of spliced + unspliced + ambiguous counts that are ambiguous.
    ambiguous_share: float | None = None

    @property
    def has_measured_layers(self) -> bool:
        """Whether measured (not predicted) spliced and unspliced counts were found."""
        return self.spliced_source is not None and self.unspliced_source is not None
