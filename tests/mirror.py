"""Um espelho de mentira em localhost: um servidor HTTP de verdade, com um defeito por pasta.

`http://127.0.0.1:porta/cut/arquivo.gz` serve o arquivo com o defeito `cut`; `good` não tem nenhum.
"""

import gzip
import itertools
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Mirror(ThreadingHTTPServer):
    """Serve `files`, de nome a conteúdo descompactado.

    requests: (defeito, nome, Range) de cada pedido, na ordem · cured: defeitos que passaram a servir como `good`.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, files: dict[str, bytes]):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.requests = []
        self.cured = set()
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def url(self, fault: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{fault}/"

    def compressed(self, name: str, level: int = 9) -> bytes:
        return gzip.compress(self.files[name], level, mtime=0)

    def stop(self):
        self.over.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """O cliente que desiste no meio faz parte dos testes."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        _, fault, name = self.path.split("/")
        self.server.requests.append((fault, name, self.headers.get("Range")))
        name = name.removesuffix(".gz")
        self.count = sum(request[:2] == (fault, f"{name}.gz") for request in self.server.requests)
        self.body = self.server.compressed(name)
        self.start = int((self.headers.get("Range") or "bytes=0-")[len("bytes=") : -1])
        self.name = name
        getattr(self, "serve_good" if fault in self.server.cured else f"serve_{fault}", self.serve_status)()

    def log_message(self, *args):
        """Calado."""

    def reply(self, body, *, start=0, length=None, upto=None):
        """Responde `body` a partir de `start`; `length` é o que se anuncia, `upto` onde se corta."""
        if start:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start if length is None else length))
        self.end_headers()
        self.wfile.write(body[start:upto])

    # Sem defeito

    def serve_good(self):
        if self.start >= len(self.body):
            self.send_error(416)
        else:
            self.reply(self.body, start=self.start)

    def serve_no_range(self):
        self.reply(self.body)

    def serve_plain(self):
        self.reply(self.server.files[self.name])

    def serve_no_length(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def serve_chunked(self):
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in (self.body[:100], self.body[100:], b""):
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    def serve_redirect(self):
        self.send_response(302)
        self.send_header("Location", self.path.replace("/redirect/", "/good/"))
        self.end_headers()

    # Defeitos que passam

    def serve_cut(self):
        """Três pedaços: corta a um terço e a dois terços."""
        self.reply(self.body, start=self.start, upto=self.start + len(self.body) // 3 + 1)

    def serve_small_pieces(self):
        """Responde menos do que se pediu, sem cortar: o tamanho anunciado é o do pedaço."""
        upto = min(self.start + len(self.body) // 3 + 1, len(self.body))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {self.start}-{upto - 1}/{len(self.body)}")
        self.send_header("Content-Length", str(upto - self.start))
        self.end_headers()
        self.wfile.write(self.body[self.start : upto])

    def serve_stall_once(self):
        if self.count == 1:
            self.reply(self.body, upto=len(self.body) // 2)
            self.server.over.wait(20)
        else:
            self.reply(self.body, start=self.start)

    def serve_changed(self):
        """Cortado, o arquivo é recomprimido antes da retomada."""
        if self.count == 1:
            self.reply(self.body, upto=len(self.body) // 2)
        else:
            self.reply(self.server.compressed(self.name, 0), start=self.start)

    def serve_wrong_piece(self):
        if not self.start:
            return self.reply(self.body)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes 0-9/{len(self.body)}")
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(self.body[:10])
        return None

    # Defeitos que ficam

    def serve_status(self):
        self.send_error(int(self.path.split("/")[1]))

    def serve_redirect_loop(self):
        self.send_response(302)
        self.send_header("Location", self.path)
        self.end_headers()

    def serve_silent(self):
        self.server.over.wait(20)

    def serve_stall(self):
        """Fala tudo menos o último byte, e se cala; sem Range."""
        self.reply(self.body, upto=-1)
        self.server.over.wait(20)

    def serve_drip(self):
        self.reply(self.body, upto=0)
        for byte in self.body:
            if self.server.over.wait(0.02):
                return
            self.wfile.write(bytes([byte]))

    def serve_cut_same_place(self):
        self.reply(self.body, upto=len(self.body) // 2)

    def serve_cut_chunked(self):
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(f"{len(self.body):x}\r\n".encode() + self.body[:100])

    def serve_hang_up(self):
        """Desliga (RST) sem responder."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def serve_nonsense(self):
        self.wfile.write(b"isto nao e HTTP\r\n\r\n")

    def serve_corrupt(self):
        self.reply(self.body[:-30] + bytes([self.body[-30] ^ 1]) + self.body[-29:])

    def serve_altered(self):
        content = bytearray(self.server.files[self.name])
        content[-1] ^= 1
        self.reply(gzip.compress(content))

    def serve_truncated(self):
        self.reply(self.body[: len(self.body) // 2])

    def serve_short(self):
        self.reply(gzip.compress(self.server.files[self.name][:-1]))

    def serve_long(self):
        self.reply(gzip.compress(self.server.files[self.name] + b"\0"))

    def serve_html(self):
        self.reply(b"<!DOCTYPE html><title>Entre na rede da escola</title>")

    def serve_empty(self):
        self.reply(b"")

    def serve_garbage(self):
        self.reply(bytes(range(1, 200)))

    def serve_swapped(self):
        swap = {"images": "labels", "labels": "images", "idx3": "idx1", "idx1": "idx3"}
        self.reply(self.server.compressed("-".join(swap.get(part, part) for part in self.name.split("-"))))

    def serve_other_split(self):
        swap = {"train": "t10k", "t10k": "train"}
        self.reply(self.server.compressed("-".join(swap.get(part, part) for part in self.name.split("-"))))

    def serve_bomb(self):
        """20 MB de zeros depois do conteúdo certo, em 20 kB."""
        self.reply(gzip.compress(self.server.files[self.name] + bytes(20_000_000)))

    def serve_huge(self):
        self.reply(self.body, length=10**15)

    def serve_endless(self):
        self.send_response(200)
        self.end_headers()
        for _ in itertools.count():
            self.wfile.write(bytes(4096))
