"""Public data sets with measured spliced and unspliced counts: where they lie and what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_SCVELO = "https://github.com/theislab/scvelo_notebooks/raw/master/data"
_FIGSHARE = "https://ndownloader.figshare.com/files"


@dataclass(frozen=True)
class PublicDataset:
    """One file of a public data set.

    Parameters
    ----------
    name
        Name of the function that reads it.
    title
        What it is, in a line.
    citation
        The article it comes from.
    file_name
        Name in the cache folder.
    url
        Address of the file.
    clusters
        Column of the file's cells that names their types.
    known_hash
        Checksum as ``algorithm:digest``, or None where none is published; the first download is
        then trusted and recorded.
    """

    name: str
    title: str
    citation: str
    file_name: str
    url: str
    clusters: str
    known_hash: str | None = None


# The addresses are those of scVelo 0.3.4. Where neither publisher nor scVelo gives a checksum,
# these are the ones that other projects publish for the same address and check downloads against:
# pancreas, bonemarrow and pbmc68k as Pyro-Velocity does (the first two are confirmed by a second,
# independent project), gastrulation_erythroid as one project does that checks its shape as well.
_ALL = (
    PublicDataset(
        name="pancreas",
        title="mouse pancreas, endocrinogenesis at E15.5: 3,696 cells x 27,998 genes",
        citation="Bastidas-Ponce et al., Development 146, 2019, doi:10.1242/dev.173849",
        file_name="endocrinogenesis_day15.h5ad",
        url=f"{_SCVELO}/Pancreas/endocrinogenesis_day15.h5ad",
        clusters="clusters",
        known_hash="sha256:9e3e459eca00ba06b496ec80def32941b5b2889918720e3e7aa6ffb811fbe7c6",
    ),
    PublicDataset(
        name="dentategyrus",
        title="mouse dentate gyrus, neurogenesis at P12 and P35: 2,930 cells x 13,913 genes",
        citation="Hochgerner et al., Nature Neuroscience 21, 2018, doi:10.1038/s41593-017-0056-2",
        file_name="10X43_1.h5ad",
        url=f"{_SCVELO}/DentateGyrus/10X43_1.h5ad",
        clusters="clusters",
    ),
    PublicDataset(
        name="gastrulation_erythroid",
        title="mouse gastrulation, erythroid lineage from E7.0 to E8.5: 9,815 cells x 53,801 genes",
        citation="Pijuan-Sala et al., Nature 566, 2019, doi:10.1038/s41586-019-0933-9",
        file_name="erythroid_lineage.h5ad",
        url=f"{_FIGSHARE}/27686871",
        clusters="celltype",
        known_hash="sha256:0af49504137dc8dc930a19e3534243a121da1ddddbe28ebc5fab0470294d60d4",
    ),
    PublicDataset(
        name="bonemarrow",
        title="human CD34+ bone marrow, haematopoiesis: 5,780 cells x 14,319 genes",
        citation="Setty et al., Nature Biotechnology 37, 2019, doi:10.1038/s41587-019-0068-4",
        file_name="human_cd34_bone_marrow.h5ad",
        url=f"{_FIGSHARE}/27686835",
        clusters="clusters",
        known_hash="sha256:12222efe4a9dd5916fa279860a2a4fdec383bd2e0db0249a1cd18c549c4a4c2c",
    ),
    PublicDataset(
        name="forebrain",
        title="human forebrain, glutamatergic neurons at week 10: 1,720 cells x 32,738 genes",
        citation="La Manno et al., Nature 560, 2018, doi:10.1038/s41586-018-0414-6",
        file_name="hgForebrainGlut.loom",
        url="http://pklab.med.harvard.edu/velocyto/hgForebrainGlut/hgForebrainGlut.loom",
        clusters="Clusters",
    ),
    PublicDataset(
        name="pbmc68k",
        title="human blood, mononuclear cells of one donor: about 68,000 cells",
        citation="Zheng et al., Nature Communications 8, 2017, doi:10.1038/ncomms14049",
        file_name="pbmc68k.h5ad",
        url=f"{_FIGSHARE}/27686886",
        clusters="celltype",
        known_hash="sha256:c93b1ccad909b6a41539a57975737bd946ea1becce066c250aca129d8dfa26fb",
    ),
)

#: The public data sets by name.
DATASETS: Mapping[str, PublicDataset] = MappingProxyType({entry.name: entry for entry in _ALL})


def available() -> dict[str, str]:
    """List the public data sets.

    Returns
    -------
    A line on each, by the name of the function that reads it.

    Examples
    --------
    >>> import splicedvae
    >>> splicedvae.datasets.available()["bonemarrow"]
    'human CD34+ bone marrow, hematopoiesis: 5,780 cells x 14,319 genes'
    """
    return {name: entry.title for name, entry in DATASETS.items()}
