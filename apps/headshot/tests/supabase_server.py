"""A storage server for tests that speaks Supabase's storage API, and means it: keys, paths, signatures and expiry hold.

Routes as in https://github.com/supabase/storage: `POST /storage/v1/object/BUCKET/PATH` keeps an object,
`POST /storage/v1/object/sign/BUCKET/PATH` answers a URL with a JSON Web Token (HS256) of path and expiry,
`GET` of that URL gives the object's bytes. Errors are `{"statusCode", "error", "message"}`.
`python supabase_server.py FOLDER --key KEY --bucket NAME` runs one to try the app with.
"""

import argparse
import base64
import email.parser
import email.policy
import hashlib
import hmac
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

ROOT = "/storage/v1/object/"
KEY_CHARACTERS = re.compile(r"[\w/!.*'() &$@=;:+,?-]+", re.ASCII)
BODY_BYTES_MAX = 50 * 2**20


class Refusal(Exception):
    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.told = {"statusCode": str(status), "error": error, "message": message}


class SupabaseServer:
    """Keeps objects as files of `folder/BUCKET`; a bucket is there once its folder is."""

    def __init__(self, folder: Path, key: str, buckets: tuple[str, ...], port: int = 0, clock=time.time) -> None:
        self.folder = folder
        self.key = key
        self.clock = clock
        self.failing: list[int] = []  # what the next requests are answered with, as in trouble; 0: as they should be
        self.requests: list[str] = []
        self._jwt_secret = hashlib.sha256(f"jwt {key}".encode()).digest()
        for bucket in buckets:
            (folder / bucket).mkdir(parents=True, exist_ok=True)
        self._http = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"storage": self}))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> "SupabaseServer":
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def serve(self) -> None:
        self._http.serve_forever()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def objects(self, bucket: str) -> dict[str, bytes]:
        root = self.folder / bucket
        return {str(one.relative_to(root)): one.read_bytes() for one in sorted(root.rglob("*")) if one.is_file()}

    # ------------------------------------------------------------------ what it does

    def check_key(self, headers) -> None:
        bearer = headers.get("Authorization", "").removeprefix("Bearer ")
        if not (hmac.compare_digest(headers.get("apikey", ""), self.key) and hmac.compare_digest(bearer, self.key)):
            raise Refusal(403, "Unauthorized", "Invalid Compact JWS")

    def put(self, path: str, content: bytes, replace: bool) -> dict:
        file = self._file(path)
        if file.exists() and not replace:
            raise Refusal(409, "Duplicate", "The resource already exists")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return {"Key": path, "Id": hashlib.md5(path.encode(), usedforsecurity=False).hexdigest()}

    def sign(self, path: str, seconds: int) -> dict:
        if not self._file(path).is_file():
            raise Refusal(404, "not_found", "Object not found")
        now = int(self.clock())
        signed = _text({"alg": "HS256", "typ": "JWT"}) + "." + _text({"url": path, "iat": now, "exp": now + seconds})
        return {"signedURL": f"/object/sign/{path}?token={signed}.{self._signature(signed)}"}

    def get(self, path: str, token: str) -> bytes:
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature, self._signature(signed)):
            raise Refusal(400, "InvalidJWT", "signature verification failed")
        claims = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
        if claims["exp"] <= self.clock():
            raise Refusal(400, "InvalidJWT", '"exp" claim timestamp check failed')
        if claims["url"] != path:
            raise Refusal(400, "InvalidSignature", "The url do not match the signature")
        file = self._file(path)
        if not file.is_file():
            raise Refusal(404, "not_found", "Object not found")
        return file.read_bytes()

    def _file(self, path: str) -> Path:
        bucket, _, key = path.partition("/")
        if not (self.folder / bucket).is_dir() or not bucket:
            raise Refusal(404, "Bucket not found", "Bucket not found")
        if not KEY_CHARACTERS.fullmatch(key) or ".." in key.split("/"):
            raise Refusal(400, "InvalidKey", f"Invalid key: {key}")
        return self.folder / bucket / key

    def _signature(self, signed: str) -> str:
        made = hmac.new(self._jwt_secret, signed.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


class _Handler(BaseHTTPRequestHandler):
    storage: SupabaseServer

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), BODY_BYTES_MAX))
        self._answer(lambda path, query: self._post(path, body))

    def do_GET(self) -> None:
        self._answer(lambda path, query: self.storage.get(path.removeprefix("sign/"), query.get("token", [""])[0]))

    def _post(self, path: str, body: bytes) -> dict:
        self.storage.check_key(self.headers)
        if path.startswith("sign/"):
            return self.storage.sign(path.removeprefix("sign/"), int(json.loads(body)["expiresIn"]))
        return self.storage.put(path, self._content(body), self.headers.get("x-upsert") == "true")

    def _content(self, body: bytes) -> bytes:
        """The body, or the part of a form that is a file."""
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            return body
        parser = email.parser.BytesParser(policy=email.policy.HTTP)
        form = parser.parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
        return next(part.get_payload(decode=True) for part in form.iter_parts() if part.get_filename())

    def _answer(self, act) -> None:
        url = urlsplit(self.path)
        self.storage.requests.append(f"{self.command} {url.path}")
        try:
            if self.storage.failing and (failing := self.storage.failing.pop(0)):
                raise Refusal(failing, "Unavailable", "try again later")
            if not url.path.startswith(ROOT):
                raise Refusal(404, "not_found", f"Route {self.command}:{url.path} not found")
            told = act(unquote(url.path.removeprefix(ROOT)), parse_qs(url.query))
            status = 200
        except Refusal as refusal:
            told, status = refusal.told, refusal.status
        content = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "image/png" if isinstance(told, bytes) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_) -> None:
        pass


def _text(claims: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--key", required=True)
    parser.add_argument("--bucket", default="headshots")
    parser.add_argument("--port", type=int, default=54321)
    given = parser.parse_args()
    served = SupabaseServer(given.folder, given.key, (given.bucket,), given.port)
    print(f"export SUPABASE_URL={served.url} SUPABASE_KEY={given.key} HEADSHOT_BUCKET={given.bucket}", flush=True)
    served.serve()
