"""Source code that nobody here wrote, for tests to compile: C sources inside Python source distributions."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "sources"


def source_distribution(name: str, version: str) -> Path:
    """Returns the unpacked source distribution of a package, downloaded the first time it is asked for."""
    KEPT.mkdir(parents=True, exist_ok=True)
    unpacked = KEPT / f"{name}-{version}"
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not unpacked.exists():
            _download(name, version, unpacked)
    return unpacked


def _download(name: str, version: str, unpacked: Path) -> None:
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--no-binary={name}"]
        done = subprocess.run(
            [*command, "--dest", folder, f"{name}=={version}"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"cannot download {name} {version}: {done.stderr}")
        (archive,) = Path(folder).glob(f"{name}-{version}*")
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(folder)
        else:
            with tarfile.open(archive) as opened_tar:
                opened_tar.extractall(folder, filter="data")
        shutil.move(Path(folder) / f"{name}-{version}", unpacked)
