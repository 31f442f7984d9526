"""Plans by which a process's values were captured."""

from __future__ import annotations

from sqlalchemy import Connection, select

from calltrace_collector.errors import ProtocolError, StoreError
from calltrace_collector.model.capture import Layout
from calltrace_collector.model.layout_json import layouts_from_json
from calltrace_collector.store import models
from calltrace_collector.store.compression import decompress
from calltrace_collector.store.records import ProcessPlan

LAYOUTS_LIMIT_BYTES = 1 << 30


def plans(connection: Connection, process: int) -> list[ProcessPlan]:
    """The plans of a process, in the order of their layouts' numbers."""
    plan, stored = models.ProcessPlan, models.CapturePlan
    statement = (
        select(plan.first_layout, stored.layout_count, plan.module, stored.id)
        .join(stored, stored.id == plan.capture_plan_id)
        .where(plan.process_id == process)
        .order_by(plan.first_layout)
    )
    return [ProcessPlan(*row) for row in connection.execute(statement)]


def layouts(connection: Connection, capture_plan: int) -> tuple[Layout, ...]:
    """The layouts of a plan; none where it is gone. StoreError where they are damaged."""
    stored = models.CapturePlan
    packed = connection.scalar(select(stored.layouts).where(stored.id == capture_plan))
    if packed is None:
        return ()
    try:
        return layouts_from_json(decompress(packed, LAYOUTS_LIMIT_BYTES))
    except ProtocolError as error:
        raise StoreError(f"the database is damaged: {error.message}") from error
