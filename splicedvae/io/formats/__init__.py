"""One module a file format, and modules that several share.

The module of a format, named in `splicedvae._core.formats`, has two functions:

- ``recognizes(source)``: whether an open HDF5 file, a folder or the first bytes of a file hold it;
- ``read(place, limits, notes)``: an AnnData of a file or folder that passed the gate's checks. The
  limits bound what it may take; what was made up or left out goes into the notes.

Where the format can be read in blocks, ``stored(place, limits, closing)`` opens it and returns its
root, or None.
"""
