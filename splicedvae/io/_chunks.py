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
#: Chunks, and bytes once unpacked, that are in memory at a time, apart from the array itself.
_AHEAD = 64
_AHEAD_BYTES = 64 * 1024**2
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
        Of an open and checked file.
    places
        Where its chunks begin, by the last axis.
    """

    def __init__(self, dataset: h5py.Dataset, places: dict[int, list[_Place]]) -> None:
        self._dataset = dataset
        self._places = places
        self._shuffled = dataset.id.get_create_plist().get_nfilters() == 2
        self._size = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize

    @classmethod
    def of(cls, dataset: h5py.Dataset) -> PackedArray | None:
        """Return the array of a dataset; ``None`` where HDF5 should read it itself.

        Taken are large arrays of plain numbers, packed with gzip alone or shuffled before, of
        which every chunk went through these filters.
        """
        if dataset.chunks is None or dataset.dtype.kind not in "biuf" or dataset.size == 0:
            return None
        created = dataset.id.get_create_plist()
        codes = tuple(int(created.get_filter(n)[0]) for n in range(created.get_nfilters()))
        if (
            codes not in _PLAIN
            or int(dataset.nbytes) < _FEWEST_BYTES
            # Chunks that were never written hold the fill value.
            or dataset.fillvalue != 0
            # Types such as 12 bits within 16 are numbers to HDF5 and no numpy type.
            or dataset.id.get_type() != h5py.h5t.py_create(dataset.dtype)
        ):
            return None
        places: dict[int, list[_Place]] = {}
        unfiltered = 0

        def note(info: Any) -> None:
            nonlocal unfiltered
            unfiltered += bool(info.filter_mask)
            place = tuple(int(n) for n in info.chunk_offset)
            places.setdefault(place[-1], []).append(place)

        dataset.id.chunk_iter(note)
        return None if unfiltered else cls(dataset, places)

    def values(self) -> NDArray[Any]:
        """All values, in the shape of the dataset.

        Raises
        ------
        OSError
            HDF5 cannot read a chunk, or it does not hold what it says.
        """
        places = (place for some in self._places.values() for place in some)
        return self._filled(places, tuple(slice(0, n) for n in self._dataset.shape))

    def part(self, start: int, stop: int) -> NDArray[Any]:
        """Values of a part of a dataset of one dimension.

        Parameters
        ----------
        start, stop
            First value, and the one after the last.

        Raises
        ------
        OSError
            As for `values`.
        """
        (length,), (width,) = self._dataset.shape, self._dataset.chunks
        stop = min(stop, length)
        firsts = range(start // width * width, stop, width)
        places = (place for first in firsts for place in self._places.get(first, []))
        return self._filled(places, (slice(start, stop),))

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
        firsts = range(start // width * width, stop, width)
        places = (place for first in firsts for place in self._places.get(first, []))
        return self._filled(places, (slice(0, n_rows), slice(start, stop)))

    def _filled(self, places: Iterable[_Place], window: tuple[slice, ...]) -> NDArray[Any]:
        """Copy chunks into an array of zeros for a window of the dataset."""
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
        ahead = max(1, min(_AHEAD, _AHEAD_BYTES // self._size))
        with ThreadPoolExecutor(_THREADS) as threads:
            while some := list(islice(waiting, ahead)):
                done = threads.map(self._unpacked, [packed for _, packed in some])
                yield from zip([place for place, _ in some], done, strict=True)

    def _stored(self, place: _Place) -> bytes:
        return bytes(self._dataset.id.read_direct_chunk(place)[1])

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
    packed = PackedArray.of(dataset)
    return np.asarray(dataset[()]) if packed is None else packed.values()
