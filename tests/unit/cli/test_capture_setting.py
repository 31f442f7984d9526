"""Of which functions values are captured: the option counts more than the environment."""

from __future__ import annotations

import pytest

from calltrace_collector.cli.capture_setting import capture_globs
from calltrace_collector.errors import UsageError


@pytest.mark.parametrize(
    ("option", "setting", "globs"),
    [
        (None, None, None),
        (None, "", None),
        (None, "0", None),
        (None, "1", "*"),
        (None, "a*,b", "a*,b"),
        ("*", None, "*"),
        ("ns::*", "1", "ns::*"),
        ("ns::*", "0", "ns::*"),
        ("operator/", None, "operator/"),
    ],
)
def test_of_which_functions(option: str | None, setting: str | None, globs: str | None) -> None:
    environment = {} if setting is None else {"CALLTRACE_CAPTURE_ARGS": setting}
    assert capture_globs(option, environment) == globs


@pytest.mark.parametrize("globs", ["a[b", ",", "x," * 257, "x" * 4097])
def test_what_makes_no_sense_is_told_by_its_name(globs: str) -> None:
    with pytest.raises(UsageError, match=r"^--args: "):
        capture_globs(globs, {})
    with pytest.raises(UsageError, match=r"^CALLTRACE_CAPTURE_ARGS: "):
        capture_globs(None, {"CALLTRACE_CAPTURE_ARGS": globs})


def test_a_program_that_is_taken_for_a_pattern() -> None:
    with pytest.raises(UsageError, match=r"write --args -- \./prog"):
        capture_globs("./prog", {})
