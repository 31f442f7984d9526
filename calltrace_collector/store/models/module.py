"""Module files, what is known of places in them, and where processes had them."""

from __future__ import annotations

from sqlalchemy import JSON, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from calltrace_collector.store.models.base import (
    Base,
    file_key,
    number_key,
    process_key,
    row_id,
    u64,
    u64_key,
)


class ModuleFile(Base):
    """A file that processes map.

    `identity` is "build-id:" and its build-id in hexadecimal; a file without one can't be told from
    another that had its path at another time, so it is "process:", the process and the path. `path` is
    where it was seen last. `misses`: some of its names were looked for in vain.
    """

    __tablename__ = "module_file"

    id: Mapped[row_id]
    identity: Mapped[str] = mapped_column(unique=True)
    build_id: Mapped[bytes]
    path: Mapped[str]
    misses: Mapped[bool] = mapped_column(default=False)


class ProcessModule(Base):
    """A module file where a process mapped it; `segments` are [address, size, file offset, flags]."""

    __tablename__ = "process_module"
    __table_args__ = ({"sqlite_with_rowid": False},)

    process_id: Mapped[process_key]
    number: Mapped[number_key]
    module_file_id: Mapped[int] = mapped_column(ForeignKey("module_file.id"), index=True)
    path: Mapped[str]
    load_bias: Mapped[u64]
    segments: Mapped[list[list[int]]] = mapped_column(JSON)
    loaded_ticks: Mapped[u64]
    unloaded_ticks: Mapped[u64]


class Function(Base):
    """What is known of the function that begins at an offset of a module file.

    `quality` says how much, see names.py: 0 is not looked for yet.
    """

    __tablename__ = "function"
    __table_args__ = (
        Index(
            "ix_function_unnamed",
            "module_file_id",
            "offset",
            sqlite_where=text("quality = 0"),
            postgresql_where=text("quality = 0"),
        ),
        {"sqlite_with_rowid": False},
    )

    module_file_id: Mapped[file_key]
    offset: Mapped[u64_key]
    quality: Mapped[int]
    size_bytes: Mapped[u64]
    linkage_name: Mapped[str | None]
    name: Mapped[str | None]
    file: Mapped[str | None]
    line: Mapped[int | None]


class CallSite(Base):
    """What is known of the call that returns to an offset of a module file; `quality` as above."""

    __tablename__ = "call_site"
    __table_args__ = (
        Index(
            "ix_call_site_unnamed",
            "module_file_id",
            "offset",
            sqlite_where=text("quality = 0"),
            postgresql_where=text("quality = 0"),
        ),
        {"sqlite_with_rowid": False},
    )

    module_file_id: Mapped[file_key]
    offset: Mapped[u64_key]
    quality: Mapped[int]
    caller: Mapped[str | None]
    file: Mapped[str | None]
    line: Mapped[int | None]


class ProcessFunction(Base):
    """A function that a process entered; module and offset are null where no module was mapped."""

    __tablename__ = "process_function"
    __table_args__ = ({"sqlite_with_rowid": False},)

    process_id: Mapped[process_key]
    number: Mapped[number_key]
    address: Mapped[u64]
    module: Mapped[int | None]
    offset: Mapped[u64 | None]


class Site(Base):
    """A pair of function and call site of a process; its calls carry the number."""

    __tablename__ = "site"
    __table_args__ = ({"sqlite_with_rowid": False},)

    process_id: Mapped[process_key]
    number: Mapped[number_key]
    function: Mapped[int]
    call_site_address: Mapped[u64]
    call_site_module: Mapped[int | None]
    call_site_offset: Mapped[u64 | None]
    frame_delta_bytes: Mapped[int]
