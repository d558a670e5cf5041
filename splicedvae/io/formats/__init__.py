"""One module a file format: h5ad, loom, 10x, Matrix Market, zarr, and zip around them."""
