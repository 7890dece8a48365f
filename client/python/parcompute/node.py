"""Node: a connection to the server of this machine, and what can be asked of it."""

from __future__ import annotations

import ctypes
import json
import operator
import os
import pathlib
import secrets
import sys
import threading
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from . import errors
from ._dtypes import name_of, supported
from ._library import Handle, Operand, Scalar, arguments, check, library, made, text
from ._text import is_number, literal, names_in, with_numbers
from ._operations import Operations
from .array import Array
from .expression import Expression
from .job import SLICE_SECONDS, Job, result_of

Shape = Union[int, Sequence[int]]
_OPTIONS = ("after", "priority", "background", "time_limit", "max_workers", "chunk_blocks", "detach")


def _shape(shape: Shape) -> list:
    if isinstance(shape, (tuple, list)) or hasattr(shape, "__iter__"):
        return [operator.index(length) for length in shape]  # type: ignore[union-attr]
    return [operator.index(shape)]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


class Node(Operations):
    """The server, as this process sees it. Threads may share one; a forked child connects anew when it first asks for something."""

    def __init__(self, socket: Optional[str] = None, start: bool = True, patience: float = 30.0, client: str = "Python"):
        self.patience = float(patience)
        self._arguments = (("socket", None if socket is None else os.fspath(socket)), ("start", bool(start)), ("client", client), ("patience", self.patience))
        self._handle = self._connect()
        self._pid = os.getpid()
        self._socket: Optional[str] = None

    def _connect(self) -> int:
        block, count, _keep = arguments(self._arguments)
        return made(library.connect, block, count)  # type: ignore[return-value]

    @property
    def _session(self) -> int:
        if not self._handle:
            raise errors.InvalidArgument("this node was closed: connect() again")
        if self._pid != os.getpid():
            # The parent's session is the parent's; its handle does nothing here.
            with _child_lock:
                if self._pid != os.getpid():
                    self._handle, self._pid = self._connect(), os.getpid()
        return self._handle

    def close(self) -> None:
        """Anonymous arrays and jobs that were not detached go with it. What is mapped stays."""
        handle, self._handle = getattr(self, "_handle", None), 0
        if handle and self._pid == os.getpid():
            library.session_free(handle)

    __del__ = close

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<parcompute.Node at {self.socket!r}>" if self._handle else "<parcompute.Node, closed>"

    def __reduce__(self) -> tuple:
        return node_at, (self.socket,)

    # ---- the server

    @property
    def socket(self) -> str:
        if self._socket is None:
            self._socket = self.status()["socket"]
        return self._socket

    def status(self) -> dict:
        return json.loads(text(library.status, self._session))

    def jobs(self) -> List[dict]:
        return json.loads(text(library.jobs, self._session))

    def find_job(self, number: int) -> Job:
        return Job(self, made(library.find_job, self._session, number))  # type: ignore[arg-type]

    def stop_server(self, drop_arrays: bool = False) -> None:
        check(library.stop_server(self._session, bool(drop_arrays)))

    # ---- arrays

    def _array_of(self, handle: Optional[int]) -> Array:
        return Array(self, handle)  # type: ignore[arg-type]

    def _make(self, how: str, *pairs: Tuple[str, Any]) -> Array:
        block, count, _keep = arguments(pairs)
        return self._array_of(made(library.make, self._session, how.encode(), block, count))

    def array(self, data: Any, dtype: Any = None, name: Optional[str] = None) -> Array:
        """A copy of what NumPy takes for an array, in shared memory."""
        if np.ma.is_masked(data):
            raise TypeError("a masked array loses its mask here: fill it first, a.filled(value)")
        source = np.asarray(data)
        made_array = self.zeros(source.shape, supported(source.dtype if dtype is None else dtype), name)
        if source.size:
            try:
                np.copyto(np.asarray(made_array), source, casting="unsafe")
            except BaseException:
                if name:  # nobody shall find it half made
                    self.remove(name)
                raise
        return made_array

    def zeros(self, shape: Shape, dtype: Any = float, name: Optional[str] = None) -> Array:
        return self._make("zeros", ("shape", _shape(shape)), ("dtype", name_of(dtype)), ("name", name))

    empty = zeros

    def ones(self, shape: Shape, dtype: Any = float, name: Optional[str] = None) -> Array:
        return self.full(shape, 1, dtype, name)

    def full(self, shape: Shape, value: Any, dtype: Any = None, name: Optional[str] = None) -> Array:
        element = np.asarray(value)
        if element.ndim:
            raise errors.InvalidArgument(f"full() takes one number, not an array of shape {element.shape}")
        wanted = supported(element.dtype if dtype is None else dtype)
        number = value if isinstance(value, (bool, int)) else element.item()
        return self._make("full", ("shape", _shape(shape)), ("dtype", wanted.name), ("value", number), ("name", name))

    def arange(self, start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, name: Optional[str] = None) -> Array:
        if stop is None:
            start, stop = 0, start
        numbers = [_plain(number) for number in (start, stop, step)]
        wanted = np.result_type(*map(np.asarray, numbers)) if dtype is None else dtype
        pairs = zip(("start", "stop", "step"), numbers)
        return self._make("arange", *pairs, ("dtype", name_of(wanted)), ("name", name))

    def linspace(self, start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, name: Optional[str] = None) -> Array:
        wanted = np.result_type(np.asarray(start), np.asarray(stop), float) if dtype is None else dtype
        return self._make("linspace", ("start", _plain(start)), ("stop", _plain(stop)), ("count", operator.index(num)), ("endpoint", bool(endpoint)),
                          ("dtype", name_of(wanted)), ("name", name))  # fmt: skip

    def eye(self, N: int, M: Optional[int] = None, k: int = 0, dtype: Any = float, name: Optional[str] = None) -> Array:
        return self._make("eye", ("rows", N), ("columns", N if M is None else M), ("diagonal", k), ("dtype", name_of(dtype)), ("name", name))

    def random(self, shape: Shape, distribution: str = "uniform", *, seed: Optional[int] = None, dtype: Any = None, name: Optional[str] = None, **parameters: Any) -> Array:
        """uniform (low, high), normal (mean, standard_deviation), exponential (scale), integers (low, high: not included).

        Element i depends on the seed and on i alone; without a seed another one is taken each time."""
        parameters = {key: _plain(value) for key, value in parameters.items()}
        if distribution == "integers":
            low, high = parameters.pop("low", 0), parameters.pop("high", None)
            if high is None:
                low, high = 0, low
            parameters.update(least=low, most=high - 1)
        pairs = {"distribution": distribution, "shape": _shape(shape), "seed": secrets.randbits(64) if seed is None else seed, "dtype": name_of(dtype), **parameters}
        return self._submit("random", pairs, name=name).result()

    def attach(self, file: Any, name: Optional[str] = None, writable: bool = False) -> Array:
        """A .npy file's own pages: nothing is copied, and what is written goes to the file."""
        return self._make("attach", ("file", os.fspath(file)), ("writable", bool(writable)), ("name", name))

    def load(self, file: Any, name: Optional[str] = None) -> Array:
        """A copy of a .npy file, which the workers read in parallel."""
        return self._make("import", ("file", os.fspath(file)), ("name", name))

    def save(self, array: Any, file: Any) -> None:
        """Writes a .npy file: whole, or not at all."""
        source = self.asarray(array)
        check(library.export(self._session, source._live_handle, os.fsencode(file)))

    def find(self, name: str) -> Array:
        return self._make("find", ("name", name))

    __getitem__ = find

    def list(self) -> List[dict]:
        """What the server says of the arrays that there are."""
        return json.loads(text(library.list, self._session))

    def remove(self, name: Union[str, Array]) -> None:
        check(library.remove(self._session, self._name(name)))

    def set_mode(self, name: Union[str, Array], mode: str) -> None:
        """'private', 'group-read' or 'group-write': what others may do with it, on a server that admits others."""
        check(library.set_mode(self._session, self._name(name), mode.encode()))

    def accept(self, name: Union[str, Array]) -> None:
        """Takes an array that a job left incomplete as it is."""
        check(library.accept(self._session, self._name(name), None))

    @staticmethod
    def _name(name: Union[str, Array]) -> bytes:
        word = name.name if isinstance(name, Array) else name
        if not word:
            raise errors.InvalidArgument("an array without a name goes with its last handle: del it")
        return word.encode("utf-8", "surrogateescape")

    def asarray(self, value: Any) -> Array:
        """The value as an Array of this node: itself, or a copy of a NumPy array."""
        if isinstance(value, Expression):
            return value.compute()
        return value if isinstance(value, Array) else self.array(value)

    # ---- jobs

    def submit(self, operation: str, *, out: Any = None, name: Optional[str] = None, **parameters: Any) -> Job:
        """Any operation, by its name and with its arguments, as client/c/README.md lists them; and after, priority, background, time_limit, max_workers."""
        return self._submit(operation, parameters, out=out, name=name)

    def _submit(self, operation: str, parameters: Dict[str, Any], operands: Optional[Dict[str, Array]] = None, out: Optional[Array] = None, name: Optional[str] = None) -> Job:
        block, count, _keep = self._arguments_of(parameters, operands, out, name)
        return Job(self, made(library.submit, self._session, operation.encode(), block, count), out)  # type: ignore[arg-type]

    def _arguments_of(self, parameters: Dict[str, Any], operands: Optional[Dict[str, Array]], out: Optional[Array], name: Optional[str]) -> tuple:
        kept: list = []  # arrays that are copies, until the server knows the job

        def handle(value: Any) -> Handle:
            array = self.asarray(value)
            kept.append(array)
            return Handle(array._live_handle)

        pairs: list = []
        for key, value in parameters.items():
            if type(value) is str:
                pairs.append((key, value))
                continue
            if isinstance(value, (Array, Expression, np.ndarray)):
                value = handle(value)
            elif isinstance(value, (list, tuple)) and value and isinstance(value[0], (Array, Expression, np.ndarray)):
                value = [handle(item) for item in value]
            elif key == "after" and value is not None:
                value = [item.id if isinstance(item, Job) else int(item) for item in ([value] if isinstance(value, (Job, int)) else value)]
            pairs.append((key, _plain(value)))
        for key, array in (operands or {}).items():
            pairs.append((key, Operand(array._live_handle)))
        if out is not None:
            if not isinstance(out, Array):
                raise TypeError(f"out={type(out).__name__}: the result goes into an Array of parcompute, or a view of one")
            pairs.append(("into", Handle(out._live_handle)))
        pairs.append(("output", name))
        block, count, keep = arguments(pairs)
        return block, count, (keep, kept)

    def _run(self, operation: str, parameters: Dict[str, Any], operands: Optional[Dict[str, Array]] = None, out: Any = None, name: Optional[str] = None) -> Any:
        if isinstance(out, np.ndarray):
            np.copyto(out, self._run(operation, parameters, operands, None, name), casting="same_kind")
            return out
        block, count, _keep = self._arguments_of(parameters, operands, out, name)
        handle, output, scalar = ctypes.c_void_p(), ctypes.c_void_p(), Scalar()
        job = Job(self, None, out)
        try:
            code = library.submit_and_wait(self._session, operation.encode(), block, count, SLICE_SECONDS, ctypes.byref(handle), ctypes.byref(output), ctypes.byref(scalar))
            if handle.value:  # it takes longer, or a signal came
                job._handle = handle.value
                return job.result()
        except KeyboardInterrupt:
            if handle.value:  # also where the exception came before the job had it
                job._handle = handle.value
                job.cancel()
            raise
        check(code)
        return result_of(self, output, scalar, out)

    def _bound(self, expression: str, given: Dict[str, Any], locals_: Dict[str, Any], globals_: Dict[str, Any]) -> Tuple[str, Dict[str, Array]]:
        """The expression with its numbers written in, and its arrays."""
        names, constants = names_in(expression)
        for name in given:
            if name not in names and name not in constants:
                raise errors.InvalidArgument(f"{name!r} is bound, but the expression does not use it")
        numbers: Dict[str, str] = {}
        operands: Dict[str, Array] = {}
        for name in names | constants:
            if name in given:
                value = given[name]
            else:
                value = locals_.get(name, globals_.get(name))
                if not (isinstance(value, (Array, Expression, np.ndarray, list, tuple)) or is_number(value) or hasattr(type(value), "__array__")):
                    continue  # an array's name on the server, perhaps
                if name in constants and not is_number(value):
                    raise errors.InvalidArgument(f"{name!r} is a constant, and an array of the caller's: bind it, {name}={name}")
            if is_number(value):
                numbers[name] = literal(value)
            else:
                operands[name] = self.asarray(value)
        return with_numbers(expression, numbers), operands

    def submit_expr(self, expression: str, *, out: Any = None, name: Optional[str] = None, dtype: Any = None, options: Optional[Dict[str, Any]] = None, **bindings: Any) -> Job:
        """As evaluate(), without waiting: a Job. `options`: after, priority, background, time_limit, max_workers."""
        frame = sys._getframe(1)
        return self._submit_expr(expression, bindings, frame.f_locals, frame.f_globals, out, name, dtype, options)

    def _submit_expr(self, expression: str, given: dict, locals_: dict, globals_: dict, out: Any, name: Optional[str], dtype: Any, options: Optional[dict] = None) -> Job:
        for option in options or ():
            if option not in _OPTIONS:
                raise errors.InvalidArgument(f"{option!r} is no option of a job: there are {', '.join(_OPTIONS)}")
        written, operands = self._bound(expression, given, locals_, globals_)
        return self._submit("evaluate", {"expression": written, "dtype": name_of(dtype), **(options or {})}, operands, out, name)

    def evaluate(self, expression: str, *, out: Any = None, name: Optional[str] = None, dtype: Any = None, **bindings: Any) -> Any:
        """An expression over arrays, on all cores: an Array, or a NumPy scalar where everything was reduced.

        Names that are not bound here are the caller's variables, then arrays' names on the server."""
        frame = sys._getframe(1)
        written, operands = self._bound(expression, bindings, frame.f_locals, frame.f_globals)
        return self._run("evaluate", {"expression": written, "dtype": name_of(dtype)}, operands, out, name)


_default: Optional[Node] = None
_by_socket: Dict[Tuple[int, str], Node] = {}
_default_lock = threading.Lock()
_child_lock = threading.Lock()


def _forget_locks() -> None:
    """A thread that is not in the child may have held them."""
    global _default_lock, _child_lock
    _default_lock, _child_lock = threading.Lock(), threading.Lock()


os.register_at_fork(after_in_child=_forget_locks)


def connect(socket: Optional[Union[str, pathlib.Path]] = None, *, start: bool = True, patience: float = 30.0, client: str = "Python") -> Node:
    """Connects to the server that is found ($PARCOMPUTE_SOCKET, the user's own, the system's), or starts one for this user.

    `patience`: seconds that a call waits for a server that says nothing."""
    return Node(None if socket is None else os.fspath(socket), start, patience, client)


def default_node() -> Node:
    """The one that pc.evaluate() and the like use: connected when it is first asked for."""
    global _default
    with _default_lock:
        if _default is None or not _default._handle:
            _default = connect()
        return _default


def node_at(socket: str) -> Node:
    """This process's node at a socket: where pickled arrays are found."""
    with _default_lock:
        key = (os.getpid(), socket)
        if key not in _by_socket or not _by_socket[key]._handle:
            _by_socket[key] = connect(socket)
        return _by_socket[key]
