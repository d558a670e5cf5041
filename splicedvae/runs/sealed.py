"""A safetensors file with a digest of itself in its header, as a checkpoint is.

The digest covers the numbers and the rest of the header, so a file is replaced in one step and
checked as a whole. It needs neither torch nor NumPy.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, BinaryIO, Final

#: Name of the digest among the metadata of the header.
DIGEST: Final = "sha256"
_METADATA: Final = "__metadata__"
#: Bytes of the number that says how long the header is.
_LENGTH: Final = 8
#: More than any header has.
_MAX_HEADER: Final = 100 * 1024**2


def sealed(content: bytes) -> bytes:
    """Return a safetensors file with its digest.

    Parameters
    ----------
    content
        What `safetensors.torch.save` gave.
    """
    length = int.from_bytes(content[:_LENGTH], "little")
    header = json.loads(content[_LENGTH : _LENGTH + length])
    numbers = content[_LENGTH + length :]
    digest = _begun(header)
    digest.update(numbers)
    header.setdefault(_METADATA, {})[DIGEST] = digest.hexdigest()
    text = json.dumps(header, separators=(",", ":")).encode()
    # Numbers begin at a multiple of eight, as the format asks.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(_LENGTH, "little") + text + numbers


def is_intact(file: Path) -> bool:
    """Say whether a safetensors file has the digest that it was written with.

    Parameters
    ----------
    file
        The file; one without a digest is not intact.
    """
    try:
        with file.open("rb") as stream:
            header = _header(stream)
            expected = header[_METADATA].pop(DIGEST)
            digest = _begun(header)
            while piece := stream.read(1 << 20):
                digest.update(piece)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    return digest.hexdigest() == expected


def _header(stream: BinaryIO) -> dict[str, Any]:
    length = int.from_bytes(stream.read(_LENGTH), "little")
    if length > _MAX_HEADER:
        raise ValueError("no header is as long")
    header: dict[str, Any] = json.loads(stream.read(length))
    return header


def _begun(header: dict[str, Any]) -> Any:
    """Begin a digest with a header, whatever the order of its entries."""
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode())
