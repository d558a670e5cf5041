"""Packed arrays of HDF5 files, unpacked outside HDF5: by a faster inflate, in several threads.

HDF5 unpacks a chunk at a time on one core, with zlib, and that is most of what reading a count
file takes. Here the chunks are taken as they are stored and unpacked with ISA-L, which reads the
same format. What is packed in another way than counting tools do is left to HDF5.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

_Place = tuple[int, ...]

_THREADS = min(4, os.cpu_count() or 1)
#: Stored chunks that wait in memory for a thread.
_AHEAD = 64
_PLAIN = (
    (h5py.h5z.FILTER_DEFLATE,),
    (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE),
)
#: Below it HDF5 itself is as fast.
_FEWEST_BYTES = 1 << 20


class PackedArray:
    """A dataset of numbers that is packed as counting tools do, with or without a shuffle.

    Parameters
    ----------
    dataset
        Of an open and checked file; see `can_unpack`.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._shuffled = dataset.id.get_create_plist().get_nfilters() == 2
        self._size = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize
        self._places: list[_Place] = []
        dataset.id.chunk_iter(lambda info: self._places.append(tuple(info.chunk_offset)))

    @staticmethod
    def can_unpack(dataset: h5py.Dataset) -> bool:
        """Whether a dataset is large, of numbers, and packed with gzip, perhaps shuffled before."""
        if dataset.chunks is None or dataset.dtype.kind not in "biuf":
            return False
        created = dataset.id.get_create_plist()
        codes = tuple(int(created.get_filter(n)[0]) for n in range(created.get_nfilters()))
        # Chunks that were never written hold the fill value.
        return codes in _PLAIN and int(dataset.nbytes) >= _FEWEST_BYTES and dataset.fillvalue == 0

    def values(self) -> NDArray[Any]:
        """All values, in the shape of the dataset.

        Raises
        ------
        OSError
            HDF5 cannot read a chunk, or it does not hold what it says.
        """
        return self._filled(self._places, tuple(slice(0, n) for n in self._dataset.shape))

    def columns(self, start: int, stop: int) -> NDArray[Any]:
        """Values of some columns of a dataset of two dimensions.

        Parameters
        ----------
        start, stop
            First column, and the one after the last.

        Returns
        -------
        Array of shape (rows of the dataset, stop - start).

        Raises
        ------
        OSError
            As for `values`.
        """
        n_rows, n_columns = self._dataset.shape
        stop, width = min(stop, n_columns), self._dataset.chunks[1]
        places = [place for place in self._places if start - width < place[1] < stop]
        return self._filled(places, (slice(0, n_rows), slice(start, stop)))

    def _filled(self, places: Iterable[_Place], window: tuple[slice, ...]) -> NDArray[Any]:
        """Lay chunks into an array of zeros that stands for a window of the dataset."""
        out = np.zeros([part.stop - part.start for part in window], dtype=self._dataset.dtype)
        for place, chunk in self._chunks(places):
            to, of = [], []
            for first, part, length in zip(place, window, chunk.shape, strict=True):
                begin, end = max(first, part.start), min(first + length, part.stop)
                to.append(slice(begin - part.start, max(end, begin) - part.start))
                of.append(slice(begin - first, max(end, begin) - first))
            out[tuple(to)] = chunk[tuple(of)]
        return out

    def _chunks(self, places: Iterable[_Place]) -> Iterator[tuple[_Place, NDArray[Any]]]:
        waiting = ((place, self._stored(place)) for place in places)
        if _THREADS == 1:
            for place, packed in waiting:
                yield place, self._unpacked(packed)
            return
        with ThreadPoolExecutor(_THREADS) as threads:
            while some := list(islice(waiting, _AHEAD)):
                done = threads.map(self._unpacked, [packed for _, packed in some])
                yield from zip([place for place, _ in some], done, strict=True)

    def _stored(self, place: _Place) -> bytes:
        left_out, packed = self._dataset.id.read_direct_chunk(place)
        if left_out:
            raise OSError("a chunk is stored without the filters of its array")
        return bytes(packed)

    def _unpacked(self, packed: bytes) -> NDArray[Any]:
        # Never more than a chunk is unpacked, whatever the stream would grow to.
        stream = isal_zlib.decompressobj()
        try:
            raw = stream.decompress(packed, self._size + 1)
        except zlib.error as error:
            raise OSError("a packed chunk is damaged") from error
        if len(raw) != self._size or not stream.eof:
            raise OSError("a packed chunk has another length than its array says")
        kind = self._dataset.dtype
        if self._shuffled:
            raw = np.frombuffer(raw, np.uint8).reshape(kind.itemsize, -1).T.tobytes()
        return np.frombuffer(raw, dtype=kind).reshape(self._dataset.chunks)


def values(dataset: h5py.Dataset) -> NDArray[Any]:
    """All values of a dataset, unpacked here where that is faster and by HDF5 elsewhere.

    Parameters
    ----------
    dataset
        Of an open and checked file.

    Raises
    ------
    OSError
        HDF5 cannot read it, or a chunk does not hold what it says.
    """
    if PackedArray.can_unpack(dataset):
        return PackedArray(dataset).values()
    return np.asarray(dataset[()])
