"""The part of the Docker API that our containers use, with a real PostgreSQL behind every container.

Where tests run there is often no Docker. This shows that docker-py sends what is meant and that a container goes with
its owner; that the official image does its part only a real daemon can show.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

API = "1.43"


class Daemon:
    """A daemon on a socket in `directory`.

    Its containers lead to the server at `dsn` and set the password of postgres there: `dsn` is of another superuser.
    """

    def __init__(self, directory: Path, dsn: str) -> None:
        self.host = f"unix://{directory}/docker.sock"
        self.images = {"postgres:17"}
        self.containers: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.signals: list[str] = []
        self.ports_taken = 0
        self._dsn = dsn
        self._doors: dict[str, Door] = {}
        self._http = socketserver.ThreadingUnixStreamServer(f"{directory}/docker.sock", Handler)
        self._http.daemon_threads = True
        self._http.docker = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    def __enter__(self) -> Daemon:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        for name in [*self._doors]:
            self._doors.pop(name).close()

    def handle(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        """The answer to a request: status and body."""
        self.requests.append(f"{method} {path}")
        if path == "/version":
            return 200, {"ApiVersion": API, "MinAPIVersion": "1.24"}
        if path == "/_ping":
            return 200, b"OK"
        if path == "/images/create":
            self.images.add(f"{query['fromImage']}:{query['tag']}")
            return 200, {"status": "Pull complete"}
        if found := re.fullmatch(r"/images/(.+)/json", path):
            return 200, {"Id": "sha256:1", "RepoTags": [found[1]]}
        if path == "/containers/create":
            return self._create(body)
        if path == "/containers/json":
            (key,) = json.loads(query["filters"])["label"]
            labelled = {name: one for name, one in self.containers.items() if key in one["Config"]["Labels"]}
            return 200, [{"Id": name, "Labels": one["Config"]["Labels"]} for name, one in labelled.items()]
        name, _, action = path.removeprefix("/containers/").partition("/")
        if name not in self.containers:
            return 404, {"message": f"No such container: {name}"}
        if action == "json":
            return 200, self.containers[name]
        return self._act(name, action if method == "POST" else action or "remove", query)

    def add(self, name: str, label: str) -> None:
        """A container that somebody else made."""
        config = {"Labels": {"promin_postgres.testing": label}, "Env": []}
        self.containers[name] = {"Id": name, "State": {"Status": "running"}, "Config": config, "HostConfig": {}}

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        image = body["Image"] if ":" in body["Image"].rpartition("/")[2] else f"{body['Image']}:latest"
        if image not in self.images:
            return 404, {"message": f"No such image: {image}"}
        name = os.urandom(8).hex()
        host = body["HostConfig"]
        self.containers[name] = {"Id": name, "State": {"Status": "created"}, "Config": body, "HostConfig": host}
        return 201, {"Id": name, "Warnings": []}

    def _act(self, name: str, action: str, query: dict[str, str]) -> tuple[int, Any]:
        container = self.containers[name]
        if action == "start":
            if self.ports_taken:
                self.ports_taken -= 1
                return 500, {"message": "Bind for 127.0.0.1:1 failed: port is already allocated"}
            self._open(name, container)
            container["State"]["Status"] = "running"
        elif action in ("kill", "remove"):
            if door := self._doors.pop(name, None):
                door.close()
            container["State"]["Status"] = "exited"
            if action == "remove":
                assert query == {"v": "True", "link": "False", "force": "True"}
                del self.containers[name]
            else:
                self.signals.append(query["signal"])
        elif action == "wait":
            assert container["State"]["Status"] == "exited"
            return 200, {"StatusCode": 0}
        elif action == "logs":
            words = b"FATAL: as you wish\n"
            return 200, b"\x01\0\0\0" + len(words).to_bytes(4, "big") + words
        return 204, b""

    def _open(self, name: str, container: dict[str, Any]) -> None:
        variables = dict(variable.split("=", 1) for variable in container["Config"]["Env"])
        if "POSTGRES_PASSWORD" in variables and "fsync=broken" not in container["Config"]["Cmd"]:
            (binding,) = container["HostConfig"]["PortBindings"]["5432/tcp"]
            with psycopg.connect(self._dsn, autocommit=True) as connection:
                query = "ALTER ROLE postgres PASSWORD {password}"
                connection.execute(sql.SQL(query).format(password=variables["POSTGRES_PASSWORD"]))
            port = int(str(conninfo_to_dict(self._dsn)["port"]))
            self._doors[name] = Door((binding["HostIp"], int(binding["HostPort"])), port)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "docker-py"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self) -> None:
        parts = urlsplit(self.path)
        path = re.sub(r"^/v[\d.]+", "", parts.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        docker: Daemon = self.server.docker  # type: ignore[attr-defined]
        status, content = docker.handle(self.command, path, query, json.loads(body or b"{}"))
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names that http.server looks for


class Door:
    """A published port: leads to a server until it is closed, and with it all connections."""

    def __init__(self, address: tuple[str, int], port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(address)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                outside, _ = self._listener.accept()
                inside = socket.create_connection(("127.0.0.1", self._port))
                self._sockets += [outside, inside]
                for pair in ((outside, inside), (inside, outside)):
                    threading.Thread(target=_carry, args=pair, daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
