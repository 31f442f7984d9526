"""The cache keeps what was used last."""

from calltrace_collector.query.cache import Cache


def test_what_is_longest_unused_goes() -> None:
    cache: Cache[str, int] = Cache(10)
    for key in "abc":
        cache.put(key, ord(key), 3)
    assert cache.get("a") == ord("a")
    cache.put("d", 0, 3)
    assert [key for key in "abcd" if cache.get(key) is not None] == ["a", "c", "d"]


def test_sizes_count() -> None:
    cache: Cache[int, str] = Cache(10)
    cache.put(1, "small", 1)
    cache.put(2, "large", 10)
    assert cache.get(1) is None
    assert cache.put(3, "huge", 100) == "huge"
    assert cache.get(3) == "huge"
    assert cache.get(2) is None
    cache.put(3, "less", 4)
    cache.put(4, "more", 6)
    assert (cache.get(3), cache.get(4)) == ("less", "more")
