"""The generated code in the repository is what the .proto files say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
CHECKED_IN = ROOT / "calltrace_collector" / "wire" / "_pb"


def read_all(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.suffix in {".py", ".pyi"}
    }


def test_generated_code_is_up_to_date(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "proto" / "generate.py", tmp_path], check=True)
    fresh = read_all(tmp_path)
    assert fresh
    assert read_all(CHECKED_IN) == fresh, "run: make proto"


def test_code_without_source_is_removed(tmp_path: Path) -> None:
    stale = tmp_path / "calltrace" / "v1" / "gone_pb2.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    subprocess.run([sys.executable, ROOT / "proto" / "generate.py", tmp_path], check=True)
    assert not stale.exists()
