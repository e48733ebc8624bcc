"""A receiver of OTLP for tests, which decodes by the official definitions.

Prints its port, and then a line of JSON for each request that it has decoded. The first argument
lists what becomes of the first requests, one after the other; all others are answered well. Further
arguments are a folder of tables, the batches in which are in each line, and a certificate with its key.
"""

import gzip
import http.server
import json
import pathlib
import ssl
import sys
import threading
import time

from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

faults = sys.argv[1].split(",") if sys.argv[1] else []
tables = pathlib.Path(sys.argv[2])
lock = threading.Lock()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with lock:
            fault = faults.pop(0) if faults else ""
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportLogsServiceRequest.FromString(body)
        line = {
            "fault": fault,
            "at": time.monotonic(),
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "bytes": len(body),
            "unknown": len(body) - len(request.SerializeToString()),
            "batches": len(list(tables.glob("service=*/date=*/*/reports.parquet"))),
            "request": MessageToDict(request, preserving_proto_field_name=True),
        }
        with lock:
            print(json.dumps(line), flush=True)
        self.answer(fault)

    def answer(self, fault):
        response = ExportLogsServiceResponse()
        if fault == "lost":
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(3)
        if fault == "partial":
            response.partial_success.rejected_log_records = 1
            response.partial_success.error_message = "one is too many\x1b[2J"
        if fault == "remark":
            response.partial_success.error_message = "use fewer attributes"
        status, said = 200, response.SerializeToString()
        if fault.isdigit():
            status, said = int(fault), Status(code=3, message=f"told to say {fault}").SerializeToString()
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        if fault in ("429", "503"):
            self.send_header("retry-after", "2")
        if fault == "302":
            self.send_header("location", f"http://{self.headers['host']}/elsewhere")
        # Of a half answer, the rest never comes.
        self.send_header("content-length", str(len(said) + (10 if fault == "half" else 0)))
        self.end_headers()
        self.wfile.write(said)
        if fault == "half":
            self.close_connection = True


class Threads(http.server.ThreadingHTTPServer):
    def handle_error(self, *address):
        # Clients are killed, and give up.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*address)


port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
server = Threads(("127.0.0.1", port), Receiver)
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
# Serves until nobody holds its input any more.
sys.stdin.read()
