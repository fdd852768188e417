#!/usr/bin/env python3
"""Gives tokens as Entra ID and the metadata service of Azure's machines do,
and is a blob service that takes the newest of them only.
usage: entra.py PORTFILE LOG   (log: one line for each request)"""
import json
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

given = []
first_503 = [True]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind="application/json", fields=()):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def token(self, lifetime):
        given.append("token-%d" % (len(given) + 1))
        self.answer(200, json.dumps({"access_token": given[-1],
                                     "expires_in": lifetime}))

    def note(self, what):
        with open(sys.argv[2], "a", encoding="ascii") as log:
            log.write(what + "\n")

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        form = urllib.parse.parse_qs(self.rfile.read(size).decode())
        self.note("POST " + self.path)
        if form.get("client_secret") != ["s3cret&x"]:
            self.answer(401, json.dumps({
                "error": "invalid_client",
                "error_description": "AADSTS7000215: Invalid client secret."
                                     "\r\nTrace ID: 1"}))
            return
        assert form["scope"] == ["https://storage.azure.com/.default"], form
        assert form["client_id"] == ["app"], form
        self.token(3600)

    def do_GET(self):
        self.note(self.command + " " + self.path)
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/metadata/identity/oauth2/token":
            query = urllib.parse.parse_qs(url.query)
            assert query["resource"] == ["https://storage.azure.com/"], query
            if self.headers.get("Metadata") != "true":
                self.answer(400, "{}")
            elif first_503.pop() if first_503 else False:
                self.answer(503, "{}", fields=[("Retry-After", "1")])
            else:
                # So short that each use asks again.
                self.token("200")
            return
        if self.headers.get("Authorization") != "Bearer " + (
                given[-1] if given else ""):
            self.answer(401, "<Error><Code>InvalidAuthenticationInfo</Code>"
                             "</Error>", "application/xml")
            return
        if "comp=list" in url.query:
            self.answer(200, "<EnumerationResults><Blobs/><NextMarker/>"
                             "</EnumerationResults>", "application/xml")
        else:
            self.answer(404, "", fields=[("x-ms-error-code", "BlobNotFound")])

    do_HEAD = do_GET


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1], "w", encoding="ascii") as f:
    f.write("%d\n" % server.server_address[1])
server.serve_forever()
