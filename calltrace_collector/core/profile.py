"""A thread's profile: its calling-context tree, and the sums of its functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calltrace_collector.core.native import Bytes, check, ffi, lib, pointer
from calltrace_collector.core.records import CONTEXT, FUNCTION

__all__ = ["Profile", "decode_profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Exact sums over all calls of a thread.

    Attributes:
        contexts: the calling-context tree, of type CONTEXT. A node's number is its position; node 0 is the
            root, and a parent stands before its callees.
        functions: of type FUNCTION; `buckets` says how many of the elements below are the function's.
        bucket_low_ticks: smallest duration of each histogram bucket, ascending within a function. A bucket is
            less than 1/16 of its durations wide.
        bucket_calls: completed calls in each bucket, never 0.
    """

    contexts: npt.NDArray[np.void]
    functions: npt.NDArray[np.void]
    bucket_low_ticks: npt.NDArray[np.uint64]
    bucket_calls: npt.NDArray[np.uint64]


def decode_profile(profile: Bytes) -> Profile:
    """Decodes what Trace.profile returned. The bytes are not trusted.

    Raises:
        ProtocolError: the bytes are malformed.
    """
    what = f"profile of {len(profile)} bytes"
    data = ffi.from_buffer(profile)
    size = ffi.new("struct ct_profile_size *")
    check(lib.ct_profile_size(data, len(profile), size), what)
    decoded = Profile(
        contexts=np.empty(size.contexts, CONTEXT),
        functions=np.empty(size.functions, FUNCTION),
        bucket_low_ticks=np.empty(size.buckets, np.uint64),
        bucket_calls=np.empty(size.buckets, np.uint64),
    )
    status = lib.ct_profile_decode(
        data,
        len(profile),
        pointer("struct ct_context *", decoded.contexts),
        pointer("struct ct_function *", decoded.functions),
        pointer("uint64_t *", decoded.bucket_low_ticks),
        pointer("uint64_t *", decoded.bucket_calls),
    )
    check(status, what)
    return decoded
