"""dtypes: NumPy's, as far as arrays of parcompute have them."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

_NAMES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "complex64", "complex128")
# By the numbers of parcompute_dtype, from 1.
BY_NUMBER = (None, *(np.dtype(name) for name in _NAMES))
_KNOWN = frozenset(BY_NUMBER[1:])


def supported(dtype: Any) -> np.dtype:
    """NumPy's dtype for what a person wrote. TypeError where no array has it."""
    found = np.dtype(dtype)
    if found in _KNOWN and found.isnative:
        # int64 has two names where long long is another type than long: there is one of it here.
        return np.dtype(found.name)
    if found.newbyteorder("=") in _KNOWN:
        raise TypeError(f"dtype {found.str!r} has the other byte order: convert it, a.astype({found.newbyteorder('=').name!r})")
    if found == np.float16:
        raise TypeError("dtype float16 is none that parcompute computes in: convert it, a.astype('float32')")
    raise TypeError(f"dtype {found.name!r} is none that parcompute has: there are {', '.join(_NAMES)}")


def name_of(dtype: Any) -> Optional[str]:
    return None if dtype is None else supported(dtype).name
