"""Where things are when nobody says otherwise: the socket, the cache, the agent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from calltrace_collector.errors import BuildError

__all__ = ["agent_library", "cache_directory", "default_socket"]

AGENT_LIBRARY = Path(__file__).with_name("libcalltrace.so")


def agent_library() -> Path:
    """Returns the path of the library that traced programs preload.

    Raises:
        BuildError: it was never built.
    """
    if not AGENT_LIBRARY.is_file():
        raise BuildError(f"no agent at {AGENT_LIBRARY}: run make build, or install calltrace-collector again")
    return AGENT_LIBRARY


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


def cache_directory(environment: Mapping[str, str] | None = None) -> Path:
    """Returns the folder for what can be made again: calltrace/ in $XDG_CACHE_HOME.

    Args:
        environment: os.environ unless a test brings its own.
    """
    environment = os.environ if environment is None else environment
    cache_home = environment.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification: a path that isn't absolute is to be ignored.
    folder = Path(cache_home) if Path(cache_home).is_absolute() else Path("~/.cache").expanduser()
    return folder / "calltrace"
