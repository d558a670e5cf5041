"""Who works on a run: starting, stopping and resuming it, its progress and time left."""

from splicedvae.jobs._estimate import Estimate, estimate, estimate_rest
from splicedvae.jobs._triage import triage_file
from splicedvae.jobs.control import reconcile, resume, start, stop

__all__ = [
    "Estimate",
    "estimate",
    "estimate_rest",
    "reconcile",
    "resume",
    "start",
    "stop",
    "triage_file",
]
