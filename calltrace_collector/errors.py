"""Errors that a user can do something about.

CalltraceError
└── StoreError    the database cannot be opened, read or written

The message is one line that says what happened, to what, and what to do. Only cli/ prints it.
"""

from __future__ import annotations


class CalltraceError(Exception):
    """What every error of this package derives from.

    Attributes:
        exit_status: what a command that fails with this error exits with.
    """

    exit_status = 1


class StoreError(CalltraceError):
    """The database cannot be opened, read or written."""
