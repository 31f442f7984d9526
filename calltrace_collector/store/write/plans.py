"""Plans by which values are captured."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import zstandard
from sqlalchemy import Connection, func, select

from calltrace_collector.errors import StoreError
from calltrace_collector.model.capture import Layout
from calltrace_collector.model.layout_json import layouts_to_json
from calltrace_collector.store import models
from calltrace_collector.store.write.upsert import insert_missing

_LAYOUTS_LIMIT = 1 << 32  # layouts' numbers are unsigned 32-bit


@dataclass(frozen=True, slots=True)
class PackedLayouts:
    """The layouts of a plan, at least one, as a row of capture_plan has them."""

    digest: bytes
    layout_count: int
    layouts: bytes


def pack_layouts(layouts: tuple[Layout, ...]) -> PackedLayouts:
    """Makes layouts ready to be stored: of a large program, that takes a second in which others may write."""
    text = layouts_to_json(layouts)
    packed = zstandard.ZstdCompressor().compress(text)
    return PackedLayouts(hashlib.sha256(text).digest(), len(layouts), packed)


def store_process_plan(connection: Connection, process: int, module: int, layouts: PackedLayouts) -> int:
    """Stores the layouts of a module's plan, if its process has not got them; returns the first one's number.

    The process is locked. StoreError where the process has too many.
    """
    stored = _store_layouts(connection, layouts)
    plan = models.ProcessPlan
    statement = select(func.min(plan.first_layout)).where(
        plan.process_id == process, plan.module == module, plan.capture_plan_id == stored
    )
    known: int | None = connection.scalar(statement)
    if known is not None:
        return known
    first = _layout_count(connection, process)
    if first + layouts.layout_count > _LAYOUTS_LIMIT:
        raise StoreError(f"process {process} has more than {_LAYOUTS_LIMIT} layouts of values")
    row = {"process_id": process, "first_layout": first, "module": module, "capture_plan_id": stored}
    insert_missing(connection, plan, [row])
    return first


def _store_layouts(connection: Connection, layouts: PackedLayouts) -> int:
    """Stores layouts, if they are not there; returns the id of their row."""
    of_digest = select(models.CapturePlan.id).where(models.CapturePlan.digest == layouts.digest)
    known: int | None = connection.scalar(of_digest)
    if known is not None:
        return known
    insert_missing(connection, models.CapturePlan, [asdict(layouts)], keys=("digest",))
    return connection.execute(of_digest).scalar_one()


def _layout_count(connection: Connection, process: int) -> int:
    """How many layouts a process has: the number that the next one gets."""
    plan, stored = models.ProcessPlan, models.CapturePlan
    after_last = (
        select(func.max(plan.first_layout + stored.layout_count))
        .join(stored, stored.id == plan.capture_plan_id)
        .where(plan.process_id == process)
    )
    return connection.scalar(after_last) or 0
