"""Captured arguments and return values, and the plans by which they were captured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "capture_plan",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("layout_count", sa.BigInteger(), nullable=False),
        sa.Column("layouts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_capture_plan"),
        sa.UniqueConstraint("digest", name="uq_capture_plan_digest"),
    )
    op.create_table(
        "process_plan",
        sa.Column("process_id", _KEY, nullable=False, autoincrement=False),
        sa.Column("first_layout", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("module", sa.BigInteger(), nullable=False),
        sa.Column("capture_plan_id", _KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["process_id"], ["process.id"], name="fk_process_plan_process_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["capture_plan_id"], ["capture_plan.id"], name="fk_process_plan_capture_plan_id"
        ),
        sa.PrimaryKeyConstraint("process_id", "first_layout", name="pk_process_plan"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_process_plan_capture_plan_id", "process_plan", ["capture_plan_id"])
    op.create_table(
        "chunk_values",
        sa.Column("chunk_id", _KEY, nullable=False, autoincrement=False),
        sa.Column("captured", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chunk_id", name="pk_chunk_values"),
    )


def downgrade() -> None:
    op.drop_table("chunk_values")
    op.drop_table("process_plan")
    op.drop_table("capture_plan")
