"""The planner: threads that make out how the arguments and return values of a module are captured.

A plan is of a file, and takes from no time (no hooks) to a minute (a browser). Meanwhile its process waits:
so files are planned side by side, and each once for all the processes that ask for it at the same time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from calltrace_collector.errors import CalltraceError, StoreError
from calltrace_collector.ingest.plan_messages import plan_messages
from calltrace_collector.ingest.worker import Worker
from calltrace_collector.model.capture import Plan, no_values
from calltrace_collector.model.commit import Sink
from calltrace_collector.model.process import ModuleInfo
from calltrace_collector.symbols.globs import any_matcher

__all__ = ["PlanMaker", "PlanRequest", "Planner"]

THREADS = 4
RETRY_INTERVAL_S = 1.0
"""How often the store is asked again after it refused. Whoever commits says so: it is the same trouble."""
REMEMBERED_HOOKS = 200_000
"""In the plans that are kept, for the next process of the same program: some 100 MB at most."""
TOLD = 1000
"""Lines for the user that are remembered, so as not to be said again for the next process."""
PROBLEMS = 3
"""Lines about one plan."""

PlanMaker = Callable[[str, bytes, Callable[[int, int], None]], Plan]
"""Makes the plan of the file of this path and build-id, or raises SymbolError. Tells from time to time how
far it is (done, total), and ends by whatever that raises. Called by several threads."""


@dataclass(frozen=True, slots=True, eq=False)
class PlanRequest:
    """A module of a process that wants to know what to capture.

    Attributes:
        process: the store's id of the process.
        pid: its pid.
        globs: of which functions values are captured (ProcessInfo.capture).
        module: the module.
        deliver: takes the messages for the agent; called by a thread of the planner.
        is_wanted: whether somebody still waits for them.
    """

    process: int
    pid: int
    globs: str
    module: ModuleInfo
    deliver: Callable[[list[bytes]], None]
    is_wanted: Callable[[], bool]

    @property
    def file(self) -> tuple[str, bytes]:
        """What names the module's file: path and build-id."""
        return self.module.path, self.module.build_id


class _StoppedError(Exception):
    """The collector ends: nobody waits for the plan any more."""


class Planner(Worker):
    """Makes plans, stores them, and then gives them to whoever asked.

    When it stops, what it was asked for and has not begun is dropped: the next collector is asked again.

    Args:
        make_plan: does the work.
        sink: where the layouts of values go.
        on_message: called with one line for the user.
        retry_interval_s: after which the sink is asked again when it has refused.
    """

    def __init__(
        self,
        make_plan: PlanMaker,
        sink: Sink,
        on_message: Callable[[str], None],
        *,
        retry_interval_s: float = RETRY_INTERVAL_S,
    ) -> None:
        super().__init__("planner", threads=THREADS)
        self._make_plan = make_plan
        self._sink = sink
        self._on_message = on_message
        self._retry_interval_s = retry_interval_s
        self._requests: dict[tuple[str, bytes], list[PlanRequest]] = {}
        self._busy: set[tuple[str, bytes]] = set()
        self._plans: OrderedDict[tuple[str, bytes], Plan] = OrderedDict()
        self._told: OrderedDict[str, None] = OrderedDict()

    def ask(self, request: PlanRequest) -> None:
        """Has a module's plan made, and delivered unless the collector stops first."""
        with self._wake:
            self._requests.setdefault(request.file, []).append(request)
            self._wake.notify_all()

    # --- the threads ---

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopping or self._next() is not None)
                file = self._next()
                if self._stopping or file is None:
                    return
                requests = self._requests.pop(file)
                self._busy.add(file)
            try:
                self._serve(file, [request for request in requests if request.is_wanted()])
            except _StoppedError:
                return
            finally:
                with self._wake:
                    self._busy.discard(file)
                    self._wake.notify_all()

    def _next(self) -> tuple[str, bytes] | None:
        """The file that was asked for first, of those that no other thread is at."""
        return next((file for file in self._requests if file not in self._busy), None)

    def _serve(self, file: tuple[str, bytes], requests: list[PlanRequest]) -> None:
        if not requests:
            return
        plan = self._plan(file)
        for request in requests:
            try:
                messages = self._messages(request, plan)
            except CalltraceError as error:
                self._tell(f"process {request.pid}: no arguments or return values: {error.message}")
                messages = plan_messages(request.module.number, 0, ())
            if request.is_wanted():
                request.deliver(messages)

    def _messages(self, request: PlanRequest, plan: Plan) -> list[bytes]:
        number = request.module.number
        if not plan.hooks:
            return plan_messages(number, 0, ())
        is_asked_for = any_matcher(request.globs)
        hooks = [hook for hook in plan.hooks if is_asked_for(hook.function)]
        # What the numbers mean is stored before there can be any value with such a number.
        first_layout = self._store(request, plan) if hooks else 0
        return plan_messages(number, first_layout, hooks)

    def _store(self, request: PlanRequest, plan: Plan) -> int:
        """Stores what the values of a process mean; returns the number of the first layout."""
        while request.is_wanted():
            try:
                return self._sink.store_plan(request.process, request.module.number, plan)
            except StoreError:
                if self._pause(self._retry_interval_s):
                    raise _StoppedError from None
        return 0

    # --- plans ---

    def _plan(self, file: tuple[str, bytes]) -> Plan:
        path, build_id = file
        with self._wake:
            known = self._plans.get(file)
            if known is not None:
                self._plans.move_to_end(file)
                return known
        try:
            plan = self._make_plan(path, build_id, self._on_progress)
        except _StoppedError:
            raise
        except CalltraceError as error:
            self._tell(no_values(path, error.message))
            return Plan()
        except Exception as error:  # noqa: BLE001 whatever is in a file must not end the thread
            self._tell(no_values(path, f"this is a bug: {error!r}"))
            return Plan()
        for problem in plan.problems[:PROBLEMS]:
            self._tell(no_values(path, problem, some=bool(plan.hooks)))
        # Without a build-id the next file of that name may be another; and what is missing may come.
        if build_id and not plan.problems:
            self._remember(file, plan)
        return plan

    def _on_progress(self, _done: int, _total: int) -> None:
        if self._stopping:
            raise _StoppedError

    def _remember(self, file: tuple[str, bytes], plan: Plan) -> None:
        with self._wake:
            self._plans[file] = plan
            while len(self._plans) > 1 and self._hooks() > REMEMBERED_HOOKS:
                self._plans.popitem(last=False)

    def _hooks(self) -> int:
        return sum(1 + len(plan.hooks) for plan in self._plans.values())

    def _tell(self, line: str) -> None:
        with self._wake:
            if line in self._told:
                return
            self._told[line] = None
            if len(self._told) > TOLD:
                self._told.popitem(last=False)
        self._on_message(line)
