"""What a gene is: the lengths of its introns and its mRNA, and how long its mRNA lives.

How much of a gene's RNA is unspliced depends on the gene before it depends on the cell: long
introns catch more primers and are counted more often, long-lived mRNA piles up. The table that the
package ships holds these features by identifier and symbol; `splicedvae.model.GenePrior` learns
what they say of a ratio.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from splicedvae._core.gene_identity import GeneIdentity
from splicedvae._core.gene_match import match_genes
from splicedvae._core.keys import Var

#: The table, made by `splicedvae._core.build_gene_features`.
TABLE: Final = Path(__file__).parents[1] / "tables" / "gene_features.csv.gz"
#: Species of the table, by the names that `splicedvae.triage.guess_species` gives.
SPECIES: Final = ("human", "mouse", "zebrafish")
#: Columns of what `gene_features` returns.
FEATURES: Final = (
    "log10 intron length",
    "no intron",
    "log10 mRNA length",
    "mRNA half-life",
    "no half-life known",
)
#: Typical lengths, so that features are near 0: 3,000 bases.
_TYPICAL: Final = 3.5


def gene_features(genes: GeneIdentity, species: str | None) -> NDArray[np.float64]:
    """Look up the features of some genes.

    Parameters
    ----------
    genes
        Identifiers, else symbols, of the genes.
    species
        Their species; one that the table does not have, or ``None``, gives no features.

    Returns
    -------
    Shape (n_genes, 5), columns as in `FEATURES`: lengths as log10 of bases less 3.5, the half-life
    in standard deviations over genes (of a consensus of published tables), 0 where not known. A
    gene that is not in the table has a row of nan.
    """
    found = np.full((len(genes.names), len(FEATURES)), np.nan)
    if species not in SPECIES:
        return found
    table, var = _table(species)
    position = match_genes(genes, var).position
    there = position >= 0
    found[there] = table[position[there]]
    return found


@lru_cache(maxsize=len(SPECIES))
def _table(species: str) -> tuple[NDArray[np.float64], pd.DataFrame]:
    """Read the genes of one species: features, and identifiers with symbols."""
    rows = pd.read_csv(TABLE, keep_default_na=False, dtype={"symbol": str, "id": str})
    rows = rows[rows["species"] == species]
    intron, mrna = rows["intron_length"].to_numpy(float), rows["mrna_length"].to_numpy(float)
    half_life = pd.to_numeric(rows["half_life"], errors="coerce").to_numpy(float)
    unknown = np.isnan(half_life)
    features = np.column_stack(
        [
            np.where(intron > 0, np.log10(np.maximum(intron, 1)) - _TYPICAL, 0.0),
            intron == 0,
            np.log10(np.maximum(mrna, 1)) - _TYPICAL,
            np.where(unknown, 0.0, half_life),
            unknown,
        ]
    ).astype(float)
    var = pd.DataFrame(
        {Var.GENE_IDS: rows["id"].to_numpy(), Var.GENE_SYMBOLS: rows["symbol"].to_numpy()},
        index=pd.Index(rows["id"].to_numpy()),
    )
    return features, var
