"""A camera of the network that sends JPEGs over HTTP, and fails as such cameras do."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

PATIENCE_S = 10.0
INTERVAL_S = 0.02


class MjpegServer:
    """Sends `pictures` in turn, for ever, to each client; on loopback, on a free port if 0.

    frozen: while set nothing is sent, and connections stay open.
    """

    def __init__(self, pictures: list[bytes], port: int = 0) -> None:
        self.pictures = pictures
        self.frozen = threading.Event()
        self._stop = threading.Event()
        self._clients: list[socket.socket] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._serve(self)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/cam"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """As by a pulled plug: connections break."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self.drop()
        self._thread.join(PATIENCE_S)

    def drop(self) -> None:
        """Break the connections there are."""
        while self._clients:
            client = self._clients.pop()
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client was faster

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        self._clients.append(request.connection)
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        request.end_headers()
        for sent in count():
            while self.frozen.is_set() and not self._stop.is_set():
                self._stop.wait(INTERVAL_S)
            picture = self.pictures[sent % len(self.pictures)]
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            try:
                request.wfile.write(head.encode() + picture + b"\r\n")
            except OSError:
                return
            if self._stop.wait(INTERVAL_S):
                return
