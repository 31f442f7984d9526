"""A server that agents take for a collector, and that says what a test wants it to say."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from calltrace_collector import wire

__all__ = ["FakeCollector", "serving", "welcome"]


class FakeCollector(grpc.GenericRpcHandler):
    """What a server does with a stream."""

    def service(self, _details: grpc.HandlerCallDetails) -> Any:
        return grpc.stream_stream_rpc_method_handler(self.trace)

    @abstractmethod
    def trace(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Takes what an agent sends, and yields what it is answered."""


def welcome() -> bytes:
    """The answer to an agent's first message: nothing is known of the process yet."""
    return wire.CollectorMessage(welcome=wire.Welcome(next_sequence=1)).SerializeToString()


@contextmanager
def serving(handler: FakeCollector, socket: Path) -> Iterator[grpc.Server]:
    """Serves at a socket."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler])
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        yield server
    finally:
        server.stop(None).wait()
