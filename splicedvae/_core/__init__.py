"""What every package shares: keys, errors, notes, metrics, genes' identity, writing of files."""
