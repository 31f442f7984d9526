"""What is printed on a terminal: a pseudo-terminal's other end reads it."""

import os
import pty
import threading
from collections.abc import Callable
from typing import TextIO


def on_terminal(printer: Callable[[TextIO], object]) -> str:
    """Returns what is printed when the output is a terminal."""
    ours, theirs = pty.openpty()
    parts: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                return
            parts.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as out:
        printer(out)
    reader.join()
    os.close(ours)
    return b"".join(parts).decode().replace("\r\n", "\n")
