"""How long it takes to make out how the values of a large program's functions are captured.

The plan of a program of 5,000 functions is made by one process on one processor, as it is the first time;
after that it is read from the cache. The imports of the Python process are not measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random
from statistics import median

from bench.measurement import Bench, BenchError, Measurement, spread
from bench.program import environment
from bench.result import Result, at_most

WHAT = "capture plan"
FUNCTIONS, QUICK_FUNCTIONS = 5_000, 200
TARGET_S = at_most(5.0)
_UNITS = 10
_TYPES = ("int", "long", "unsigned char", "double", "float", "const char *", "struct pair", "struct pair *")
_RESULTS = ("int", "double", "struct pair", "const char *", "void")
_HEAD = "struct pair { int first; double second; };\nextern volatile double sink;\n"
_SCRIPT = """
import json, os, sys, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from calltrace_collector.capture.plan.cache import plan_for
before = time.perf_counter()
plan = plan_for(sys.argv[1])
after = time.perf_counter()
items = [item for hook in plan.hooks for item in plan.layouts[hook.layout].items]
available = sum(item.unavailable is None for item in items)
found = {"s": after - before, "hooks": len(plan.hooks), "items": len(items), "available": available}
json.dump(found, sys.stdout)
"""


def rounds(bench: Bench) -> int:
    return bench.choose(3, 1)


def measure(bench: Bench) -> list[Result]:
    functions = bench.choose(FUNCTIONS, QUICK_FUNCTIONS)
    program = _program(bench, functions)
    cold: list[float] = []
    cached: list[float] = []
    note = ""
    for number in range(rounds(bench)):
        bench.step("making capture plans")
        cache = bench.workshop.folder / f"cache{number}"
        made = _plan(program, cache)
        if made["hooks"] < functions:
            raise BenchError(f"the plan has {made['hooks']} hooks of {functions} functions")
        cold.append(made["s"])
        cached.append(_plan(program, cache)["s"])
        note = f"{made['available'] / made['items']:.0%} of {made['items']:,} values available; "
    subject = f"{functions:,} functions, "
    return [
        Result(WHAT, subject + "cold", median(cold), "s", TARGET_S, note + spread(cold, 2)),
        Result(WHAT, subject + "cached", median(cached), "s", note=spread(cached, 3)),
    ]


def _plan(program: Path, cache: Path) -> dict[str, float]:
    command = [sys.executable, "-P", "-c", _SCRIPT, str(program)]
    its_environment = environment() | {"XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, env=its_environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _program(bench: Bench, functions: int) -> Path:
    """Writes a program, the same each time, and compiles it."""
    folder = bench.workshop.folder / "planned"
    folder.mkdir(exist_ok=True)
    random = Random(1)
    sources = [folder / f"unit{unit}.c" for unit in range(_UNITS)]
    for unit, source in enumerate(sources):
        code = [_function(random, f"f{unit}_{number}") for number in range(functions // _UNITS)]
        source.write_text("\n".join([_HEAD, *code]))
    (folder / "main.c").write_text("volatile double sink;\nint main(void) { return 0; }\n")
    output = bench.workshop.folder / "planned-program"
    command = ["gcc", "-g", "-O2", "-finstrument-functions", "-o", str(output), str(folder / "main.c")]
    subprocess.run([*command, *map(str, sources)], check=True)
    return output


def _function(random: Random, name: str) -> str:
    """Returns a function that uses its parameters."""
    types = [random.choice(_TYPES) for _ in range(random.randint(1, 6))]
    parameters = ", ".join(f"{kind} p{place}" for place, kind in enumerate(types))
    uses = {"const char *": "p{0}[0]", "struct pair": "p{0}.second", "struct pair *": "p{0}->first++"}
    body = "".join(f" sum += {uses.get(kind, 'p{0}').format(place)};" for place, kind in enumerate(types))
    returned = random.choice(_RESULTS)
    results = {
        "struct pair": "return (struct pair){(int)sum, sum};",
        "const char *": 'return sum > 3 ? "more" : "less";',
        "void": "sink = sum;",
    }
    result = results.get(returned, f"return ({returned})sum;")
    return f"{returned} {name}({parameters}) {{ double sum = sink;{body} {result} }}"


MEASUREMENT = Measurement("plans", rounds, measure)
