"""Genes of one species under the names of another, by one-to-one orthologs.

The table holds human genes and their partners in ten species; two other species are joined over
their human partners. Nothing here decides that orthologs are used: who aligns genes does, and says
so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from splicedvae._core.errors import GenesError
from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.gene_match import match_genes
from splicedvae._core.keys import Var

#: The table, made by `splicedvae._core.build_orthologs`.
TABLE: Final = Path(__file__).parents[1] / "tables" / "orthologs.csv.gz"
#: Species of the table, by the names that `splicedvae.triage.guess_species` gives.
SPECIES: Final = (
    "human",
    "mouse",
    "rat",
    "zebrafish",
    "fruit fly",
    "C. elegans",
    "chicken",
    "western clawed frog",
    "pig",
    "rhesus macaque",
    "budding yeast",
)


def columns_of(species: str) -> tuple[str, str]:
    """Return the columns of a species in the table: symbols and identifiers.

    Parameters
    ----------
    species
        One of `SPECIES`.
    """
    return f"{species} symbol", f"{species} id"


@dataclass(frozen=True)
class Orthologs:
    """Between which species genes are mapped.

    Attributes
    ----------
    data
        Species of the data, one of `SPECIES`.
    model
        Species of the model, one of `SPECIES`.
    """

    data: str
    model: str

    def __post_init__(self) -> None:
        """Refuse species that the table does not have.

        Raises
        ------
        GenesError
            If a species is not in the table, or both are the same.
        """
        for species in (self.data, self.model):
            if species not in SPECIES:
                raise GenesError(
                    f"There is no table of orthologs for {species[:40]!r}, one of "
                    f"{', '.join(SPECIES)} was expected: use a model of the data's own species."
                )
        if self.data == self.model:
            raise GenesError(
                f"Data and model are both of {self.data}, orthologs are for two species: leave "
                "them out."
            )

    def __str__(self) -> str:
        return f"one-to-one orthologs of {self.data} and {self.model}"


def has_orthologs(first: str | None, second: str | None) -> bool:
    """Say whether the table maps genes between two species that differ.

    Parameters
    ----------
    first, second
        Names of species, None where not known.
    """
    return first != second and first in SPECIES and second in SPECIES


def translated(genes: GeneIdentity, orthologs: Orthologs) -> GeneIdentity:
    """Return a model's genes under the identifiers and symbols of their orthologs in the data.

    Parameters
    ----------
    genes
        The model's genes.
    orthologs
        Between which species.

    Returns
    -------
    The same names in the same order; identifiers and symbols are those of the data's species,
    empty where a gene has no one-to-one ortholog.
    """
    table = _pairs(orthologs.model, orthologs.data)
    ours = columns_of(orthologs.model)
    var = pd.DataFrame(
        {Var.GENE_IDS: table[ours[1]].to_numpy(), Var.GENE_SYMBOLS: table[ours[0]].to_numpy()},
        index=pd.Index(table[ours[0]].to_numpy()),
    )
    position = match_genes(genes, var).position
    found = position >= 0
    symbols, identifiers = (np.full(len(found), "", dtype=object) for _ in range(2))
    for texts, column in zip((symbols, identifiers), columns_of(orthologs.data), strict=True):
        texts[found] = table[column].to_numpy()[position[found]]
    return GeneIdentity(genes.names, identifiers, symbols)


@lru_cache(maxsize=4)
def _pairs(first: str, second: str) -> pd.DataFrame:
    """Read the pairs of two species; both directions are one-to-one."""
    wanted = [*columns_of(first), *columns_of(second)]
    table = pd.read_csv(TABLE, usecols=wanted, keep_default_na=False, dtype=str)
    both = (table[columns_of(first)[0]] != "") & (table[columns_of(second)[0]] != "")
    return table[both].reset_index(drop=True)
