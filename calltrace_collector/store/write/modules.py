"""Modules, and the functions and call sites that a process uses in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select, update

from calltrace_collector.errors import StoreError
from calltrace_collector.model.commit import Commit, Place
from calltrace_collector.model.process import ModuleInfo
from calltrace_collector.store import models
from calltrace_collector.store.batches import batches
from calltrace_collector.store.types import clean
from calltrace_collector.store.write.names import NOT_FOUND, NOT_LOOKED_FOR
from calltrace_collector.store.write.upsert import insert_missing, upsert


def store_modules(connection: Connection, commits: Sequence[Commit]) -> None:
    """Stores modules of processes, and the files they are."""
    modules = [(commit.process, module) for commit in commits for module in commit.modules]
    if not modules:
        return
    files = _store_files(connection, modules)
    rows = [
        {
            "process_id": process,
            "number": module.number,
            "module_file_id": files[_identity(process, module)],
            "path": module.path,
            "load_bias": module.load_bias,
            "segments": [
                [part.address, part.size_bytes, part.file_offset, part.flags] for part in module.segments
            ],
            "loaded_ticks": module.loaded_ticks,
            "unloaded_ticks": module.unloaded_ticks,
        }
        for process, module in modules
    ]
    upsert(connection, models.ProcessModule, rows)


def _identity(process: int, module: ModuleInfo) -> str:
    if module.build_id:
        return f"build-id:{module.build_id.hex()}"
    return clean(f"process:{process}:{module.path}")


def _store_files(connection: Connection, modules: Sequence[tuple[int, ModuleInfo]]) -> dict[str, int]:
    """Stores the files of (process, module) pairs; returns their ids by identity."""
    rows = {
        _identity(process, module): {
            "identity": _identity(process, module),
            "build_id": module.build_id,
            "path": module.path,
        }
        for process, module in modules
    }
    # In order, so that collectors that store the same files at once wait for each other one way.
    upsert(connection, models.ModuleFile, [rows[key] for key in sorted(rows)], keys=("identity",))
    found: dict[str, int] = {}
    missed: list[int] = []
    for some in batches(list(rows)):
        statement = select(models.ModuleFile.identity, models.ModuleFile.id, models.ModuleFile.misses)
        for identity, file, misses in connection.execute(
            statement.where(models.ModuleFile.identity.in_(some))
        ):
            found[identity] = file
            if misses:
                missed.append(file)
    _look_again(connection, missed)
    return found


def _look_again(connection: Connection, files: Sequence[int]) -> None:
    """What was looked for in vain may be found now: a process has just mapped the file, so it is there."""
    for some in batches(files):
        for model in (models.Function, models.CallSite):
            vain = (model.module_file_id.in_(some), model.quality == NOT_FOUND)
            connection.execute(update(model).where(*vain).values(quality=NOT_LOOKED_FOR))
        connection.execute(
            update(models.ModuleFile).where(models.ModuleFile.id.in_(some)).values(misses=False)
        )


def store_sites(connection: Connection, commits: Sequence[Commit]) -> None:
    """Stores sites, the functions they enter, and the places whose names are to be looked for."""
    sites = [(commit.process, site) for commit in commits for site in commit.sites]
    if not sites:
        return
    functions: dict[tuple[int, int], dict[str, int | None]] = {}
    rows: list[dict[str, int | None]] = []
    for process, site in sites:
        place, caller = site.function_place, site.call_site_place
        functions[process, site.function] = {
            "process_id": process,
            "number": site.function,
            "address": site.function_address,
            "module": place.module if place else None,
            "offset": place.offset if place else None,
        }
        rows.append(
            {
                "process_id": process,
                "number": site.number,
                "function": site.function,
                "call_site_address": site.call_site_address,
                "call_site_module": caller.module if caller else None,
                "call_site_offset": caller.offset if caller else None,
                "frame_delta_bytes": site.frame_delta_bytes,
            }
        )
    upsert(connection, models.ProcessFunction, list(functions.values()))
    upsert(connection, models.Site, rows)
    files = _files_of(connection, {process for process, _ in sites})
    _store_places(connection, models.Function, files, ((p, site.function_place) for p, site in sites))
    _store_places(connection, models.CallSite, files, ((p, site.call_site_place) for p, site in sites))


def _files_of(connection: Connection, processes: Iterable[int]) -> dict[tuple[int, int], int]:
    """The files of processes' modules, by process and the module's number."""
    module = models.ProcessModule
    found: dict[tuple[int, int], int] = {}
    for some in batches(sorted(processes)):
        statement = select(module.process_id, module.number, module.module_file_id)
        for process, number, file in connection.execute(statement.where(module.process_id.in_(some))):
            found[process, number] = file
    return found


def _store_places(
    connection: Connection,
    model: type[models.Function | models.CallSite],
    files: dict[tuple[int, int], int],
    places: Iterable[tuple[int, Place | None]],
) -> None:
    offsets: set[tuple[int, int]] = set()
    for process, place in places:
        if place is None:
            continue
        file = files.get((process, place.module))
        if file is None:
            raise StoreError(f"a function in module {place.module}, which process {process} does not have")
        offsets.add((file, place.offset))
    rest = {"size_bytes": 0} if model is models.Function else {}
    rows = [
        {"module_file_id": file, "offset": offset, "quality": NOT_LOOKED_FOR, **rest}
        for file, offset in sorted(offsets)
    ]
    insert_missing(connection, model, rows)
