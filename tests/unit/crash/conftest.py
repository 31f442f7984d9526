"""A crash that gdb has seen, made once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from calltrace_collector.symbols.resolver import Resolver
from tests.support.crashes import CRASHES, PLAIN, compile_crash
from tests.support.gdb_crash import GdbCrash
from tests.support.gdb_crash import crash as run_in_gdb

Crashed = Callable[..., GdbCrash]


@pytest.fixture(scope="session")
def resolver() -> Resolver:
    return Resolver()


@pytest.fixture(scope="session")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Crashed:
    """Runs a fixture under gdb, once for each build."""
    found: dict[tuple[str, ...], GdbCrash] = {}

    def crashed(name: str, build: str = "gcc-O0", *flags: str) -> GdbCrash:
        key = (name, build, *flags)
        if key not in found:
            folder = tmp_path_factory.mktemp(name)
            (crash,) = [crash for crash in CRASHES if crash.name == name]
            program, arguments = compile_crash(crash, (*PLAIN[build], *flags), folder)
            found[key] = run_in_gdb(program, folder, *arguments, stack_bytes=crash.stack_bytes)
        return found[key]

    return crashed
