"""uftrace (https://github.com/namhyung/uftrace), which starts the program itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peer import Recording
from bench.program import Run, environment, run


class Uftrace:
    """Records functions only: no calls into libraries, no scheduling."""

    name = "uftrace"

    def missing(self) -> str:
        return "" if shutil.which("uftrace") else "not installed"

    @contextmanager
    def recording(self, folder: Path) -> Iterator[Recording]:
        record = ["uftrace", "record", "--no-libcall", "--no-event", "-d", str(folder)]

        def record_run(command: list[str | int]) -> Run:
            done = run([*record, *command], environment())
            recording.note = next((line.strip() for line in done.errors.splitlines() if "LOST" in line), "")
            return done

        recording = Recording(record_run)
        yield recording
