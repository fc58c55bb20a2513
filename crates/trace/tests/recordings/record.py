#!/usr/bin/env python3
"""Records traces of real runs of the program `longshore`, as OTLP in Protocol Buffers.

    crates/trace/tests/recordings/record.py target/debug/longshore

makes the `.binpb` files beside this script anew. Each is an `ExportTraceServiceRequest` of all the
spans that a run sent: requests that stand one behind the other are one request. Takes ten seconds.
"""

import gzip
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = pathlib.Path(__file__).resolve().parent
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Receiver(BaseHTTPRequestHandler):
    """Takes what is sent as OTLP over HTTP."""

    received = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path.endswith("/v1/traces"):
            Receiver.received.append(body)
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Run:
    """A store of its own, and the spans of all that was run on it."""

    def __init__(self, program, port, folder):
        self.program, self.folder = program, folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "LONGSHORE_STORE": f"sqlite:{folder}/jobs.db",
            "LONGSHORE_TELEMETRY_SPAN_LOG": f"{folder}/spans",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }

    def start(self, service, *arguments):
        environment = {**self.environment, "OTEL_SERVICE_NAME": service}
        command = [self.program, *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    def call(self, service, *arguments):
        self.start(service, *arguments).wait(timeout=60)


def enqueue(run, *more):
    arguments = ["orders", "order.process", '{"order": 17}', "--traceparent", CALLER]
    run.call("shop", "enqueue", *arguments, "--tag", "vip", "--meta", "order=A-17", *more)


def waited(run):
    """A job that waited for more than a second until a worker came."""
    enqueue(run)
    time.sleep(1.5)
    run.call("worker", "worker", "--queue", "orders", "--drain", "--exec", "sleep 0.1")


def retried(run):
    """A job that failed twice and then did what it should."""
    enqueue(run, "--max-attempts", "3")
    script = f"echo x >> {run.folder}/tries; test $(wc -l < {run.folder}/tries) -ge 3"
    run.call("worker", "worker", "--queue", "orders", "--drain", "--exec", script)


def linked(run):
    """The same, its attempts in traces of their own."""
    enqueue(run, "--max-attempts", "3", "--relation", "link")
    script = f"echo x >> {run.folder}/tries; test $(wc -l < {run.folder}/tries) -ge 2"
    run.call("worker", "worker", "--queue", "orders", "--drain", "--exec", script)


def killed(run):
    """A job whose worker was killed in the middle of it."""
    enqueue(run)
    arguments = ["worker", "--queue", "orders", "--lease", "1s", "--drain", "--exec"]
    worker = run.start("worker", *arguments, f"echo x > {run.folder}/runs; sleep 30")
    while not os.path.exists(f"{run.folder}/runs"):
        time.sleep(0.01)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    run.call("worker", *arguments, "true")


def shop(run):
    """The small shop of `longshore demo`: jobs that enqueue jobs."""
    run.call("shop", "demo", "--orders", "5")


def main():
    program = os.path.abspath(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for scenario in (waited, retried, linked, killed, shop):
        with tempfile.TemporaryDirectory() as folder:
            Receiver.received.clear()
            scenario(Run(program, server.server_port, folder))
            recorded = b"".join(Receiver.received)
        assert recorded, f"nothing was received of {scenario.__name__}"
        (HERE / f"{scenario.__name__}.binpb").write_bytes(recorded)
        print(f"{scenario.__name__}: {len(recorded)} bytes")


if __name__ == "__main__":
    main()
