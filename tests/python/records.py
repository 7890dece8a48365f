"""Records for the C++ tests: cases and NumPy's answers to them. tests/support/oracle.h reads them.

A record is a kind (4 letters) and its fields, little endian. A number is an int64; bytes are their count and themselves; an
array is dtype number, number of dimensions, shape, strides, offset, and the bytes that it is a view of; an answer is dtype
number, number of dimensions, shape, and its bytes in C order. The last record's kind is "end.".
"""

import struct

import numpy as np

DTYPES = {name: i + 1 for i, name in enumerate(
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split())}


class Writer:
    def __init__(self, file):
        self.file = file

    def record(self, kind, *numbers):
        self.file.write(kind.encode())
        self.number(*numbers)

    def number(self, *values):
        self.file.write(struct.pack("<%dq" % len(values), *values))

    def bytes(self, data):
        self.number(len(data))
        self.file.write(data)

    def array(self, base, view):
        """`view` is a view of the dense array `base`."""
        offset = view.__array_interface__["data"][0] - base.__array_interface__["data"][0] if view.size else 0
        self.number(DTYPES[view.dtype.name], view.ndim, *view.shape, *view.strides, offset)
        self.bytes(base.tobytes(order="K"))

    def answer(self, result):
        result = np.asarray(result)
        self.number(DTYPES[result.dtype.name], result.ndim, *result.shape)
        self.bytes(np.ascontiguousarray(result).tobytes())
