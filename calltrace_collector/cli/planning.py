"""Plans of how values are captured: the one place that knows both who makes them and who wants them."""

from __future__ import annotations

from collections.abc import Callable

from calltrace_collector.model.capture import Plan
from calltrace_collector.symbols.probe import is_instrumented


def make_plan(path: str, build_id: bytes, progress: Callable[[int, int], None]) -> Plan:
    """Returns how the values of a file's calls are captured; nothing if it has no calls of hooks.

    Args:
        path: the file. Names in brackets are the kernel's own.
        build_id: the file's; b"" for one without, or if it does not matter.
        progress: takes how far it is (done, total); not called for plans that are in the cache.

    Raises:
        SymbolError: the file is not readable, or of another build.
    """
    if path.startswith("[") or not is_instrumented(path):
        return Plan()
    from calltrace_collector.capture.plan.cache import plan_for  # noqa: PLC0415 takes long to import

    return plan_for(path, build_id, progress)
