"""Job: an operation that the server is computing."""

from __future__ import annotations

import ctypes
import json
import time
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from . import errors
from ._dtypes import BY_NUMBER
from ._library import INTERRUPTED, OK, TIMED_OUT, Scalar, check, library, text

if TYPE_CHECKING:
    from .node import Node

STATES = (None, "queued", "running", "done", "failed", "cancelled")
# A signal that comes between two instructions of Python's is noticed after so long.
SLICE_SECONDS = 0.5


def result_of(node: Node, output: ctypes.c_void_p, scalar: Scalar, into: Any) -> Any:
    """What a job has computed: where it was sent, a NumPy scalar, or an Array."""
    if into is None and not scalar.dtype:
        return node._array_of(output.value) if output.value else None
    if output.value:
        library.array_free(output.value)
    return np.frombuffer(scalar, BY_NUMBER[scalar.dtype], 1, Scalar.bytes.offset)[0] if into is None else into


class Job:
    """A handle on a job. A job whose handle goes before its end is not cancelled by that; an anonymous output goes with it."""

    def __init__(self, node: Node, handle: Optional[int], into: Any = None):
        self._node = node
        self._handle = handle
        self._into = into  # what exists already, and holds the result
        self._has_result = False
        self._result: Any = None

    def __del__(self, library: Any = library) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            library.job_free(handle)

    @property
    def id(self) -> int:
        number = ctypes.c_uint64()
        check(library.job_id(self._handle, ctypes.byref(number)))
        return number.value

    def _counts(self) -> tuple:
        state, done, total = ctypes.c_int32(), ctypes.c_uint64(), ctypes.c_uint64()
        check(library.job_progress(self._handle, ctypes.byref(state), ctypes.byref(done), ctypes.byref(total)))
        return STATES[state.value], done.value, total.value

    @property
    def state(self) -> str:
        """'queued', 'running', 'done', 'failed' or 'cancelled'."""
        return self._counts()[0]

    @property
    def progress(self) -> float:
        """How much of it is done, from 0 to 1."""
        state, done, total = self._counts()
        return 1.0 if state == "done" else done / total if total else 0.0

    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._has_result or self._counts()[0] in ("done", "failed", "cancelled")

    def info(self) -> dict:
        return json.loads(text(library.job_info, self._handle))

    def explain(self) -> dict:
        """Why it waits, or what it is doing and how long it takes yet."""
        return json.loads(text(library.job_explain, self._handle))

    def cancel(self) -> None:
        """Ends it after the blocks that workers have in hand. No effect on one that has ended."""
        check(library.job_cancel(self._handle))

    def wait(self, timeout: Optional[float] = None) -> Job:
        """Waits for the end. Raises what the job failed of, or Timeout; it then goes on. KeyboardInterrupt cancels it."""
        if not self._has_result:
            try:
                self._result = self._wait(timeout)
            except KeyboardInterrupt:
                self.cancel()
                raise
            self._has_result = True
        return self

    def result(self, timeout: Optional[float] = None) -> Any:
        """The Array, or NumPy scalar, that it computed."""
        return self.wait(timeout)._result

    def _wait(self, timeout: Optional[float]) -> Any:
        output, scalar = ctypes.c_void_p(), Scalar()
        now = word = time.monotonic()
        end = None if timeout is None else now + timeout
        while True:
            seconds = SLICE_SECONDS if end is None else min(SLICE_SECONDS, max(end - now, 0.0))
            code = library.job_wait(self._handle, seconds, ctypes.byref(output), ctypes.byref(scalar))
            if code == OK:
                break
            if code not in (TIMED_OUT, INTERRUPTED):
                check(code)
            now = time.monotonic()
            if end is not None and now >= end:
                raise errors.Timeout(f"the job has not ended within {timeout:.3g} s")
            # A job may take as long as it likes, its server may not: it is asked.
            if now - word >= self._node.patience:
                self._counts()
                word = now
        return result_of(self._node, output, scalar, self._into)

    def __repr__(self) -> str:
        state, done, total = self._counts()
        return f"<parcompute.Job {self.id}: {state}, {done} of {total} blocks>"
