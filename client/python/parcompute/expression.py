"""Lazy expressions: what operators make of arrays, fused into one job when a value is needed."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from . import errors
from ._dtypes import BY_NUMBER, name_of, supported
from ._library import Operand, arguments, check, library
from ._text import axes, is_number, literal

if TYPE_CHECKING:
    from .array import Array
    from .node import Node

# Of one expression, below what the server takes: what grows beyond is computed in parts.
_MOST_ARRAYS, _MOST_BYTES, _MOST_DEPTH = 14, 3500, 80


class Operators:
    """What Arrays and Expressions have in common: operators make Expressions, reductions and products compute."""

    _node: Node
    __hash__ = None  # type: ignore[assignment]

    shape: Tuple[int, ...]
    _array: Callable[[], Array]  # itself, or computed

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    # ---- NumPy's protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        from . import _numpy

        return _numpy.ufunc(self._node, ufunc, method, inputs, keywords)

    def __array_function__(self, function: Any, types: Any, inputs: Any, keywords: Any) -> Any:
        from . import _numpy

        return _numpy.function(self._node, function, inputs, keywords)

    # ---- operators

    def __neg__(self) -> Expression:
        return build("(-{0})", self)

    def __pos__(self) -> Expression:
        return build("(+{0})", self)

    def __invert__(self) -> Expression:
        return build("(~{0})", self)

    def __abs__(self) -> Expression:
        return build("abs({0})", self)

    def __matmul__(self, other: Any) -> Any:
        return self._node.matmul(self, other) if _is_operand(other) else NotImplemented

    def __rmatmul__(self, other: Any) -> Any:
        return self._node.matmul(other, self) if _is_operand(other) else NotImplemented

    def astype(self, dtype: Any) -> Expression:
        return build(f"{supported(dtype).name}({{0}})", self)

    def conj(self) -> Expression:
        return build("conj({0})", self)

    @property
    def real(self) -> Expression:
        return build("real({0})", self)

    @property
    def imag(self) -> Expression:
        return build("imag({0})", self)

    def clip(self, min: Any = None, max: Any = None) -> Expression:  # noqa: A002
        return build("clip({0}, {1}, {2})", self, min, max)

    def round(self, decimals: int = 0) -> Expression:
        return build("round({0}, {1})", self, int(decimals))

    # ---- reductions

    def _reduce(self, function: str, axis: Any, dtype: Any, out: Any, keepdims: bool, more: str = "") -> Any:
        operand = f"{name_of(dtype)}({{0}})" if dtype is not None else "{0}"
        given = axes(axis)
        words = (f", axis={given}" if given is not None else "") + (", keepdims=True" if keepdims else "") + more
        return self._computed(f"{function}({operand}{words})", out)

    def _computed(self, template: str, out: Any) -> Any:
        return build(template, self).compute(out=out)

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("sum", axis, dtype, out, keepdims)

    def prod(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("prod", axis, dtype, out, keepdims)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("mean", axis, dtype, out, keepdims)

    def var(self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        return self._reduce("var", axis, dtype, out, keepdims, f", ddof={ddof!r}")

    def std(self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        return self._reduce("std", axis, dtype, out, keepdims, f", ddof={ddof!r}")

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("min", axis, None, out, keepdims)

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("max", axis, None, out, keepdims)

    def ptp(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("ptp", axis, None, out, keepdims)

    def any(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("any", axis, None, out, keepdims)

    def all(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("all", axis, None, out, keepdims)

    def argmin(self, axis: Optional[int] = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("argmin", axis, None, out, keepdims)

    def argmax(self, axis: Optional[int] = None, out: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("argmax", axis, None, out, keepdims)

    # ---- jobs of their own

    def dot(self, other: Any, out: Any = None) -> Any:
        return self._node.dot(self, other, out=out)

    def argsort(self, axis: Optional[int] = -1) -> Any:
        return self._node.argsort(self, axis)

    def cumsum(self, axis: Optional[int] = None, out: Any = None) -> Any:
        return self._node.cumsum(self, axis, out=out)

    def cumprod(self, axis: Optional[int] = None, out: Any = None) -> Any:
        return self._node.cumprod(self, axis, out=out)

    def take(self, indices: Any, axis: Optional[int] = None, out: Any = None) -> Any:
        return self._node.take(self, indices, axis, out=out)

    # ---- as one number

    def _one(self) -> Any:
        return np.asarray(self).item()

    def __bool__(self) -> bool:
        return bool(np.asarray(self))

    def __int__(self) -> int:
        return int(self._one())

    def __float__(self) -> float:
        return float(self._one())

    def __complex__(self) -> complex:
        return complex(self._one())

    def item(self, *index: int) -> Any:
        return np.asarray(self).item(*index)

    def tolist(self) -> Any:
        return np.asarray(self).tolist()


def _add_binary() -> None:
    signs = {
        "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "and": "&", "or": "|", "xor": "^",
        "lshift": "<<", "rshift": ">>", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
    }  # fmt: skip

    def forward(sign: str) -> Any:
        return lambda self, other: build(f"({{0}} {sign} {{1}})", self, other) if _is_operand(other) else NotImplemented

    def backward(sign: str) -> Any:
        return lambda self, other: build(f"({{0}} {sign} {{1}})", other, self) if _is_operand(other) else NotImplemented

    for word, sign in signs.items():
        setattr(Operators, f"__{word}__", forward(sign))
        if sign[0] not in "<>=!" or sign in ("<<", ">>"):
            setattr(Operators, f"__r{word}__", backward(sign))


def _is_operand(value: Any) -> bool:
    return isinstance(value, (Operators, np.ndarray, list, tuple)) or is_number(value)


class Expression(Operators):
    """A value that is not computed yet. It is when somebody looks at its elements, and then once: arrays that change later change it no more."""

    def __init__(self, node: Node, template: str, children: Tuple[Any, ...]):
        self._node = node
        self._template = template
        self._children = children  # Arrays, Expressions, and numbers as text
        self._value: Any = None
        self._known_type: Optional[Tuple[np.dtype, Tuple[int, ...]]] = None
        parts = [_size(child) for child in children]
        self._arrays = frozenset().union(*(arrays for arrays, _, _ in parts))
        self._bytes = len(template) + sum(length for _, length, _ in parts)
        self._depth = 1 + max((depth for _, _, depth in parts), default=0)

    def _rendered(self, operands: Dict[int, Tuple[str, Array]]) -> str:
        return self._template.format(*(_render(child, operands) for child in self._children))

    def _text(self) -> Tuple[str, Dict[str, Array]]:
        operands: Dict[int, Tuple[str, Array]] = {}
        written = self._rendered(operands)
        return written, dict(operands.values())

    def compute(self, out: Any = None, name: Optional[str] = None, dtype: Any = None) -> Any:
        """An Array, or a NumPy scalar; into `out` where that is given."""
        if out is not None or name is not None or dtype is not None:
            written, operands = unevaluated(self)._text()
            return self._node._run("evaluate", {"expression": written, "dtype": name_of(dtype)}, operands, out, name)
        if self._value is None:
            written, operands = self._text()
            self._value = self._node._run("evaluate", {"expression": written}, operands)
            self._children = ()
        return self._value

    def _array(self) -> Array:
        value = self.compute()
        return self._node.array(value) if isinstance(value, np.generic) else value

    def _type(self) -> Tuple[np.dtype, Tuple[int, ...]]:
        if self._value is not None:
            return self._value.dtype, self._value.shape
        if self._known_type is None:
            written, operands = self._text()
            block, count, _keep = arguments((name, Operand(array._live_handle)) for name, array in operands.items())
            number, ndim, shape = ctypes.c_int32(), ctypes.c_int32(), (ctypes.c_int64 * 32)()
            check(library.expression_type(written.encode(), block, count, ctypes.byref(number), ctypes.byref(ndim), shape))
            self._known_type = BY_NUMBER[number.value], tuple(shape[: ndim.value])
        return self._known_type

    @property
    def dtype(self) -> np.dtype:
        return self._type()[0]

    @property
    def shape(self) -> Tuple[int, ...]:
        return self._type()[1]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def T(self) -> Array:
        return self._array().T

    def reshape(self, *shape: Any) -> Array:
        return self._array().reshape(*shape)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an expression without dimensions")
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        return self._array()[key]

    def __iter__(self) -> Any:
        return iter(self._array())

    def __array__(self, dtype: Any = None, copy: Optional[bool] = None) -> np.ndarray:
        view = np.asarray(self.compute())
        return np.array(view, dtype=dtype) if copy or (dtype is not None and view.dtype != dtype) else view

    def __reduce__(self) -> tuple:
        raise TypeError("an expression cannot be pickled: compute it under a name, expression.compute(name='x')")

    def __repr__(self) -> str:
        if self._value is not None:
            return repr(self._value)
        written, operands = self._text()
        bound = (f"{name}={array.name or 'Array'}({array.dtype}, {array.shape})" for name, array in operands.items())
        return f"<parcompute.Expression {written}, {', '.join(bound)}>"


def _size(child: Any) -> Tuple[frozenset, int, int]:
    """The arrays of an expression's part, its length as text and its depth."""
    if isinstance(child, str):
        return frozenset(), len(child), child.count("(")
    if isinstance(child, Expression):
        if child._value is None:
            return child._arrays, child._bytes, child._depth
        return _size(_leaf(child._value))
    return frozenset((id(child),)), 4, 0


def _leaf(value: Any) -> Any:
    return literal(value) if isinstance(value, np.generic) else value


def _render(child: Any, operands: Dict[int, Tuple[str, Array]]) -> str:
    if isinstance(child, Expression):
        if child._value is None:
            return child._rendered(operands)
        child = _leaf(child._value)
    if isinstance(child, str):
        return child
    return operands.setdefault(id(child), (f"x{len(operands)}", child))[0]


def _written(value: Any) -> str:
    return "None" if value is None else literal(value)


def build(template: str, *values: Any) -> Expression:
    """An Expression of Arrays, Expressions, NumPy arrays and numbers; None is a bound that is left open."""
    node = next(value._node for value in values if isinstance(value, Operators))
    children: List[Any] = [value if isinstance(value, Operators) else _written(value) if value is None or is_number(value) else node.array(value) for value in values]
    expression = Expression(node, template, tuple(children))
    while len(expression._arrays) > _MOST_ARRAYS or expression._bytes > _MOST_BYTES or expression._depth > _MOST_DEPTH:
        open_ones = [child for child in children if isinstance(child, Expression) and child._value is None]
        if not open_ones:
            raise errors.InvalidArgument(f"one operation on {len(expression._arrays)} arrays is more than an expression holds: at most {_MOST_ARRAYS}")
        max(open_ones, key=lambda child: (child._depth, child._bytes)).compute()
        expression = Expression(node, template, tuple(children))
    return expression


def unevaluated(value: Operators) -> Expression:
    """An Array, or what was computed, as an Expression of one name."""
    if isinstance(value, Expression):
        return value if value._value is None else Expression(value._node, "{0}", (_leaf(value._value),))
    return Expression(value._node, "{0}", (value,))


_add_binary()
