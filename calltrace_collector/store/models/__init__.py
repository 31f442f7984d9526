"""The schema; `Base.metadata` holds all of its tables."""

from calltrace_collector.store.models.base import Base
from calltrace_collector.store.models.capture import CapturePlan, ProcessPlan
from calltrace_collector.store.models.chunk import Chunk, ChunkColumns, ChunkFunction, ChunkValues
from calltrace_collector.store.models.crash import Crash, CrashFrame
from calltrace_collector.store.models.module import (
    CallSite,
    Function,
    ModuleFile,
    ProcessFunction,
    ProcessModule,
    Site,
)
from calltrace_collector.store.models.process import (
    Clock,
    Host,
    Loss,
    Process,
    Thread,
    ThreadProfile,
    ThreadStack,
)

__all__ = [
    "Base",
    "CallSite",
    "CapturePlan",
    "Chunk",
    "ChunkColumns",
    "ChunkFunction",
    "ChunkValues",
    "Clock",
    "Crash",
    "CrashFrame",
    "Function",
    "Host",
    "Loss",
    "ModuleFile",
    "Process",
    "ProcessFunction",
    "ProcessModule",
    "ProcessPlan",
    "Site",
    "Thread",
    "ThreadProfile",
    "ThreadStack",
]
