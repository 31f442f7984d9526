"""Plans of small programs: what is captured of which function, and why something is not."""

from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest

from calltrace_collector.capture.code.file_code import FileCode
from calltrace_collector.capture.code.hook_sites import hook_sites
from calltrace_collector.capture.plan.make import make_plan
from calltrace_collector.capture.plan.pool import make_plan_by_all
from calltrace_collector.errors import SymbolError
from calltrace_collector.model.capture import HookPlan, How, Layout, Plan, TypeKind
from calltrace_collector.symbols.elf import ElfFile
from tests.support.compile import compile_c, compile_cxx

INSTRUMENTED = "-finstrument-functions"
DAMAGED = (".text", ".plt", ".rela", ".dyn", ".debug", ".symtab", ".strtab")


def plan_of_c(folder: Path, source: str, *flags: str) -> Plan:
    path = folder / "source.c"
    path.write_text(source)
    program = compile_c([path], folder / "program", (INSTRUMENTED, *flags))
    with ElfFile(program) as elf:
        return make_plan([elf])


def plan_of_cxx(folder: Path, source: str, *flags: str) -> Plan:
    path = folder / "source.cpp"
    path.write_text(source)
    program = compile_cxx([path], folder / "program", (INSTRUMENTED, *flags))
    with ElfFile(program) as elf:
        return make_plan([elf])


def hooks_of(plan: Plan, function: str) -> list[tuple[HookPlan, Layout]]:
    return [
        (hook, plan.layouts[hook.layout])
        for hook in plan.hooks
        if hook.function.partition("(")[0] == function
    ]


def entry_and_exit(plan: Plan, function: str) -> tuple[Layout, Layout]:
    (_, entry), (_, leaving) = hooks_of(plan, function)
    return entry, leaving


SIMPLE = """
struct pair { int first; double second; };
int add(int a, long b) { return a + (int)b; }
struct pair make(const char *name, struct pair *from) { (void)name; return *from; }
void nothing(int a) { (void)a; }
int none(void) { return 3; }
int main(void) { struct pair p = {1, 2.0}; nothing(add(none(), 2)); return (int)make("n", &p).second; }
"""


def test_arguments_and_results_are_named_and_typed(tmp_path: Path) -> None:
    plan = plan_of_c(tmp_path, SIMPLE, "-O0")
    entry, leaving = entry_and_exit(plan, "add")
    assert [(item.name, item.type.name, item.how, item.size) for item in entry.items] == [
        ("a", "int", How.VALUE, 4),
        ("b", "long int", How.VALUE, 8),
    ]
    assert [(item.name, item.type.name) for item in leaving.items] == [("", "int")]
    entry, leaving = entry_and_exit(plan, "make")
    assert [(item.name, item.how) for item in entry.items] == [("name", How.TEXT), ("from", How.VALUE)]
    assert [(item.type.name, item.size) for item in leaving.items] == [("struct pair", 16)]
    assert plan.problems == ()


def test_where_there_is_nothing_to_capture_there_is_no_plan(tmp_path: Path) -> None:
    plan = plan_of_c(tmp_path, SIMPLE, "-O0")
    (one,) = hooks_of(plan, "nothing")
    assert [item.name for item in one[1].items] == ["a"]
    (one,) = hooks_of(plan, "none")
    assert [item.name for item in one[1].items] == [""]


def test_equal_layouts_are_shared(tmp_path: Path) -> None:
    plan = plan_of_c(
        tmp_path,
        "int f(int a) { return a; } int g(int a) { return a; } int main(void) { return f(g(0)); }",
        "-O0",
    )
    assert len(plan.hooks) == 5
    assert len(plan.layouts) == 2


def test_each_program_is_for_the_function_that_the_hook_names(tmp_path: Path) -> None:
    plan = plan_of_c(tmp_path, SIMPLE, "-O0")
    assert len({hook.function_offset for hook in plan.hooks}) == len({hook.function for hook in plan.hooks})
    assert all(hook.program for hook in plan.hooks)


INLINED = """
static inline __attribute__((always_inline)) int inner(int a) { return a * 3; }
__attribute__((noinline)) int outer(int b) { return inner(b) + 1; }
int main(int argc, char **argv) { (void)argv; return outer(argc) == inner(argc); }
"""


def test_inlined_copies_have_reasons_and_no_values(tmp_path: Path) -> None:
    plan = plan_of_c(tmp_path, INLINED, "-O2")
    inlined = hooks_of(plan, "inner")
    reasons = [item.unavailable for hook, layout in inlined for item in layout.items if not hook.program]
    assert len(reasons) >= 4
    assert set(reasons) == {"this copy of the function is inlined"}
    # Whatever the host's parameters are, they are not the copy's.
    for hook, layout in hooks_of(plan, "outer"):
        assert hook.program or all(item.unavailable for item in layout.items)
        assert [item.name for item in layout.items] in (["b"], [""])


def test_a_jump_to_the_hook_has_no_plan(tmp_path: Path) -> None:
    source = "int g; __attribute__((noinline)) void f(int a) { g = a; } int main(void) { f(2); return 0; }"
    plan = plan_of_c(tmp_path, source, "-O2", "-foptimize-sibling-calls")
    assert [layout.items[0].name for _, layout in hooks_of(plan, "f")] == ["a"]


def test_a_function_that_an_exception_leaves_has_no_result_there(tmp_path: Path) -> None:
    source = """
    struct guard { ~guard(); };
    int depth; guard::~guard() { depth--; }
    __attribute__((noinline)) int f(int a) { guard g; if (a > 3) throw a; return a; }
    int main(int argc, char **) { try { return f(argc); } catch (int) { return 1; } }
    """
    plan = plan_of_cxx(tmp_path, source, "-O0")
    results = [layout for _, layout in hooks_of(plan, "f") if layout.items[0].name == ""]
    assert len(results) == 1
    assert results[0].items[0].unavailable is None


def test_references_and_classes_are_what_they_lead_to(tmp_path: Path) -> None:
    source = """
    #include <string>
    struct odd { int x; odd(int v) : x(v) {} odd(const odd &o) : x(o.x) {} };
    int f(const std::string &s, odd by_value, const int &n, int (&function)(int)) {
        return function((int)s.size() + by_value.x + n);
    }
    int g(int a) { return a; }
    int main() { return f("abc", odd(1), 2, g) == 0; }
    """
    plan = plan_of_cxx(tmp_path, source, "-O0", "-finstrument-functions-exclude-file-list=/usr/")
    entry, _ = entry_and_exit(plan, "f")
    found = {item.name: (item.how, item.size, item.type.kind) for item in entry.items}
    assert found["s"][0] is How.TEXT
    assert found["by_value"] == (How.VALUE, 4, TypeKind.STRUCT)
    assert found["n"] == (How.VALUE, 4, TypeKind.REFERENCE)


def test_without_debug_information_the_plan_says_so(tmp_path: Path) -> None:
    plan = plan_of_c(tmp_path, SIMPLE, "-O0", "-g0")
    assert plan.hooks == ()
    assert [problem.partition(": ")[2] for problem in plan.problems] == [
        "no debug information: compile with -g"
    ]


def test_functions_without_debug_information_are_passed_over(tmp_path: Path) -> None:
    with_info, without = tmp_path / "with.c", tmp_path / "without.c"
    with_info.write_text("int known(int a) { return a; } int main(void) { return known(0); }")
    without.write_text("int unknown(int a) { return a; }")
    part = compile_c([without], tmp_path / "without.o", (INSTRUMENTED, "-g0", "-c"))
    program = compile_c([with_info, part], tmp_path / "program", (INSTRUMENTED, "-O0"))
    with ElfFile(program) as elf:
        plan = make_plan([elf])
    assert {hook.function for hook in plan.hooks} == {"known", "main"}


def test_several_processes_make_the_same_plan(tmp_path: Path) -> None:
    program = many_functions(tmp_path)
    with ElfFile(program) as elf:
        alone = make_plan([elf])
        seen: list[tuple[int, int]] = []
        together = make_plan_by_all([elf], lambda done, total: seen.append((done, total)), large=1)
    assert len(alone.hooks) == 1602
    assert together == alone
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1]
    assert seen == sorted(seen)


def test_a_small_file_is_prepared_once(tmp_path: Path) -> None:
    path = tmp_path / "source.c"
    path.write_text(SIMPLE)
    program = compile_c([path], tmp_path / "program", (INSTRUMENTED, "-O0"))
    with ElfFile(program) as elf:
        with patch("calltrace_collector.capture.plan.make.FileCode", wraps=FileCode) as prepared:
            plan = make_plan_by_all([elf])
        assert prepared.call_count == 1
        assert plan == make_plan([elf])


class StoppedError(Exception):
    """What the user's Ctrl-C is here."""


@pytest.mark.parametrize("large", [1, 1 << 30])
def test_what_the_progress_raises_ends_the_work(tmp_path: Path, large: int) -> None:
    def stop(done: int, _total: int) -> None:
        if done:
            raise StoppedError

    with ElfFile(many_functions(tmp_path)) as elf, pytest.raises(StoppedError):
        make_plan_by_all([elf], stop, large=large)


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_file_is_refused_or_read(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "source.c"
    path.write_text(INLINED)
    whole = compile_c([path], tmp_path / "program", (INSTRUMENTED, "-O2")).read_bytes()
    with ElfFile(tmp_path / "program") as elf:
        sections = [one for one in elf.sections if one.stored_size and one.name.startswith(DAMAGED)]
        starts = [whole.index(one.read_all()) for one in sections]
    random = Random(seed)
    for _ in range(20):
        damaged = bytearray(whole)
        for _ in range(random.choice([1, 5, 50])):
            place = random.randrange(len(sections))
            damaged[starts[place] + random.randrange(sections[place].stored_size)] = random.getrandbits(8)
        broken = tmp_path / "broken"
        broken.write_bytes(damaged)
        try:
            with ElfFile(broken) as elf:
                plan = make_plan([elf])
        except SymbolError:
            continue
        assert all(0 <= hook.layout < len(plan.layouts) for hook in plan.hooks)


def test_addresses_beyond_all_memory_are_no_hooks(tmp_path: Path) -> None:
    path = tmp_path / "source.c"
    path.write_text(INLINED)
    program = compile_c([path], tmp_path / "program", (INSTRUMENTED, "-O2"))
    with ElfFile(program) as elf:
        name = "__cyg_profile_func_enter"
        assert hook_sites(elf, {(1 << 64) - 8: name, -8: name}, {1 << 63: name}) == []


def many_functions(folder: Path) -> Path:
    functions = [f"long f{number}(int a, long *b) {{ return a + *b; }}" for number in range(800)]
    path = folder / "many.c"
    path.write_text("\n".join([*functions, "int main(int argc, char **argv) { return argc + !argv; }"]))
    return compile_c([path], folder / "many", (INSTRUMENTED, "-O0"))
