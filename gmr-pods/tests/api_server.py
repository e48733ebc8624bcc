"""An API server of Kubernetes for tests, as far as `gmr collect pods` needs one.

It lists pods, by labels and in pages, and passes requests on to their ports, with TLS and with the rights of
each user. What it does is as kube-apiserver does it: what a pod gets has the host that the client has
named, and no credentials.

The first argument is a file of JSON that describes it, the second one a certificate with its key. Prints its
port, and then a line of JSON for each request.
"""

import base64
import http.client
import http.server
import json
import re
import ssl
import sys
import threading
import time
import urllib.parse

with open(sys.argv[1]) as file:
    world = json.load(file)
lock = threading.Lock()
# How many lists forget where they were, once they are continued.
expiring = world.get("expiring", 0)


def matches(labels, selector):
    # `a=b`, `a!=b`, `a in (b, c)` and `a`: what tests use of the language.
    for part in re.split(r",(?![^(]*\))", selector):
        part = part.strip()
        among = re.fullmatch(r"(\S+) in \((.*)\)", part)
        if among:
            good = labels.get(among[1]) in [value.strip() for value in among[2].split(",")]
        elif "!=" in part:
            name, value = part.split("!=")
            good = labels.get(name) != value
        elif "=" in part:
            name, value = re.split("==?", part)
            good = labels.get(name) == value
        else:
            good = part in labels
        if not good:
            return False
    return True


def described(pod):
    image = pod.get("image", "shop:1.0")
    ports = [{"name": pod.get("port_name", "gmr"), "containerPort": pod.get("port", 9901), "protocol": "TCP"}]
    status = {"name": "shop", "image": image, "imageID": f"id-of-{image}", "ready": True, "restartCount": 0}
    return {
        "metadata": {"namespace": pod["namespace"], "name": pod["name"], "labels": pod["labels"]},
        "spec": {"containers": [{"name": "shop", "image": image, "ports": ports}]},
        "status": {"phase": pod.get("phase", "Running"), "containerStatuses": [status]},
    }


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def say(self, status, body, kind="application/json", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, code, message):
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        self.say(code, {**status, "message": message, "code": code})

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        with lock:
            print(json.dumps({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}}), flush=True)
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        rights = world["users"].get(token) if scheme == "Bearer" else None
        if rights is None:
            return self.refuse(401, "Unauthorized")
        listed = re.fullmatch(r"/api/v1(?:/namespaces/([^/]+))?/pods", url.path)
        if listed:
            return self.list(listed[1], rights, dict(urllib.parse.parse_qsl(url.query)))
        proxied = re.fullmatch(r"/api/v1/namespaces/([^/]+)/pods/([^/:]+):(\d+)/proxy(/.*)", url.path)
        if proxied:
            return self.proxy(*proxied.groups(), rights)
        self.refuse(404, "the server could not find the requested resource")

    def list(self, namespace, rights, query):
        global expiring
        if "list" not in rights or (namespace is None and "all" not in rights):
            place = "at the cluster scope" if namespace is None else f'in the namespace "{namespace}"'
            return self.refuse(403, f'pods is forbidden: User "jane" cannot list resource "pods" {place}')
        first = 0
        if "continue" in query:
            first = int(base64.b64decode(query["continue"]))
            if expiring > 0:
                expiring -= 1
                return self.refuse(410, "The provided continue parameter is too old")
        pods = [
            described(pod)
            for pod in world["pods"]
            if namespace in (None, pod["namespace"]) and matches(pod["labels"], query["labelSelector"])
        ]
        last = first + min(int(query["limit"]), world.get("page", 500))
        metadata = {"resourceVersion": "7"}
        if last < len(pods):
            metadata["continue"] = base64.b64encode(str(last).encode()).decode()
        page = {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": pods[first:last]}
        self.say(200, page)

    def proxy(self, namespace, name, port, path, rights):
        found = [pod for pod in world["pods"] if (pod["namespace"], pod["name"]) == (namespace, name)]
        if not found:
            return self.refuse(404, f'pods "{name}" not found')
        pod = found[0]
        if "proxy" not in rights or pod.get("does") == "denied":
            said = f'pods "{name}" is forbidden: User "jane" cannot get resource "pods/proxy"'
            return self.refuse(403, said)
        does = pod.get("does", "gmr")
        if does == "hang":
            time.sleep(60)
        if does == "half":
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            self.wfile.write(b'{"schema_version"')
            self.close_connection = True
            return
        if does == "refused" or int(port) != pod.get("port", 9901):
            said = f"error trying to reach service: dial tcp 10.1.2.3:{port}: connect: connection refused"
            return self.refuse(503, said)
        if does == "text":
            return self.say(200, b"<!DOCTYPE html>\x1b[2J", "text/html")
        if does == "moved" and path == "/gmr":
            prefix = f"/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy"
            return self.say(308, b"", location=f"{prefix}/gmr/")
        if does == "away":
            return self.say(302, b"", location="/api/v1/namespaces/prod/secrets")
        if does == "token":
            path = "/guarded"
        # A process with gmr. It sees the name of the API server, if that is what the client has said.
        host = self.headers["host"]
        if "seen_as" in world and host != "localhost":
            host = world["seen_as"]
        pod = http.client.HTTPConnection("127.0.0.1", world["service"], timeout=60)
        pod.putrequest("GET", path.rstrip("/"), skip_host=True, skip_accept_encoding=True)
        pod.putheader("host", host)
        for name, value in self.headers.items():
            # What has authenticated the client is removed before anything is passed on.
            if name.lower() not in ("host", "connection") and (name.lower() != "authorization" or "keeps" in world):
                pod.putheader(name, value)
        pod.endheaders()
        answer = pod.getresponse()
        self.say(answer.status, answer.read(), answer.headers["content-type"])
        pod.close()


class Threads(http.server.ThreadingHTTPServer):
    request_queue_size = 1024

    def finish_request(self, request, address):
        # The handshake is not the main thread's.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
        try:
            super().finish_request(context.wrap_socket(request, server_side=True), address)
        except OSError:
            # A client that has given up.
            pass


server = Threads(("127.0.0.1", 0), Server)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
# Serves until nobody holds its input any more.
sys.stdin.read()
