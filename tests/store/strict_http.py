"""One connection of the strict server: HTTP, faults, the log."""

import base64
import hashlib
import re
import select
import socket
import struct
import time
import urllib.parse
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

STALL = 3600
# The longest body that is read at all.
BODY_MAX = 512 << 20


class Refusal(Exception):
    """An error that the service answers with."""

    def __init__(self, status, code, message="", headers=None):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message
        self.headers = headers or {}


class Request:
    def __init__(self, handler):
        self.method = handler.command
        self.target = handler.path
        self.raw_path, _, self.query = handler.path.partition("?")
        self.path = urllib.parse.unquote(self.raw_path)
        self.pairs = urllib.parse.parse_qsl(self.query,
                                            keep_blank_values=True)
        self.params = dict(self.pairs)
        self.headers = {}
        for name, value in handler.headers.items():
            name = name.lower()
            if name in self.headers:
                raise Refusal(400, "InvalidHeader", f"{name} twice")
            self.headers[name] = value.strip()
        self.body = b""

    def header(self, name):
        return self.headers.get(name, "")

    def range(self, size, name="range"):
        """Begin and end (exclusive) of the bytes that are asked for."""
        text = self.header(name)
        if not text:
            return None
        m = re.fullmatch(r"bytes=(\d+)-(\d*)", text)
        if not m:
            raise Refusal(400, "InvalidHeaderValue", "range")
        begin = int(m[1])
        end = int(m[2]) + 1 if m[2] else size
        if begin >= size or end <= begin:
            raise Refusal(416, "InvalidRange", "past the end",
                          {"Content-Range": f"bytes */{size}"})
        return begin, min(end, size)


class Answer:
    def __init__(self, status, body=b"", headers=None):
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = headers or {}
        self.length = None  # what is told instead of the true one


def crc(data, width, poly):
    """A reflected CRC with all ones before and after.

    Bytes are one long polynomial; the upper half is folded on the lower one
    with shifts of whole integers, which is fast enough in Python.
    """
    flip = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))
    ones = (1 << width) - 1
    bits = 8 * len(data)
    value = int.from_bytes(data.translate(flip), "big") << width
    value ^= ones << bits
    while value.bit_length() > 4096:
        half = value.bit_length() // 2
        step = power(half, width, poly)
        high, value = value >> half, value & ((1 << half) - 1)
        for i in range(width):
            if step >> i & 1:
                value ^= high << i
    value = remainder(value, width, poly)
    return int(f"{value:0{width}b}"[::-1], 2) ^ ones


def remainder(value, width, poly):
    whole = 1 << width | poly
    while value.bit_length() > width:
        value ^= whole << (value.bit_length() - width - 1)
    return value


def power(n, width, poly):
    """x to the n, modulo the polynomial."""
    result, base = 1, 2
    while n:
        if n & 1:
            result = remainder(times(result, base), width, poly)
        base = remainder(times(base, base), width, poly)
        n >>= 1
    return result


def times(a, b):
    result = 0
    while b:
        if b & 1:
            result ^= a
        a, b = a << 1, b >> 1
    return result


def crc64(data):
    """CRC-64/NVME, the one of Azure and of x-amz-checksum-crc64nvme."""
    return crc(data, 64, 0xAD93D23594C93659)


def crc32c(data):
    return crc(data, 32, 0x1EDC6F41)


def check_digest(request, name, compute, code):
    """A digest that is sent along must be that of the body."""
    text = request.header(name)
    if not text:
        return
    try:
        got = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refusal(400, "InvalidDigest", name) from None
    want = compute(request.body)
    if len(got) != len(want):
        raise Refusal(400, "InvalidDigest", name)
    if got != want:
        raise Refusal(400, code, f"{name} is not that of the body")


def flip(data):
    middle = len(data) // 2
    return (data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:])


def md5(data):
    return hashlib.md5(data).digest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "strict"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, format, *args):  # noqa: A002
        pass

    def serve(self):
        request = None
        try:
            request = Request(self)
            control = request.path.startswith("/-/")
            kind = None if control else self.server.plan.next(
                request.method, request.target)
            self.read_body(request, kind)
            if control:
                with self.server.lock:
                    text = self.server.control(request)
                self.send(request, Answer(200, text))
                return
            self.server.come(1)
            try:
                time.sleep(self.server.settings["slow"])
                self.answer(request, kind)
            finally:
                self.server.come(-1)
        except Refusal as r:
            self.close_connection = True
            self.send(request, Answer(r.status, r.code))

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = serve

    def read_body(self, request, kind):
        length = request.header("content-length")
        if request.header("transfer-encoding"):
            raise Refusal(411, "MissingContentLengthHeader", "chunked")
        if request.method in ("PUT", "POST") and not length.isdigit():
            raise Refusal(411, "MissingContentLength", "no length")
        n = int(length or 0)
        if n > BODY_MAX:
            raise Refusal(413, "RequestBodyTooLarge", "too long")
        if kind == "early":
            self.rfile.read(n // 2)
            self.note(request, 0, kind)
            self.reset()
            raise ConnectionResetError
        request.body = self.rfile.read(n)
        if len(request.body) != n:
            raise ConnectionResetError
        if kind == "flip-in" and n > 0:
            request.body = flip(request.body)

    # ---- answering ----

    def answer(self, request, kind):
        protocol = self.server.pick(request)
        answer = self.before(request, protocol, kind)
        if answer is None:
            try:
                with self.server.lock:
                    answer = protocol.handle(request)
            except Refusal as r:
                answer = protocol.refused(r)
            answer = self.after(request, protocol, answer, kind)
        if answer is not None:
            self.note(request, answer.status, kind)
            self.send(request, answer, kind)

    def before(self, request, protocol, kind):
        """Failures of a request that is not done."""
        word, _, seconds = (kind or "").partition("+")
        if word.isdigit():
            codes = {"409": "ConditionalRequestConflict",
                     "429": "TooManyRequests", "500": "InternalError",
                     "503": protocol.busy}
            headers = {"Retry-After": seconds} if seconds else {}
            return protocol.refused(
                Refusal(int(word), codes.get(word, "Planned"), "as planned",
                        headers))
        if word == "empty":
            return Answer(200)
        if word == "error-200":
            answer = protocol.refused(Refusal(200, "InternalError", "later"))
            return answer
        if word == "reset":
            self.note(request, 0, kind)
            self.reset()
            raise ConnectionResetError
        if word == "stall":
            self.note(request, 0, kind)
            self.stall(int(seconds or STALL))
            self.reset()
            raise ConnectionResetError
        return None

    def after(self, request, protocol, answer, kind):
        """Failures of a request that is done."""
        if kind in ("lost", "lost-stall"):
            self.note(request, answer.status, kind)
            if kind == "lost-stall":
                self.stall()
            self.reset()
            raise ConnectionResetError
        if kind == "lost-500":
            return protocol.refused(Refusal(500, "InternalError", "lost"))
        if kind == "lie-etag" and "ETag" in answer.headers:
            answer.headers["ETag"] = '"%s"' % ("0" * 32)
        if kind == "lie-length" and answer.body:
            answer.length = len(answer.body) - 1
        if kind == "flip" and answer.body:
            answer.body = flip(answer.body)
        return answer

    def send(self, request, answer, kind=None):
        body = b"" if request and request.method == "HEAD" else answer.body
        length = answer.length
        if length is None:
            length = answer.headers.pop("Content-Length", len(answer.body))
        else:
            self.close_connection = True
        head = [f"HTTP/1.1 {answer.status} Told",
                f"Date: {formatdate(self.server.now(), usegmt=True)}",
                f"Server: {self.server_version}"]
        if answer.status not in (204, 304):
            head.append(f"Content-Length: {length}")
        head += [f"{name}: {value}" for name, value in answer.headers.items()]
        if self.close_connection:
            head.append("Connection: close")
        data = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")
        if kind in ("cut", "stall-body"):
            # Half of the body, or when there is none, half of the head.
            data = (data + body[:len(body) // 2] if body
                    else data[:len(data) // 2])
            self.wfile.write(data)
            self.wfile.flush()
            if kind == "stall-body":
                self.stall()
            self.close_connection = True
            return
        self.wfile.write(data + body if len(body) < 65536 else data)
        if len(body) >= 65536:
            self.wfile.write(body)
        self.wfile.flush()

    def stall(self, seconds=STALL):
        """Waits until the client goes away, or that long."""
        if select.select([self.connection], [], [], seconds)[0]:
            raise ConnectionResetError

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.connection.close()

    # ---- the log ----

    def note(self, request, status, kind):
        auth = request.header("authorization").split(" ")[0]
        if not auth and "sig" in request.params:
            auth = "sas"
        kept = {name: value for name, value in request.headers.items()
                if name in ("if-none-match", "if-match", "range",
                            "content-length", "content-md5", "host") or
                name.startswith(("x-ms-", "x-amz-"))}
        kept.pop("x-amz-security-token", None)
        target = re.sub(r"(sig|X-Amz-Signature)=[^&]*", r"\1=...",
                        request.target)
        self.server.log(time=round(time.time(), 3), method=request.method, target=target, status=status,
                        fault=kind, auth=auth or "none", headers=kept)


def xml_text(text):
    return (text.replace("&", "&amp;").replace("<", "&lt;")
            .replace(">", "&gt;"))


def pages(names, marker, limit, delimiter, prefix):
    """Groups sorted names by delimiter; gives entries and the next marker.

    An entry is (name, is_prefix); the marker is the last entry's name.
    """
    entries, last = [], None
    for name in names:
        entry = (name, False)
        if delimiter:
            at = name.find(delimiter, len(prefix))
            if at >= 0:
                entry = (name[:at + len(delimiter)], True)
        if entry == last or (marker and (
                entry[0] <= marker or (entry[1] and
                                       name.startswith(marker)))):
            last = entry if entry == last else last
            continue
        if len(entries) == limit:
            return entries, entries[-1][0]
        entries.append(entry)
        last = entry
    return entries, ""
