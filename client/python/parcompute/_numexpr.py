"""evaluate(): numexpr's, by its signature and its answers."""

from __future__ import annotations

import sys
from typing import Any, Dict, Optional

import numpy as np

from .node import default_node


def evaluate(ex: str, local_dict: Optional[Dict[str, Any]] = None, global_dict: Optional[Dict[str, Any]] = None, out: Optional[np.ndarray] = None,
             order: str = "K", casting: str = "safe", sanitize: Optional[bool] = None, _frame_depth: int = 1, **kwargs: Any) -> np.ndarray:  # fmt: skip
    """An expression over NumPy arrays (and Arrays), computed on all cores: a NumPy array.

    Names are the caller's variables, or those of local_dict and global_dict. NumPy operands are copied into shared memory once each; the result
    lies there, without a copy out. `sanitize` is there for numexpr's callers: nothing of the text is ever run by Python."""
    frame = sys._getframe(_frame_depth)
    locals_ = frame.f_locals if local_dict is None else local_dict
    globals_ = frame.f_globals if global_dict is None else global_dict
    node = default_node()
    written, operands = node._bound(ex, kwargs, locals_, globals_)
    result = np.asarray(node._run("evaluate", {"expression": written}, operands))
    if out is not None:
        np.copyto(np.asarray(out), result, casting=casting)  # type: ignore[arg-type]
        return out
    return np.asarray(result, order="F") if order == "F" else result
