"""libparcompute by ctypes: where it is, its functions, and how arguments and errors cross."""

from __future__ import annotations

import ctypes
import functools
import os
import pathlib
from typing import Any, Callable, Iterable, Optional, Tuple

from . import errors

OK = 0
TIMED_OUT = 11
INTERRUPTED = 100
SONAME = "libparcompute.so.0"

_ARRAY, _OPERAND, _ARRAYS, _INTEGER, _NATURAL, _REAL, _COMPLEX, _TEXT, _INTEGERS, _REALS = range(1, 11)
_MOST_INTEGER = 2**63 - 1


class _Value(ctypes.Union):
    _fields_ = [
        ("pointer", ctypes.c_void_p),
        ("integer", ctypes.c_int64),
        ("natural", ctypes.c_uint64),
        ("real", ctypes.c_double),
        ("text", ctypes.c_char_p),
    ]


class Argument(ctypes.Structure):
    _anonymous_ = ("value",)
    _fields_ = [("name", ctypes.c_char_p), ("kind", ctypes.c_int32), ("count", ctypes.c_int32), ("value", _Value)]


class Scalar(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int32), ("size", ctypes.c_int32), ("bytes", ctypes.c_ubyte * 16)]


class Operand:
    """An array (its handle) that an expression calls by a name."""

    __slots__ = ("handle",)

    def __init__(self, handle: int):
        self.handle = handle


class Handle(int):
    """Of an array, among the arguments of a call."""


def _fill(slot: Argument, value: Any, keep: list) -> None:
    if type(value) is str and "\0" not in value:
        text = value.encode("utf-8", "surrogateescape")
        keep.append(text)
        slot.kind, slot.text = _TEXT, text
    elif isinstance(value, Handle):
        slot.kind, slot.pointer = _ARRAY, int(value)
    elif isinstance(value, Operand):
        slot.kind, slot.pointer = _OPERAND, value.handle
    elif isinstance(value, int):  # bool, too
        if value > _MOST_INTEGER:
            slot.kind, slot.natural = _NATURAL, value
        else:
            slot.kind, slot.integer = _INTEGER, value
        if value != (slot.natural if value > _MOST_INTEGER else slot.integer):
            raise errors.InvalidArgument(f"{slot.name.decode()}={value} does not fit into 64 bits")
    elif isinstance(value, float):
        slot.kind, slot.real = _REAL, value
    elif isinstance(value, str):
        if "\0" in value:
            raise errors.InvalidArgument(f"{slot.name.decode()}={value!r} has a zero byte inside")
        _fill(slot, str(value), keep)
    elif isinstance(value, complex):
        pair = (ctypes.c_double * 2)(value.real, value.imag)
        keep.append(pair)
        slot.kind, slot.pointer = _COMPLEX, ctypes.addressof(pair)
    elif isinstance(value, (list, tuple)):
        kind, element = _INTEGERS, ctypes.c_int64
        if value and all(isinstance(item, Handle) for item in value):
            kind, element = _ARRAYS, ctypes.c_void_p
        elif any(isinstance(item, float) for item in value):
            kind, element = _REALS, ctypes.c_double
        for item in value:
            if kind == _INTEGERS and not (isinstance(item, int) and -_MOST_INTEGER - 1 <= item <= _MOST_INTEGER):
                raise errors.InvalidArgument(f"{slot.name.decode()}={value!r}: {item!r} is no whole number of 64 bits")
        items = (element * len(value))(*value)
        keep.append(items)
        slot.kind, slot.count, slot.pointer = kind, len(value), ctypes.addressof(items)
    else:
        raise TypeError(f"{slot.name.decode()}={value!r}: a {type(value).__name__} is nothing that parcompute takes")


@functools.lru_cache(maxsize=1024)
def _encoded(name: str) -> bytes:
    return name.encode()


def arguments(pairs: Iterable[Tuple[str, Any]]) -> Tuple[Any, int, list]:
    """The block of arguments, how many there are, and what must outlive the call. None is as if it were not given."""
    given = [pair for pair in pairs if pair[1] is not None]
    block = (Argument * len(given))()
    keep: list = []
    for slot, (name, value) in zip(block, given):
        slot.name = _encoded(name)
        _fill(slot, value, keep)
    return block, len(given), keep


def _places() -> list:
    """Where the library may be, in the order in which it is looked for."""
    named = os.environ.get("PARCOMPUTE_LIBRARY")
    if named:
        return [pathlib.Path(named)]
    checkouts = list(pathlib.Path(__file__).resolve().parents[3:4])
    try:
        from ._checkout import CHECKOUT  # of an installed package

        checkouts.append(pathlib.Path(CHECKOUT))
    except ImportError:
        pass
    built = [found for checkout in checkouts for preset in ("release", "debug") for found in checkout.glob(f"build/{preset}/lib/{SONAME}")]
    built = built or [checkout / "build" / "release" / "lib" / SONAME for checkout in checkouts]
    return [*built, *(pathlib.Path(folder, SONAME) for folder in ("/usr/local/lib",)), pathlib.Path(SONAME)]


def _load() -> ctypes.CDLL:
    tried = []
    for place in _places():
        try:
            return ctypes.CDLL(str(place))
        except OSError as error:
            tried.append(f"  {place}: {error}")
    raise ImportError(
        f"{SONAME} is not to be found. Build it ('cmake --build build/release --target parcompute_c'), install it, or name its file in "
        "PARCOMPUTE_LIBRARY. Looked at:\n" + "\n".join(tried)
    )


_P, _S, _I, _N, _D = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_size_t, ctypes.c_double
_ARGUMENTS = (ctypes.POINTER(Argument), _N)
_TO = ctypes.POINTER(ctypes.c_void_p)

# Name, what it returns (a code, unless it says otherwise), what it takes.
_FUNCTIONS = (
    ("error_message", _S, ()),
    ("error_errno", _I, ()),
    ("version", _S, ()),
    ("connect", _I, (*_ARGUMENTS, _TO)),
    ("session_free", None, (_P,)),
    ("session_started", _S, (_P,)),
    ("status", _I, (_P, _TO)),
    ("list", _I, (_P, _TO)),
    ("jobs", _I, (_P, _TO)),
    ("cpus", _I, (_I, _TO)),
    ("set_patience", _I, (_P, _D)),
    ("stop_server", _I, (_P, _I)),
    ("text_free", None, (_P,)),
    ("private_server", _I, (*_ARGUMENTS, _TO)),
    ("server_socket", _S, (_P,)),
    ("server_free", None, (_P,)),
    ("make", _I, (_P, _S, *_ARGUMENTS, _TO)),
    ("array_view", _I, (_P, _S, _TO)),
    ("array_free", None, (_P,)),
    ("array_name", _S, (_P,)),
    ("array_dtype", _I, (_P,)),
    ("array_ndim", _I, (_P,)),
    ("array_shape", ctypes.POINTER(ctypes.c_int64), (_P,)),
    ("array_strides", ctypes.POINTER(ctypes.c_int64), (_P,)),
    ("array_writable", _I, (_P,)),
    ("array_data", _I, (_P, _TO)),
    ("array_info", _I, (_P, _TO)),
    ("export", _I, (_P, _P, _S)),
    ("remove", _I, (_P, _S)),
    ("set_mode", _I, (_P, _S, _S)),
    ("accept", _I, (_P, _S, ctypes.POINTER(_I))),
    ("submit", _I, (_P, _S, *_ARGUMENTS, _TO)),
    ("submit_and_wait", _I, (_P, _S, *_ARGUMENTS, _D, _TO, _TO, ctypes.POINTER(Scalar))),
    ("job_wait", _I, (_P, _D, _TO, ctypes.POINTER(Scalar))),
    ("job_cancel", _I, (_P,)),
    ("job_id", _I, (_P, ctypes.POINTER(ctypes.c_uint64))),
    ("job_progress", _I, (_P, ctypes.POINTER(_I), ctypes.POINTER(ctypes.c_uint64), ctypes.POINTER(ctypes.c_uint64))),
    ("job_info", _I, (_P, _TO)),
    ("job_explain", _I, (_P, _TO)),
    ("find_job", _I, (_P, ctypes.c_uint64, _TO)),
    ("job_free", None, (_P,)),
    ("expression_names", _I, (_S, _TO)),
    ("expression_type", _I, (_S, *_ARGUMENTS, ctypes.POINTER(_I), ctypes.POINTER(_I), ctypes.POINTER(ctypes.c_int64))),
)


class _Library:
    """The functions, by their names without 'parcompute_'. Loaded when the first one is asked for."""

    def __getattr__(self, name: str) -> Callable:
        loaded = _load()
        for function, returns, takes in _FUNCTIONS:
            try:
                entry = getattr(loaded, f"parcompute_{function}")
            except AttributeError:
                raise ImportError(f"{loaded._name} is older than this package: it has no parcompute_{function}; build or install the newer one") from None
            entry.restype, entry.argtypes = returns, takes
            setattr(self, function, entry)
        return self.__dict__[name]


library = _Library()


def check(code: int) -> None:
    if code != OK:
        raise errors.of_code(code, library.error_message().decode("utf-8", "replace"), library.error_errno())


def made(function: Callable, *arguments_: Any) -> Optional[int]:
    """What a function hands out through its last parameter."""
    handle = ctypes.c_void_p()
    check(function(*arguments_, ctypes.byref(handle)))
    return handle.value


def text(function: Callable, *arguments_: Any) -> str:
    pointer = made(function, *arguments_)
    try:
        return ctypes.string_at(pointer).decode("utf-8", "replace")
    finally:
        library.text_free(pointer)
