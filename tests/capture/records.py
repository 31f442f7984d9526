"""Kinds that lead to others or hold them: pointers, references, structs, unions, arrays and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.capture.kinds import INTEGER, POINTER, Kind

__all__ = ["Record", "leading_kinds", "make_records"]

OBJECTS = 3
"""Global objects of each type that is pointed to."""


@dataclass(frozen=True)
class Record:
    """A struct, union or class: its kind, and the C text that declares and defines it."""

    kind: Kind
    declaration: str
    definition: str = ""


def _log_members(members: Sequence[tuple[str, Kind]]) -> str:
    logged = "".join(
        f'truth_name("{name}"); {member.log.replace("{0}", "{0}." + name)} ' for name, member in members
    )
    return f"truth_open('{{'); {logged}truth_close('}}');"


def _array(element: Kind, count: int) -> Kind:
    """An array, which can be a struct's member only."""
    items = " ".join(element.log.replace("{0}", f"{{0}}[{index}]") for index in range(count))
    return Kind(
        label="array",
        spelling=f"{element.spelling}[{count}]",
        shape="array",
        log=f"truth_open('['); {items} truth_close(']');",
        values=(),
        element=element,
        numbers=("(long){0}[0]",) if element.shape in (INTEGER, "char") else (),
    )


def _read(members: Sequence[tuple[str, Kind]], *, reals: bool) -> tuple[str, ...]:
    """Templates that read the members."""
    return tuple(
        template.replace("{0}", "{0}." + name)
        for name, member in members
        for template in (member.reals if reals else member.numbers)
    )


def _initializer(random: Random, member: Kind) -> str:
    """What a member is initialized with in a list."""
    if member.shape == "array":
        assert member.element is not None
        count = int(member.spelling[member.spelling.index("[") + 1 : -1])
        return "{" + ", ".join(_initializer(random, member.element) for _ in range(count)) + "}"
    if member.shape in ("struct", "union"):
        inner = member.members[:1] if member.shape == "union" else member.members
        return "{" + ", ".join(_initializer(random, kind) for _, kind in inner) + "}"
    if member.label == "bit-field":
        return str(random.choice([0, 1]) if "unsigned" in member.spelling else random.choice([0, -1]))
    return member.value(random)


SHAPES = (
    ("struct small", "int", "int"),
    ("struct small", "short", "char", "unsigned char"),
    ("struct small", "long", "int"),
    ("struct float", "float", "float"),
    ("struct float", "double", "double"),
    ("struct float", "float", "float", "float"),
    ("struct mixed", "double", "long"),
    ("struct mixed", "int", "float", "double"),
    ("struct mixed", "const char *", "int"),
    ("struct big", "long", "int", "double", "short"),
    ("struct big", "long double", "int"),
    ("struct big", "const char *", "char", "double", "bool", "long"),
    ("struct nested", "struct", "int"),
    ("struct nested", "char", "struct", "double"),
    ("struct array", "array", "int"),
    ("struct array", "int", "array"),
    ("struct bits", "bits", "bits", "bits"),
    ("struct bits", "int", "bits", "bits", "long"),
    ("struct one", "__int128"),
    ("struct one", "float"),
    ("struct one", "char"),
    ("struct one", "long double"),
    ("struct enum", "color", "bool"),
    ("struct packed", "char", "int", "double"),
    ("struct packed", "short", "long"),
    ("struct aligned", "int", "long"),
    ("struct empty",),
    ("union", "int", "float"),
    ("union", "double", "long"),
)


def _bits(random: Random) -> Kind:
    width, spelling = random.choice(
        [(1, "unsigned"), (3, "int"), (12, "unsigned"), (31, "int"), (40, "long")]
    )
    return Kind(
        label="bit-field",
        spelling=spelling + f":{width}",
        shape=INTEGER,
        log="truth_integer({0});",
        values=("0", "1", "-1"),
        numbers=("(long){0}",),
    )


def _member(random: Random, what: str, plain: dict[str, Kind], records: list[Kind]) -> Kind:
    if what == "bits":
        return _bits(random)
    if what == "array":
        element = plain[random.choice(["int", "float", "short", "char", "double", "long"])]
        return _array(element, random.choice([1, 2, 3, 4, 9]))
    if what == "struct":
        return random.choice([record for record in records if record.shape == "struct" and record.members])
    if what not in plain:
        what = f"enum {what}"
    return plain[what]


def _declared(name: str, member: Kind) -> str:
    if member.label == "bit-field":
        spelling, width = member.spelling.split(":")
        return f"{spelling} {name} : {width};"
    if member.shape == "array":
        spelling, count = member.spelling[:-1].split("[")
        return f"{spelling} {name}[{count}];"
    return member.declare(name) + ";"


def make_records(random: Random, plain: dict[str, Kind], *, cxx: bool) -> list[Record]:
    """Makes a struct of each shape, with the scalars in `plain` (by their spelling) as members."""
    made: list[Record] = []
    for number, (label, *whats) in enumerate(SHAPES):
        records = [record.kind for record in made]
        members = tuple(
            (f"m{index}", _member(random, what, plain, records)) for index, what in enumerate(whats)
        )
        made.append(_record(random, f"S{number}", label, members, cxx=cxx))
    return [*made, *(_class(number, cxx_label) for number, cxx_label in enumerate(CLASSES) if cxx)]


def _record(
    random: Random, name: str, label: str, members: tuple[tuple[str, Kind], ...], *, cxx: bool
) -> Record:
    keyword = "union" if label == "union" else "struct"
    attribute = {
        "struct packed": " __attribute__((packed))",
        "struct aligned": " __attribute__((aligned(32)))",
    }.get(label, "")
    body = " ".join(_declared(*member) for member in members)
    logged = members[:1] if keyword == "union" else members
    kind = Kind(
        label=label,
        spelling=name if cxx else f"{keyword} {name}",
        shape=keyword,
        log=_log_members(logged),
        values=tuple(f"o_{name}[{index}]" for index in range(OBJECTS)),
        numbers=_read(logged, reals=False),
        reals=_read(logged, reals=True),
        made_of=(f"make_{name}({{n}}, {{r}})",),
        change=("fill(&{0}, sizeof {0});",)
        if all(member.shape == INTEGER and member.label != "bit-field" for _, member in members)
        else (),
        members=logged,
    )
    first = ", ".join(
        "{" + ", ".join(_initializer(random, member) for _, member in logged) + "}" for _ in range(OBJECTS)
    )
    changes = "".join(
        f" value.{member_name} = ({member.spelling})number;"
        for member_name, member in members
        if member.shape == INTEGER and member.label != "bit-field"
    ) + "".join(
        f" value.{member_name} = ({member.spelling})real;"
        for member_name, member in logged
        if member.spelling in ("float", "double", "long double")
    )
    return Record(
        kind,
        f"{keyword} {name} {{ {body} }}{attribute};\n"
        f"extern {kind.spelling} o_{name}[{OBJECTS}];\n"
        "static inline __attribute__((no_instrument_function))\n"
        f"{kind.spelling} make_{name}(long number, double real)\n"
        f"{{ {kind.spelling} value = o_{name}[1]; (void)number; (void)real;{changes} return value; }}\n",
        f"{kind.spelling} o_{name}[{OBJECTS}] = {{{first}}};\n",
    )


CLASSES = {
    "class copied": "C{n}(const C{n} &other); C{n} &operator=(const C{n} &other) = default; ",
    "class destroyed": "C{n}(const C{n} &other) = default; ~C{n}(); ",
    "class both": "C{n}(const C{n} &other); ~C{n}(); C{n} &operator=(const C{n} &other) = default; ",
    "class base": "C{n}(const C{n} &other) = default; C{n} &operator=(const C{n} &other) = default; ",
}


def _class(number: int, label: str) -> Record:
    """A C++ class that is passed by invisible reference; the last is trivial, with a base class."""
    name, has_base = f"C{number}", label == "class base"
    integer = Kind("integer", "int", INTEGER, "truth_integer({0});", (), numbers=("(long){0}",))
    wide = Kind("integer", "long", INTEGER, "truth_integer({0});", (), numbers=("(long){0}",))
    members = (("low", integer), ("high", wide))
    kind = Kind(
        label=label,
        spelling=name,
        shape="struct",
        log=_log_members(members),
        values=(*(f"{name}({value})" for value in ("7", "-1", "123456789")), f"o_{name}[0]"),
        numbers=_read(members, reals=False),
        made_of=(f"{name}((int)({{n}}))",),
        change=("{0}.low += 3;",),
        members=members,
        plain=False,
    )
    own = "" if has_base else "int low; "
    base = f"struct Base{number} {{ int low; }};\n" if has_base else ""
    heritage = f" : Base{number}" if has_base else ""
    body = f"struct {name}{heritage} {{ {own}long high; explicit {name}(int value); "
    definition = f"{name}::{name}(int value) {{ low = value; high = value * 5L; }}\n"
    special = CLASSES[label].replace("{n}", str(number))
    if f"{name}(const {name} &other); " in special:
        definition += f"{name}::{name}(const {name} &other) : low(other.low), high(other.high) {{}}\n"
    if f"~{name}(); " in special:
        definition += f"{name}::~{name}() {{ low = -99; high = -99; }}\n"
    declaration = f"{base}{body}{special}}};\nextern {name} o_{name}[{OBJECTS}];\n"
    objects = ", ".join(f"{name}({index + 1})" for index in range(OBJECTS))
    return Record(kind, declaration, f"{definition}{name} o_{name}[{OBJECTS}] = {{{objects}}};\n")


def leading_kinds(plain: dict[str, Kind], records: list[Record], *, cxx: bool) -> list[Kind]:
    """Pointers to objects, functions and nothing, and in C++ references."""
    kinds = [
        _pointer("void *", ("(void *)o_int", "(void *)0", "(void *)&o_long[1]")),
        _pointer(
            "int *", ("&o_int[0]", "&o_int[2]", "(int *)0"), "({0} ? (long)*{0} : 3L)", "if ({0}) *{0} += 1;"
        ),
        _pointer("const double *", ("&o_double[1]", "(const double *)0"), "({0} ? (long)(*{0} > 0) : 3L)"),
        _pointer("char **", ("o_text", "(char **)0"), "({0} ? (long){0}[0][0] : 3L)"),
        Kind(
            label="function pointer",
            spelling="callback_t",
            shape="function",
            log="truth_pointer((const void *){0});",
            values=("callback_0", "callback_1", "(callback_t)0"),
            numbers=("({0} ? (long){0}(3, 0.5) : 0L)",),
        ),
        Kind(
            label="function pointer",
            spelling="void (*)(void)",
            shape="function",
            log="truth_pointer((const void *){0});",
            values=("callback_2",),
            is_return=False,
            plain=False,
        ),
        *(
            _pointer(
                f"{record.kind.spelling} *",
                (f"&{name}[0]", f"&{name}[2]", f"({record.kind.spelling} *)0"),
            )
            for record in records[::5]
            for name in [f"o_{record.kind.spelling.split()[-1]}"]
        ),
    ]
    if not cxx:
        return kinds
    return kinds + [
        Kind(
            label="reference",
            spelling=f"{constant}{kind.spelling} &",
            shape=kind.shape,
            log=kind.log,
            values=values,
            numbers=kind.numbers,
            reals=kind.reals,
            change=() if constant else kind.change,
            members=kind.members,
            enumerators=kind.enumerators,
            plain=False,
        )
        for constant, kind, values in (
            ("", plain["int"], ("o_int[0]", "o_int[1]", "o_int[2]")),
            ("const ", plain["int"], ("o_int[1]",)),
            ("const ", plain["double"], ("o_double[0]", "o_double[1]")),
            ("", plain["long"], ("o_long[0]", "o_long[1]")),
            *(
                ("const ", record.kind, record.kind.values[-1:])
                for record in records[::4]
                if record.kind.members
            ),
        )
    ]


def _pointer(spelling: str, values: tuple[str, ...], number: str = "", change: str = "") -> Kind:
    return Kind(
        label="pointer",
        spelling=spelling,
        shape=POINTER,
        log="truth_pointer((const void *){0});",
        values=values,
        numbers=(number or "(long)({0} != 0)",),
        change=tuple(filter(None, [change])),
    )
