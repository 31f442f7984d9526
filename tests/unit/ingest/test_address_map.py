from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calltrace_collector.ingest.address_map import AddressMap
from calltrace_collector.model.commit import Place
from calltrace_collector.model.process import ModuleInfo, Segment


def module(number: int, bias: int, size: int, *, unloaded_ticks: int = 0) -> ModuleInfo:
    return ModuleInfo(number, f"/{number}", b"", bias, (Segment(0, size, 0, 5),), 0, unloaded_ticks)


def test_an_address_is_its_modules_from_the_first_byte_to_the_last() -> None:
    addresses = AddressMap()
    addresses.put(module(0, 0x1000, 0x10))
    assert addresses.place(0xFFF) is None
    assert addresses.place(0x1000) == Place(0, 0)
    assert addresses.place(0x100F) == Place(0, 0xF)
    assert addresses.place(0x1010) is None


def test_an_unloaded_module_makes_room_for_another() -> None:
    addresses = AddressMap()
    assert addresses.put(module(0, 0x1000, 0x100)) is False
    assert addresses.put(module(0, 0x1000, 0x100, unloaded_ticks=5)) is True
    assert addresses.place(0x1010) is None
    addresses.put(module(1, 0x1000, 0x100))
    assert addresses.place(0x1010) == Place(1, 0x10)


def test_a_module_linked_at_an_address_of_its_own_keeps_it() -> None:
    addresses = AddressMap()
    addresses.put(ModuleInfo(0, "/exe", b"", 0, (Segment(0x400000, 0x1000, 0, 5),)))
    assert addresses.place(0x400123) == Place(0, 0x400123)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10)), max_size=8), st.integers(0, 700))
def test_lookup_agrees_with_looking_at_every_module(spans: list[tuple[int, int]], address: int) -> None:
    # Spans that do not overlap, as in a process: each begins behind the one before.
    addresses = AddressMap()
    modules = []
    start = 0
    for number, (gap, size) in enumerate(spans):
        start += gap
        modules.append((number, start, size))
        addresses.put(module(number, start, size))
        start += size
    expected = [Place(n, address - s) for n, s, size in modules if s <= address < s + size]
    assert addresses.place(address) == (expected[0] if expected else None)
