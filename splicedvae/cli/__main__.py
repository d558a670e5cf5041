"""``python -m splicedvae.cli``: the command where no script was installed."""

from __future__ import annotations

from splicedvae.cli._app import main

if __name__ == "__main__":
    main()
