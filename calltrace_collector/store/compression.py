"""zstd, with a bound on what comes out: a damaged database must not fill the memory."""

from __future__ import annotations

import zstandard

from calltrace_collector.errors import StoreError


def decompress(packed: bytes, limit_bytes: int) -> bytes:
    """Decompresses one zstd frame. Raises StoreError when it is damaged or holds more than the limit."""
    try:
        size = zstandard.get_frame_parameters(packed).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN or size > limit_bytes:
            raise StoreError(
                f"the database is damaged: a block of {size} bytes where at most {limit_bytes} fit"
            )
        return zstandard.ZstdDecompressor().decompress(packed)
    except zstandard.ZstdError as error:
        raise StoreError(f"the database is damaged: {error}") from error
