"""Who works on a run: starting, stopping and resuming it, its progress and time left."""

from splicedvae.jobs._estimate import Estimate, estimate, estimate_rest
from splicedvae.jobs._triage import triage_file
from splicedvae.jobs.control import reconcile, resume, start, stop
from splicedvae.jobs.limits import Limits, clean
from splicedvae.jobs.queue import place_of

__all__ = [
    "Estimate",
    "Limits",
    "clean",
    "estimate",
    "estimate_rest",
    "place_of",
    "reconcile",
    "resume",
    "start",
    "stop",
    "triage_file",
]
