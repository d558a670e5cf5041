"""What umap-learn compiled is kept for the next process, and numba is left as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, sys
import numba
plain = numba.jit, numba.njit, numba.vectorize
from splicedvae._core.umap_learn import load_umap
load_umap()
load_umap()
import numpy as np
import umap.umap_ as umap
from pynndescent.pynndescent_ import diversify
distances = np.random.default_rng(0).random((50, 5)).astype(np.float32)
umap.smooth_knn_dist(np.sort(distances), 5.0)
stats = umap.smooth_knn_dist.stats
print(json.dumps({
    "functions of functions": type(diversify._cache).__name__,
    "same": plain == (numba.jit, numba.njit, numba.vectorize),
    "kept": sum(stats.cache_hits.values()),
    "compiled": sum(stats.cache_misses.values()),
}))
"""


def call(folder: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_a_second_process_compiles_nothing_again(tmp_path: Path) -> None:
    common = {"same": True, "functions of functions": "NullCache"}
    assert call(tmp_path) == {**common, "kept": 0, "compiled": 1}
    assert call(tmp_path) == {**common, "kept": 1, "compiled": 0}
