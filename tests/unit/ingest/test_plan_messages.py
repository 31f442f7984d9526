"""Plans reach agents in messages that they take, whole and in order."""

from __future__ import annotations

from calltrace_collector import wire
from calltrace_collector.ingest.plan_messages import plan_messages
from calltrace_collector.model.capture import HookPlan

AGENTS_LIMIT_BYTES = 64 << 10


def read(messages: list[bytes]) -> list[wire.CapturePlan]:
    read = [wire.CollectorMessage.FromString(message) for message in messages]
    assert all(message.WhichOneof("body") == "capture_plan" for message in read)
    return [message.capture_plan for message in read]


def hook(number: int, program: bytes = b"\x01") -> HookPlan:
    return HookPlan((1 << 63) + number, 1 << 63, "f", number, program)


def test_a_module_without_hooks_is_complete_at_once() -> None:
    assert read(plan_messages(3, 0, ())) == [wire.CapturePlan(module=3, complete=True)]


def test_hooks_are_as_the_plan_has_them_but_for_their_layouts_number() -> None:
    (plan,) = read(plan_messages(1, 100, [HookPlan(0x1234, 0x1200, "f", 2, b"ab")]))
    expected = wire.HookPlan(return_offset=0x1234, function_offset=0x1200, layout=102, program=b"ab")
    assert plan == wire.CapturePlan(module=1, complete=True, hooks=[expected])


def test_many_hooks_make_messages_that_agents_take_of_which_the_last_says_so() -> None:
    hooks = [hook(number, bytes([number % 256]) * (number * 37 % 8193)) for number in range(300)]
    messages = plan_messages((1 << 32) - 1, (1 << 32) - 301, hooks)
    assert max(map(len, messages)) <= 60 << 10 < AGENTS_LIMIT_BYTES
    plans = read(messages)
    assert [plan.complete for plan in plans] == [False] * (len(plans) - 1) + [True]
    assert [h.program for plan in plans for h in plan.hooks] == [h.program for h in hooks]
    assert len(plans) < sum(len(h.program) for h in hooks) / (30 << 10)


def test_messages_are_no_larger_when_there_are_many_small_hooks() -> None:
    messages = plan_messages((1 << 32) - 1, (1 << 32) - 5001, [hook(number, b"") for number in range(5000)])
    assert max(map(len, messages)) <= 60 << 10
    assert sum(len(plan.hooks) for plan in read(messages)) == 5000


def test_a_program_that_no_agent_takes_is_left_out() -> None:
    (plan,) = read(plan_messages(1, 0, [hook(1, bytes(8193)), hook(2, bytes(8192))]))
    assert [len(h.program) for h in plan.hooks] == [8192]
