"""parcompute: NumPy arrays in shared memory, computed by all cores of this machine.

    import numpy as np, parcompute as pc

    node = pc.connect()                               # starts a server where there is none
    a = node.array(np.random.rand(1000, 1000))        # one copy in
    b = node.evaluate("sqrt(a**2 + 1)")               # on all cores
    view = np.asarray(b)                              # no copy out
"""

from __future__ import annotations

from . import errors
from ._numexpr import evaluate
from .array import Array
from .errors import (
    AlreadyExists, BadData, Cancelled, CannotCreate, ComputationFailed, Error, Forked, InvalidArgument, NoServer, NotFound, NotPermitted, OutOfBounds,
    OverBudget, ProtocolVersion, SystemFailure, Timeout, Unsupported,
)  # fmt: skip
from .expression import Expression
from .job import Job
from .node import Node, connect, default_node
from .server import PrivateServer, cpus

__version__ = "0.1.0"

__all__ = [
    "AlreadyExists", "Array", "BadData", "Cancelled", "CannotCreate", "ComputationFailed", "Error", "Expression", "Forked", "InvalidArgument", "Job",
    "Node", "NoServer", "NotFound", "NotPermitted", "OutOfBounds", "OverBudget", "PrivateServer", "ProtocolVersion", "SystemFailure", "Timeout", "Unsupported",
    "connect", "cpus", "default_node", "errors", "evaluate",
]  # fmt: skip
