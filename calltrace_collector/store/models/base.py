"""What all tables share.

The rules of the schema, which hold on SQLite and PostgreSQL alike:

- What a traced process numbers itself (threads, modules, functions, sites) has the key (process_id,
  number), so that nothing needs to be looked up before it is stored.
- Names belong to a place in a module file, not to a process: they are looked up once, whoever uses them.
- What is a process's goes when the process goes (ON DELETE CASCADE), except for the tables that grow with
  the calls; see chunk.py.
- int is BigInteger: many numbers are unsigned 32-bit, which PostgreSQL's integer does not hold.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, LargeBinary, MetaData
from sqlalchemy.orm import DeclarativeBase, mapped_column

from calltrace_collector.store.types import U64, BigKey, CleanText

u64 = Annotated[int, mapped_column(U64)]
row_id = Annotated[int, mapped_column(BigKey, primary_key=True)]
given_id = Annotated[int, mapped_column(BigKey, primary_key=True, autoincrement=False)]
number_key = Annotated[int, mapped_column(primary_key=True, autoincrement=False)]
u64_key = Annotated[int, mapped_column(U64, primary_key=True, autoincrement=False)]
process_key = Annotated[
    int,
    mapped_column(ForeignKey("process.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
]
file_key = Annotated[
    int,
    mapped_column(ForeignKey("module_file.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
]


class Base(DeclarativeBase):
    """What all tables share: types and the names of constraints."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {int: BigInteger, str: CleanText, bytes: LargeBinary}
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def of_thread() -> ForeignKeyConstraint:
    """The columns process_id and thread of a table are a thread's."""
    return ForeignKeyConstraint(
        ["process_id", "thread"], ["thread.process_id", "thread.number"], ondelete="CASCADE"
    )
