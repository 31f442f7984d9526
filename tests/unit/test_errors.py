import pytest

from calltrace_collector import errors
from calltrace_collector.errors import CalltraceError, StoreError, UsageError


def subclasses(base: type[CalltraceError]) -> set[type[CalltraceError]]:
    direct = set(base.__subclasses__())
    return direct.union(*(subclasses(one) for one in direct))


def test_all_names_every_error() -> None:
    assert set(errors.__all__) == {"CalltraceError"} | {one.__name__ for one in subclasses(CalltraceError)}


def test_the_tree_in_the_docstring_names_every_error() -> None:
    drawn = {next(word for word in line.split() if word.endswith("Error")) for line in tree_lines()}
    assert drawn == set(errors.__all__)


def tree_lines() -> list[str]:
    assert errors.__doc__ is not None
    return [line for line in errors.__doc__.replace("│", " ").splitlines() if "Error " in line]


@pytest.mark.parametrize(
    ("error", "status"), [(StoreError("x"), 1), (UsageError("x"), 2), (UsageError("x", 3), 3)]
)
def test_exit_code(error: CalltraceError, status: int) -> None:
    assert error.exit_code == status
    assert error.message == str(error) == "x"
