"""Crashes, and which thread created a thread."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _process_id() -> sa.Column[int]:
    return sa.Column("process_id", _KEY, nullable=False, autoincrement=False)


def _process_of(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_process_id"
    return sa.ForeignKeyConstraint(["process_id"], ["process.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.add_column("process", sa.Column("parent_thread", sa.BigInteger(), nullable=True))
    op.add_column("process", sa.Column("fork_ticks", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("thread", sa.Column("creator_tid", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("thread", sa.Column("stack_of", sa.BigInteger(), nullable=True))
    op.add_column("thread", sa.Column("stack_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    _create_crash()
    _create_crash_frame()


def _create_crash() -> None:
    op.create_table(
        "crash",
        _process_id(),
        sa.Column("thread", sa.BigInteger(), nullable=True),
        sa.Column("tid", sa.BigInteger(), nullable=False),
        sa.Column("thread_name", sa.Text(), nullable=False),
        sa.Column("signal", sa.BigInteger(), nullable=False),
        sa.Column("signal_name", sa.Text(), nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=False),
        sa.Column("fault_address", sa.BigInteger(), nullable=True),
        sa.Column("sender_pid", sa.BigInteger(), nullable=True),
        sa.Column("ticks", sa.BigInteger(), nullable=False),
        sa.Column("crashed_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("registers", sa.JSON(), nullable=False),
        sa.Column("exception_type", sa.Text(), nullable=True),
        sa.Column("exception_what", sa.Text(), nullable=True),
        sa.Column("abort_message", sa.Text(), nullable=False),
        sa.Column("handled", sa.Boolean(), nullable=False),
        sa.Column("incomplete", sa.Text(), nullable=False),
        sa.Column("is_analyzed", sa.Boolean(), nullable=False),
        sa.Column("code_name", sa.Text(), nullable=False),
        sa.Column("code_meaning", sa.Text(), nullable=False),
        sa.Column("fault_description", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("unwound_until", sa.Text(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        _process_of("crash"),
        sa.PrimaryKeyConstraint("process_id", name="pk_crash"),
    )
    op.create_index("ix_crash_crashed_at_ns", "crash", ["crashed_at_ns"])


def _create_crash_frame() -> None:
    op.create_table(
        "crash_frame",
        _process_id(),
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("address", sa.BigInteger(), nullable=False),
        sa.Column("function", sa.Text(), nullable=True),
        sa.Column("linkage_name", sa.Text(), nullable=True),
        sa.Column("module", sa.Text(), nullable=True),
        sa.Column("module_offset", sa.BigInteger(), nullable=True),
        sa.Column("function_offset", sa.BigInteger(), nullable=True),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("line", sa.BigInteger(), nullable=True),
        sa.Column("inlined", sa.Boolean(), nullable=False),
        sa.Column("call", sa.BigInteger(), nullable=True),
        sa.Column("is_signal_frame", sa.Boolean(), nullable=False),
        _process_of("crash_frame"),
        sa.PrimaryKeyConstraint("process_id", "number", name="pk_crash_frame"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("crash_frame")
    op.drop_table("crash")
    op.drop_column("thread", "stack_bytes")
    op.drop_column("thread", "stack_of")
    op.drop_column("thread", "creator_tid")
    op.drop_column("process", "fork_ticks")
    op.drop_column("process", "parent_thread")
