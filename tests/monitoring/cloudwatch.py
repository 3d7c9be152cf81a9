"""The real CloudWatch exporter, and a stand-in for the AWS that it asks."""

import json
import os
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, cast

from components.monitoring.cloudwatch import flags
from rehearsal.toolchain import ToolSet, ensure
from tests.monitoring.servers import PATIENCE_SECONDS, get

ACCOUNT: Final = "123456789012"

_IDENTITY: Final = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)
_ALIASES: Final = (
    '<ListAccountAliasesResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListAccountAliasesResult>'
    "<IsTruncated>false</IsTruncated><AccountAliases/></ListAccountAliasesResult></ListAccountAliasesResponse>"
)


@dataclass(frozen=True)
class Question:
    """What CloudWatch is asked: statistics of one metric, in periods of so many seconds, over so many seconds."""

    region: str
    namespace: str
    metric: str
    dimensions: frozenset[tuple[str, str]]
    statistics: tuple[str, ...]
    period: int
    span: int


Answer = Callable[[Question], float | None]
"""The newest value of a metric; None: there is none. Raises PermissionError where the role may not know."""


@dataclass
class CloudWatch:
    """CloudWatch as the exporter sees it, and what it was asked."""

    answer: Answer
    asked: list[Question] = field(default_factory=list[Question])
    actions: set[str] = field(default_factory=set[str])
    """Every action of AWS that was called, such as `cloudwatch:GetMetricStatistics`."""


@contextmanager
def exporter(directory: Path, config: Mapping[str, Any], answer: Answer) -> Generator[tuple[str, CloudWatch]]:
    """Run the exporter on a configuration, and yield its URL once it has fetched, and the CloudWatch that it asks.

    Of what it asks for it must be given at least one value, by which its first fetch is known to be over.
    """
    path = directory / "cloudwatch.json"
    path.write_text(json.dumps(config))
    with _served(answer) as (aws, cloudwatch), socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        held.close()
        # No other settings of AWS than these, whoever runs the test.
        environment = {
            "AWS_ENDPOINT_URL": aws,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nobody's",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        command = [ensure(ToolSet.YACE)["yace"], *flags(str(path), listen=address)]
        with subprocess.Popen(command, env=environment) as process:
            try:
                _wait_until_fetched(f"http://{address}", process)
                yield f"http://{address}", cloudwatch
            finally:
                process.terminate()
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()


def _wait_until_fetched(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert process.poll() is None, "the exporter ended"
        try:
            if re.search("^aws_", get(f"{url}/metrics"), re.MULTILINE):
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "the exporter fetched nothing"
        time.sleep(0.1)


@contextmanager
def _served(answer: Answer) -> Generator[tuple[str, CloudWatch]]:
    """CloudWatch's GetMetricStatistics in its binary form, and what the exporter asks of STS and IAM first.

    Source: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
    """
    cloudwatch = CloudWatch(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            # …/REGION/SERVICE/aws4_request, of the signature.
            _, _, region, service, *_ = self.headers["Authorization"].split(", ")[0].split("/")
            if service != "monitoring":
                (action,) = re.findall(rb"Action=(\w+)", body)
                cloudwatch.actions.add(f"{service}:{action.decode()}")
                self._reply(200, (_IDENTITY if service == "sts" else _ALIASES).encode(), "text/xml")
                return
            cloudwatch.actions.add(f"cloudwatch:{self.path.rpartition('/')[2]}")
            question = _question(region, _read(body))
            cloudwatch.asked.append(question)
            try:
                value = cloudwatch.answer(question)
            except PermissionError:
                self._reply(403, _written({"__type": "AccessDenied", "message": "no"}), "application/cbor")
                return
            found = [] if value is None else [{"Timestamp": time.time(), "Maximum": float(value)}]
            self._reply(200, _written({"Label": question.metric, "Datapoints": found}), "application/cbor")

        def _reply(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Smithy-Protocol", "rpc-v2-cbor")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", cloudwatch
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _question(region: str, asked: Mapping[str, Any]) -> Question:
    return Question(
        region,
        asked["Namespace"],
        asked["MetricName"],
        frozenset((one["Name"], one["Value"]) for one in asked["Dimensions"]),
        tuple(asked["Statistics"]),
        asked["Period"],
        round(asked["EndTime"] - asked["StartTime"]),
    )


# --- CBOR, as much of it as is needed (RFC 8949) ---------------------------------------------------------------------


def _read(data: bytes) -> Mapping[str, Any]:
    value, rest = _item(data)
    assert rest == b""
    return cast("Mapping[str, Any]", value)


def _item(data: bytes) -> tuple[Any, bytes]:
    kind, argument, rest = data[0] >> 5, data[0] & 31, data[1:]
    if kind == 7:
        assert argument == 27, "only floats of 64 bits"
        return struct.unpack(">d", rest[:8])[0], rest[8:]
    if argument > 23:
        size = 1 << (argument - 24)
        argument, rest = int.from_bytes(rest[:size]), rest[size:]
    match kind:
        case 0:
            return argument, rest
        case 3:
            return rest[:argument].decode(), rest[argument:]
        case 4:
            return _items(argument, rest)
        case 5:
            flat, rest = _items(2 * argument, rest)
            return dict(zip(flat[::2], flat[1::2], strict=True)), rest
        case 6:
            # A tag: that what follows is a time.
            return _item(rest)
        case _:
            raise AssertionError(f"major type {kind} is not known here")


def _items(count: int, rest: bytes) -> tuple[list[Any], bytes]:
    found: list[Any] = []
    for _ in range(count):
        one, rest = _item(rest)
        found.append(one)
    return found, rest


def _written(value: object) -> bytes:
    match value:
        case dict():
            pairs = cast("dict[str, object]", value)
            # The one time that an answer holds is tagged as such.
            inner = (
                _written(key) + (b"\xc1" if key == "Timestamp" else b"") + _written(of)
                for key, of in pairs.items()
            )
            return bytes([5 << 5 | len(pairs)]) + b"".join(inner)
        case list():
            ones = cast("Sequence[object]", value)
            return bytes([4 << 5 | len(ones)]) + b"".join(map(_written, ones))
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case str():
            return bytes([3 << 5 | 24, len(value)]) + value.encode()
        case _:
            raise AssertionError(f"{value} is not known here")
