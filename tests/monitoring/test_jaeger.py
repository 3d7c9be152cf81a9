"""The real Jaeger with the rendered configuration: a span goes in, a trace comes out."""

import base64
import gzip
import json
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.monitoring.parts import PORTS
from components.monitoring.tracing import CA_PATH, SECRETS_PATH, in_elasticsearch, in_memory
from operations.monitoring import Part
from rehearsal.toolchain import ToolSet, ensure
from tests.monitoring.servers import PATIENCE_SECONDS, get

TRACE = "5b8efff798038103d269b633813fc60c"
PASSWORD = "a-password-of-jaeger"  # noqa: S105


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def jaeger(
    directory: Path, config: Mapping[str, Any], files: Mapping[str, str]
) -> Generator[Mapping[str, str]]:
    """Run Jaeger on loopback ports, its files in a directory, and yield the URL of each of its ports by name.

    `files` maps a path of the pod to the file that takes its place.
    """
    text = json.dumps(config).replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    moved = {name: free_port() for name in PORTS[Part.JAEGER]} | {"grpc": free_port()}
    for name, port in {**PORTS[Part.JAEGER], "grpc": 16685}.items():
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{moved[name]}")
        text = text.replace(f'"port": {port}', f'"port": {moved[name]}')
    for path, file in files.items():
        text = text.replace(path, file)
    path = directory / "jaeger.json"
    path.write_text(text)
    urls = {name: f"http://127.0.0.1:{port}" for name, port in moved.items()}
    with subprocess.Popen([str(ensure(ToolSet.JAEGER)["jaeger"]), f"--config={path}"]) as process:
        try:
            until(lambda: '"StatusOK"' in get(f"{urls['health']}/status"), process)
            yield urls
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def until(happens: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert process is None or process.poll() is None, "Jaeger ended"
        try:
            if happens():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def send_span(url: str) -> None:
    """One request to the service `api`, by OTLP over HTTP."""
    now = time.time_ns()
    span = {
        "traceId": TRACE,
        "spanId": "eee19b7ec3c1b174",
        "name": "GET /orders",
        "kind": 2,
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + 150_000_000),
    }
    service = {"key": "service.name", "value": {"stringValue": "api"}}
    spans = {"resource": {"attributes": [service]}, "scopeSpans": [{"spans": [span]}]}
    request = urllib.request.Request(  # noqa: S310 - a server of this test's own
        f"{url}/v1/traces",
        data=json.dumps({"resourceSpans": [spans]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        assert json.loads(answer.read()) == {"partialSuccess": {}}


def test_a_span_goes_in_and_a_trace_comes_out(tmp_path: Path) -> None:
    with jaeger(tmp_path, in_memory(), {}) as urls:
        send_span(urls["otlp-http"])
        until(lambda: TRACE in get(f"{urls['query']}/api/traces?service=api"))

        (trace,) = json.loads(get(f"{urls['query']}/api/traces/{TRACE}"))["data"]
        (span,) = trace["spans"]
        assert span["operationName"] == "GET /orders"
        assert span["duration"] == 150_000
        assert [process["serviceName"] for process in trace["processes"].values()] == ["api"]


def test_its_metrics_are_where_prometheus_looks(tmp_path: Path) -> None:
    with jaeger(tmp_path, in_memory(), {}) as urls:
        send_span(urls["otlp-http"])
        until(lambda: TRACE in get(f"{urls['query']}/api/traces?service=api"))
        metrics = get(f"{urls['metrics']}/metrics")
        for name in (
            "otelcol_receiver_accepted_spans",
            "otelcol_exporter_sent_spans",
            "otelcol_process_uptime",
        ):
            assert name in metrics


class Elasticsearch(BaseHTTPRequestHandler):
    """As much of Elasticsearch 9 as Jaeger writes to: it says who it is, takes everything and remembers it."""

    asked: list[tuple[str, str, str]]
    """Of each request: method with path, who asked, body."""

    def do_GET(self) -> None:
        self._answer({"version": {"number": "9.1.0"}, "tagline": "You Know, for Search"})

    def do_HEAD(self) -> None:
        self._answer({})

    def do_PUT(self) -> None:
        self._answer({"acknowledged": True})

    def do_POST(self) -> None:
        self._answer({"took": 1, "errors": False, "items": []})

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def _answer(self, answer: Mapping[str, Any]) -> None:
        body = self._body()
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.asked.append(
            (f"{self.command} {self.path}", self.headers.get("Authorization", ""), body.decode())
        )
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Elasticsearch's own certificate and its key."""
    return self_signed(tmp_path / "elasticsearch.pem")


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """Another one's, of the same name."""
    return self_signed(tmp_path / "stranger.pem")


def self_signed(path: Path) -> Path:
    """Write a certificate of 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elasticsearch")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.touch(0o600)
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@contextmanager
def elasticsearch(certificate: Path) -> Generator[tuple[str, list[tuple[str, str, str]]]]:
    asked: list[tuple[str, str, str]] = []
    handler = type("Remembering", (Elasticsearch,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"https://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


def test_with_elasticsearch_it_signs_in_over_tls_brings_templates_and_writes_the_day(
    tmp_path: Path, certificate: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    files = {CA_PATH: str(certificate), f"{SECRETS_PATH}/password": str(password)}
    with elasticsearch(certificate) as (url, asked):
        config = in_elasticsearch(url=url, user="jaeger", index_replicas=1)
        with jaeger(tmp_path, config, files) as urls:
            send_span(urls["otlp-http"])
            until(lambda: any(TRACE in body for _, _, body in asked))

    basic = base64.b64encode(f"jaeger:{PASSWORD}".encode()).decode()
    assert {who for _, who, _ in asked} == {f"Basic {basic}"}

    templates = {
        path.partition("?")[0]: json.loads(body) for path, _, body in asked if path.startswith("PUT")
    }
    for name in ("jaeger-span", "jaeger-service"):
        template = templates[f"PUT /_index_template/{name}"]
        assert template["index_patterns"] == f"{name}-*"
        assert template["template"]["settings"]["index.number_of_shards"] == 1
        assert template["template"]["settings"]["index.number_of_replicas"] == 1

    (written,) = [body for _, _, body in asked if TRACE in body]
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    assert f'"_index":"jaeger-span-{today}"' in written
    assert PASSWORD not in (tmp_path / "jaeger.json").read_text()


def test_to_an_elasticsearch_of_another_authority_it_says_nothing(
    tmp_path: Path, certificate: Path, stranger: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    files = {CA_PATH: str(stranger), f"{SECRETS_PATH}/password": str(password)}
    with elasticsearch(certificate) as (url, asked):
        config = in_elasticsearch(url=url, user="jaeger", index_replicas=1)
        with pytest.raises(AssertionError, match="Jaeger ended"), jaeger(tmp_path, config, files):
            pass
    assert asked == []
