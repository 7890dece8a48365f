"""Array: a NumPy array's twin in shared memory."""

from __future__ import annotations

import ctypes
import json
import operator
import os
from typing import TYPE_CHECKING, Any, Iterator, Optional, Tuple

import numpy as np

from . import errors
from ._dtypes import BY_NUMBER
from ._library import library, made, text
from .expression import Operators, build, unevaluated

if TYPE_CHECKING:
    from .node import Node

# An address for arrays of no elements, which NumPy asks for and never follows.
_NOWHERE = ctypes.create_string_buffer(16)


def _basic(key: Any) -> Optional[tuple]:
    """The key as a tuple where it makes a view: whole numbers, slices, None and ... alone."""
    items = key if isinstance(key, tuple) else (key,)
    for item in items:
        if item is None or item is Ellipsis or isinstance(item, slice):
            continue
        if isinstance(item, (bool, np.bool_, np.ndarray, list, Operators)) or not hasattr(item, "__index__"):
            return None
    return items


def _step(item: Any) -> str:
    if item is None:
        return "None"
    if item is Ellipsis:
        return "..."
    if isinstance(item, slice):
        parts = ["" if bound is None else str(operator.index(bound)) for bound in (item.start, item.stop)]
        return ":".join(parts) + ("" if item.step is None else f":{operator.index(item.step)}")
    return str(operator.index(item))


class Array(Operators):
    """dtype, shape and strides over shared memory. np.asarray(a) is that very memory; slices are views.

    An array without a name goes with its last handle (views and NumPy's views of it hold one); one with a name stays with the server."""

    def __init__(self, node: Optional[Node], handle: Optional[int], steps: str = "", place: Tuple[str, str] = ("", "")):
        self._own_node = node
        self._own_handle = handle
        self._pid = os.getpid()
        self._steps = steps  # of a view: how it is made of its array
        self._place = place  # of one that was pickled: its server's socket and its name
        self._shape: Optional[Tuple[int, ...]] = None

    def __del__(self, library: Any = library) -> None:
        handle = self.__dict__.pop("_own_handle", None)
        if handle:
            library.array_free(handle)

    # One that was pickled is found when it is first used: a pool that cannot unpickle a task would lose it, and its caller wait for ever.

    @property
    def _node(self) -> Node:  # type: ignore[override]
        if self._own_node is None:
            from .node import node_at

            self._own_node = node_at(self._place[0])
        return self._own_node

    @property
    def _handle(self) -> int:
        if self._own_handle is None:
            self._find(self._place[1])
        return self._own_handle  # type: ignore[return-value]

    @property
    def _live_handle(self) -> int:
        """For jobs: in a child of fork() it is found anew, by its name."""
        if self._own_handle is not None and self._pid != os.getpid():
            if not self.name:
                raise errors.Forked("an array without a name belongs to the process that made it, before fork(): give it a name, or copy what the child needs")
            self._find(self.name)
        return self._handle

    def _find(self, name: str) -> None:
        found = self._node.find(name)
        if self._steps:
            found = found._view(self._steps)
        self._own_handle, found._own_handle = found._own_handle, None
        self._shape = None  # another may have its name by now
        self._pid = os.getpid()

    def _array(self) -> Array:
        return self

    def _computed(self, template: str, out: Any) -> Any:
        return self._node._run("evaluate", {"expression": template.format("x")}, {"x": self}, out)

    # ---- facts

    @property
    def node(self) -> Node:
        return self._node

    @property
    def name(self) -> Optional[str]:
        return library.array_name(self._handle).decode("utf-8", "surrogateescape") or None

    @property
    def dtype(self) -> np.dtype:
        return BY_NUMBER[library.array_dtype(self._handle)]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def shape(self) -> Tuple[int, ...]:
        if self._shape is None:
            self._shape = tuple(library.array_shape(self._handle)[: library.array_ndim(self._handle)])
        return self._shape

    @property
    def strides(self) -> Tuple[int, ...]:
        return tuple(library.array_strides(self._handle)[: self.ndim])

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def writable(self) -> bool:
        return bool(library.array_writable(self._handle))

    @property
    def is_view(self) -> bool:
        return bool(self._steps)

    def info(self) -> dict:
        """What the server said of it when this handle was made."""
        return json.loads(text(library.array_info, self._handle))

    # ---- memory

    @property
    def __array_interface__(self) -> dict:
        try:
            address = made(library.array_data, self._handle)
        except errors.Forked:  # and not mapped before
            address = made(library.array_data, self._live_handle)
        address = address or ctypes.addressof(_NOWHERE)
        return {"version": 3, "typestr": self.dtype.str, "shape": self.shape, "strides": self.strides, "data": (address, not self.writable)}

    def __dlpack__(self, **keywords: Any) -> Any:
        return np.asarray(self).__dlpack__(**keywords)

    def __dlpack_device__(self) -> tuple:
        return (1, 0)  # the CPU

    # ---- views

    def _view(self, steps: str) -> Array:
        return Array(self._node, made(library.array_view, self._live_handle, steps.encode()), self._steps + steps)  # type: ignore[arg-type]

    def _indexed(self, items: tuple) -> Array:
        if not items:
            return self
        try:
            return self._view("[" + ", ".join(map(_step, items)) + "]")
        except errors.InvalidArgument as error:
            if any(isinstance(item, slice) and item.step is not None and operator.index(item.step) == 0 for item in items):
                raise
            raise errors.OutOfBounds(str(error)) from None

    def __getitem__(self, key: Any) -> Any:
        items = _basic(key)
        if items is not None:
            if len(items) == self.ndim and all(hasattr(item, "__index__") for item in items):
                return np.asarray(self)[items]
            return self._indexed(items)
        if isinstance(key, (Operators, np.ndarray, list)):
            index = key._array() if isinstance(key, Operators) else np.asarray(key)
            if index.dtype == np.bool_:
                return self._node.compress(self, index)
            if index.size and np.issubdtype(index.dtype, np.integer):
                return self._node.take(self, index, axis=0)
        return self._node.array(np.asarray(self)[_numpy_key(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        items = _basic(key)
        if isinstance(value, Operators) and items is not None:
            self._node._run("evaluate", *_assignment(value, self._indexed(items)))
            return
        np.asarray(self)[_numpy_key(key)] = np.asarray(value) if isinstance(value, Operators) else value

    @property
    def T(self) -> Array:
        return self._view(".T") if self.ndim > 1 else self

    def transpose(self, *axes: Any) -> Array:
        order = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
        if not order or order == (None,):
            return self.T
        return self._view(f".transpose({', '.join(str(operator.index(axis)) for axis in order)})")

    def reshape(self, *shape: Any) -> Array:
        """A view; a copy where the strides allow none."""
        wanted = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        lengths = [operator.index(length) for length in wanted]
        words = f".reshape({', '.join(map(str, lengths))})" if lengths else ".reshape(())"
        try:
            return self._view(words)
        except errors.InvalidArgument:
            np.broadcast_to(np.int8(), self.shape).reshape(lengths)  # what NumPy refuses, too, is refused in its words
            return self.copy()._view(words)

    def ravel(self) -> Array:
        return self.reshape(-1)

    def copy(self, name: Optional[str] = None) -> Array:
        result = self._node._run("evaluate", {"expression": "x"}, {"x": self}, name=name)
        return result if isinstance(result, Array) else self._node.array(result, name=name)

    def fill(self, value: Any) -> None:
        np.asarray(self)[...] = value

    def sort(self, axis: Optional[int] = -1) -> None:
        """In place, as NumPy's method; node.sort(a) and np.sort(a) make another array."""
        self._node.sort(self, axis, out=self)

    def save(self, file: Any) -> None:
        self._node.save(self, file)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without dimensions")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            yield self[i]

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    # ---- pickling: by name, opened in the other process without a copy

    def __reduce__(self) -> tuple:
        if not self.name:
            raise TypeError("an array without a name cannot be pickled: make it under a name, node.array(data, name='a'), or send np.asarray(a), which is a copy")
        return Array, (None, None, self._steps, (self._node.socket, self.name))

    # ---- for people

    def __repr__(self) -> str:
        words = np.array2string(np.asarray(self), separator=", ", prefix="Array(")
        name = f", name={self.name!r}" if self.name else ""
        empty = f", shape={self.shape}" if self.size == 0 else ""
        return f"Array({words}{empty}, dtype={self.dtype.name}{name})"

    def __str__(self) -> str:
        return str(np.asarray(self))

    def __format__(self, spec: str) -> str:
        return format(np.asarray(self), spec) if spec else str(self)

    def _repr_html_(self) -> str:
        import html

        facts = {"name": self.name or "", "dtype": self.dtype.name, "shape": self.shape, "strides": self.strides, "bytes": f"{self.nbytes:,}", "writable": self.writable}
        rows = "".join(f"<tr><th style='text-align:left'>{key}</th><td style='text-align:left'>{html.escape(str(value))}</td></tr>" for key, value in facts.items())
        return f"<div><table>{rows}</table><pre>{html.escape(str(self))}</pre></div>"


def _in_place(sign: str) -> Any:
    def method(self: Array, other: Any) -> Array:
        build(f"({{0}} {sign} {{1}})", self, other).compute(out=self)
        return self

    return method


for _word, _sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("floordiv", "//"), ("mod", "%"), ("pow", "**"), ("and", "&"), ("or", "|"),
                     ("xor", "^"), ("lshift", "<<"), ("rshift", ">>")):  # fmt: skip
    setattr(Array, f"__i{_word}__", _in_place(_sign))


def _numpy_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(np.asarray(item) if isinstance(item, Operators) else item for item in key)
    return np.asarray(key) if isinstance(key, Operators) else key


def _assignment(value: Operators, target: Array) -> tuple:
    """As NumPy assigns: stretched to the target's shape, cast to its dtype, whatever is lost."""
    written, operands = unevaluated(value)._text()
    return {"expression": written, "dtype": target.dtype.name}, operands, target
