"""The errors that a user can meet; the command line prints them, as one line, and nothing else does.

A message says what happened, to what, and what to do about it.

    CalltraceError            exit status 1
    ├── UsageError            exit status 2: the command, an option or a setting is wrong
    ├── NotFoundError         no such process, thread, function or program
    ├── UnreachableError      no collector, or no database, answers
    ├── StoreError            the database refused, or holds what it should not
    │   └── SchemaError       the database is of another version of the schema
    ├── SymbolError           a file has no readable symbols or debug information
    ├── ProtocolError         what a peer sent breaks the protocol
    │   └── OtherLayoutError  an agent of another version wrote a session directory
    └── BuildError            a compiled part is missing or of another version
"""

from __future__ import annotations

__all__ = [
    "BuildError",
    "CalltraceError",
    "NotFoundError",
    "OtherLayoutError",
    "ProtocolError",
    "SchemaError",
    "StoreError",
    "SymbolError",
    "UnreachableError",
    "UsageError",
]


class CalltraceError(Exception):
    """Anything that ends a command with a message instead of a traceback.

    Args:
        message: one line: what happened, to what, what to do.
        exit_code: the exit status of the command; None means the class's own.
    """

    exit_code = 1

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        if exit_code is not None:
            self.exit_code = exit_code

    @property
    def message(self) -> str:
        """What is shown to the user."""
        return str(self.args[0])


class UsageError(CalltraceError):
    """The command, an option or a setting is wrong."""

    exit_code = 2


class NotFoundError(CalltraceError):
    """No such process, thread, function or program."""


class UnreachableError(CalltraceError):
    """No collector, or no database, answers."""


class StoreError(CalltraceError):
    """The database refused, or holds what it should not."""


class SchemaError(StoreError):
    """The database is of another version of the schema."""


class SymbolError(CalltraceError):
    """A file has no readable symbols or debug information."""


class ProtocolError(CalltraceError):
    """What a peer sent breaks the protocol."""


class OtherLayoutError(ProtocolError):
    """An agent of another version wrote a session directory: a collector of that version may read it."""


class BuildError(CalltraceError):
    """A compiled part is missing or of another version."""
