"""Open an exported h5ad with CellRank, scVelo and cellxgene, and continue there.

    splicedvae export run --out all.h5ad
    python -m venv tools && tools/bin/pip install "numpy<2.2" cellrank scvelo igraph
    tools/bin/python benchmarks/other_tools.py all.h5ad
    tools/bin/python benchmarks/other_tools.py all.h5ad --cellxgene path/to/cellxgene

None of these is needed by SplicedVAE, so this runs in an environment of their own and imports
nothing of ours. cellxgene needs one more, as it takes other versions. A line for each step; the
first that fails ends it with its error.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable

import anndata
import matplotlib as mpl

mpl.use("Agg")


def moving(file: str, clusters: str) -> list[tuple[str, Callable[[], object]]]:
    """List what scVelo and CellRank do with a file."""
    import cellrank
    import scanpy
    import scvelo

    adata = anndata.read_h5ad(file)
    kernels = cellrank.kernels

    def add_what_is_lacking() -> str:
        # The run that ships with the package keeps no graph, to be small.
        if "connectivities" in adata.obsp:
            return "the graph is in the file"
        scanpy.pp.neighbors(adata, use_rep="X_pca")
        scvelo.tl.velocity_graph(adata, xkey="Ms_expected", sqrt_transform=True)
        return "recomputed: scanpy.pp.neighbors, scvelo.tl.velocity_graph"

    def velocity_kernel() -> object:
        kernel = kernels.VelocityKernel(adata, xkey="Ms", vkey="velocity")
        return kernel.compute_transition_matrix(show_progress_bar=False)

    def fates() -> str:
        kernel = (
            0.8 * velocity_kernel()
            + 0.2 * kernels.ConnectivityKernel(adata).compute_transition_matrix()
        )
        estimator = cellrank.estimators.GPCCA(kernel)
        estimator.compute_schur(n_components=10, method="brandts")
        estimator.compute_macrostates(n_states=3, cluster_key=clusters)
        estimator.predict_terminal_states()
        estimator.compute_fate_probabilities(solver="direct")
        return ", ".join(map(str, estimator.terminal_states.cat.categories))

    def portrait() -> None:
        gene = adata.var_names[adata.var["velocity_genes"].to_numpy(dtype=bool)][0]
        scvelo.pl.velocity(adata, var_names=[gene], color=clusters, show=False)

    return [
        ("neighbors and velocity graph", add_what_is_lacking),
        ("CellRank VelocityKernel", velocity_kernel),
        (
            "CellRank ConnectivityKernel",
            lambda: kernels.ConnectivityKernel(adata).compute_transition_matrix(),
        ),
        (
            "CellRank PseudotimeKernel",
            lambda: kernels.PseudotimeKernel(
                adata, time_key="velocity_pseudotime"
            ).compute_transition_matrix(show_progress_bar=False),
        ),
        ("CellRank GPCCA, fates", fates),
        (
            "scVelo velocity_embedding_stream of our arrows",
            lambda: scvelo.pl.velocity_embedding_stream(adata, color=clusters, show=False),
        ),
        ("scVelo velocity_embedding", lambda: scvelo.tl.velocity_embedding(adata, basis="umap")),
        (
            "scVelo velocity_embedding_grid",
            lambda: scvelo.pl.velocity_embedding_grid(adata, color=clusters, show=False),
        ),
        (
            "scVelo scatter, pseudotime of the file",
            lambda: scvelo.pl.scatter(adata, color="velocity_pseudotime", show=False),
        ),
        ("scVelo velocity of a gene", portrait),
        ("scVelo proportions", lambda: scvelo.pl.proportions(adata, groupby=clusters, show=False)),
        ("scVelo velocity_confidence", lambda: scvelo.tl.velocity_confidence(adata)),
        (
            "scVelo rank_velocity_genes",
            lambda: scvelo.tl.rank_velocity_genes(adata, groupby=clusters, min_corr=0.3),
        ),
        ("scVelo velocity_pseudotime", lambda: scvelo.tl.velocity_pseudotime(adata)),
        ("scVelo paga", lambda: scvelo.tl.paga(adata, groups=clusters)),
        ("scanpy umap", lambda: scanpy.pl.umap(adata, color=clusters, show=False)),
    ]


def browsed(file: str, program: str) -> str:
    """Serve a file with cellxgene and read its schema and an embedding."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "launch", file, "--host", "127.0.0.1", "--port", str(port)]
    home = f"http://127.0.0.1:{port}/api/v0.2"
    process = subprocess.Popen(
        [*command, "--disable-annotations"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(120):
            if process.poll() is not None:
                raise RuntimeError(f"cellxgene ended with {process.returncode}")
            try:
                with urllib.request.urlopen(f"{home}/schema", timeout=30) as answer:
                    schema = json.load(answer)["schema"]
                break
            except OSError:
                time.sleep(1)
        else:
            raise RuntimeError("cellxgene did not answer within two minutes")
        maps = [layout["name"] for layout in schema["layout"]["obs"]]
        wanted = urllib.request.Request(
            f"{home}/layout/obs?layout-name=umap",
            headers={"Accept": "application/octet-stream", "Accept-Encoding": "gzip"},
        )
        with urllib.request.urlopen(wanted, timeout=60) as answer:
            content = answer.read()
        if "umap" not in maps or not content:
            raise RuntimeError(f"no map of the cells among {maps}")
        shape = schema["dataframe"]
        return f"{shape['nObs']} cells, {shape['nVar']} genes, maps {', '.join(maps)}"
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    """Read the arguments, try everything, say what worked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file")
    parser.add_argument("--clusters", default="clusters")
    parser.add_argument("--cellxgene", help="the program; only it is tried")
    given = parser.parse_args()
    steps = (
        [("cellxgene launch", lambda: browsed(given.file, given.cellxgene))]
        if given.cellxgene
        else moving(given.file, given.clusters)
    )
    for name, step in steps:
        said = step()
        print(f"{name}: {said if isinstance(said, str) else 'done'}", flush=True)


if __name__ == "__main__":
    main()
