"""Bring the genes of a query to those of a model, by identifier or name, and say what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse

from splicedvae._core.errors import GenesError
from splicedvae._core.gene_identity import GeneIdentity, name_numbers
from splicedvae._core.gene_match import GeneMatch, Rule, match_genes
from splicedvae._core.gene_names import naming_style
from splicedvae._core.keys import Var
from splicedvae._core.orthologs import Orthologs, has_orthologs, translated
from splicedvae._core.species import species_of

#: Below this share of a model's genes its latent space means nothing for the query.
MIN_FRACTION = 0.5


@dataclass(frozen=True)
class GeneAlignment:
    """What was done to bring a query's genes to a model's.

    Parameters
    ----------
    n_model
        Genes of the model.
    n_found
        How many of them the query has.
    n_extra
        Genes of the query that are not in the model; they were left out.
    reordered
        Whether the shared genes were in another order.
    missing
        Model genes missing in the query, in the model's order; their counts are set to zero.
    renamed
        Whether the query has other names for genes that were found.
    n_ambiguous
        How many of the missing genes share their name with another gene.
    found_by
        Sentences' parts that say by what genes were found, each with how many.
    position
        Place of each of the model's genes in the query, -1 where it is missing; shape (n_model,).
    orthologs
        In words between which species genes were mapped; empty where genes are of one species.
    n_mapped
        Model genes that have a one-to-one ortholog in the query's species.
    counts_share
        Share of the query's counts that the found genes hold; ``None`` where not known.
    """

    n_model: int
    n_found: int
    n_extra: int
    reordered: bool
    missing: tuple[str, ...]
    renamed: bool = False
    n_ambiguous: int = 0
    found_by: tuple[tuple[str, int], ...] = ()
    position: NDArray[np.intp] = field(
        default_factory=lambda: np.empty(0, dtype=np.intp), repr=False, compare=False
    )
    orthologs: str = ""
    n_mapped: int = 0
    counts_share: float | None = field(default=None, compare=False)

    @property
    def is_identity(self) -> bool:
        """Whether the query had the model's genes, all of them, in order and by their names."""
        return (
            self.n_found == self.n_model
            and self.n_extra == 0
            and not self.reordered
            and not self.renamed
        )

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which of the model's genes the query has, shape (n_model,)."""
        return np.asarray(self.position >= 0)

    def selection(self, n_vars: int) -> csr_matrix:
        """Return what counts are multiplied by from the right to have the model's genes in order.

        Parameters
        ----------
        n_vars
            Genes of the query.
        """
        found = self.found
        ones = np.ones(int(found.sum()), dtype=np.float32)
        places = (self.position[found], np.flatnonzero(found))
        return csr_matrix((ones, places), shape=(n_vars, self.n_model))

    def __str__(self) -> str:
        by = self.found_by
        how = f" {by[0][0]}" if len(by) == 1 else ""
        if len(by) > 1:
            how = ": " + ", ".join(f"{n:,} {words}" for words, n in by)
        parts = [f"{self.n_found:,} of the model's {self.n_model:,} genes were found{how}"]
        if self.orthologs:
            parts.append(
                f"they were mapped through {self.orthologs}, which {self.n_mapped:,} of the "
                "model's genes have"
            )
        if self.counts_share is not None:
            parts.append(f"they hold {self.counts_share:.0%} of the data's counts")
        if self.missing:
            shown = ", ".join(self.missing[:3]) + (", ..." if len(self.missing) > 3 else "")
            parts.append(f"{len(self.missing):,} missing ones were set to zero ({shown})")
        if self.n_ambiguous:
            parts.append(
                f"{self.n_ambiguous:,} of these have a name shared by several genes and no "
                "identifier to distinguish them"
            )
        if self.n_extra:
            parts.append(f"{self.n_extra:,} other genes of the data were left out")
        if self.reordered:
            parts.append("genes were put in the model's order")
        return "; ".join(parts) + "."


def _words(rule: Rule) -> str:
    """Say in words by what genes were found."""
    what = "by identifier" if rule.kind == "identifier" else "by name"
    where = f" in var {rule.column}" if rule.column is not None else ""
    how = "" if rule.exact else ", ignoring versions, genomes, quotes or punctuation"
    return f"{what}{where}{how}"


def _advice(model: GeneIdentity, var: pd.DataFrame) -> str:
    names = pd.Index(var.index)
    for which, numbers in (
        ("data", name_numbers(var)),
        ("model", name_numbers(pd.DataFrame(index=model.names))),
    ):
        if numbers.mean() > 0.5:
            return (
                f"the genes of the {which} are numbered, not named, and numbers do not "
                "identify genes, so give them their names or identifiers"
                + (" and train again." if which == "model" else " (in var).")
            )
    ours, theirs = naming_style(model.names), naming_style(names)
    species = [species_of(model), species_of(GeneIdentity.of(var))]
    # The words without their example say the style.
    alike = ours.split(" (")[0] == theirs.split(" (")[0]
    if None not in species and species[0] != species[1]:
        way = "use a model trained on that species"
        if has_orthologs(*species):
            way = f"map the genes through orthologs (--orthologs {species[1]}), or {way}"
        return (
            f"the model has {ours} ({species[0]}) and the data {theirs} ({species[1]}), so {way}."
        )
    if alike:
        return (
            f"both have {ours.split(' (')[0]}, so give the data with all its genes, as counted, "
            "or train a model on the genes it has."
        )
    if None not in species:
        return (
            f"the model has {ours} and the data {theirs}, of the same species, and no column of "
            f"var has the model's names, so add one that has (such as {Var.GENE_SYMBOLS} or "
            f"{Var.GENE_IDS})."
        )
    return (
        f"the model has {ours} and the data {theirs}, and no column of var has the model's names, "
        "so map the data's genes to the model's names (orthologs for another species) or use a "
        "model trained on that species."
    )


def _raw_advice(model: GeneIdentity, adata: AnnData, n_found: int) -> str:
    """Point to ``raw`` where it has more of the model's genes; nothing where it has not."""
    if adata.raw is None:
        return ""
    in_raw = match_genes(model, adata.raw.var).n_found
    if in_raw <= n_found:
        return ""
    return (
        f"its raw has {in_raw:,} of them, so pass `adata.raw.to_adata()`, or name raw.X as total "
        "where the data are read from a file, if raw holds counts."
    )


def _same(model: GeneIdentity, var: pd.DataFrame) -> bool:
    """Whether a table has the model's genes in order, by names that nothing puts in doubt."""
    if not model.names.equals(pd.Index(var.index)):
        return False
    if not len(var.columns) and (model.symbols != "").all():
        return True
    theirs = GeneIdentity.of(var)
    both = (theirs.identifiers != "") & (model.identifiers != "")
    named = (theirs.symbols != "") & (model.symbols != "")
    # Numbers are not names: every file has the same ones.
    return bool(np.where(both, theirs.identifiers == model.identifiers, named).all())


def align_genes(
    adata: AnnData,
    genes: Sequence[str] | pd.Index | GeneIdentity,
    *,
    layers: Sequence[str] = (),
    min_fraction: float = MIN_FRACTION,
    orthologs: Orthologs | None = None,
) -> tuple[AnnData, GeneAlignment]:
    """Bring an AnnData to a model's genes: same names, same order, missing ones zero.

    Genes are found by their identifiers, in the index or a column of ``var``, else by a symbol that
    belongs to one gene only. Versions after identifiers, genomes before names, quotes and spaces
    do not matter. Numbers, and numbers that were put after repeated symbols, match nothing.

    Parameters
    ----------
    adata
        The query, cells x any genes. It is not changed.
    genes
        Names of the model's genes, or `SplicedVAE.gene_identity`, which also has identifiers.
    layers
        Layers to bring along where the query has them.
    min_fraction
        Share of the model's genes that must be found.
    orthologs
        Between which species genes are mapped; ``None`` where both are of one species.

    Returns
    -------
    aligned
        The query itself where its genes are the model's already, otherwise a new AnnData,
        cells x ``genes``, with CSR counts, the same obs, obsm and uns.
    alignment
        What was done.

    Raises
    ------
    GenesError
        If a gene of the model is duplicated in the query by name and has no identifier, or too few
        of the model's genes are found.
    """
    model = genes if isinstance(genes, GeneIdentity) else GeneIdentity.of_names(genes)
    target, n = model.names, len(model.names)
    if orthologs is None and _same(model, adata.var):
        alignment = GeneAlignment(
            n, n, 0, False, (), found_by=(("by name", n),), position=np.arange(n)
        )
        return adata, alignment
    wanted = model if orthologs is None else translated(model, orthologs)
    n_mapped = int(((wanted.identifiers != "") | (wanted.symbols != "")).sum())
    match = match_genes(wanted, adata.var, enough=min_fraction)
    found = match.position >= 0
    twice = adata.var_names[adata.var_names.duplicated()]
    unclear = twice.intersection(target[~found])
    if len(unclear):
        raise GenesError(
            f"The gene name '{unclear[0]}' is duplicated in the data, expected unique "
            "names; sum its columns, or put identifiers that distinguish them into "
            f"`adata.var['{Var.GENE_IDS}']`."
        )
    if match.n_found < max(1, min_fraction * n):
        raise GenesError(
            f"{match.n_found:,} of the model's {n:,} genes ({100 * match.n_found / n:.1f}%) "
            f"are in the data, expected at least {100 * min_fraction:.0f}%; "
            f"{_raw_advice(model, adata, match.n_found) or _advice(model, adata.var)}"
        )
    alignment = _told(model, adata, match)
    if orthologs is not None:
        alignment = replace(alignment, orthologs=str(orthologs), n_mapped=n_mapped)
    selection = alignment.selection(adata.n_vars)

    def pick(matrix: object) -> csr_matrix:
        counts = matrix if issparse(matrix) else csr_matrix(np.asarray(matrix))
        picked = csr_matrix(counts @ selection)
        picked.sort_indices()
        return picked

    picked = None if adata.X is None else pick(adata.X)
    if picked is not None:
        alignment = replace(alignment, counts_share=share_of(picked.sum(), adata.X.sum()))
    aligned = AnnData(
        X=picked,
        obs=adata.obs.copy(),
        var=model.frame(),
        obsm={key: value.copy() for key, value in adata.obsm.items()},
        uns={key: value for key, value in adata.uns.items() if not key.startswith("_scvi")},
        layers={name: pick(adata.layers[name]) for name in layers if name in adata.layers},
    )
    return aligned, alignment


def share_of(part: float, whole: float) -> float | None:
    """Return the share that counts are of others, None where there are none."""
    return float(part) / float(whole) if whole > 0 else None


def _told(model: GeneIdentity, adata: AnnData, match: GeneMatch) -> GeneAlignment:
    """Say what was found in an AnnData."""
    found = match.position >= 0
    places = match.position[found]
    renamed = adata.var_names[places].to_numpy() != model.names[found].to_numpy()
    return GeneAlignment(
        n_model=len(found),
        n_found=match.n_found,
        n_extra=adata.n_vars - match.n_found,
        reordered=bool((np.diff(places) < 0).any()),
        missing=tuple(str(name) for name in model.names[~found]),
        renamed=bool(renamed.any()),
        n_ambiguous=match.n_ambiguous,
        found_by=tuple((_words(rule), n) for rule, n in match.found_by),
        position=match.position,
    )
