"""Requests that are no HTTP, or HTTP to be wary of, each with the statuses it is answered with.

Behind each, a request for `/healthz` is sent that ends the connection: `KEPT` is its answer. Where the framing of the
first is in doubt there is one answer and then the end, for what follows may be part of it or a request of somebody
else's making.
"""

from __future__ import annotations

from typing import Final

KEPT: Final = 200
HOST: Final = b"Host: localhost\r\n"
FOLLOWING: Final = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
IMAGE: Final = b"\xff\xd8\xff photo"
JOBS: Final = "/v1/jobs"
BATCHES: Final = "/v1/batches"
NO_JOB: Final = "job_01m83tss3nxkhvw2824b8254v1"

Cases = dict[str, tuple[bytes, list[int]]]


def request(line: str | bytes, *headers: bytes, body: bytes = b"") -> bytes:
    line = line if isinstance(line, bytes) else line.encode()
    return b"\r\n".join([line, HOST.rstrip(), *headers, b"", b""]) + body


def get(target: str, *headers: bytes) -> bytes:
    return request(f"GET {target} HTTP/1.1", *headers)


def post(*headers: bytes, body: bytes = b"", to: str = JOBS) -> bytes:
    return request(f"POST {to} HTTP/1.1", *headers, body=body)


def sized(kind: str, body: bytes, *headers: bytes, to: str = JOBS) -> bytes:
    return post(f"Content-Type: {kind}".encode(), b"Content-Length: %d" % len(body), *headers, body=body, to=to)


def chunked(body: bytes) -> bytes:
    return post(b"Content-Type: image/jpeg", b"Transfer-Encoding: chunked", body=body)


def a_form(*parts: bytes, end: bytes = b"--x--\r\n", kind: str = "multipart/form-data; boundary=x") -> bytes:
    return sized(kind, b"".join(parts) + end)


def a_part(disposition: str, body: bytes = IMAGE, *headers: bytes) -> bytes:
    lines = [b"--x", f"Content-Disposition: form-data; {disposition}".encode(), *headers, b"", body, b""]
    return b"\r\n".join(lines)


PHOTO: Final = a_part('name="image"; filename="a.jpg"')
REFUSED: Final = [400]
LATER: Final = [408]

FRAMING: Final[Cases] = {
    "both lengths": (post(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), REFUSED),
    "a request within": (
        post(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"5c\r\nPOST / HTTP/1.1\r\n\r\n0\r\n\r\n"),
        REFUSED,
    ),
    "one length twice": (post(b"Content-Length: 0", b"Content-Length: 0"), REFUSED),
    "two lengths": (post(b"Content-Length: 0", b"Content-Length: 5", body=b"hello"), REFUSED),
    "a list of lengths": (post(b"Content-Length: 5, 5", body=b"hello"), REFUSED),
    "a length below 0": (post(b"Content-Length: -1"), REFUSED),
    "a length with a sign": (post(b"Content-Length: +5", body=b"hello"), REFUSED),
    "a length in other digits": (post(b"Content-Length: \xb2"), REFUSED),
    "a length in 20 digits": (post(b"Content-Type: image/jpeg", b"Content-Length: " + b"9" * 20), [413]),
    "a length in 5,000 digits": (post(b"Content-Type: image/jpeg", b"Content-Length: " + b"9" * 5000), REFUSED),
    "an unknown coding": (post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), REFUSED),
    "a space before the colon": (post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), REFUSED),
    "chunked and not last": (post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), REFUSED),
    "compressed on the way": (post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), REFUSED),
    "chunked twice": (post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), REFUSED),
    "chunks in HTTP/1.0": (
        request("POST /v1/jobs HTTP/1.0", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        REFUSED,
    ),
    "chunks in order": (chunked(b"3\r\n\xff\xd8\xff\r\n0\r\n\r\n"), [202, KEPT]),
    "a chunk size that is none": (chunked(b"ZZ\r\nabc\r\n0\r\n\r\n"), REFUSED),
    "a chunk size below 0": (chunked(b"-1\r\nabc\r\n0\r\n\r\n"), REFUSED),
    "a chunk size with 0x": (chunked(b"0x3\r\nabc\r\n0\r\n\r\n"), REFUSED),
    "a chunk of 2^160 bytes": (chunked(b"F" * 40 + b"\r\nabc\r\n0\r\n\r\n"), LATER),
    "a chunk size without end": (chunked(b"1" * 20_000), REFUSED),
    "a chunk extension without end": (chunked(b"3;" + b"a" * 20_000), REFUSED),
    "a chunk longer than it says": (chunked(b"3\r\nabcd\r\n0\r\n\r\n"), REFUSED),
    "chunks with LF": (chunked(b"3\nabc\n0\n\n"), REFUSED),
    "a length behind chunks": (chunked(b"3\r\n\xff\xd8\xff\r\n0\r\nContent-Length: 5\r\n\r\n"), REFUSED),
    "200 trailers": (chunked(b"3\r\n\xff\xd8\xff\r\n0\r\n" + b"a: b\r\n" * 200 + b"\r\n"), REFUSED),
}

HEADS: Final[Cases] = {
    "lines that end with LF": (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", REFUSED),
    "one header that ends with LF": (b"GET /healthz HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n", REFUSED),
    "lines that end with CR": (b"GET /healthz HTTP/1.1\rHost: localhost\r\r\n\r\n", REFUSED),
    "NUL in a value": (get("/healthz", b"X: a\0b"), REFUSED),
    "NUL in a name": (get("/healthz", b"X\0: ab"), REFUSED),
    "a folded header": (get("/healthz", b"X: a\r\n b"), REFUSED),
    "folded from the start": (b"GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n", REFUSED),
    "a header without a colon": (get("/healthz", b"nonsense"), REFUSED),
    "a header without a name": (get("/healthz", b": v"), REFUSED),
    "a name of two words": (get("/healthz", b"A b: v"), REFUSED),
    "a name with _": (get("/healthz", b"X_Request_Id: v"), [200, KEPT]),  # it is passed over
    "bytes that are no ASCII": (get("/healthz", b"X: \xff\xfe"), [200, KEPT]),
    "a header of 8,200 bytes": (get("/healthz", b"X: " + b"a" * 8200), [431]),
    "a header of 8,000 bytes": (get("/healthz", b"X: " + b"a" * 8000), [200, KEPT]),
    "102 headers": (get("/healthz", *[b"X%d: a" % at for at in range(101)]), [431]),
    "headers of 40 kB": (get("/healthz", *[b"X%d: " % at + b"a" * 8000 for at in range(5)]), [431]),
    "headers of 1 MB": (get("/healthz", *[b"X%d: " % at + b"a" * 8000 for at in range(125)]), [431]),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", [400, KEPT]),
    "no host in HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n\r\n", REFUSED),
    "two hosts": (get("/healthz", b"Host: localhost"), REFUSED),
    "a host that is empty": (b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", [400, KEPT]),
    "a host of two words": (b"GET /healthz HTTP/1.1\r\nHost: local host\r\n\r\n", [400, KEPT]),
    "a host with a user": (b"GET /healthz HTTP/1.1\r\nHost: a@localhost\r\n\r\n", [400, KEPT]),
    "an expectation": (post(b"Expect: 200-ok", b"Content-Length: 5", body=b"hello"), [417]),
    "100-continue, refused": (post(b"Expect: 100-continue", b"Content-Length: 99999", to="/nothing"), [100, 404]),
    "an upgrade to HTTP/2": (get("/healthz", b"Connection: Upgrade", b"Upgrade: h2c"), [200, KEPT]),
    "another method in a header": (
        post(b"X-HTTP-Method-Override: DELETE", b"Content-Length: 0", to=f"/v1/jobs/{NO_JOB}"),
        [405, KEPT],
    ),
}

FIRST_LINES: Final[Cases] = {
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", REFUSED),
    "HTTP/1.2": (request("GET /healthz HTTP/1.2"), [200, KEPT]),
    "HTTP/1.10": (request("GET /healthz HTTP/1.10"), REFUSED),
    "HTTP/2 in words": (request("GET /healthz HTTP/2.0"), REFUSED),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", REFUSED),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32), REFUSED),
    "a proxy's line": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get("/healthz"), REFUSED),
    "three spaces": (request("GET   /healthz   HTTP/1.1"), REFUSED),
    "tabs": (request("GET\t/healthz\tHTTP/1.1"), REFUSED),
    "an empty line before": (b"\r\n" + get("/healthz"), [200, KEPT]),
    "empty lines alone": (b"\r\n" * 2000, REFUSED),
    "a method in small letters": (request("get /healthz HTTP/1.1"), REFUSED),
    "a method of 30 letters": (request("A" * 30 + " /healthz HTTP/1.1"), REFUSED),
    "a method that is no word": (request("G{T /healthz HTTP/1.1"), REFUSED),
    "an unknown method": (request("BREW /healthz HTTP/1.1"), [405, KEPT]),
    "TRACE": (request("TRACE /healthz HTTP/1.1"), [405, KEPT]),
    "CONNECT": (request("CONNECT localhost:80 HTTP/1.1"), [404]),
    "CONNECT to a path": (request("CONNECT /healthz HTTP/1.1"), [405]),
    "OPTIONS *": (request("OPTIONS * HTTP/1.1"), [404, KEPT]),
    "GET *": (get("*"), REFUSED),
    "a host alone": (get("localhost:80"), REFUSED),
    "a whole URL": (get("http://localhost/healthz"), [200, KEPT]),
    "a whole URL of another host": (get("http://example.org/healthz"), REFUSED),
    "bytes in the path": (request("GET /v1/jobs/é HTTP/1.1".encode()), REFUSED),
    "a path of 8,000 bytes": (get("/" + "a" * 8000), [404, KEPT]),
    "a path of 8,300 bytes": (get("/" + "a" * 8300), [414]),
    "a path of 100,000 bytes": (get("/" + "a" * 100_000), [414]),
}

TARGETS: Final[Cases] = {
    "a % without digits": (get("/v1/jobs/%zz"), [404, KEPT]),
    "a path that is no UTF-8": (get("/v1/jobs/%ff%fe"), [404, KEPT]),
    "NUL in a path": (get("/v1/jobs/%00"), [404, KEPT]),
    "a line break in a path": (get("/v1/jobs/%0d%0aSet-Cookie:a"), [404, KEPT]),
    "a query that is no UTF-8": (get("/v1/jobs?reference=%ff"), [200, KEPT]),
    "half a character in a query": (get("/v1/jobs?reference=%ed%a0%80"), [200, KEPT]),
    "NUL in a query": (get("/v1/jobs?reference=%00"), [400, KEPT]),
    "a number of 5,000 digits": (get("/v1/jobs?limit=" + "9" * 5000), [400, KEPT]),
    "a wait that is no number": (get(f"/v1/jobs/{NO_JOB}?wait=nan"), [400, KEPT]),
    "a wait without end": (get(f"/v1/jobs/{NO_JOB}?wait=1e400"), [400, KEPT]),
    "700 parameters": (get("/v1/jobs?" + "&".join(f"a{at}=1" for at in range(700))), [400, KEPT]),
    "an id of the year 10,000": (get("/v1/jobs?batch_id=bat_7cb1g7qzmffmf43bg3agfkagcy"), [400, KEPT]),
    "an id of the year 9,773": (get("/v1/jobs?batch_id=bat_6zzzzzzzzzfmf43bg3agfkagcy"), [200, KEPT]),
    **{
        f"out of the folder by {way}": (get(f"/web/{way}"), [404, KEPT])
        for way in (
            *("../app.py", "%2e%2e/app.py", "..%2fapp.py", "%252e%252e%252fapp.py", "..%5capp.py"),
            *("/etc/passwd", "%2fetc%2fpasswd", "index.html%00.css", "", "."),
        )
    },
    "out of the other folder": (get("/docs/swagger/../../../etc/passwd"), [404, KEPT]),
    "two slashes": (get("/v1//jobs"), [404, KEPT]),
}

BODIES: Final[Cases] = {
    "with GET": (request("GET /healthz HTTP/1.1", b"Content-Length: 5", body=b"hello"), [200, KEPT]),
    "with DELETE": (request("DELETE /v1/jobs/x HTTP/1.1", b"Content-Length: 5", body=b"hello"), [404, KEPT]),
    "no boundary": (sized("multipart/form-data", b"hello"), [400, KEPT]),
    "a boundary of 7,000 bytes": (sized("multipart/form-data; boundary=" + "b" * 7000, b"hello"), [400, KEPT]),
    "10,000 parts": (a_form(*[a_part(f'name="a{at}"', b"1") for at in range(10_000)]), [400]),
    "filename*": (a_form(a_part("name=\"image\"; filename*=UTF-8''%2e%2e%2fetc%2fpasswd")), [202, KEPT]),
    "filename* in no known text": (a_form(a_part("name=\"image\"; filename*=utf-99''%ff")), [202, KEPT]),
    "filename* in pieces": (a_form(a_part('name="image"; filename*0=a; filename*1=b')), [202, KEPT]),
    "NUL in a file's name": (a_form(a_part('name="image"; filename="a\0b.jpg"')), [202, KEPT]),
    "a file's name of 100 kB": (a_form(a_part(f'name="image"; filename="{"a" * 100_000}"')), [400, KEPT]),
    "a file's name of 1,000 letters": (a_form(a_part(f'name="image"; filename="{"a" * 1000}"')), [202, KEPT]),
    "headers of a part without end": (a_form(b"--x\r\nA: " + b"b" * 1_000_000, end=b""), [400]),
    "a part without a name": (a_form(b"--x\r\nContent-Type: image/jpeg\r\n\r\n" + IMAGE + b"\r\n"), [400, KEPT]),
    "a part whose header is none": (a_form(b"--x\r\nnonsense\r\n\r\n" + IMAGE + b"\r\n"), [400, KEPT]),
    "a part in base64": (
        a_form(a_part('name="image"; filename="a"', b"/9j/", b"Content-Transfer-Encoding: base64")),
        [415, KEPT],
    ),
    "a form within": (
        a_form(a_part('name="image"; filename="a"', b"--y\r\n\r\n--y--", b"Content-Type: multipart/mixed; boundary=y")),
        [415, KEPT],
    ),
    "a field in UTF-7": (
        a_form(a_part('name="reference"', b"+AGE-", b"Content-Type: text/plain; charset=utf-7"), PHOTO),
        [202, KEPT],
    ),
    "a field in no known text": (
        a_form(a_part('name="reference"', b"a\xff", b"Content-Type: text/plain; charset=none"), PHOTO),
        [400, KEPT],
    ),
    "_charset_": (a_form(a_part('name="_charset_"', b"utf-16"), PHOTO), [400, KEPT]),
    "2 MB before the first part": (a_form(b"y" * 2_000_000), [400]),
    "a form without its end": (a_form(PHOTO, end=b""), [400, KEPT]),
    "a photo in gzip": (sized("image/jpeg", b"\x1f\x8b\x08\0\0", b"Content-Encoding: gzip"), [415, KEPT]),
    "a list in gzip": (
        sized("application/json", b"\x1f\x8b\x08\0\0", b"Content-Encoding: gzip", to=BATCHES),
        [400, KEPT],
    ),
}

_ITEM: Final = b'{"reference":"a","size":%s,"content_type":"image/jpeg"}'
_DEEP: Final = b"[" * 30_000
TEXTS: Final = {
    "30,000 [": _DEEP,
    "30,000 [ and ]": _DEEP + b"]" * 30_000,
    "4,000 objects": b'{"items":' * 4000,
    "a list that deep": b'{"items":' + _DEEP + b"]" * 30_000 + b"}",
    "a number of 5,000 digits": b'{"items":[' + _ITEM % (b"9" * 5000) + b"]}",
    "NaN": b'{"items":[' + _ITEM % b"NaN" + b"]}",
    "1e999": b'{"items":[' + _ITEM % b"1e999" + b"]}",
    "a part of a byte": b'{"items":[' + _ITEM % b"3.5" + b"]}",
    "a key twice": b'{"items":[],"items":[' + _ITEM % b"3" + b"]}",
    "half a character": b'{"items":[{"reference":"\\ud800","size":3,"content_type":"image/jpeg"}]}',
    "NUL": b'{"items":[{"reference":"\\u0000","size":3,"content_type":"image/jpeg"}]}',
    "UTF-16": '{"items":[]}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"items":[]}',
    "no UTF-8": b'{"items":["\xff"]}',
    "a number": b"1",
    "null": b"null",
    "nothing": b"",
}
"""Each a body of JSON, or none, that every path which takes JSON refuses."""
_TAKES_JSON: Final = {JOBS: b"image_url", BATCHES: b"items", "/v1/webhooks/test": b"items"}
JSON: Final[Cases] = {
    f"{what} at {path}": (
        sized("application/json", text.replace(b'"items"', b'"' + key + b'"'), to=path),
        [400, KEPT],
    )
    for path, key in _TAKES_JSON.items()
    for what, text in TEXTS.items()
}
CASES: Final[Cases] = FRAMING | HEADS | FIRST_LINES | TARGETS | BODIES | JSON
