"""The schema; `Base.metadata` holds all of its tables."""

from calltrace_collector.store.models.base import Base
from calltrace_collector.store.models.chunk import Chunk, ChunkColumns, ChunkFunction
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
    "Chunk",
    "ChunkColumns",
    "ChunkFunction",
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
    "Site",
    "Thread",
    "ThreadProfile",
    "ThreadStack",
]
