"""Generates the Python code for the messages and services in this folder.

Usage: ``python proto/generate.py [FOLDER]``, where FOLDER receives ``calltrace/v1/*_pb2.py`` and their
relatives; by default it is ``calltrace_collector/wire/_pb``.

protoc writes imports relative to the folder of the .proto files (``from calltrace.v1 import common_pb2``).
The code lives inside our package, so these imports are given the package's name; nothing else is changed.
"""

import re
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
PACKAGE = "calltrace_collector.wire._pb"
DESTINATION = PROTO.parent / PACKAGE.replace(".", "/")
_IMPORT = re.compile(r"^from (calltrace(?:\.\w+)*) import ", re.MULTILINE)
_SERVICE = re.compile(r"^service ", re.MULTILINE)


def generate(destination: Path) -> None:
    """Writes the generated code below `destination`, and removes generated code that has no source any more.

    Raises:
        RuntimeError: protoc refused the sources; it said why on standard error.
    """
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        _run_protoc(Path(folder), sources)
        written = {path.relative_to(folder): path.read_text() for path in Path(folder).rglob("*.py*")}
    for stale in destination.rglob("*_pb2*.py*"):
        if stale.suffix in {".py", ".pyi"} and stale.relative_to(destination) not in written:
            stale.unlink()
    for path, text in written.items():
        target = destination / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_IMPORT.sub(rf"from {PACKAGE}.\1 import ", text))


def _run_protoc(folder: Path, sources: list[str]) -> None:
    # A file without a service needs no gRPC code, and protoc-gen-mypy_grpc would write an empty one.
    services = [source for source in sources if _SERVICE.search((PROTO / source).read_text())]
    binaries = Path(sys.executable).parent
    include = [f"-I{PROTO}", f"-I{resources.files('grpc_tools') / '_proto'}"]
    messages = [
        f"--python_out={folder}",
        f"--plugin=protoc-gen-mypy={binaries}/protoc-gen-mypy",
        f"--mypy_out=quiet:{folder}",
    ]
    stubs = [
        f"--grpc_python_out={folder}",
        f"--plugin=protoc-gen-mypy_grpc={binaries}/protoc-gen-mypy_grpc",
        f"--mypy_grpc_out=quiet:{folder}",
    ]
    for options, files in ((messages, sources), (stubs, services)):
        if files and protoc.main(["protoc", *include, *options, *files]) != 0:
            raise RuntimeError(f"protoc failed on {', '.join(files)}")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else DESTINATION)
