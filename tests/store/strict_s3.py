"""S3 of the strict server, after the Amazon S3 API Reference 2006-03-01."""

import base64
import binascii
import calendar
import hashlib
import hmac
import re
import secrets
import time
import urllib.parse
import xml.etree.ElementTree as ET

from strict_http import (Answer, Refusal, check_digest, crc32c, crc64, md5,
                         pages, xml_text)

PART_MIN = 5 << 20
PARTS_MAX = 10000
PUT_MAX = 5 << 30
KEY_MAX = 1024
PAGE_MAX = 1000
SKEW = 15 * 60
NS = "http://s3.amazonaws.com/doc/2006-03-01/"


def escape(text, slash=""):
    return urllib.parse.quote(text, safe="-._~" + slash)


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


class Object:
    def __init__(self, body, etag, when):
        self.body, self.etag, self.when = body, etag, when


class Upload:
    def __init__(self, bucket, key, algorithm, when):
        self.bucket, self.key, self.when = bucket, key, when
        self.algorithm = algorithm
        self.parts = {}


class S3:
    busy = "SlowDown"

    def __init__(self, server, region):
        self.server, self.region = server, region
        self.key_id = "AKIA" + secrets.token_hex(8).upper()
        self.secret = secrets.token_urlsafe(30)
        self.token = secrets.token_urlsafe(60)
        self.buckets = {}
        self.uploads = {}

    def inventory(self):
        return {"objects": {f"{b}/{k}": len(o.body)
                            for b, objects in self.buckets.items()
                            for k, o in sorted(objects.items())},
                "uploads": [f"{u.bucket}/{u.key}"
                            for u in self.uploads.values()]}

    def refused(self, r):
        body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>'
                f"{r.code}</Code><Message>{xml_text(r.message)}</Message>"
                f"<RequestId>{secrets.token_hex(8)}</RequestId></Error>")
        headers = {"Content-Type": "application/xml",
                   "x-amz-request-id": secrets.token_hex(8), **r.headers}
        return Answer(r.status, body, headers)

    # ---- signatures ----

    def check_signature(self, q):
        """Signature Version 4, in the Authorization header."""
        auth = q.header("authorization")
        if not auth:
            raise Refusal(403, "AccessDenied", "no signature")
        m = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/"
                         r"([^/]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?"
                         r"Signature=([0-9a-f]{64})", auth)
        if not m:
            raise Refusal(400, "AuthorizationHeaderMalformed", "not of V4")
        key_id, day, region, names, signature = m.groups()
        if key_id != self.key_id:
            raise Refusal(403, "InvalidAccessKeyId", "no such key")
        if region != self.region:
            raise Refusal(400, "AuthorizationHeaderMalformed",
                          f"the region '{region}' is wrong; expecting "
                          f"'{self.region}'")
        if q.header("x-amz-security-token") != self.token:
            raise Refusal(400, "InvalidToken", "not the token")
        when = q.header("x-amz-date")
        if not re.fullmatch(r"\d{8}T\d{6}Z", when) or when[:8] != day:
            raise Refusal(403, "AccessDenied", "no date of use")
        seconds = calendar.timegm(time.strptime(when, "%Y%m%dT%H%M%SZ"))
        if abs(seconds - self.server.now()) > SKEW:
            raise Refusal(403, "RequestTimeTooSkewed", "the clocks differ")
        names = names.split(";")
        needed = {"host"} | {n for n in q.headers if n.startswith("x-amz-")}
        if "content-md5" in q.headers:
            needed.add("content-md5")
        if names != sorted(names) or needed - set(names):
            raise Refusal(403, "AccessDenied", "There were headers present "
                          "in the request which were not signed")
        if hmac.compare_digest(self.sign(q, when, names), signature):
            return
        raise Refusal(403, "SignatureDoesNotMatch", "not the signature")

    def sign(self, q, when, names):
        pairs = sorted((escape(k), escape(v)) for k, v in q.pairs)
        canonical = "\n".join([
            q.method, escape(q.path, "/"),
            "&".join(f"{k}={v}" for k, v in pairs),
            *[f"{n}:{' '.join(q.header(n).split())}" for n in names], "",
            ";".join(names), q.header("x-amz-content-sha256")])
        scope = f"{when[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", when, scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret).encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()

    @staticmethod
    def check_payload(q):
        told = q.header("x-amz-content-sha256")
        if not told:
            raise Refusal(400, "InvalidRequest",
                          "Missing required header: x-amz-content-sha256")
        if told != "UNSIGNED-PAYLOAD":
            if told.startswith("STREAMING-"):
                raise Refusal(501, "NotImplemented", "streaming signature")
            if told != hashlib.sha256(q.body).hexdigest():
                raise Refusal(400, "XAmzContentSHA256Mismatch", "not the body")
        check_digest(q, "content-md5", md5, "BadDigest")
        check_digest(q, "x-amz-checksum-sha256",
                     lambda b: hashlib.sha256(b).digest(), "BadDigest")
        check_digest(q, "x-amz-checksum-crc32c",
                     lambda b: crc32c(b).to_bytes(4, "big"), "BadDigest")
        check_digest(q, "x-amz-checksum-crc32",
                     lambda b: binascii.crc32(b).to_bytes(4, "big"),
                     "BadDigest")
        check_digest(q, "x-amz-checksum-crc64nvme",
                     lambda b: crc64(b).to_bytes(8, "big"), "BadDigest")

    # ---- dispatch ----

    def handle(self, q):
        bucket, key = self.place(q)
        self.check_signature(q)
        self.check_payload(q)
        if not bucket:
            raise Refusal(501, "NotImplemented", "list of buckets")
        if not key:
            return self.on_bucket(q, bucket)
        objects = self.bucket(bucket)
        if len(key.encode()) > KEY_MAX:
            raise Refusal(400, "KeyTooLongError", "over 1024 bytes")
        self.check_policy(q)
        if "uploadId" in q.params or "uploads" in q.params:
            return self.on_upload(q, bucket, key, objects)
        if q.params:
            raise Refusal(501, "NotImplemented", "parameters")
        actions = {"PUT": self.put, "GET": self.get, "HEAD": self.get,
                   "DELETE": self.delete}
        if q.method not in actions:
            raise Refusal(405, "MethodNotAllowed", q.method)
        return actions[q.method](q, key, objects)

    def need(self, action):
        if action in self.server.settings["deny"]:
            raise Refusal(403, "AccessDenied", f"User is not authorized to "
                          f"perform: {action}")

    def check_policy(self, q):
        """The action of IAM that a request for an object is."""
        if q.method == "DELETE" and "uploadId" in q.params:
            self.need("s3:AbortMultipartUpload")
        elif q.method == "DELETE":
            self.need("s3:DeleteObject")
        elif q.method in ("PUT", "POST"):
            self.need("s3:PutObject")
        else:
            self.need("s3:GetObject")

    def check_bucket_policy(self, q):
        if q.method == "GET" and "uploads" in q.params:
            self.need("s3:ListBucketMultipartUploads")
        elif q.method == "PUT":
            self.need("s3:CreateBucket")
        else:
            self.need("s3:ListBucket")

    @staticmethod
    def place(q):
        """Bucket and key, of path style or of a virtual host."""
        host = q.header("host").split(":")[0]
        if host.endswith(".localhost"):
            return host[:-len(".localhost")], q.path[1:]
        bucket, _, key = q.path[1:].partition("/")
        return bucket, key

    def bucket(self, name):
        if name not in self.buckets:
            raise Refusal(404, "NoSuchBucket", "no such bucket")
        return self.buckets[name]

    def on_bucket(self, q, name):
        self.check_bucket_policy(q)
        if q.method == "PUT" and not q.params:
            return self.create_bucket(q, name)
        objects = self.bucket(name)
        if q.method == "HEAD":
            return Answer(200, headers={"x-amz-bucket-region": self.region})
        if q.method == "GET" and "uploads" in q.params:
            return self.list_uploads(q, name)
        if q.method == "GET" and q.params.get("list-type") == "2":
            return self.list_objects(q, name, objects)
        raise Refusal(501, "NotImplemented", "of a bucket")

    def create_bucket(self, q, name):
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
            raise Refusal(400, "InvalidBucketName", name)
        if name in self.buckets:
            raise Refusal(409, "BucketAlreadyOwnedByYou", name)
        region = ""
        if q.body:
            root = ET.fromstring(q.body)
            region = root.findtext(f"{{{NS}}}LocationConstraint") or ""
        if region != ("" if self.region == "us-east-1" else self.region):
            raise Refusal(400, "IllegalLocationConstraintException", region)
        self.buckets[name] = {}
        return Answer(200, headers={"Location": f"/{name}"})

    # ---- objects ----

    def check_create(self, q, key, objects):
        """If-None-Match; true for every writer but one."""
        told = q.header("if-none-match")
        if told and told != "*":
            raise Refusal(501, "NotImplemented", "If-None-Match: " + told)
        if told and key in objects and not self.server.settings["lax"]:
            raise Refusal(412, "PreconditionFailed", "the key exists")
        locked = self.server.settings["lock"]
        if locked and key in objects and not told:
            raise Refusal(403, "AccessDenied", "object protected by object "
                          "lock")

    def put(self, q, key, objects):
        if len(q.body) > PUT_MAX:
            raise Refusal(400, "EntityTooLarge", "over 5 GiB")
        if self.server.settings["lock"] and not any(
                n == "content-md5" or n.startswith("x-amz-checksum-")
                for n in q.headers):
            raise Refusal(400, "InvalidRequest", "Content-MD5 OR "
                          "x-amz-checksum- HTTP header is required for Put "
                          "Object requests with Object Lock parameters")
        self.check_create(q, key, objects)
        etag = f'"{md5(q.body).hex()}"'
        objects[key] = Object(q.body, etag, self.server.now())
        return Answer(200, headers={"ETag": etag})

    def get(self, q, key, objects):
        if key not in objects:
            raise Refusal(404, "NoSuchKey", "no such key")
        o = objects[key]
        match = q.header("if-match")
        if match and match not in ("*", o.etag):
            raise Refusal(412, "PreconditionFailed", "If-Match")
        headers = {"ETag": o.etag, "Accept-Ranges": "bytes",
                   "Last-Modified": time.strftime(
                       "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(o.when))}
        part = q.range(len(o.body))
        if part is None:
            return Answer(200, o.body, headers)
        headers["Content-Range"] = (f"bytes {part[0]}-{part[1] - 1}/"
                                    f"{len(o.body)}")
        return Answer(206, o.body[part[0]:part[1]], headers)

    def delete(self, _q, key, objects):
        if self.server.settings["lock"] and key in objects:
            raise Refusal(403, "AccessDenied", "Access Denied because object "
                          "protected by object lock.")
        objects.pop(key, None)
        return Answer(204)

    # ---- multipart ----

    def on_upload(self, q, bucket, key, objects):
        if q.method == "POST" and "uploads" in q.params:
            name = secrets.token_urlsafe(24)
            self.uploads[name] = Upload(
                bucket, key, q.header("x-amz-checksum-algorithm"),
                self.server.now())
            return self.xml("InitiateMultipartUploadResult",
                            f"<Bucket>{bucket}</Bucket><Key>{xml_text(key)}"
                            f"</Key><UploadId>{name}</UploadId>")
        name = q.params.get("uploadId", "")
        upload = self.uploads.get(name)
        if upload is None or (upload.bucket, upload.key) != (bucket, key):
            raise Refusal(404, "NoSuchUpload", "The specified upload does not "
                          "exist")
        if q.method == "PUT":
            return self.put_part(q, upload)
        if q.method == "POST":
            return self.complete(q, name, upload, objects)
        if q.method == "DELETE":
            del self.uploads[name]
            return Answer(204)
        if q.method == "GET":
            return self.list_parts(q, upload)
        raise Refusal(405, "MethodNotAllowed", q.method)

    @staticmethod
    def put_part(q, upload):
        number = q.params.get("partNumber", "")
        if not number.isdigit() or not 1 <= int(number) <= PARTS_MAX:
            raise Refusal(400, "InvalidArgument", "part number")
        if upload.algorithm and (f"x-amz-checksum-{upload.algorithm.lower()}"
                                 not in q.headers):
            raise Refusal(400, "InvalidRequest", "checksum of the part")
        etag = f'"{md5(q.body).hex()}"'
        upload.parts[int(number)] = Object(q.body, etag, 0)
        return Answer(200, headers={"ETag": etag})

    @staticmethod
    def told_parts(q, upload):
        """The parts that a list names, checked."""
        try:
            root = ET.fromstring(q.body)
        except ET.ParseError:
            raise Refusal(400, "MalformedXML", "no XML") from None
        ns = f"{{{NS}}}" if root.tag.startswith("{") else ""
        if root.tag != ns + "CompleteMultipartUpload" or not len(root):
            raise Refusal(400, "MalformedXML", root.tag)
        parts, last = [], 0
        for item in root:
            number = int(item.findtext(ns + "PartNumber"))
            if number <= last:
                raise Refusal(400, "InvalidPartOrder", str(number))
            last = number
            part = upload.parts.get(number)
            if part is None or item.findtext(ns + "ETag") != part.etag:
                raise Refusal(400, "InvalidPart", str(number))
            if upload.algorithm == "SHA256":
                digest = hashlib.sha256(part.body).digest()
                if item.findtext(ns + "ChecksumSHA256") != \
                        base64.b64encode(digest).decode():
                    raise Refusal(400, "InvalidPart", "checksum")
            parts.append(part)
        if any(len(p.body) < PART_MIN for p in parts[:-1]):
            raise Refusal(400, "EntityTooSmall", "part under 5 MiB")
        return parts

    def complete(self, q, name, upload, objects):
        parts = self.told_parts(q, upload)
        self.check_create(q, upload.key, objects)
        digests = b"".join(bytes.fromhex(p.etag.strip('"')) for p in parts)
        etag = f'"{md5(digests).hex()}-{len(parts)}"'
        body = b"".join(p.body for p in parts)
        objects[upload.key] = Object(body, etag, self.server.now())
        del self.uploads[name]
        return self.xml("CompleteMultipartUploadResult",
                        f"<Bucket>{upload.bucket}</Bucket><Key>"
                        f"{xml_text(upload.key)}</Key><ETag>{etag}</ETag>")

    # ---- lists ----

    def xml(self, name, inner):
        return Answer(200, f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} '
                      f'xmlns="{NS}">{inner}</{name}>',
                      {"Content-Type": "application/xml"})

    def limit(self, q, name):
        text = q.params.get(name, str(PAGE_MAX))
        if not text.isdigit():
            raise Refusal(400, "InvalidArgument", name)
        return min(int(text), PAGE_MAX, self.server.settings["page"])

    def list_objects(self, q, bucket, objects):
        known = {"list-type", "prefix", "delimiter", "continuation-token",
                 "max-keys", "encoding-type", "start-after"}
        if set(q.params) - known:
            raise Refusal(400, "InvalidArgument", "parameters")
        prefix = q.params.get("prefix", "")
        marker = q.params.get("start-after", "")
        token = q.params.get("continuation-token")
        if token is not None:
            try:
                marker = base64.b64decode(token, validate=True).decode()
            except ValueError:
                raise Refusal(400, "InvalidArgument", "token") from None
        coded = q.params.get("encoding-type") == "url"
        show = (lambda n: escape(n, "/")) if coded else xml_text
        names = sorted(k for k in objects if k.startswith(prefix))
        entries, after = pages(names, marker, self.limit(q, "max-keys"),
                               q.params.get("delimiter"), prefix)
        inner = [f"<Name>{bucket}</Name><Prefix>{show(prefix)}</Prefix>"
                 f"<KeyCount>{len(entries)}</KeyCount><IsTruncated>"
                 f"{'true' if after else 'false'}</IsTruncated>"]
        if after:
            # Such tokens have to be escaped: '+', '/' and '=' are in them.
            inner.append("<NextContinuationToken>" +
                         base64.b64encode(after.encode()).decode() +
                         "</NextContinuationToken>")
        for name, is_prefix in entries:
            if is_prefix:
                inner.append(f"<CommonPrefixes><Prefix>{show(name)}</Prefix>"
                             f"</CommonPrefixes>")
            else:
                o = objects[name]
                inner.append(f"<Contents><Key>{show(name)}</Key><LastModified>"
                             f"{stamp(o.when)}</LastModified><ETag>{o.etag}"
                             f"</ETag><Size>{len(o.body)}</Size></Contents>")
        return self.xml("ListBucketResult", "".join(inner))

    def list_uploads(self, q, bucket):
        prefix = q.params.get("prefix", "")
        after = (q.params.get("key-marker", ""),
                 q.params.get("upload-id-marker", ""))
        limit = self.limit(q, "max-uploads")
        found = sorted((u.key, name) for name, u in self.uploads.items()
                       if u.bucket == bucket and u.key.startswith(prefix))
        found = [f for f in found if f > after]
        more = len(found) > limit
        found = found[:limit]
        inner = [f"<Bucket>{bucket}</Bucket><IsTruncated>"
                 f"{'true' if more else 'false'}</IsTruncated>"]
        if more:
            inner.append(f"<NextKeyMarker>{xml_text(found[-1][0])}"
                         f"</NextKeyMarker><NextUploadIdMarker>{found[-1][1]}"
                         f"</NextUploadIdMarker>")
        age = self.server.settings["upload_age"]
        for key, name in found:
            inner.append(f"<Upload><Key>{xml_text(key)}</Key><UploadId>{name}"
                         f"</UploadId><Initiated>"
                         f"{stamp(self.uploads[name].when - age)}"
                         f"</Initiated>"
                         f"</Upload>")
        return self.xml("ListMultipartUploadsResult", "".join(inner))

    def list_parts(self, q, upload):
        limit = self.limit(q, "max-parts")
        after = int(q.params.get("part-number-marker", 0))
        numbers = sorted(n for n in upload.parts if n > after)
        more = len(numbers) > limit
        inner = [f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"]
        for n in numbers[:limit]:
            p = upload.parts[n]
            inner.append(f"<Part><PartNumber>{n}</PartNumber><ETag>{p.etag}"
                         f"</ETag><Size>{len(p.body)}</Size></Part>")
        if more:
            inner.append(f"<NextPartNumberMarker>{numbers[limit - 1]}"
                         f"</NextPartNumberMarker>")
        return self.xml("ListPartsResult", "".join(inner))
