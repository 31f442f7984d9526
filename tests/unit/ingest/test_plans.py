"""Plans are made once for all who ask, stored before they are sent, and no failure stops the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from calltrace_collector import wire
from calltrace_collector.errors import StoreError, SymbolError
from calltrace_collector.ingest import plans
from calltrace_collector.ingest.plans import Planner, PlanRequest
from calltrace_collector.model.capture import HookPlan, How, Item, Layout, Plan, Type, TypeKind
from calltrace_collector.model.process import ModuleInfo
from tests.unit.ingest.builders import MemorySink

LAYOUT = Layout((Item("x", Type(TypeKind.INTEGER, "int", 4), How.VALUE, 4),))
PLAN = Plan(
    (LAYOUT, LAYOUT),
    (HookPlan(16, 8, "ns::parse(int)", 0, b"a"), HookPlan(32, 24, "main", 1, b"b")),
)
PATIENCE_S = 60


class Maker:
    """Makes a plan by path, and waits until it may."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.results: dict[str, Plan | Exception] = {}
        self.may_go_on: dict[str, threading.Event] = {}
        self.began = threading.Semaphore(0)

    def __call__(self, path: str, build_id: bytes, progress: Callable[[int, int], None]) -> Plan:
        self.asked.append((path, build_id))
        self.began.release()
        if path in self.may_go_on:
            while not self.may_go_on[path].wait(0.01):
                progress(1, 2)
        result = self.results.get(path, PLAN)
        if isinstance(result, Exception):
            raise result
        return result


class Running:
    """A planner that runs, and what comes of it."""

    def __init__(self) -> None:
        self.maker, self.sink = Maker(), MemorySink()
        self.said: list[str] = []
        self.planner = Planner(self.maker, self.sink, self.said.append, retry_interval_s=0.01)
        self.planner.start()

    def ask(
        self,
        path: str = "/bin/prog",
        globs: str = "*",
        *,
        process: int = 7,
        number: int = 0,
        build: bytes = b"b",
    ) -> Answer:
        answer = Answer()
        module = ModuleInfo(number, path, build, 0)
        request = PlanRequest(process, 1234, globs, module, answer.deliver, lambda: answer.is_wanted)
        self.planner.ask(request)
        return answer


class Answer:
    """What is delivered for a request."""

    def __init__(self) -> None:
        self.is_wanted = True
        self._messages: list[bytes] = []
        self._came = threading.Event()

    def deliver(self, messages: list[bytes]) -> None:
        self._messages += messages
        self._came.set()

    @property
    def has_come(self) -> bool:
        return self._came.is_set()

    def plan(self) -> wire.CapturePlan:
        assert self._came.wait(PATIENCE_S)
        (message,) = self._messages
        return wire.CollectorMessage.FromString(message).capture_plan

    def layouts(self) -> list[int]:
        plan = self.plan()
        assert plan.complete
        return [hook.layout for hook in plan.hooks]


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.planner.stop()


def test_a_plan_is_stored_and_delivered(running: Running) -> None:
    answer = running.ask(process=7, number=3)
    plan = answer.plan()
    assert running.maker.asked == [("/bin/prog", b"b")]
    assert (plan.module, plan.complete) == (3, True)
    assert [(hook.return_offset, hook.program) for hook in plan.hooks] == [(16, b"a"), (32, b"b")]
    assert running.sink.plans == [(7, 3, PLAN)]
    assert running.said == []


def test_layouts_have_the_numbers_that_the_store_gives(running: Running) -> None:
    assert running.ask(number=0).layouts() == [0, 1]
    assert running.ask(number=1).layouts() == [2, 3]


@pytest.mark.parametrize(
    ("globs", "layouts"),
    [("*", [0, 1]), ("ns::*", [0]), ("parse", []), ("ns::parse", [0]), ("x, m?in,y", [1]), ("p*,main", [1])],
)
def test_hooks_of_the_functions_that_were_asked_for(running: Running, globs: str, layouts: list[int]) -> None:
    assert running.ask(globs=globs).layouts() == layouts
    # All layouts are stored or none: their numbers do not depend on the patterns.
    assert running.sink.plans == ([(7, 0, PLAN)] if layouts else [])


@pytest.mark.parametrize("globs", ["a[b", ",", "x," * 257])
def test_patterns_that_make_no_sense_capture_nothing_and_are_told_of(running: Running, globs: str) -> None:
    assert running.ask(globs=globs).layouts() == []
    assert running.ask(globs=globs, number=1).layouts() == []
    (line,) = running.said
    assert line.startswith("process 1234: no arguments or return values: ")
    assert "pattern" in line


def test_a_module_without_hooks_needs_no_store(running: Running) -> None:
    running.sink.refusal = StoreError("full")
    running.maker.results["/bin/prog"] = Plan()
    assert running.ask().layouts() == []
    assert running.sink.plans == []


def test_a_plan_is_kept_for_the_next_process(running: Running) -> None:
    assert running.ask(process=1).layouts() == [0, 1]
    running.ask(process=2).plan()
    assert len(running.maker.asked) == 1
    assert [process for process, _, _ in running.sink.plans] == [1, 2]


def test_without_a_build_id_the_file_may_be_another_the_next_time(running: Running) -> None:
    running.ask(build=b"").plan()
    running.ask(build=b"").plan()
    assert len(running.maker.asked) == 2


def test_plans_that_are_long_unused_are_forgotten(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "REMEMBERED_HOOKS", 6)
    for path in ("/a", "/b", "/a", "/c", "/a", "/b"):
        running.ask(path).plan()
    assert [path for path, _ in running.maker.asked] == ["/a", "/b", "/c", "/b"]


def test_a_file_that_cannot_be_planned_is_told_of_once(running: Running) -> None:
    running.maker.results["/bin/prog"] = SymbolError("/bin/prog: is another build")
    assert running.ask().layouts() == []
    assert running.ask(process=8).layouts() == []
    assert running.said == ["no arguments or return values: /bin/prog: is another build"]
    assert len(running.maker.asked) == 2  # it may be there the next time


def test_a_maker_that_fails_is_told_of_and_the_next_file_planned(running: Running) -> None:
    running.maker.results["/bad"] = ZeroDivisionError("by zero")
    for _ in range(plans.THREADS + 1):
        assert running.ask("/bad").layouts() == []
    assert running.said == [
        "no arguments or return values: /bad: this is a bug: ZeroDivisionError('by zero')"
    ]
    assert running.ask().layouts() == [0, 1]


@pytest.mark.parametrize(
    ("hooks", "what"),
    [((), "no arguments or return values"), (PLAN.hooks, "some arguments and return values are missing")],
)
def test_the_problems_of_a_plan_are_told(running: Running, hooks: tuple[HookPlan, ...], what: str) -> None:
    running.maker.results["/bin/prog"] = Plan(hooks=hooks, problems=tuple(f"problem {n}" for n in range(9)))
    running.ask().plan()
    running.ask().plan()
    assert len(running.maker.asked) == 2  # there may be more the next time
    assert running.said == [f"{what}: /bin/prog: problem {n}" for n in range(plans.PROBLEMS)]


def test_a_store_that_refuses_is_asked_again(running: Running) -> None:
    running.sink.refusal = StoreError("full")
    answer = running.ask()
    assert running.sink.refused.wait(PATIENCE_S)
    assert not answer.has_come
    running.sink.refusal = None
    assert answer.layouts() == [0, 1]
    assert running.said == []


def test_a_store_that_refuses_is_not_asked_for_streams_that_have_ended(running: Running) -> None:
    running.sink.refusal = StoreError("full")
    answers = [running.ask(str(n)) for n in range(plans.THREADS)]
    assert running.sink.refused.wait(PATIENCE_S)
    for answer in answers:
        answer.is_wanted = False
    running.maker.results["/free"] = Plan()
    assert running.ask("/free").layouts() == []
    assert not any(answer.has_come for answer in answers)


def test_a_small_file_does_not_wait_for_a_large_one(running: Running) -> None:
    gate = running.maker.may_go_on["/large"] = threading.Event()
    large = running.ask("/large")
    assert running.maker.began.acquire(timeout=PATIENCE_S)
    assert running.ask("/small").layouts() == [0, 1]
    assert not large.has_come
    gate.set()
    assert large.layouts() == [2, 3]


def test_who_asks_for_the_same_file_meanwhile_gets_the_same_plan(running: Running) -> None:
    gate = running.maker.may_go_on["/large"] = threading.Event()
    answers = [running.ask("/large", process=process) for process in range(20)]
    assert running.maker.began.acquire(timeout=PATIENCE_S)
    assert running.ask("/small").layouts() == [0, 1]
    gate.set()
    assert all(len(answer.layouts()) == 2 for answer in answers)
    assert [path for path, _ in running.maker.asked] == ["/large", "/small"]


def test_streams_that_have_ended_get_nothing(running: Running) -> None:
    gate = running.maker.may_go_on["/large"] = threading.Event()
    first, second = running.ask("/large"), running.ask("/large")
    assert running.maker.began.acquire(timeout=PATIENCE_S)
    first.is_wanted = False
    gate.set()
    second.plan()
    assert not first.has_come


def test_stopping_ends_what_is_being_made_and_drops_the_rest() -> None:
    running = Running()
    paths = [f"/large{n}" for n in range(plans.THREADS + 2)]
    for path in paths:
        running.maker.may_go_on[path] = threading.Event()
    answers = [running.ask(path) for path in paths]
    for _ in range(plans.THREADS):
        assert running.maker.began.acquire(timeout=PATIENCE_S)
    running.planner.stop()
    assert not any(answer.has_come for answer in answers)
    assert len(running.maker.asked) == plans.THREADS


def test_stopping_does_not_wait_for_a_store_that_refuses() -> None:
    running = Running()
    running.sink.refusal = StoreError("full")
    answer = running.ask()
    assert running.sink.refused.wait(PATIENCE_S)
    running.planner.stop()
    assert not answer.has_come
