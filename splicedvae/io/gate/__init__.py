"""The gate: a file from outside is opened in a process of its own, never in the caller's.

`read` and `open_counts` do what `splicedvae.io.read` and `splicedvae.io.read_backed` do. The file
is opened, checked and written again by a child process with bounds on memory, time, files and what
it may reach; the caller opens only what the child wrote. Whatever the file does, it does to the
child, and the caller gets one sentence. Command line, workers and dashboard read no other way.
"""

from splicedvae.io.gate._bounds import SECONDS_VARIABLE, Bounds
from splicedvae.io.gate._caller import clear_leftovers, open_counts, read

__all__ = ["SECONDS_VARIABLE", "Bounds", "clear_leftovers", "open_counts", "read"]
