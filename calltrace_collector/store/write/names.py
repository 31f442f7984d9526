"""Names of functions and call sites. Better information replaces worse; its quality is a number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Connection, literal_column, select, update

from calltrace_collector.model.commit import CallSiteName, FunctionName, UnnamedFile
from calltrace_collector.store import models
from calltrace_collector.store.write.upsert import Insert, insert_into

NOT_LOOKED_FOR = 0
NOT_FOUND = 1
NAMED = 2
NAMED_WITH_LINE = 3


def quality(name: str | None, file: str | None) -> int:
    """How much is known of a place that was looked for."""
    if file is not None:
        return NAMED_WITH_LINE
    return NOT_FOUND if name is None else NAMED


def unnamed(connection: Connection, limit: int) -> list[UnnamedFile]:
    """The files with places that were not looked for, and at most `limit` of these places."""
    functions = _not_looked_for(connection, models.Function, limit)
    left = limit - sum(map(len, functions.values()))
    call_sites = _not_looked_for(connection, models.CallSite, left) if left > 0 else {}
    file = models.ModuleFile
    found = []
    for number in sorted(functions.keys() | call_sites.keys()):
        path, build_id = connection.execute(select(file.path, file.build_id).where(file.id == number)).one()
        places = (tuple(functions.get(number, ())), tuple(call_sites.get(number, ())))
        found.append(UnnamedFile(number, path, build_id, *places))
    return found


def _not_looked_for(
    connection: Connection, model: type[models.Function | models.CallSite], limit: int
) -> dict[int, list[int]]:
    # A literal, for with a parameter SQLite doesn't see that the partial index has all of them.
    wanted = model.quality == literal_column(str(NOT_LOOKED_FOR))
    key = (model.module_file_id, model.offset)
    offsets: dict[int, list[int]] = {}
    for file, offset in connection.execute(select(*key).where(wanted).order_by(*key).limit(limit)):
        offsets.setdefault(file, []).append(offset)
    return offsets


def store_names(
    connection: Connection, file: int, functions: Sequence[FunctionName], call_sites: Sequence[CallSiteName]
) -> None:
    """Stores what was found about places of a file, and what was looked for in vain."""
    function_rows = [
        {
            "module_file_id": file,
            "offset": function.offset,
            "quality": quality(function.name, function.file),
            "size_bytes": function.size_bytes,
            "linkage_name": function.linkage_name,
            "name": function.name,
            "file": function.file,
            "line": function.line,
        }
        for function in functions
    ]
    call_site_rows = [
        {
            "module_file_id": file,
            "offset": site.offset,
            "quality": quality(site.caller, site.file),
            "caller": site.caller,
            "file": site.file,
            "line": site.line,
        }
        for site in call_sites
    ]
    dialect = connection.dialect.name
    if function_rows:
        connection.execute(_better(models.Function, dialect), function_rows)
    if call_site_rows:
        connection.execute(_better(models.CallSite, dialect), call_site_rows)
    if any(row["quality"] == NOT_FOUND for row in [*function_rows, *call_site_rows]):
        connection.execute(update(models.ModuleFile).where(models.ModuleFile.id == file).values(misses=True))


@cache
def _better(model: type[models.Function | models.CallSite], dialect: str) -> Insert:
    statement = insert_into(model, dialect)
    key = ("module_file_id", "offset")
    new = {column.name: column for column in statement.excluded if column.name not in key}
    return statement.on_conflict_do_update(
        index_elements=key, set_=new, where=statement.excluded.quality >= model.quality
    )
