"""Of which functions arguments and return values are captured: the option --args, and the setting."""

from __future__ import annotations

from collections.abc import Mapping

from calltrace_collector.errors import UsageError
from calltrace_collector.symbols.globs import any_matcher

EVERY_FUNCTION = "*"
SETTING = "CALLTRACE_CAPTURE_ARGS"


def capture_globs(option: str | None, environment: Mapping[str, str]) -> str | None:
    """Returns of which functions arguments and return values are captured; None: of none.

    Args:
        option: of --args, if there is one; it counts more than the environment.
        environment: where CALLTRACE_CAPTURE_ARGS may be.

    Raises:
        UsageError: it makes no sense.
    """
    if option is None:
        said = environment.get(SETTING, "")
        if said in {"", "0"}:
            return None
        option, name = (EVERY_FUNCTION if said == "1" else said), SETTING
    else:
        name = "--args"
    if "/" in option and "operator" not in option:
        raise UsageError(f"{name} takes {option} for names of functions: write {name} -- {option}")
    try:
        any_matcher(option)
    except UsageError as error:
        raise UsageError(f"{name}: {error.message}") from error
    return option
