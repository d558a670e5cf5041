"""The package's own errors: each message is one sentence a person can act on.

Found, expected, what to do. The command line prints the message alone and the pages show
it in a box, so no message may hold a traceback or a server path.
"""

from __future__ import annotations


class SplicedVAEError(ValueError):
    """Base of all errors that a user can cause and fix."""

    #: What was noted before it happened, one sentence each, such as which folder was chosen.
    notes: tuple[str, ...] = ()


class DataError(SplicedVAEError):
    """A file or AnnData does not hold what is needed."""


class ReaderDiedError(DataError):
    """A file ended the process that read it, or took more time or memory than it may."""


class GenesError(SplicedVAEError):
    """Too few genes of a model are found in the data."""


class VelocityError(SplicedVAEError):
    """The ratios or counts carry no velocity, so that arrows would show rounding error."""


class RunError(SplicedVAEError):
    """A run folder is incomplete, of another format, or in the wrong state."""


class DownloadError(SplicedVAEError):
    """A public data set or a model could not be fetched."""


class StoreError(SplicedVAEError):
    """A stored model is damaged or unknown, or the store does not allow what was asked."""
