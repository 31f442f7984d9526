"""Initial schema; calltrace_collector/store/models says what it means."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CHUNK_SEQUENCE = sa.Sequence("chunk_sequence")
_TABLES = (
    *("host", "process", "clock", "thread", "thread_stack", "thread_profile", "loss"),
    *("module_file", "function", "call_site", "process_module", "process_function", "site"),
    *("chunk", "chunk_columns", "chunk_function"),
)


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, _KEY, nullable=False)


def _given_key(name: str) -> sa.Column[int]:
    return sa.Column(name, _KEY, nullable=False, autoincrement=False)


def _number_key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)


def _numbers(names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names.split()]


def _optional_numbers(names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=True) for name in names.split()]


def _texts(names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names.split()]


def _optional_texts(names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=True) for name in names.split()]


def _bytes(names: str) -> list[sa.Column[bytes]]:
    return [sa.Column(name, sa.LargeBinary(), nullable=False) for name in names.split()]


def _flags(names: str) -> list[sa.Column[bool]]:
    return [sa.Column(name, sa.Boolean(), nullable=False) for name in names.split()]


def _primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _process_of(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_process_id"
    return sa.ForeignKeyConstraint(["process_id"], ["process.id"], name=name, ondelete="CASCADE")


def _thread_of(table: str) -> sa.ForeignKeyConstraint:
    name, target = f"fk_{table}_process_id_thread", ["thread.process_id", "thread.number"]
    return sa.ForeignKeyConstraint(["process_id", "thread"], target, name=name, ondelete="CASCADE")


def _file_of(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_module_file_id"
    return sa.ForeignKeyConstraint(["module_file_id"], ["module_file.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    _create_processes()
    _create_threads()
    _create_module_files()
    _create_process_modules()
    _create_chunks()


def _create_processes() -> None:
    op.create_table(
        "host",
        _key("id"),
        *_texts("identity name machine_id"),
        _primary("host", "id"),
        sa.UniqueConstraint("identity", name="uq_host_identity"),
    )
    op.create_table(
        "process",
        _key("id"),
        *_bytes("session_id parent_session_id"),
        *_texts("session_directory"),
        sa.Column("host_id", _KEY, nullable=False),
        *_texts("boot_id kernel"),
        *_numbers("pid parent_pid user_id start_time_jiffies"),
        *_texts("executable"),
        sa.Column("arguments", sa.JSON(), nullable=False),
        *_texts("working_directory architecture agent_version"),
        *_flags("ticks_are_ns"),
        *_numbers("max_depth"),
        *_flags("drops"),
        *_numbers("started_at_ns"),
        *_optional_numbers("ended_at_ns"),
        *_texts("state"),
        *_optional_numbers("exit_code signal"),
        *_numbers("sequence threads calls lost_events"),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name="fk_process_host_id"),
        _primary("process", "id"),
        sa.UniqueConstraint("session_id", name="uq_process_session_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_process_host_id_started_at_ns", "process", ["host_id", "started_at_ns"])
    op.create_index("ix_process_pid_started_at_ns", "process", ["pid", "started_at_ns"])
    op.create_index("ix_process_started_at_ns", "process", ["started_at_ns"])
    op.create_table(
        "clock",
        _given_key("process_id"),
        _number_key("ticks"),
        *_numbers("monotonic_ns realtime_ns"),
        _process_of("clock"),
        _primary("clock", "process_id", "ticks"),
        sqlite_with_rowid=False,
    )


def _create_threads() -> None:
    op.create_table(
        "thread",
        _given_key("process_id"),
        _number_key("number"),
        *_numbers("tid"),
        *_texts("name"),
        *_numbers("started_ticks ended_ticks stack_base"),
        *_numbers("calls last_ticks ring_end dropped orphan_exits cut folded depth next_chunk"),
        _process_of("thread"),
        _primary("thread", "process_id", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "thread_stack",
        *(_number_key(name) for name in ("process_id", "thread", "part")),
        *_bytes("frames"),
        _thread_of("thread_stack"),
        _primary("thread_stack", "process_id", "thread", "part"),
    )
    op.create_table(
        "thread_profile",
        *(_number_key(name) for name in ("process_id", "thread")),
        *_bytes("profile"),
        _thread_of("thread_profile"),
        _primary("thread_profile", "process_id", "thread"),
    )
    op.create_table(
        "loss",
        *(_number_key(name) for name in ("process_id", "thread", "ticks", "call", "kind", "count")),
        *_numbers("times"),
        _thread_of("loss"),
        _primary("loss", "process_id", "thread", "ticks", "call", "kind", "count"),
        sqlite_with_rowid=False,
    )


def _create_module_files() -> None:
    op.create_table(
        "module_file",
        _key("id"),
        *_texts("identity"),
        *_bytes("build_id"),
        *_texts("path"),
        *_flags("misses"),
        _primary("module_file", "id"),
        sa.UniqueConstraint("identity", name="uq_module_file_identity"),
    )
    _create_names("function", *_numbers("size_bytes"), *_optional_texts("linkage_name name file"))
    _create_names("call_site", *_optional_texts("caller file"))


def _create_names(table: str, *columns: sa.Column[int] | sa.Column[str]) -> None:
    op.create_table(
        table,
        _given_key("module_file_id"),
        _number_key("offset"),
        *_numbers("quality"),
        *columns,
        *_optional_numbers("line"),
        _file_of(table),
        _primary(table, "module_file_id", "offset"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        f"ix_{table}_unnamed",
        table,
        ["module_file_id", "offset"],
        sqlite_where=sa.text("quality = 0"),
        postgresql_where=sa.text("quality = 0"),
    )


def _create_process_modules() -> None:
    op.create_table(
        "process_module",
        _given_key("process_id"),
        _number_key("number"),
        sa.Column("module_file_id", _KEY, nullable=False),
        *_texts("path"),
        *_numbers("load_bias"),
        sa.Column("segments", sa.JSON(), nullable=False),
        *_numbers("loaded_ticks unloaded_ticks"),
        _process_of("process_module"),
        sa.ForeignKeyConstraint(
            ["module_file_id"], ["module_file.id"], name="fk_process_module_module_file_id"
        ),
        _primary("process_module", "process_id", "number"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_process_module_module_file_id", "process_module", ["module_file_id"])
    op.create_table(
        "process_function",
        _given_key("process_id"),
        _number_key("number"),
        *_numbers("address"),
        *_optional_numbers("module offset"),
        _process_of("process_function"),
        _primary("process_function", "process_id", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "site",
        _given_key("process_id"),
        _number_key("number"),
        *_numbers("function call_site_address"),
        *_optional_numbers("call_site_module call_site_offset"),
        *_numbers("frame_delta_bytes"),
        _process_of("site"),
        _primary("site", "process_id", "number"),
        sqlite_with_rowid=False,
    )


def _create_chunks() -> None:
    if op.get_context().dialect.supports_sequences:
        op.execute(sa.schema.CreateSequence(_CHUNK_SEQUENCE))
    op.create_table(
        "chunk",
        _given_key("id"),
        *_numbers("process_id thread number rows late_rows open_rows min_depth max_depth"),
        *_numbers("first_call late_first_call late_last_call base_call start_ticks end_ticks max_ticks"),
        _primary("chunk", "id"),
    )
    op.create_index("ix_chunk_process_id_thread_number", "chunk", ["process_id", "thread", "number"])
    op.create_table(
        "chunk_columns",
        _given_key("chunk_id"),
        *_bytes("columns"),
        _primary("chunk_columns", "chunk_id"),
    )
    op.create_table(
        "chunk_function",
        *(_number_key(name) for name in ("process_id", "function", "chunk_id")),
        *_numbers("calls max_ticks"),
        _primary("chunk_function", "process_id", "function", "chunk_id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    if op.get_context().dialect.supports_sequences:
        op.execute(sa.schema.DropSequence(_CHUNK_SEQUENCE))
