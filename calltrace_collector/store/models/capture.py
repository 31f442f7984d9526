"""By which plans values were captured: what their bytes mean."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from calltrace_collector.store.models.base import Base, number_key, process_key, row_id


class CapturePlan(Base):
    """The layouts of a plan, stored once for all processes whose plans have the same.

    `digest` is the SHA-256 of the JSON that model/layout_json.py describes, `layouts` that JSON,
    zstd-compressed; `layout_count` says how many there are.
    """

    __tablename__ = "capture_plan"

    id: Mapped[row_id]
    digest: Mapped[bytes] = mapped_column(unique=True)
    layout_count: Mapped[int]
    layouts: Mapped[bytes]


class ProcessPlan(Base):
    """Which numbers the layouts of a plan have in a process: `first_layout` and following."""

    __tablename__ = "process_plan"
    __table_args__ = ({"sqlite_with_rowid": False},)

    process_id: Mapped[process_key]
    first_layout: Mapped[number_key]
    module: Mapped[int]
    capture_plan_id: Mapped[int] = mapped_column(ForeignKey("capture_plan.id"), index=True)
