"""Where things are when nobody says otherwise: the socket, the session directories, the agent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["AGENT_LIBRARY", "default_socket", "session_parents"]

AGENT_LIBRARY = Path(__file__).with_name("libcalltrace.so")
"""What traced programs preload."""


def default_socket(environment: Mapping[str, str] | None = None) -> Path:
    """Returns the socket that collectors listen at, and that the agent looks for, when nobody names one.

    The agent (agent/life/config.c) follows the same rule.

    Args:
        environment: os.environ unless a test brings its own.
    """
    environment = os.environ if environment is None else environment
    runtime = environment.get("XDG_RUNTIME_DIR")
    folder = Path(runtime, "calltrace") if runtime else Path(f"/tmp/calltrace-{os.getuid()}")  # noqa: S108 of the user alone: mode 0700, checked
    return folder / "collector.sock"


def session_parents(environment: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Returns the folders in which agents make their session directories: CALLTRACE_SHM_DIR and /dev/shm.

    Args:
        environment: os.environ unless a test brings its own.
    """
    environment = os.environ if environment is None else environment
    usual = Path("/dev/shm")  # noqa: S108 each user has a folder of mode 0700 there, checked
    chosen = environment.get("CALLTRACE_SHM_DIR")
    return (Path(chosen), usual) if chosen and Path(chosen) != usual else (usual,)
