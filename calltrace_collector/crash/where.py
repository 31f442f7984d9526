"""Where a program crashed, for one sentence: which frames to name, and how."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from itertools import pairwise

from calltrace_collector.model.crash import CrashFrame

_SYSTEM_MODULES = re.compile(
    r"(?:ld-linux-x86-64|libc|libpthread|libm|libstdc\+\+|libc\+\+|libc\+\+abi|libgcc_s|libunwind|libcalltrace)"
    r"(?:-[\d.]+)?\.so(?:\.[\d.]+)?"
)
_SYSTEM_FUNCTION = re.compile(
    r"(?:__GI_)?_*(?:raise|gsignal|abort|p?thread_kill|pthread_kill_implementation|pthread_kill_internal|tgkill"
    r"|assert_fail|assert_fail_base|assert_perror_fail|assert|fortify_fail|chk_fail|stack_chk_fail|libc_message"
    r"|malloc_printerr|start|libc_csu_init|cxa_\w+|clang_call_terminate|gxx_personality_v0|Unwind_\w+"
    r"|restore_rt|libc_fatal)"
    r"|(?:std|__gnu_cxx|__cxxabiv1)::.*"
)
_SYSTEM_FILE = re.compile(r"/usr/(?:local/)?(?:include|lib)/.*")


def is_system(frame: CrashFrame) -> bool:
    """Tells whether the frame is of the C or C++ library, and not of the program."""
    name = posixpath.basename(frame.module or "")
    return bool(_SYSTEM_MODULES.fullmatch(name)) or _is_library_code(frame)


def _is_library_code(frame: CrashFrame) -> bool:
    """Tells whether a function that is in the program came there from a library: linked, or inlined."""
    if frame.file is not None and _SYSTEM_FILE.fullmatch(frame.file):
        return True
    return frame.function is not None and _SYSTEM_FUNCTION.fullmatch(frame.function) is not None


def describe(frame: CrashFrame) -> str:
    """Returns "list_next() at list.c:41", or as much of it as is known."""
    module = posixpath.basename(frame.module or "")
    if frame.function is not None:
        name = frame.function if "(" in frame.function else f"{frame.function}()"
        if frame.file is not None and frame.line is not None and not is_system(frame):
            return f"{name} at {posixpath.basename(frame.file)}:{frame.line}"
        return f"{name} of {module}" if module else name
    if module and frame.module_offset is not None:
        return f"{module} at offset {frame.module_offset:#x}"
    return f"unknown code at {frame.address:#x}"


def in_innermost(frames: Sequence[CrashFrame]) -> str:
    """Returns " in F() at f.c:1, called from G() at g.c:2", from the innermost frame on; "" without frames.

    Where that is in a library, the first frame of the program is named, even if it is further out.
    """
    if not frames:
        return ""
    text = f" in {describe(frames[0])}"
    return text + _called_from(frames[0:])


def from_caller(frames: Sequence[CrashFrame]) -> str:
    """Returns ", called from G() at g.c:2" for frames of which the innermost is at no code."""
    return _called_from(frames)


def in_program(frames: Sequence[CrashFrame]) -> str:
    """Returns " in F() at f.c:1, called from ...", from the first frame on that is of the program."""
    first = next((number for number, frame in enumerate(frames) if not is_system(frame)), None)
    return in_innermost(frames) if first is None else in_innermost(frames[first:])


def _called_from(frames: Sequence[CrashFrame]) -> str:
    """Returns who called the first frame: the next, or the first one of the program."""
    for number, (callee, frame) in enumerate(pairwise(frames)):
        if frame.is_signal_frame:
            # What comes next was not calling: it was interrupted.
            rest = frames[number + 2 :]
            return (
                f", a signal handler that interrupted {describe(rest[0])}" if rest else ", a signal handler"
            )
        if not is_system(frame):
            way = f" by way of {describe(callee)}" if number else ""
            return f", called{way} from {describe(frame)}"
    return ""
