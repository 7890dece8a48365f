"""Operations that are jobs of their own, with NumPy's names and arguments: what a Node can be asked for besides expressions."""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

import numpy as np

from . import errors


class Operations:
    """A part of Node. `out` is an Array, a view of one, or a NumPy array; `name` keeps the result on the server."""

    # Node's own: _run(operation, parameters, operands=None, out=None, name=None), and its asarray(value).
    _run: Callable[..., Any]
    asarray: Callable[[Any], Any]

    # ---- products

    def matmul(self, a: Any, b: Any, out: Any = None, name: Optional[str] = None) -> Any:
        return self._run("matmul", {"a": self.asarray(a), "b": self.asarray(b)}, out=out, name=name)

    def dot(self, a: Any, b: Any, out: Any = None, name: Optional[str] = None) -> Any:
        return self._run("dot", {"a": self.asarray(a), "b": self.asarray(b)}, out=out, name=name)

    def vecdot(self, a: Any, b: Any, out: Any = None, name: Optional[str] = None) -> Any:
        return self._run("vecdot", {"a": self.asarray(a), "b": self.asarray(b)}, out=out, name=name)

    def outer(self, a: Any, b: Any, out: Any = None, name: Optional[str] = None) -> Any:
        return self._run("outer", {"a": self.asarray(a), "b": self.asarray(b)}, out=out, name=name)

    # ---- order

    def sort(self, a: Any, axis: Optional[int] = -1, descending: bool = False, out: Any = None, name: Optional[str] = None) -> Any:
        return self._run("sort", {"a": self.asarray(a), "axis": axis, "descending": descending}, out=out, name=name)

    def argsort(self, a: Any, axis: Optional[int] = -1, descending: bool = False, out: Any = None, name: Optional[str] = None) -> Any:
        return self._run("argsort", {"a": self.asarray(a), "axis": axis, "descending": descending}, out=out, name=name)

    def unique(self, a: Any, name: Optional[str] = None) -> Any:
        return self._run("unique", {"a": self.asarray(a)}, name=name)

    def searchsorted(self, a: Any, v: Any, side: str = "left", out: Any = None, name: Optional[str] = None) -> Any:
        if side not in ("left", "right"):
            raise errors.InvalidArgument(f"side={side!r} is neither 'left' nor 'right'")
        return self._run("searchsorted", {"a": self.asarray(a), "v": self.asarray(v), "right": side == "right"}, out=out, name=name)

    # ---- running totals

    def cumsum(self, a: Any, axis: Optional[int] = None, out: Any = None, name: Optional[str] = None) -> Any:
        return self._run("cumsum", {"a": self.asarray(a), "axis": axis}, out=out, name=name)

    def cumprod(self, a: Any, axis: Optional[int] = None, out: Any = None, name: Optional[str] = None) -> Any:
        return self._run("cumprod", {"a": self.asarray(a), "axis": axis}, out=out, name=name)

    # ---- elements

    def take(self, a: Any, indices: Any, axis: Optional[int] = None, out: Any = None, name: Optional[str] = None) -> Any:
        return self._run("take", {"a": self.asarray(a), "indices": self.asarray(indices), "axis": axis}, out=out, name=name)

    def compress(self, a: Any, mask: Any, name: Optional[str] = None) -> Any:
        """a[mask]: a bool mask with the shape of a's first dimensions."""
        return self._run("compress", {"a": self.asarray(a), "mask": self.asarray(mask)}, name=name)

    def concatenate(self, arrays: Sequence[Any], axis: Optional[int] = 0, out: Any = None, name: Optional[str] = None) -> Any:
        if axis is None:
            arrays, axis = [self.asarray(array).ravel() for array in arrays], 0
        return self._run("concatenate", {"arrays": self._arrays(arrays), "axis": axis}, out=out, name=name)

    def stack(self, arrays: Sequence[Any], axis: int = 0, out: Any = None, name: Optional[str] = None) -> Any:
        if axis is None:
            raise TypeError("stack() makes a new axis: say which, axis=0 for instance")
        return self._run("stack", {"arrays": self._arrays(arrays), "axis": axis}, out=out, name=name)

    def _arrays(self, arrays: Sequence[Any]) -> list:
        found = [self.asarray(array) for array in arrays]
        if not found:
            raise errors.InvalidArgument("there is no array to join: give one at least")
        return found

    # ---- counts and ranks

    def bincount(self, a: Any, length: int, weights: Any = None, out: Any = None, name: Optional[str] = None) -> Any:
        """How often each of 0 ... length - 1 occurs; others fail the job."""
        return self._run("bincount", {"a": self.asarray(a), "length": length, "weights": self._array_or_none(weights)}, out=out, name=name)

    def histogram(self, a: Any, bins: Any = 10, range: Any = None, weights: Any = None, out: Any = None, name: Optional[str] = None) -> Any:  # noqa: A002
        """The counts, as np.histogram(...)[0]: `bins` of equal width over `range` (from the least to the greatest element), or between edges."""
        source = self.asarray(a)
        given: dict = {"a": source, "weights": self._array_or_none(weights)}
        if np.ndim(bins):
            given["edges"] = self.asarray(np.asarray(bins, dtype=float))
        else:
            low, high = range if range is not None else (float(source.min()), float(source.max())) if source.size else (0.0, 1.0)
            if low == high:
                low, high = low - 0.5, high + 0.5
            given.update(bins=int(bins), low=float(low), high=float(high))
        return self._run("histogram", given, out=out, name=name)

    def percentile(self, a: Any, q: Any, axis: Optional[int] = None, out: Any = None, name: Optional[str] = None) -> Any:
        ranks = [float(rank) for rank in np.atleast_1d(q)]
        result = self._run("percentile", {"a": self.asarray(a), "q": ranks, "axis": axis}, out=out, name=name)
        if np.ndim(q) == 1 and len(ranks) == 1:
            # One rank in a list has an axis of its own.
            return self.asarray(np.atleast_1d(result)) if isinstance(result, np.generic) else result[None]
        return result

    def _array_or_none(self, value: Any) -> Any:
        return None if value is None else self.asarray(value)
