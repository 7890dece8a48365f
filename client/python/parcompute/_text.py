"""Expressions as text: the names in them, and numbers that stand for names."""

from __future__ import annotations

import functools
import json
import re
from typing import Any, Dict, FrozenSet, Optional, Tuple

import numpy as np

from . import errors
from ._library import library, text


@functools.lru_cache(maxsize=1024)
def names_in(expression: str) -> Tuple[FrozenSet[str], FrozenSet[str]]:
    """What is to be bound, and the constants that are used."""
    if "\0" in expression:
        raise errors.InvalidArgument("the expression has a zero byte inside")
    found = json.loads(text(library.expression_names, expression.encode("utf-8", "surrogateescape")))
    return frozenset(found["names"]), frozenset(found["constants"])


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float, complex, np.number, np.bool_))


def literal(value: Any) -> str:
    """A number as an expression has it: Python's have no dtype, NumPy's scalars keep theirs."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, np.generic):
        if isinstance(value, (np.float16, np.longdouble, np.clongdouble)):
            raise TypeError(f"a {value.dtype.name} is nothing that parcompute computes with: take np.float32 or np.float64")
        return f"{value.dtype.name}({literal(value.item())})"
    if isinstance(value, complex):
        # A sum would lose the sign of a zero.
        if not (np.isfinite(value.real) and np.isfinite(value.imag)):
            raise errors.InvalidArgument(f"{value!r} cannot be written in an expression: put it into an array")
        return f"({value.real!r} + {value.imag!r}j)" if value.imag >= 0 else f"({value.real!r} - {-value.imag!r}j)"
    return f"({value!r})" if value < 0 or str(value)[0] == "-" else repr(value)


def with_numbers(expression: str, numbers: Dict[str, str]) -> str:
    """Names that stand for numbers are replaced by them; f(axis=...) keeps its words."""
    if not numbers:
        return expression
    words = "|".join(map(re.escape, numbers))
    return re.sub(rf"(?<![\w.])({words})(?!\w)(?!\s*=[^=])(?!\s*\()", lambda found: numbers[found[1]], expression)


def axes(axis: Any) -> Optional[str]:
    """An axis, or a tuple of them, as an expression has it."""
    if axis is None:
        return None
    if isinstance(axis, (tuple, list)):
        return "(" + "".join(f"{int(one)}, " for one in axis) + ")"
    try:
        return str(axis.__index__())
    except AttributeError:
        raise TypeError(f"axis={axis!r} is neither a whole number nor a tuple of them") from None
