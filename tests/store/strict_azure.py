"""Azure Blob of the strict server, after the Blob Storage REST API."""

import base64
import calendar
import hmac
import re
import secrets
import time
import urllib.parse
import xml.etree.ElementTree as ET
from email.utils import formatdate, parsedate_to_datetime

from strict_http import (Answer, Refusal, check_digest, crc64, md5, pages,
                         xml_text)

BLOCKS_MAX = 50000
BLOCK_MAX = 4000 << 20
BLOB_MAX = 5000 << 20
PAGE_MAX = 5000
SKEW = 15 * 60
# The first version in which a block may have 4000 MiB.
VERSION_MIN = "2019-12-12"
SIGNED = ("content-encoding", "content-language", "content-length",
          "content-md5", "content-type", "date", "if-modified-since",
          "if-match", "if-none-match", "if-unmodified-since", "range")
RESOURCE = "https://storage.azure.com/"


class Blob:
    def __init__(self):
        self.body = None  # None: there are only uncommitted blocks
        self.etag, self.when = "", 0
        self.committed = []  # (id, size), in order
        self.blocks = {}     # uncommitted: id to bytes
        self.old = {}        # committed: id to bytes


class Azure:
    busy = "ServerBusy"

    def __init__(self, server):
        self.server = server
        self.account = "acct" + secrets.token_hex(4)
        self.key = secrets.token_bytes(64)
        self.tenant, self.client = secrets.token_hex(8), secrets.token_hex(8)
        self.client_secret = secrets.token_urlsafe(20)
        self.tokens = {}  # to the second in which it ends
        self.containers = {}

    def key_text(self):
        return base64.b64encode(self.key).decode()

    def mac(self, text):
        return base64.b64encode(
            hmac.digest(self.key, text.encode(), "sha256")).decode()

    def inventory(self):
        blobs = {f"{c}/{n}": b for c, blobs in self.containers.items()
                 for n, b in sorted(blobs.items())}
        return {"objects": {n: len(b.body) for n, b in blobs.items()
                            if b.body is not None},
                "uploads": [n for n, b in blobs.items() if b.blocks]}

    def forget(self, name):
        container, _, blob = name.partition("/")
        del self.containers[container][blob]

    def refused(self, r):
        headers = {"x-ms-error-code": r.code, "Content-Type":
                   "application/xml", "x-ms-request-id": secrets.token_hex(8),
                   **r.headers}
        if r.status == 304:
            return Answer(304, headers=headers)
        return Answer(r.status, f'<?xml version="1.0" encoding="utf-8"?>'
                      f"<Error><Code>{r.code}</Code><Message>"
                      f"{xml_text(r.message)}\nRequestId:0\nTime:0</Message>"
                      f"</Error>", headers)

    # ---- tokens of Entra ID and of a machine's identity ----

    def is_token(self, q):
        return q.path in (f"/{self.tenant}/oauth2/v2.0/token",
                          "/metadata/identity/oauth2/token")

    def give_token(self, q):
        life = self.server.settings["token_life"]
        if q.method == "POST":
            form = dict(urllib.parse.parse_qsl(q.body.decode()))
            want = {"grant_type": "client_credentials",
                    "client_id": self.client,
                    "client_secret": self.client_secret,
                    "scope": RESOURCE + ".default"}
            if form != want:
                return Answer(401, '{"error": "invalid_client", '
                              '"error_description": "AADSTS7000215: no"}')
        elif (q.header("metadata") != "true" or "api-version" not in q.params
              or q.params.get("resource") != RESOURCE):
            return Answer(400, '{"error": "invalid_request"}')
        token = secrets.token_urlsafe(80)
        self.tokens[token] = self.server.now() + life
        return Answer(200, f'{{"token_type": "Bearer", "access_token": '
                      f'"{token}", "expires_in": '
                      f'{life if q.method == "POST" else chr(34) + str(life) + chr(34)}'
                      f'}}', {"Content-Type": "application/json"})

    # ---- who asks, and what it may do ----

    def check_date(self, q):
        text = q.header("x-ms-date") or q.header("date")
        try:
            when = parsedate_to_datetime(text).timestamp()
        except (TypeError, ValueError):
            raise Refusal(403, "AuthenticationFailed", "no date") from None
        if formatdate(when, usegmt=True) != text:
            raise Refusal(403, "AuthenticationFailed", "not a date of HTTP")
        if abs(when - self.server.now()) > SKEW:
            raise Refusal(403, "AuthenticationFailed", "Server failed to "
                          "authenticate the request: the date is too old")

    def check_shared_key(self, q, told):
        self.check_date(q)
        values = [q.header(n) for n in SIGNED]
        if values[2] == "0":
            values[2] = ""
        if q.header("x-ms-date"):
            values[5] = ""
        named = "".join(f"{n}:{q.header(n)}\n" for n in sorted(q.headers)
                        if n.startswith("x-ms-"))
        fields = {}
        for name, value in q.pairs:
            fields.setdefault(name.lower(), []).append(value)
        resource = f"/{self.account}{q.raw_path}" + "".join(
            f"\n{n}:{','.join(sorted(v))}" for n, v in sorted(fields.items()))
        text = "\n".join([q.method, *values, named + resource])
        if told != f"{self.account}:{self.mac(text)}":
            raise Refusal(403, "AuthenticationFailed", "Server failed to "
                          "authenticate the request: not the signature")
        return "racwdl*"

    def sas(self, f):
        """A token; fields: sp, sr (c, b), name, se, st, spr, or ss and srt.

        "se" and "st" may be seconds from now.
        """
        for name in ("se", "st"):
            if re.fullmatch(r"-?\d+", f.get(name, "")):
                f[name] = time.strftime(
                    "%Y-%m-%dT%H:%M:%SZ",
                    time.gmtime(self.server.now() + int(f[name])))
        f = {"sv": "2021-12-02", **f}
        name = f.pop("name", "")
        f["sig"] = self.mac(self.sas_text(f, name))
        return urllib.parse.urlencode(f)

    def sas_text(self, f, name):
        def g(key):
            return f.get(key, "")
        if "ss" in f:
            return "\n".join([self.account, g("sp"), g("ss"), g("srt"),
                              g("st"), g("se"), g("sip"), g("spr"), g("sv"),
                              g("ses"), ""])
        return "\n".join([g("sp"), g("st"), g("se"),
                          f"/blob/{self.account}/{name}", g("si"), g("sip"),
                          g("spr"), g("sv"), g("sr"), "", g("ses"), g("rscc"),
                          g("rscd"), g("rsce"), g("rscl"), g("rsct")])

    def sas_moment(self, text):
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))

    def check_sas(self, q, container, blob):
        f, now = q.params, self.server.now()
        if f.get("sv", "") < "2020-12-06":
            raise Refusal(403, "AuthenticationFailed", "sv")
        name = container if f.get("sr") == "c" else f"{container}/{blob}"
        if not hmac.compare_digest(self.mac(self.sas_text(f, name)), f["sig"]):
            raise Refusal(403, "AuthenticationFailed", "Signature did not "
                          "match")
        if "st" in f and self.sas_moment(f["st"]) > now:
            raise Refusal(403, "AuthenticationFailed", "not yet valid")
        if self.sas_moment(f["se"]) <= now:
            raise Refusal(403, "AuthenticationFailed", "Signature not valid "
                          "in the specified time frame: expired")
        if f.get("spr", "https,http") == "https":
            raise Refusal(403, "AuthorizationProtocolMismatch", "https only")
        if "ss" in f:
            kind = "o" if blob else "c"
            if "b" not in f["ss"] or kind not in f.get("srt", ""):
                raise Refusal(403, "AuthorizationResourceTypeMismatch", kind)
            return f["sp"] + "*"
        return f["sp"]

    def check_bearer(self, q, token):
        if q.header("x-ms-version") < "2017-11-09":
            raise Refusal(403, "AuthenticationFailed", "version")
        self.check_date(q)
        if self.tokens.get(token, 0) <= self.server.now():
            raise Refusal(401, "InvalidAuthenticationInfo", "expired")
        return "racwdl*"

    def authorize(self, q, container, blob):
        """What this request may do, as letters of a SAS."""
        scheme, _, told = q.header("authorization").partition(" ")
        if "sig" in q.params and scheme:
            raise Refusal(400, "InvalidAuthenticationInfo", "two of them")
        if q.header("x-ms-version") and q.header("x-ms-version") < VERSION_MIN:
            raise Refusal(400, "InvalidHeaderValue", "x-ms-version")
        if "sig" in q.params:
            return self.check_sas(q, container, blob)
        if not q.header("x-ms-version"):
            raise Refusal(400, "MissingRequiredHeader", "x-ms-version")
        if scheme == "SharedKey":
            return self.check_shared_key(q, told)
        if scheme == "Bearer":
            return self.check_bearer(q, told)
        raise Refusal(401, "NoAuthenticationInformation", "who is it?")

    # ---- dispatch ----

    def handle(self, q):
        if self.is_token(q):
            return self.give_token(q)
        _, _, container, blob = (q.path.split("/", 3) + ["", ""])[:4]
        may = self.authorize(q, container, blob)
        check_digest(q, "content-md5", md5, "Md5Mismatch")
        check_digest(q, "x-ms-content-crc64",
                     lambda b: crc64(b).to_bytes(8, "little"),
                     "Crc64Mismatch")
        if not blob:
            return self.on_container(q, container, may)
        blobs = self.container(container)
        self.check_name(blob)
        comp = q.params.get("comp", "")
        actions = {("PUT", ""): (self.put_blob, "cw"),
                   ("PUT", "block"): (self.put_block, "w"),
                   ("PUT", "blocklist"): (self.put_list, "w"),
                   ("GET", "blocklist"): (self.get_list, "r"),
                   ("GET", ""): (self.get, "r"), ("HEAD", ""): (self.get, "r"),
                   ("DELETE", ""): (self.delete, "d")}
        action, needs = actions.get((q.method, comp), (None, ""))
        if action is None:
            raise Refusal(400, "InvalidQueryParameterValue", comp)
        self.need(may, needs)
        answer = action(q, blob, blobs, may)
        answer.headers.setdefault("x-ms-request-id", secrets.token_hex(8))
        return answer

    @staticmethod
    def need(may, letters):
        if not set(letters) & set(may):
            raise Refusal(403, "AuthorizationPermissionMismatch",
                          f"needs {letters}")

    @staticmethod
    def check_name(name):
        if len(name) > 1024 or name.endswith((".", "/")) or \
                name.count("/") > 253:
            raise Refusal(400, "InvalidResourceName", name)

    def container(self, name):
        if name not in self.containers:
            raise Refusal(404, "ContainerNotFound", name)
        return self.containers[name]

    def on_container(self, q, name, may):
        if q.params.get("restype") != "container":
            raise Refusal(400, "InvalidQueryParameterValue", "restype")
        comp = q.params.get("comp", "")
        if q.method == "PUT" and not comp:
            self.need(may, "*")
            if not re.fullmatch(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
                                name):
                raise Refusal(400, "InvalidResourceName", name)
            if name in self.containers:
                raise Refusal(409, "ContainerAlreadyExists", name)
            self.containers[name] = {}
            return Answer(201)
        blobs = self.container(name)
        if q.method in ("GET", "HEAD") and not comp:
            self.need(may, "*")
            return Answer(200, headers={"ETag": '"0x1"'})
        if q.method == "GET" and comp == "list":
            self.need(may, "l")
            return self.list_blobs(q, name, blobs)
        raise Refusal(400, "InvalidQueryParameterValue", comp)

    # ---- blobs ----

    def check_create(self, q, name, blobs, may):
        blob = blobs.get(name)
        there = blob is not None and blob.body is not None
        told = q.header("if-none-match")
        if told not in ("", "*"):
            raise Refusal(400, "InvalidHeaderValue", "If-None-Match")
        if there and told == "*":
            raise Refusal(409, "BlobAlreadyExists", name)
        self.check_kept(there)
        if there:
            self.need(may, "w")
        if blob is None:
            blob = blobs[name] = Blob()
        return blob

    def check_kept(self, there):
        """Leases and policies protect what is there."""
        if there and self.server.settings["lock"]:
            raise Refusal(409, "BlobImmutableDueToPolicy", "This operation is "
                          "not permitted as the blob is immutable due to a "
                          "policy.")
        if there and self.server.settings["lease"]:
            raise Refusal(412, "LeaseIdMissing", "There is currently a lease "
                          "on the blob and no lease ID was specified in the "
                          "request.")

    def written(self, blob, body):
        blob.body, blob.when = body, self.server.now()
        blob.etag = f'"0x{secrets.token_hex(8).upper()}"'
        blob.blocks = {}
        return Answer(201, headers={"ETag": blob.etag, "Last-Modified":
                                    formatdate(blob.when, usegmt=True)})

    def put_blob(self, q, name, blobs, may):
        if q.header("x-ms-blob-type") != "BlockBlob":
            raise Refusal(400, "MissingRequiredHeader", "x-ms-blob-type")
        if len(q.body) > BLOB_MAX:
            raise Refusal(413, "RequestBodyTooLarge", "Put Blob")
        blob = self.check_create(q, name, blobs, may)
        blob.committed, blob.old = [], {}
        answer = self.written(blob, q.body)
        answer.headers["Content-MD5"] = base64.b64encode(md5(q.body)).decode()
        return answer

    @staticmethod
    def block_id(text):
        try:
            raw = base64.b64decode(text, validate=True)
        except ValueError:
            raw = b""
        if not 1 <= len(raw) <= 64:
            raise Refusal(400, "InvalidBlockId", text)
        return text

    def put_block(self, q, name, blobs, _may):
        name_of = self.block_id(q.params.get("blockid", ""))
        if not q.body:
            raise Refusal(400, "InvalidHeaderValue", "Content-Length")
        if len(q.body) > BLOCK_MAX:
            raise Refusal(413, "RequestBodyTooLarge", "Put Block")
        blob = blobs.setdefault(name, Blob())
        others = list(blob.blocks) + [b for b, _ in blob.committed]
        if others and len(others[0]) != len(name_of):
            raise Refusal(400, "InvalidBlobOrBlock", "ids differ in length")
        if len(blob.blocks) >= 100000:
            raise Refusal(409, "UncommittedBlockCountExceedsLimit", "")
        blob.blocks[name_of] = q.body
        return Answer(201, headers={"x-ms-content-crc64": base64.b64encode(
            crc64(q.body).to_bytes(8, "little")).decode()})

    def put_list(self, q, name, blobs, may):
        try:
            root = ET.fromstring(q.body)
        except ET.ParseError:
            raise Refusal(400, "InvalidXmlDocument", "no XML") from None
        if root.tag != "BlockList":
            raise Refusal(400, "InvalidXmlDocument", root.tag)
        if len(root) > BLOCKS_MAX:
            raise Refusal(400, "BlockListTooLong", str(len(root)))
        there = blobs.get(name)
        # The condition is looked at first, as the service does.
        if there is not None:
            self.check_create(q, name, blobs, may)
        chosen = []
        for item in root:
            ident = self.block_id(item.text or "")
            new = there.blocks.get(ident) if there else None
            old = there.old.get(ident) if there else None
            data = {"Latest": new if new is not None else old,
                    "Uncommitted": new, "Committed": old}.get(item.tag)
            if data is None:
                raise Refusal(400, "InvalidBlockList", ident)
            chosen.append((ident, data))
        blob = self.check_create(q, name, blobs, may)
        blob.committed = [(i, len(d)) for i, d in chosen]
        blob.old = dict(chosen)
        return self.written(blob, b"".join(d for _, d in chosen))

    @staticmethod
    def get_list(q, name, blobs, _may):
        if name not in blobs:
            raise Refusal(404, "BlobNotFound", name)
        blob = blobs[name]
        kind = q.params.get("blocklisttype", "committed")
        inner = []
        for tag, which, blocks in (
                ("CommittedBlocks", "committed", blob.committed),
                ("UncommittedBlocks", "uncommitted",
                 [(i, len(d)) for i, d in sorted(blob.blocks.items())])):
            if kind in (which, "all"):
                inner.append(f"<{tag}>" + "".join(
                    f"<Block><Name>{i}</Name><Size>{n}</Size></Block>"
                    for i, n in blocks) + f"</{tag}>")
        headers = {"Content-Type": "application/xml"}
        if blob.body is not None:
            headers["ETag"] = blob.etag
        return Answer(200, '<?xml version="1.0" encoding="utf-8"?><BlockList>'
                      + "".join(inner) + "</BlockList>", headers)

    @staticmethod
    def get(q, name, blobs, _may):
        blob = blobs.get(name)
        if blob is None or blob.body is None:
            raise Refusal(404, "BlobNotFound", name)
        match = q.header("if-match")
        if match and match not in ("*", blob.etag):
            raise Refusal(412, "ConditionNotMet", "If-Match")
        headers = {"ETag": blob.etag, "x-ms-blob-type": "BlockBlob",
                   "Accept-Ranges": "bytes",
                   "Last-Modified": formatdate(blob.when, usegmt=True)}
        part = q.range(len(blob.body),
                       "x-ms-range" if q.header("x-ms-range") else "range")
        if part is None:
            return Answer(200, blob.body, headers)
        headers["Content-Range"] = (f"bytes {part[0]}-{part[1] - 1}/"
                                    f"{len(blob.body)}")
        return Answer(206, blob.body[part[0]:part[1]], headers)

    def delete(self, _q, name, blobs, _may):
        if name not in blobs or blobs[name].body is None:
            raise Refusal(404, "BlobNotFound", name)
        self.check_kept(True)
        del blobs[name]
        return Answer(202)

    # ---- lists ----

    def list_blobs(self, q, container, blobs):
        known = {"restype", "comp", "prefix", "delimiter", "marker",
                 "maxresults", "include", "timeout"}
        if "sig" not in q.params and set(q.params) - known:
            raise Refusal(400, "InvalidQueryParameterValue", "parameters")
        prefix = q.params.get("prefix", "")
        limit = int(q.params.get("maxresults", PAGE_MAX))
        if not 1 <= limit <= PAGE_MAX:
            raise Refusal(400, "OutOfRangeQueryParameterValue", "maxresults")
        marker = q.params.get("marker", "")
        if marker:
            try:
                marker = base64.b64decode(marker, validate=True).decode()
            except ValueError:
                raise Refusal(400, "InvalidQueryParameterValue",
                              "marker") from None
        both = "uncommittedblobs" in q.params.get("include", "")
        names = sorted(n for n, b in blobs.items() if n.startswith(prefix) and
                       (both or b.body is not None))
        entries, after = pages(names, marker,
                               min(limit, self.server.settings["page"]),
                               q.params.get("delimiter"), prefix)
        inner = []
        for name, is_prefix in entries:
            if is_prefix:
                inner.append(f"<BlobPrefix><Name>{xml_text(name)}</Name>"
                             f"</BlobPrefix>")
                continue
            b = blobs[name]
            inner.append(f"<Blob><Name>{xml_text(name)}</Name><Properties>"
                         f"<Last-Modified>{formatdate(b.when, usegmt=True)}"
                         f"</Last-Modified><Etag>{b.etag.strip(chr(34))}"
                         f"</Etag><Content-Length>{len(b.body or b'')}"
                         f"</Content-Length><BlobType>BlockBlob</BlobType>"
                         f"</Properties></Blob>")
        token = base64.b64encode(after.encode()).decode() if after else ""
        return Answer(200, f'<?xml version="1.0" encoding="utf-8"?>'
                      f'<EnumerationResults ServiceEndpoint="http://x/" '
                      f'ContainerName="{container}"><Prefix>'
                      f"{xml_text(prefix)}</Prefix><Blobs>{''.join(inner)}"
                      f"</Blobs><NextMarker>{token}</NextMarker>"
                      f"</EnumerationResults>",
                      {"Content-Type": "application/xml"})


