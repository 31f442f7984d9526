"""The messages of proto/calltrace/v1, generated, behind one module.

Everything outside this package imports from here, so that where and how the code is generated concerns
nobody else.
"""

from __future__ import annotations

from calltrace_collector.wire._pb.calltrace.v1.capture_pb2 import CapturePlan, HookPlan
from calltrace_collector.wire._pb.calltrace.v1.common_pb2 import (
    CLOCK_SOURCE_MONOTONIC,
    OVERFLOW_DROP,
    Clock,
    Goodbye,
    Host,
    Module,
    Process,
    Segment,
    Thread,
)
from calltrace_collector.wire._pb.calltrace.v1.crash_pb2 import (
    Crash,
    MemoryRange,
    Registers,
    UncaughtException,
)
from calltrace_collector.wire._pb.calltrace.v1.events_pb2 import EventBatch, Mark, Site
from calltrace_collector.wire._pb.calltrace.v1.ingest_service_pb2 import (
    Ack,
    AgentMessage,
    CollectorMessage,
    FinishedCrash,
    FinishRequest,
    FinishResponse,
    Welcome,
)

__all__ = [
    "CLOCK_SOURCE_MONOTONIC",
    "INGEST_SERVICE",
    "OVERFLOW_DROP",
    "Ack",
    "AgentMessage",
    "CapturePlan",
    "Clock",
    "CollectorMessage",
    "Crash",
    "EventBatch",
    "FinishRequest",
    "FinishResponse",
    "FinishedCrash",
    "Goodbye",
    "HookPlan",
    "Host",
    "Mark",
    "MemoryRange",
    "Module",
    "Process",
    "Registers",
    "Segment",
    "Site",
    "Thread",
    "UncaughtException",
    "Welcome",
]

INGEST_SERVICE = "calltrace.v1.IngestService"
"""Full name of the service that agents stream to."""
