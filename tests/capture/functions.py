"""Random functions: what they take and return, and what they do with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tests.capture.kinds import INTEGER, Kind, Material

__all__ = ["Function", "Writer", "callable_from"]

PARAMETERS = (0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12)
ATTRIBUTES = ("", "", "", "", "__attribute__((noinline)) ")
REGISTERS = (
    '"rbx"',
    '"rbx", "r12", "r13"',
    '"r14", "r15"',
    '"rdi", "rsi", "rcx"',
    '"rax", "rdx"',
    '"xmm0", "xmm1"',
)


@dataclass
class Function:
    """A function that is generated.

    Attributes:
        name: without its class or namespace.
        parameters: their kinds; their names are p0, p1, ...
        returns: None for void.
        unit: number of the translation unit that defines it.
        is_static: only this unit sees it.
        is_variadic: integers and doubles follow the parameters.
        scope: "", a namespace, or the class it is a method of.
        is_method: it has a `this`.
        throws: it may throw, so calls to it are caught.
        calls: the functions that it may call.
    """

    name: str
    parameters: tuple[Kind, ...]
    returns: Kind | None
    unit: int
    is_static: bool = False
    is_variadic: bool = False
    scope: str = ""
    is_method: bool = False
    throws: bool = False
    attributes: str = ""
    calls: list[Function] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The name with its scope."""
        return f"{self.scope}::{self.name}" if self.scope else self.name

    def head(self, name: str, *, cxx: bool) -> str:
        """Its declaration, without what comes before and after."""
        parts = [kind.declare(f"p{index}") for index, kind in enumerate(self.parameters)]
        if self.is_variadic:
            parts.append("...")
        parameters = ", ".join(parts) or ("" if cxx else "void")
        head = f"{name}({parameters})"
        return f"void {head}" if self.returns is None else self.returns.declare(head)

    def call(self, arguments: list[str], random: Random, numbers: Material) -> str:
        """A call of it with these arguments, and others where it is variadic."""
        given = list(arguments)
        if self.is_variadic:
            given += random.choice([[], ["1"], ["2.5", "7L"], ["(int)" + numbers.number(random), "0.5"]])
        receiver = f"{random.choice(['object_0', 'object_1'])}." if self.is_method else ""
        name = self.name if self.is_method else self.path
        return f"{receiver}{name}({', '.join(given)})"


def callable_from(caller: Function, callee: Function) -> bool:
    """Whether a call can be written: units see their own static functions only."""
    return not callee.is_static or caller.unit == callee.unit


class Writer:
    """Writes bodies of functions.

    Args:
        random: all choices are its.
        cxx: C++, not C.
        is_plain: functions do not call themselves, and use nearly all of their parameters.
    """

    def __init__(self, random: Random, *, cxx: bool, is_plain: bool = False) -> None:
        self._random = random
        self._cxx = cxx
        self._is_plain = is_plain
        self._labels = 0

    def body(self, function: Function) -> str:
        """The function's body, in braces."""
        material = Material()
        used = [index for index in range(len(function.parameters)) if self._random.random() < 0.8]
        for index in used:
            self._add(material, f"p{index}", function.parameters[index])
        if function.is_method:
            material.numbers.append("this->count")
        logs = " ".join(
            f'truth_name("p{index}"); ' + kind.log.replace("{0}", f"p{index}")
            for index, kind in enumerate(function.parameters)
        )
        if function.is_method:
            logs = 'truth_name("this"); truth_pointer((const void *)this); ' + logs
        lines = [f'ENTER("{function.path}", {logs});']
        if function.is_variadic:
            lines += self._variadic(function, material)
        for _ in range(self._random.choice((0, 0, 1, 1, 2, 3, 4))):
            lines += self._statement(function, material, used)
        if self._is_plain:
            lines += self._uses(function, material)
        if function.throws:
            lines.append(f"if ({material.number(self._random)} > 2) throw 7;")
        lines += self._result(function, material)
        return "{\n" + "".join(f"    {line}\n" for line in lines) + "}\n"

    def _uses(self, function: Function, material: Material) -> list[str]:
        """Uses nearly all parameters, as functions do that somebody has written."""
        lines = []
        for index, kind in enumerate(function.parameters):
            name = f"p{index}"
            if name in material.variables.get(kind.spelling, ()) and (kind.numbers or kind.reals):
                read = (*kind.numbers, *kind.reals)[0].replace("{0}", name)
                lines.append(f"use_l({read});" if kind.numbers else f"use_d({read});")
        return lines

    def _add(self, material: Material, name: str, kind: Kind) -> None:
        material.numbers += [template.replace("{0}", name) for template in kind.numbers]
        material.reals += [template.replace("{0}", name) for template in kind.reals]
        material.variables.setdefault(kind.spelling, []).append(name)

    def _fresh(self, stem: str) -> str:
        self._labels += 1
        return f"{stem}{self._labels}"

    def _variadic(self, function: Function, material: Material) -> list[str]:
        """Reads nothing of what was passed: a function can't know; but the registers are saved."""
        last = f"p{len(function.parameters) - 1}"
        self._add(material, last, function.parameters[-1])
        return [
            "__builtin_va_list list;",
            f"__builtin_va_start(list, {last});",
            "use_p(&list);",
            "__builtin_va_end(list);",
        ]

    # --- statements ---

    def _statement(self, function: Function, material: Material, used: list[int]) -> list[str]:
        chosen = self._random.choices(
            (
                self._use,
                self._loop,
                self._leave_early,
                self._change,
                self._buffer,
                self._call,
                self._call,
                self._recurse,
                self._escape,
                self._switch,
                self._clobber,
                self._cxx_things,
            ),
            (3, 2, 4, 3, 2, 3, 2, 2, 1, 1, 1, 3 if self._cxx else 0),
        )[0]
        return chosen(function, material, used)

    def _use(self, _function: Function, material: Material, _used: list[int]) -> list[str]:
        if material.reals and self._random.random() < 0.4:
            return [f"use_d({material.real(self._random)});"]
        return [f"use_l({material.number(self._random)});"]

    def _loop(self, _function: Function, material: Material, _used: list[int]) -> list[str]:
        index = self._fresh("i")
        number = material.number(self._random)
        return [f"for (long {index} = 0; {index} < 3; {index}++)", f"    use_l({index} + {number});"]

    def _leave_early(self, function: Function, material: Material, _used: list[int]) -> list[str]:
        condition = f"{material.number(self._random)} > {self._random.choice(['5', '-2', '70'])}"
        return [f"if ({condition}) {{", *(f"    {line}" for line in self._result(function, material)), "}"]

    def _change(self, function: Function, _material: Material, used: list[int]) -> list[str]:
        changeable = [index for index in used if function.parameters[index].change]
        if not changeable:
            return []
        index = self._random.choice(changeable)
        change = self._random.choice(function.parameters[index].change)
        return [change.replace("{0}", f"p{index}")]

    def _buffer(self, _function: Function, material: Material, _used: list[int]) -> list[str]:
        buffer, number = self._fresh("buffer"), material.number(self._random)
        size = self._random.choice(["24", "64", "200", "5000"])
        declared = self._random.choice(
            (
                f"char {buffer}[{size}];",
                f"char {buffer}[{size}] __attribute__((aligned(64)));",
                f"char *{buffer} = (char *)__builtin_alloca((size_t)(({number} & 63) + 16));",
            )
        )
        filled = f"__builtin_memset({buffer}, 1, 16); fill({buffer}, 16);"
        return [declared, filled, f"use_l({buffer}[{number} & 7]);"]

    def _call(self, function: Function, material: Material, _used: list[int]) -> list[str]:
        if not function.calls:
            return []
        callee = self._random.choice(function.calls)
        return self._call_of(callee, material)

    def _recurse(self, function: Function, material: Material, _used: list[int]) -> list[str]:
        if function.is_variadic or function.throws or self._is_plain:
            return []
        return self._call_of(function, material)

    def _call_of(self, callee: Function, material: Material) -> list[str]:
        arguments = [kind.expression(self._random, material) for kind in callee.parameters]
        # At most one call with effects in an expression: which comes first is the compiler's to say.
        if sum(argument.count("src()") for argument in arguments) > 1:
            arguments = [argument.replace("src()", "11L") for argument in arguments]
        call = callee.call(arguments, self._random, material)
        if callee.throws:
            call = f"try {{ use_l(1); {call}; }} catch (int) {{ use_l(2); }}"
            return [f"if (fuel()) {{ {call} }}"]
        result = callee.returns
        if result is None or self._random.random() < 0.3 or not (result.numbers or result.reals):
            return [f"if (fuel()) {call};"]
        name = self._fresh("r")
        read = self._random.choice([*result.numbers, *result.reals]).replace("{0}", name)
        return [
            "if (fuel()) {",
            f"    {result.declare(name)} = {call};",
            f"    use_l((long)({read} != 0));",
            "}",
        ]

    def _escape(self, function: Function, _material: Material, used: list[int]) -> list[str]:
        plain = [index for index in used if function.parameters[index].spelling[-1] != "&"]
        return [f"use_p(&p{self._random.choice(plain)});"] if plain else []

    def _switch(self, function: Function, material: Material, _used: list[int]) -> list[str]:
        cases = [
            line for case in range(3) for line in (f"case {case}: {{", *self._result(function, material), "}")
        ]
        return [f"switch ({material.number(self._random)} & 7) {{", *cases, "default:", "    use_l(4);", "}"]

    def _clobber(self, _function: Function, _material: Material, _used: list[int]) -> list[str]:
        return [f'__asm__ volatile("" ::: {self._random.choice(REGISTERS)});']

    def _cxx_things(self, _function: Function, material: Material, _used: list[int]) -> list[str]:
        name, number = self._fresh("t"), material.number(self._random)
        choices = [
            [f'std::string {name}("a temporary string that allocates"); use_p({name}.c_str());'],
            [f"auto {name} = [&](long x) {{ return x + {number}; }}; use_l({name}(4));"],
            [f"C1 {name}((int){number}); use_p(&{name});"],
            [f"try {{ if ({number} > 3) throw 5; use_l(3); }} catch (int caught) {{ use_l(caught); }}"],
        ]
        return self._random.choice(choices)

    # --- returning ---

    def _result(self, function: Function, material: Material) -> list[str]:
        kind = function.returns
        if kind is None:
            return [f'RETURN_VOID("{function.path}");']
        tail = [callee for callee in function.calls if callee.returns == kind and not callee.throws]
        value = kind.expression(self._random, material)
        if kind.spelling[-1] == "&" and value.startswith("p"):
            value = kind.value(self._random)
        lines = []
        if tail and self._random.random() < 0.5:
            callee = self._random.choice(tail)
            arguments = [
                parameter.expression(self._random, material).replace("src()", "12L")
                for parameter in callee.parameters
            ]
            call = callee.call(arguments, self._random, material)
            lines.append(f"if (fuel()) {self._return(function, kind, call)}")
        return [*lines, self._return(function, kind, value)]

    def _return(self, function: Function, kind: Kind, value: str) -> str:
        return f'RETURN("{function.path}", {kind.spelling}, LOG_{identifier(kind)}, {value});'


def identifier(kind: Kind) -> str:
    """A name for the kind's log macro."""
    return "".join(
        letter if letter.isalnum() else {" ": "_", "*": "P", "&": "R", ":": "_"}.get(letter, "_")
        for letter in kind.spelling
    )


def is_number(kind: Kind) -> bool:
    """Whether a variadic function may have it as its last parameter without promotion."""
    return kind.shape == INTEGER and kind.spelling in ("int", "long", "unsigned")
