"""The ``splicedvae`` command: everything the dashboard does, for scripts and terminals."""

from __future__ import annotations

from splicedvae.cli._app import app, main

__all__ = ["app", "main"]
