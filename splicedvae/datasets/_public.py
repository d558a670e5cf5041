"""One function for each public data set, as scVelo has them."""

from __future__ import annotations

import os
from pathlib import Path

from anndata import AnnData

from splicedvae._core.keys import Obs
from splicedvae.datasets._fetch import fetch, find, logger, verify


def load(
    name: str,
    path: str | os.PathLike[str] | None = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    url: str | None = None,
    known_hash: str | None = None,
    progress: bool = True,
) -> AnnData:
    """Read a public data set, downloading it on first use.

    The functions named after the data sets are this one with the name filled in.

    Parameters
    ----------
    name
        One of the names that ``splicedvae.datasets.available`` lists.
    path
        The file, where you have it already; nothing is downloaded then.
    cache_dir
        Folder to keep the download in; by default the one that the environment variable
        ``SPLICEDVAE_CACHE`` names, or else the operating system's place for caches.
    url
        Another address to download from, such as a mirror.
    known_hash
        Checksum to verify instead of the published one, as ``algorithm:digest`` or a plain
        SHA-256. Where none is published, the first download is trusted and recorded, and the log
        says so.
    progress
        Whether to show a progress bar.

    Returns
    -------
    Cells x genes as ``splicedvae.io.read`` gives them: total counts in ``X``, and the layers
    ``spliced`` and ``unspliced``. Cell types are in ``obs["clusters"]``, under whatever name the
    file has them.

    Raises
    ------
    DownloadError
        The download fails, or the file is not the one expected.
    DataError
        The file cannot be read.
    """
    # Reading needs all formats' libraries; listing the data sets and simulating do not.
    from splicedvae import io

    entry = find(name)
    if path is None:
        file = fetch(name, cache_dir=cache_dir, url=url, known_hash=known_hash, progress=progress)
    else:
        file = Path(path).expanduser()
        verify(entry, file, known_hash)
    result = io.read(file)
    for note in result.notes:
        logger.info("%s: %s", name, note)
    adata = result.adata
    if Obs.CLUSTERS not in adata.obs and entry.clusters in adata.obs:
        adata.obs[Obs.CLUSTERS] = adata.obs[entry.clusters].astype(str).astype("category")
    return adata


def pancreas(
    path: str | os.PathLike[str] | None = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    url: str | None = None,
    known_hash: str | None = None,
    progress: bool = True,
) -> AnnData:
    """Endocrinogenesis in the mouse pancreas at embryonic day 15.5.

    Ductal cells become endocrine progenitors and then alpha, beta, delta and epsilon cells:
    3,696 cells x 27,998 genes, 10x Genomics.

    Parameters
    ----------
    path, cache_dir, url, known_hash, progress
        As for :func:`load`.

    Returns
    -------
    Cells x genes with layers ``spliced`` and ``unspliced``, and ``obs["clusters"]``.

    Raises
    ------
    DownloadError
        The download fails, or the file is not the one expected.
    DataError
        The file cannot be read.

    References
    ----------
    Bastidas-Ponce et al., Comprehensive single cell mRNA profiling reveals a detailed roadmap for
    pancreatic endocrinogenesis, Development 146, 2019; GSE132188.
    """
    return load(
        "pancreas", path, cache_dir=cache_dir, url=url, known_hash=known_hash, progress=progress
    )


def dentategyrus(
    path: str | os.PathLike[str] | None = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    url: str | None = None,
    known_hash: str | None = None,
    progress: bool = True,
) -> AnnData:
    """Neurogenesis in the mouse dentate gyrus at postnatal days 12 and 35.

    Neuroblasts become granule cells, beside other cell types of the hippocampus: 2,930 cells x
    13,913 genes, 10x Genomics.

    Parameters
    ----------
    path, cache_dir, url, known_hash, progress
        As for :func:`load`.

    Returns
    -------
    Cells x genes with layers ``spliced`` and ``unspliced``, and ``obs["clusters"]``.

    Raises
    ------
    DownloadError
        The download fails, or the file is not the one expected.
    DataError
        The file cannot be read.

    References
    ----------
    Hochgerner et al., Conserved properties of dentate gyrus neurogenesis across postnatal
    development revealed by single-cell RNA sequencing, Nature Neuroscience 21, 2018; GSE95753.
    """
    return load(
        "dentategyrus", path, cache_dir=cache_dir, url=url, known_hash=known_hash, progress=progress
    )


def gastrulation_erythroid(
    path: str | os.PathLike[str] | None = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    url: str | None = None,
    known_hash: str | None = None,
    progress: bool = True,
) -> AnnData:
    """Erythroid lineage of mouse gastrulation, embryonic days 7.0 to 8.5.

    Blood progenitors become erythroid cells: 9,815 cells x 53,801 genes, 10x Genomics. Known for
    genes whose transcription rises late, which mislead models of constant rates.

    Parameters
    ----------
    path, cache_dir, url, known_hash, progress
        As for :func:`load`.

    Returns
    -------
    Cells x genes with layers ``spliced`` and ``unspliced``, and ``obs["clusters"]``.

    Raises
    ------
    DownloadError
        The download fails, or the file is not the one expected.
    DataError
        The file cannot be read.

    References
    ----------
    Pijuan-Sala et al., A single-cell molecular map of mouse gastrulation and early organogenesis,
    Nature 566, 2019; E-MTAB-6967.
    """
    return load(
        "gastrulation_erythroid",
        path,
        cache_dir=cache_dir,
        url=url,
        known_hash=known_hash,
        progress=progress,
    )


def bonemarrow(
    path: str | os.PathLike[str] | None = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    url: str | None = None,
    known_hash: str | None = None,
    progress: bool = True,
) -> AnnData:
    """Haematopoiesis in human CD34+ bone marrow.

    Stem cells branch into the erythroid, monocytic, dendritic, megakaryocytic and lymphoid
    lineages: 5,780 cells x 14,319 genes, 10x Genomics.

    Parameters
    ----------
    path, cache_dir, url, known_hash, progress
        As for :func:`load`.

    Returns
    -------
    Cells x genes with layers ``spliced`` and ``unspliced``, and ``obs["clusters"]``.

    Raises
    ------
    DownloadError
        The download fails, or the file is not the one expected.
    DataError
        The file cannot be read.

    References
    ----------
    Setty et al., Characterization of cell fate probabilities in single-cell data with Palantir,
    Nature Biotechnology 37, 2019.
    """
    return load(
        "bonemarrow", path, cache_dir=cache_dir, url=url, known_hash=known_hash, progress=progress
    )


def forebrain(
    path: str | os.PathLike[str] | None = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    url: str | None = None,
    known_hash: str | None = None,
    progress: bool = True,
) -> AnnData:
    """Glutamatergic neurons of the human forebrain at week 10.

    Radial glia become neurons: 1,720 cells x 32,738 genes, 10x Genomics.

    Parameters
    ----------
    path, cache_dir, url, known_hash, progress
        As for :func:`load`.

    Returns
    -------
    Cells x genes with layers ``spliced`` and ``unspliced``, and ``obs["clusters"]``.

    Raises
    ------
    DownloadError
        The download fails, or the file is not the one expected.
    DataError
        The file cannot be read.

    References
    ----------
    La Manno et al., RNA velocity of single cells, Nature 560, 2018.
    """
    return load(
        "forebrain", path, cache_dir=cache_dir, url=url, known_hash=known_hash, progress=progress
    )


def pbmc68k(
    path: str | os.PathLike[str] | None = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    url: str | None = None,
    known_hash: str | None = None,
    progress: bool = True,
) -> AnnData:
    """Mononuclear cells of human blood.

    Mature cell types, between which no transitions are expected: a test of what a velocity shows
    where there is none. About 68,000 cells, 10x Genomics.

    Parameters
    ----------
    path, cache_dir, url, known_hash, progress
        As for :func:`load`.

    Returns
    -------
    Cells x genes with layers ``spliced`` and ``unspliced``, and ``obs["clusters"]``.

    Raises
    ------
    DownloadError
        The download fails, or the file is not the one expected.
    DataError
        The file cannot be read.

    References
    ----------
    Zheng et al., Massively parallel digital transcriptional profiling of single cells, Nature
    Communications 8, 2017.
    """
    return load(
        "pbmc68k", path, cache_dir=cache_dir, url=url, known_hash=known_hash, progress=progress
    )
