"""Asks a collector to see to the end of a process."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

# gRPC's own log would mix with the program's output: what goes wrong comes as an exception.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

from calltrace_collector import wire
from calltrace_collector.cli.traced import Ended
from calltrace_collector.errors import UnreachableError

FINISH = f"/{wire.INGEST_SERVICE}/Finish"


def finish(socket: Path, ended: Ended) -> wire.FinishResponse:
    """Tells a collector how a process ended; returns when all that it traced is stored and named.

    Raises:
        UnreachableError: no collector answers, or it could not store everything.
    """
    request = wire.FinishRequest(
        pid=ended.pid, start_time_jiffies=ended.start_time_jiffies, wait_status=ended.wait_status
    )
    with grpc.insecure_channel(f"unix:{quote(str(socket))}") as channel:
        call = channel.unary_unary(
            FINISH,
            request_serializer=wire.FinishRequest.SerializeToString,
            response_deserializer=wire.FinishResponse.FromString,
        )
        try:
            response: wire.FinishResponse = call(request)
        except grpc.RpcError as error:
            raise UnreachableError(
                f"the collector at {socket} did not finish: {error.details()}; some calls may not be stored"
            ) from error
        return response
