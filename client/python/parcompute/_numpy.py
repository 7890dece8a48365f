"""NumPy's functions on Arrays: those that the engine has run on the pool, all others on the Arrays' memory in this process."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Callable, Dict

import numpy as np

from .expression import Operators, build

if TYPE_CHECKING:
    from .node import Node

_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "true_divide": "/", "floor_divide": "//", "remainder": "%", "power": "**",
    "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^", "left_shift": "<<", "right_shift": ">>",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=",
}  # fmt: skip
# ufuncs that expressions call by NumPy's name.
_FUNCTIONS = frozenset(
    """absolute fabs negative sign square reciprocal fmod floor ceil trunc rint sqrt cbrt exp expm1 exp2 log log1p log2 log10 sin cos tan arcsin arccos
    arctan arctan2 hypot degrees rad2deg radians deg2rad sinh cosh tanh arcsinh arccosh arctanh conjugate minimum maximum fmin fmax copysign isnan isinf
    isfinite signbit invert logical_and logical_or logical_xor logical_not""".split()
)
_REDUCTIONS = {"add": "sum", "multiply": "prod", "minimum": "min", "maximum": "max", "logical_and": "all", "logical_or": "any"}


def _in_memory(value: Any) -> Any:
    """The same arguments on NumPy's views."""
    if isinstance(value, Operators):
        return np.asarray(value)
    if isinstance(value, (tuple, list)):
        return type(value)(_in_memory(item) for item in value)
    return value


def _here(call: Callable, inputs: Any, keywords: Dict[str, Any]) -> Any:
    return call(*_in_memory(inputs), **{key: _in_memory(value) for key, value in keywords.items()})


def ufunc(node: Node, called: Any, method: str, inputs: tuple, keywords: Dict[str, Any]) -> Any:
    out = keywords.pop("out", None)
    target = out[0] if isinstance(out, tuple) and len(out) == 1 else out
    word = called.__name__
    if method == "__call__" and not keywords and not isinstance(target, tuple):
        if word == "matmul":
            return node.matmul(*inputs, out=target)
        if word in _SIGNS or word in _FUNCTIONS:
            template = f"({{0}} {_SIGNS[word]} {{1}})" if word in _SIGNS else f"{word}({', '.join(f'{{{i}}}' for i in range(len(inputs)))})"
            operands = [node.array(item) if isinstance(item, (np.ndarray, list, tuple)) else item for item in inputs]
            if not any(isinstance(item, Operators) for item in operands):  # the Array is `out` alone
                operands[0] = node.array(operands[0])
            expression = build(template, *operands)
            return expression if target is None else expression.compute(out=target)
    if method == "reduce" and word in _REDUCTIONS and set(keywords) <= {"axis", "keepdims"}:
        axis = keywords.get("axis", 0)
        return inputs[0]._reduce(_REDUCTIONS[word], axis, None, target, bool(keywords.get("keepdims", False)))
    if out is not None:
        keywords["out"] = tuple(_in_memory(item) for item in out) if isinstance(out, tuple) else _in_memory(out)
    result = _here(getattr(called, method), inputs, keywords)
    return out[0] if isinstance(out, tuple) and len(out) == 1 else result


# ---- functions


def _reduction(word: str) -> Callable:
    def run(node: Node, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, ddof: Any = None) -> Any:
        operand = a if isinstance(a, Operators) else node.asarray(a)
        more = "" if ddof is None else f", ddof={ddof!r}"
        return operand._reduce(word, axis, dtype, out, bool(keepdims), more)

    return run


def _plain_reduction(word: str) -> Callable:
    """Of those whose third argument is `out`."""

    def run(node: Node, a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
        return _reduction(word)(node, a, axis, None, out, keepdims)

    return run


def _elementwise(template: str) -> Callable:
    def run(node: Node, *values: Any) -> Any:
        return build(template, *(node.array(item) if isinstance(item, (np.ndarray, list, tuple)) else item for item in values))

    return run


def _where(node: Node, condition: Any, x: Any, y: Any) -> Any:
    return _elementwise("where({0}, {1}, {2})")(node, condition, x, y)


def _clip(node: Node, a: Any, a_min: Any = None, a_max: Any = None, out: Any = None) -> Any:
    expression = build("clip({0}, {1}, {2})", a if isinstance(a, Operators) else node.asarray(a), a_min, a_max)
    return expression if out is None else expression.compute(out=out)


def _round(node: Node, a: Any, decimals: int = 0, out: Any = None) -> Any:
    expression = build("round({0}, {1})", a, int(decimals))
    return expression if out is None else expression.compute(out=out)


def _histogram(node: Node, a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:  # noqa: A002
    source = node.asarray(a)
    if np.ndim(bins) == 0:
        if range is None:
            range = (float(source.min()), float(source.max())) if source.size else (0.0, 1.0)  # noqa: A001
        edges = np.histogram_bin_edges(np.empty(0), bins, range)
    else:
        edges = np.asarray(bins)
    return node.histogram(source, bins, range, weights), edges


def _swapped(call: str) -> Callable:
    return lambda node, *values, **more: getattr(node, call)(*values, **more)


_TABLE: Dict[Any, Callable] = {
    np.sum: _reduction("sum"),
    np.prod: _reduction("prod"),
    np.mean: _reduction("mean"),
    np.var: lambda node, a, axis=None, dtype=None, out=None, ddof=0, keepdims=False: _reduction("var")(node, a, axis, dtype, out, keepdims, ddof),
    np.std: lambda node, a, axis=None, dtype=None, out=None, ddof=0, keepdims=False: _reduction("std")(node, a, axis, dtype, out, keepdims, ddof),
    np.min: _plain_reduction("min"),
    np.max: _plain_reduction("max"),
    np.amin: _plain_reduction("min"),
    np.amax: _plain_reduction("max"),
    np.ptp: _plain_reduction("ptp"),
    np.any: _plain_reduction("any"),
    np.all: _plain_reduction("all"),
    np.argmin: _plain_reduction("argmin"),
    np.argmax: _plain_reduction("argmax"),
    np.nansum: _reduction("nansum"),
    np.nanprod: _reduction("nanprod"),
    np.nanmean: _reduction("nanmean"),
    np.nanmin: _plain_reduction("nanmin"),
    np.nanmax: _plain_reduction("nanmax"),
    np.count_nonzero: lambda node, a, axis=None, *, keepdims=False: _reduction("count_nonzero")(node, a, axis, None, None, keepdims),
    np.where: _where,  # with a condition alone it is nonzero(), which NumPy computes
    np.real: _elementwise("real({0})"),
    np.imag: _elementwise("imag({0})"),
    np.clip: _clip,
    np.around: _round,
    np.round: _round,
    np.dot: _swapped("dot"),
    np.outer: _swapped("outer"),
    np.sort: lambda node, a, axis=-1: node.sort(a, axis),
    np.argsort: lambda node, a, axis=-1: node.argsort(a, axis),
    np.unique: lambda node, a: node.unique(a),
    np.searchsorted: lambda node, a, v, side="left": node.searchsorted(a, v, side),
    np.cumsum: lambda node, a, axis=None, out=None: node.cumsum(a, axis, out=out),
    np.cumprod: lambda node, a, axis=None, out=None: node.cumprod(a, axis, out=out),
    np.take: lambda node, a, indices, axis=None, out=None: node.take(a, indices, axis, out=out),
    np.concatenate: lambda node, arrays, axis=0, out=None: node.concatenate(arrays, axis, out=out),
    np.stack: lambda node, arrays, axis=0, out=None: node.stack(arrays, axis, out=out),
    np.percentile: lambda node, a, q, axis=None, out=None: node.percentile(a, q, axis, out=out),
    np.histogram: _histogram,
    np.transpose: lambda node, a, axes=None: a._array().transpose(*(axes or ())),
    np.reshape: lambda node, a, newshape: a._array().reshape(newshape),
    np.ravel: lambda node, a: a._array().ravel(),
    np.shape: lambda node, a: a.shape,
    np.ndim: lambda node, a: a.ndim,
    np.size: lambda node, a: a.size,
    np.copy: lambda node, a: a._array().copy(),
}


def function(node: Node, called: Any, inputs: tuple, keywords: Dict[str, Any]) -> Any:
    run = _TABLE.get(called)
    if run is not None:
        given = {key: value for key, value in keywords.items() if value is not np._NoValue}
        try:
            bound = inspect.signature(run).bind(node, *inputs, **given)
        except TypeError:
            pass  # arguments that the engine does not have
        else:
            return run(*bound.args, **bound.kwargs)
    return _here(called, inputs, keywords)
