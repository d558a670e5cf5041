"""Why a download failed, in a few words for the middle of a sentence."""

from __future__ import annotations

import requests


def failure(error: requests.exceptions.RequestException, timeout: float) -> str:
    """Say in a few words why a request failed.

    Parameters
    ----------
    error
        What requests raised.
    timeout
        Seconds that were waited for an answer.
    """
    kinds = requests.exceptions
    if isinstance(error, kinds.HTTPError) and error.response is not None:
        return f"the server answered with HTTP status {error.response.status_code}"
    if isinstance(error, kinds.Timeout):
        return f"no answer within {timeout:g} seconds"
    if isinstance(error, kinds.ChunkedEncodingError | kinds.ContentDecodingError):
        return "the connection broke off before the end of the file"
    if isinstance(error, kinds.InvalidSchema | kinds.MissingSchema | kinds.InvalidURL):
        return "the address is none that starts with http:// or https://"
    if isinstance(error, kinds.ConnectionError):
        return "no connection, this computer may be offline"
    return type(error).__name__
