"""Servers for one program, and the CPUs that one would use."""

from __future__ import annotations

import json
import os
from typing import Any, Optional

from . import errors
from ._library import arguments, library, made, text
from .node import Node, connect


class PrivateServer:
    """A server for as long as this object lives: with pc.PrivateServer(workers=4) as node: ..."""

    def __init__(self, workers: int = 0, memory: int = 0, hyperthreads: bool = False):
        block, count, _keep = arguments((("workers", workers), ("memory", memory), ("hyperthreads", bool(hyperthreads))))
        self._handle = made(library.private_server, block, count)
        self._node: Optional[Node] = None

    @property
    def socket(self) -> str:
        if self._handle is None:
            raise errors.InvalidArgument("the server was closed")
        return os.fsdecode(library.server_socket(self._handle))

    def connect(self) -> Node:
        return connect(self.socket, start=False)

    def close(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            library.server_free(handle)

    __del__ = close

    def __enter__(self) -> Node:
        self._node = self.connect()
        return self._node

    def __exit__(self, *_: Any) -> None:
        if self._node is not None:
            self._node.close()
        self.close()


def cpus(hyperthreads: bool = False) -> dict:
    """How many CPUs this process may use, and what decided it."""
    return json.loads(text(library.cpus, int(hyperthreads)))
