"""The agent's gRPC client talks to a server that is not ours: grpcio's."""

import errno
import json
import signal
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.compile import SANITIZE, compile_c

CLIENT = [
    Path("agent/ship") / f"{name}.c" for name in ("hpack", "http2", "http2_send", "grpc", "grpc_status")
]
DRIVER = [*CLIENT, Path("tests/agent/drivers/grpc_driver.c")]
SERVICE = "calltrace.test.Service"
MAX_SIZE = 256 * 1024

Messages = Iterator[bytes]
Handler = Callable[[Messages, grpc.ServicerContext], Messages]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_c(DRIVER, tmp_path_factory.mktemp("driver") / "grpc_driver")


@pytest.fixture(scope="module")
def sanitized_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_c(DRIVER, tmp_path_factory.mktemp("driver") / "grpc_driver", SANITIZE)


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "socket")


@contextmanager
def serving(address: str, handler: Handler, **options: int) -> Iterator[tuple[grpc.Server, int]]:
    """A server of one method, SERVICE/Call, that takes and gives bytes; and the port that it got."""
    server = grpc.server(
        ThreadPoolExecutor(2),
        options=[(f"grpc.{name.replace('__', '.')}", value) for name, value in options.items()],
    )
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(handler)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Call": method}),))
    port = server.add_insecure_port(address if ":" in address else f"unix:{address}")
    server.start()
    try:
        yield server, port
    finally:
        server.stop(None).wait()


def start(
    driver: Path, address: str, *, count: int, seed: int = 1, token: str = "", method: str = "Call"
) -> Any:
    arguments = [address, f"/{SERVICE}/{method}", token, str(count), str(MAX_SIZE), str(seed)]
    return subprocess.Popen([driver, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: Any) -> Any:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors == ""
    return json.loads(output)


def call(driver: Path, address: str, **arguments: Any) -> Any:
    return finish(start(driver, address, **arguments))


class Acknowledging:
    """Answers each message with its number, the CRC-32 of all until then, and filling of various sizes."""

    def __init__(self) -> None:
        self.crc = 0
        self.sizes: list[int] = []

    def __call__(self, messages: Messages, context: grpc.ServicerContext) -> Messages:
        del context
        for number, message in enumerate(messages):
            self.crc = zlib.crc32(message, self.crc)
            self.sizes.append(len(message))
            filling = number * 7919 % 65529 if number % 10 == 0 else number % 300
            yield struct.pack(">II", number, self.crc) + bytes(filling)


def check_all_arrived(result: Any, server: Acknowledging, count: int) -> None:
    assert (result["error"], result["status"], result["message"]) == (0, 0, "")
    assert (result["sent"], result["received"], result["wrong"]) == (count, count, 0)
    assert len(server.sizes) == count
    assert result["crc"] == server.crc


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"http2__lookahead_bytes": 1024, "http2__bdp_probe": 0, "http2__max_frame_size": 16384},
        {"http2__bdp_probe": 1, "http2__max_frame_size": 16777215},
    ],
    ids=["defaults", "small windows", "large frames"],
)
def test_every_message_and_every_answer_arrives(driver: Path, address: str, options: dict[str, int]) -> None:
    server = Acknowledging()
    with serving(address, server, **options):
        result = call(driver, address, count=2000)
    check_all_arrived(result, server, 2000)
    assert min(server.sizes) == 0
    assert max(server.sizes) > MAX_SIZE * 0.99
    assert result["window_stalls"] > 0 or "http2__lookahead_bytes" not in options


def test_sanitizers_find_nothing(sanitized_driver: Path, address: str) -> None:
    server = Acknowledging()
    with serving(address, server, http2__lookahead_bytes=1024, http2__bdp_probe=0):
        result = call(sanitized_driver, address, count=300, seed=2)
    check_all_arrived(result, server, 300)


def test_over_tcp(driver: Path) -> None:
    server = Acknowledging()
    with serving("127.0.0.1:0", server) as (_, port):
        result = call(driver, f"127.0.0.1:{port}", count=300)
    check_all_arrived(result, server, 300)


def test_a_call_without_messages(driver: Path, address: str) -> None:
    server = Acknowledging()
    with serving(address, server):
        result = call(driver, address, count=0)
    check_all_arrived(result, server, 0)


@pytest.mark.parametrize("after", [0, 20])
def test_server_aborts_with_a_message(sanitized_driver: Path, address: str, after: int) -> None:
    def abort(messages: Messages, context: grpc.ServicerContext) -> Messages:
        for _ in range(after):
            yield struct.pack(">II", 0, zlib.crc32(next(messages)))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, 'Träger "weg"\n100% \u20ac \\ \x1b[2J')

    with serving(address, abort):
        result = call(sanitized_driver, address, count=100)
    assert (result["error"], result["status"]) == (0, grpc.StatusCode.FAILED_PRECONDITION.value[0])
    assert result["message"] == 'Träger "weg"?100% \u20ac \\ ?[2J'
    assert result["received"] == after


def test_method_that_the_server_does_not_have(driver: Path, address: str) -> None:
    with serving(address, Acknowledging()):
        result = call(driver, address, count=5, method="Other")
    assert (result["error"], result["status"]) == (0, grpc.StatusCode.UNIMPLEMENTED.value[0])


@pytest.mark.parametrize(("token", "status"), [("s3cret", 0), ("guess", 16), ("", 16)])
def test_token(driver: Path, address: str, token: str, status: int) -> None:
    def check(messages: Messages, context: grpc.ServicerContext) -> Messages:
        if dict(context.invocation_metadata()).get("authorization") != "Bearer s3cret":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        yield from Acknowledging()(messages, context)

    with serving(address, check):
        result = call(driver, address, count=3, token=token)
    assert result["status"] == status


KILLED_SERVER = """
import os, signal, sys
from tests.unit.agent.test_grpc_client import serving

def die(messages, context):
    for number, _ in enumerate(messages):
        if number == 50:
            os.kill(os.getpid(), signal.SIGKILL)
    yield b""

with serving(sys.argv[1], die):
    print("ready", flush=True)
    signal.pause()
"""


def test_server_is_killed(sanitized_driver: Path, address: str) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", KILLED_SERVER, address], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    with server, server.stdout:
        assert server.stdout.readline() == "ready\n"
        result = call(sanitized_driver, address, count=2000)
        assert server.wait(timeout=20) == -signal.SIGKILL
    assert -result["error"] in {errno.ECONNRESET, errno.EPIPE}
    assert result["status"] == -1
    assert 50 <= result["sent"] < 2000


def test_server_goes_away(sanitized_driver: Path, address: str) -> None:
    """A server that stops with some grace takes what was sent, answers it, and ends the call well."""
    server = Acknowledging()
    stopping = threading.Event()
    running: list[grpc.Server] = []

    def stop_at_50(messages: Messages, context: grpc.ServicerContext) -> Messages:
        for answer in server(messages, context):
            yield answer
            if len(server.sizes) == 50:
                running[0].stop(30)
                stopping.set()

    with serving(address, stop_at_50) as (started, _):
        running.append(started)
        result = call(sanitized_driver, address, count=100000)
        assert stopping.is_set()
    assert result["going_away"]
    assert 50 <= result["sent"] < 100000
    check_all_arrived(result, server, result["sent"])
