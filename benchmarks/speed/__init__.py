"""How fast SplicedVAE is, and how its time and memory grow: `python benchmarks/speed`."""
