"""Functions and sites of a process, with the names that were found for them."""

from __future__ import annotations

from pathlib import PurePosixPath

from sqlalchemy import Connection, select

from calltrace_collector.store import models
from calltrace_collector.store.records import FunctionRecord, SiteRecord


def functions(connection: Connection, process: int) -> list[FunctionRecord]:
    """The functions that a process entered, in the order of their numbers."""
    mine, module, name = models.ProcessFunction, models.ProcessModule, models.Function
    statement = (
        select(
            mine.number,
            mine.address,
            name.name,
            name.linkage_name,
            module.path.label("module"),
            module.number.label("module_number"),
            mine.offset,
            name.size_bytes,
            name.file,
            name.line,
        )
        .join(module, (module.process_id == mine.process_id) & (module.number == mine.module), isouter=True)
        .join(
            name,
            (name.module_file_id == module.module_file_id) & (name.offset == mine.offset),
            isouter=True,
        )
        .where(mine.process_id == process)
        .order_by(mine.number)
        .execution_options(yield_per=1000)
    )
    return [
        FunctionRecord(
            number=row.number,
            address=row.address,
            name=row.name or _stand_in(row.address, row.module, row.offset),
            is_named=bool(row.name),
            linkage_name=row.linkage_name,
            module=row.module,
            module_number=row.module_number,
            offset=row.offset,
            size_bytes=row.size_bytes or 0,
            file=row.file,
            line=row.line,
        )
        for row in connection.execute(statement)
    ]


def _stand_in(address: int, module: str | None, offset: int | None) -> str:
    if module is None or offset is None:
        return f"{address:#x}"
    return f"{PurePosixPath(module).name or module}+{offset:#x}"


def sites(connection: Connection, process: int) -> list[SiteRecord]:
    """The sites of a process, in the order of their numbers."""
    site, module, name = models.Site, models.ProcessModule, models.CallSite
    statement = (
        select(
            site.number,
            site.function,
            site.call_site_address,
            name.caller,
            name.file,
            name.line,
            module.path,
            site.call_site_offset,
            site.frame_delta_bytes,
        )
        .join(
            module,
            (module.process_id == site.process_id) & (module.number == site.call_site_module),
            isouter=True,
        )
        .join(
            name,
            (name.module_file_id == module.module_file_id) & (name.offset == site.call_site_offset),
            isouter=True,
        )
        .where(site.process_id == process)
        .order_by(site.number)
        .execution_options(yield_per=1000)
    )
    return [SiteRecord(*row) for row in connection.execute(statement)]
