"""Folders of a user: the one that an environment variable names, else the system's place."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def user_folder(variable: str, name: str) -> Path:
    """Return a folder of this user's data; it may not exist yet.

    Parameters
    ----------
    variable
        Environment variable that names the folder.
    name
        Its name in the system's place for a user's data, where the variable is not set.
    """
    named = os.environ.get(variable)
    if named:
        return Path(named).expanduser().absolute()
    return platformdirs.user_data_path("splicedvae", appauthor=False) / name
