"""What goes wrong, as exceptions: each is also the built-in one that a NumPy user would catch."""

from __future__ import annotations

import concurrent.futures


class Error(Exception):
    """Of all of them. str() is a sentence: what happened, to what, and what to do."""

    code = 0


class ComputationFailed(Error, RuntimeError):
    """The job ran and failed."""

    code = 1


class InvalidArgument(Error, ValueError):
    """The request makes no sense: mismatched shapes, an unknown function."""

    code = 2


class OutOfBounds(InvalidArgument, IndexError):
    """An index that the array does not have."""


class BadData(Error, ValueError):
    """A file's or message's bytes are not what they claim to be."""

    code = 3


class NotFound(Error, LookupError, FileNotFoundError):
    """There is no such array, job or file."""

    code = 4


class AlreadyExists(Error, FileExistsError):
    """The name is taken."""

    code = 5


class NoServer(Error, ConnectionError):
    """Nobody answers, or the server went away. The next call connects again."""

    code = 6


class CannotCreate(Error, OSError):
    """A file, socket or segment cannot be made."""

    code = 7


class OverBudget(Error, MemoryError):
    """Memory, a quota or a table is full."""

    code = 8


class ProtocolVersion(Error, ConnectionError):
    """Library and server do not speak the same version."""

    code = 9


class NotPermitted(Error, PermissionError):
    """This user may not."""

    code = 10


class Timeout(Error, *dict.fromkeys((TimeoutError, concurrent.futures.TimeoutError))):  # one and the same since 3.11
    """The time given has passed."""

    code = 11


class Cancelled(Error, concurrent.futures.CancelledError):
    """Someone cancelled the job."""

    code = 12


class Unsupported(Error, NotImplementedError):
    """A valid request that this version does not serve."""

    code = 13


class SystemFailure(Error, OSError):
    """Any other refusal of the operating system."""

    code = 14


class Forked(Error, RuntimeError):
    """The array or job is the parent process's, from before fork()."""

    code = 101


BY_CODE = {
    kind.code: kind
    for kind in (
        ComputationFailed, InvalidArgument, BadData, NotFound, AlreadyExists, NoServer, CannotCreate, OverBudget, ProtocolVersion,
        NotPermitted, Timeout, Cancelled, Unsupported, SystemFailure, Forked,
    )
}  # fmt: skip


def of_code(code: int, message: str, system_errno: int = 0) -> Error:
    error = BY_CODE.get(code, Error)(message)
    if system_errno and isinstance(error, OSError):
        error.errno = system_errno
    return error
