"""The one way in for counts from outside.

Nothing else in the package opens a file that came from someone else. `gate.read` opens it in a
process of its own, as command line, workers and pages do; `read` opens it here.
"""

from splicedvae.io import gate
from splicedvae.io._backed import BackedCounts, read_backed
from splicedvae.io._digest import sha256
from splicedvae.io._layers import SUMS
from splicedvae.io._limits import Limits
from splicedvae.io._memory import CountsSeen, is_in_memory, see_counts
from splicedvae.io._opening import open_checked
from splicedvae.io._read import from_anndata, read
from splicedvae.io._result import Counts, ReadResult
from splicedvae.io.formats._zip import unpack as unpack_zip

__all__ = [
    "SUMS",
    "BackedCounts",
    "Counts",
    "CountsSeen",
    "Limits",
    "ReadResult",
    "from_anndata",
    "gate",
    "is_in_memory",
    "open_checked",
    "read",
    "read_backed",
    "see_counts",
    "sha256",
    "unpack_zip",
]
