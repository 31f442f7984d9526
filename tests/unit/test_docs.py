"""What the documentation says about links, commands, settings and tables is so."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from calltrace_collector.cli.calltrace import calltrace
from calltrace_collector.cli.collector import collector
from calltrace_collector.store.models import Base

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
PROGRAMS = {"calltrace": calltrace, "calltrace-collector": collector}

FENCE = re.compile(r"^( *)(```+)(\w*)\n(.*?)^\1\2 *$", re.DOTALL | re.MULTILINE)
CODE_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"\[[^\[\]]*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
COMMAND = re.compile(r"(?:^|[\s`($/])(?:calltrace|calltrace-collector) +[a-z-]")
SETTING = re.compile(r"\bCALLTRACE_[A-Z_]*[A-Z]\b")
OPTION = re.compile(r"^--?[a-z][a-z-]*")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(params=PAGES, ids=name_of)
def page(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


# --- reading Markdown ---


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^    .*$", "", FENCE.sub("", text), flags=re.MULTILINE)


def code(text: str) -> Iterator[str]:
    """The lines of blocks of code, continued lines as one, and the pieces of code in sentences."""
    for _, _, _, block in FENCE.findall(text):
        yield from block.replace("\\\n", " ").splitlines()
    without = FENCE.sub("", text)
    yield from (line for line in without.splitlines() if line.startswith("    "))
    yield from (" ".join(span.split()) for span in CODE_SPAN.findall(prose(text)))


def anchors(text: str) -> set[str]:
    """The names by which a page's headings can be linked to, as GitHub makes them."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tables(text: str) -> Iterator[list[str]]:
    """The first cells of each table, without the heading."""
    rows: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append(line.split("|")[1])
        elif rows:
            yield rows[2:]
            rows = []


# --- links ---


def broken_links(page: Path, text: str) -> list[str]:
    broken = []
    for link in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        is_there = target.exists() and target.is_relative_to(ROOT)
        if not is_there or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    return broken


def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text()) == []


def test_the_map_leads_to_every_page() -> None:
    links = LINK.findall((DOCS / "index.md").read_text())
    assert {DOCS / link for link in links} >= set(DOCS.rglob("*.md")) - {DOCS / "index.md"}


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("[a](index.md) [b](https://example.org/x)", []),
        ("[a](nowhere.md)", ["nowhere.md"]),
        ("[a](index.md#documentation)", []),
        ("[a](index.md#nothing)", ["index.md#nothing"]),
        ("[a](../../../etc/passwd)", ["../../../etc/passwd"]),
        ("```text\n[a](nowhere.md)\n```\n", []),
    ],
)
def test_broken_links_are_seen(text: str, broken: list[str]) -> None:
    assert broken_links(DOCS / "index.md", text) == broken


# --- commands ---


def commands(line: str) -> Iterator[list[str]]:
    """The commands of our programs in a line of shell: program and arguments."""
    if not COMMAND.search(line):
        return
    # What stands in quoted $(...) is a command too.
    lexer = shlex.shlex(
        line.replace('"$(', "$( ").replace(')"', " )"), posix=True, punctuation_chars="();<>|&"
    )
    lexer.whitespace_split = True
    found: list[str] | None = None
    for token in [*lexer, ";"]:
        if token[0] in "();<>|&":
            if found:
                yield found
            found = None
        elif found is not None:
            found.append(token)
        elif Path(token).name in PROGRAMS:
            found = [Path(token).name]


def problem(command: list[str]) -> str | None:
    """Why a command would be refused; None: it would not be."""
    program, *arguments = command
    if arguments in ([], ["--help"], ["--version"]):
        return None
    group = PROGRAMS[program]
    context = click.Context(group, info_name=program)
    try:
        name, subcommand, rest = group.resolve_command(context, arguments)
        assert subcommand is not None
        if rest:  # else it is named, not called
            subcommand.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        return None  # --help
    except click.ClickException as error:
        return error.format_message()
    return None


def problems(text: str) -> list[str]:
    """What is wrong with the commands of a page, but for those with a gap to fill, such as [OPTIONS]."""
    found = [command for line in code(text) for command in commands(line)]
    tried = [(command, problem(command)) for command in found if not any("[" in word for word in command)]
    return [f"{shlex.join(command)}: {reason}" for command, reason in tried if reason is not None]


def test_commands_would_be_accepted(page: Path) -> None:
    assert problems(page.read_text()) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```sh\ncalltrace query --limit 3 | head\n```\n", 0),
        ("```sh\nX=1 .venv/bin/calltrace query --limt 3  # why\n```\n", 1),
        ("```console\n$ LD_PRELOAD=$(calltrace agentpath) ./prog\n```\n", 1),
        ("```console\n$ calltrace record -- ./prog --limt 3 && calltrace reprot\n```\n", 1),
        ('    eval "$(calltrace completion tcsh)"\n', 1),
        ("`calltrace-collector query` is no command, `calltrace query` is; `calltrace query --pid x`", 2),
        ("calltrace says nothing", 0),
    ],
)
def test_wrong_commands_are_seen(text: str, wrong: int) -> None:
    assert len(problems(text)) == wrong


def documented_options(section: str) -> set[str]:
    """The options in the first cells of a section's tables."""
    spans = [span for rows in tables(section) for row in rows for span in CODE_SPAN.findall(row)]
    return {option.group() for span in spans if (option := OPTION.match(span))}


def options(command: click.Command) -> set[str]:
    context = click.Context(command)
    shown = [
        each for each in command.get_params(context) if isinstance(each, click.Option) and not each.hidden
    ]
    return {name for option in shown for name in option.opts}


def test_every_option_is_explained() -> None:
    page = (DOCS / "reference" / "cli.md").read_text()
    intro, *sections = page.split("\n## ")
    common = documented_options(intro)
    explained = {section.partition("\n")[0]: documented_options(section) | common for section in sections}
    assert explained == {
        f"{name} {entry}": options(command) | {"--help", "-h"}
        for name, group in PROGRAMS.items()
        for entry in group.list_commands(click.Context(group))
        if (command := group.get_command(click.Context(group), entry)) is not None
    }


# --- what make makes ---


def test_targets_of_make_are_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [line.strip().removeprefix("$ ") for line in code(page.read_text())]
    named = [found.group(1) for line in lines if (found := re.match(r"make ([a-z]+)(?!\S)", line))]
    # What a guide says of somebody's own makefile is not ours.
    assert set(named) <= targets or page.parent.name == "how-to"


# --- settings ---


def sources() -> Iterator[str]:
    for folder in ("agent", "calltrace_collector"):
        for suffix in ("c", "py"):
            yield from (path.read_text() for path in (ROOT / folder).rglob(f"*.{suffix}"))


def settings_of_sources() -> set[str]:
    """The environment variables that are read: the agent and Python name them in quotes."""
    return {name for source in sources() for name in re.findall(r'"(CALLTRACE_[A-Z_]+)"', source)}


def settings_of_builds() -> set[str]:
    """Options of CMake and macros of C, which documentation may mention too."""
    lists = [ROOT / "CMakeLists.txt", *(ROOT / "agent").rglob("*.h")]
    return {name for file in lists for name in SETTING.findall(file.read_text())}


def test_settings_are_real(page: Path) -> None:
    assert set(SETTING.findall(page.read_text())) <= settings_of_sources() | settings_of_builds()


def test_every_setting_is_explained() -> None:
    page = (DOCS / "reference" / "environment.md").read_text()
    explained = {name for rows in tables(page) for row in rows for name in SETTING.findall(row)}
    assert explained == settings_of_sources()
    assert {"CALLTRACE_SOCKET", "CALLTRACE_DB"} <= explained


# --- the database ---


def test_every_table_and_column_is_explained() -> None:
    page = (DOCS / "reference" / "database.md").read_text()
    explained = {}
    for section in page.split("\n### ")[1:]:
        title, _, text = section.partition("\n")
        first = next(tables(text), [])
        explained[title] = {name for row in first for name in CODE_SPAN.findall(row)}
    assert explained == {name: set(table.columns.keys()) for name, table in Base.metadata.tables.items()}
