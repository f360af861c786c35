"""Verify AWS signatures by computing them again with botocore's own signers.

Sources: "AWS Signature Version 4 for API requests" and "Signing and authenticating REST requests" (Signature
Version 2, query form) in AWS's documentation; botocore.auth does the arithmetic. Three forms are read: the
`Authorization` header, the presigned query (`X-Amz-Signature`), and, for S3 only, the older presigned query
(`AWSAccessKeyId`, `Signature`, `Expires`), which is what boto3 makes unless it is told otherwise.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from urllib.parse import quote, unquote, urlsplit

from botocore.auth import HmacV1Auth, S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials as BotoCredentials
from botocore.utils import normalize_url_path

from seatrial.domain.credentials import Principal
from seatrial.domain.limits import CLOCK_SKEW_SECONDS_MAX, PRESIGNED_SECONDS_MAX

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
STREAMING_SIGNED = frozenset({"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"})
STREAMING = STREAMING_SIGNED | {"STREAMING-UNSIGNED-PAYLOAD-TRAILER"}

_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_TARGET = re.compile(r"[!\"$-~]*")  # printable ASCII without "#": nothing that splitting a URL would drop
_SIGNATURE_V4 = "X-Amz-Signature"
_QUERY_V4 = frozenset(
    {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", _SIGNATURE_V4}
)
_QUERY_V2 = frozenset({"AWSAccessKeyId", "Signature", "Expires"})
_ANYWHERE = "http://host"  # only path and query of the URL are signed; the host is a signed header

Secrets = Callable[[str], "tuple[str, Principal] | None"]


class Flaw(StrEnum):
    """Why a signature is refused. Each service has its own code for each (see dialects/aws_errors.py)."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    UNKNOWN_KEY = "unknown_key"
    MISMATCH = "mismatch"
    UNSIGNED_HEADER = "unsigned_header"
    SKEWED = "skewed"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    PAYLOAD_HASH = "payload_hash"


class SignatureRefused(Exception):
    """The request is not authenticated. `message` says what is wrong, never what would be right."""

    def __init__(self, flaw: Flaw, message: str, **details: str) -> None:
        super().__init__(message)
        self.flaw = flaw
        self.message = message
        self.details = details


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a signature covers, as it came over the wire. Header names are lower case, in the order sent."""

    method: str
    raw_path: str
    raw_query: str
    headers: Sequence[tuple[str, str]]

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key == name), None)

    def query(self) -> list[tuple[str, str]]:
        """The query's parameters, percent-decoded ("+" is a plus, as signers see it)."""
        pairs = (pair.partition("=") for pair in self.raw_query.split("&") if pair)
        return [(unquote(name), unquote(value)) for name, _, value in pairs]


class Form(StrEnum):
    """Where and how the signature came."""

    HEADER = "header"
    QUERY = "query"
    QUERY_V2 = "query_v2"


@dataclass(frozen=True, slots=True)
class Claimed:
    """Who signed, as the request claims. `timestamp` is `YYYYMMDDTHHMMSSZ`.

    `expires` in seconds is a duration in Form.QUERY and an instant since the epoch in Form.QUERY_V2.
    """

    form: Form
    access_key_id: str
    signature: str
    service: str
    region: str = ""
    date: str = ""
    timestamp: str = ""
    signed_at_seconds: int = 0
    signed_headers: tuple[str, ...] = ()
    expires: int = 0


@dataclass(frozen=True, slots=True)
class ChunkSigner:
    """Signatures of an S3 body sent in signed chunks (STREAMING-AWS4-HMAC-SHA256-PAYLOAD…)."""

    key: bytes = field(repr=False)
    timestamp: str
    scope: str
    seed_signature: str

    def chunk(self, previous_signature: str, payload_sha256: str) -> str:
        """The signature of one chunk, given the one before it (the first follows `seed_signature`)."""
        empty = hashlib.sha256(b"").hexdigest()
        return self._sign("AWS4-HMAC-SHA256-PAYLOAD", previous_signature, empty, payload_sha256)

    def trailer(self, previous_signature: str, trailer_sha256: str) -> str:
        """The signature of the trailing headers, given the last chunk's."""
        return self._sign("AWS4-HMAC-SHA256-TRAILER", previous_signature, trailer_sha256)

    def _sign(self, *lines: str) -> str:
        text = "\n".join((lines[0], self.timestamp, self.scope, *lines[1:]))
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Verified:
    """A request whose signature holds. `payload_sha256` is the signed hash, or None when none was signed."""

    claimed: Claimed
    principal: Principal
    payload_sha256: str | None
    chunks: ChunkSigner | None = None


# ---------------------------------------------------------------- reading the claim


def read_claim(request: SignedRequest) -> Claimed:
    """Who claims to have signed the request, unverified.

    Raises:
        SignatureRefused: missing, malformed or unsupported.
    """
    authorization = request.header("authorization")
    query = request.query()
    names = [name for name, _ in query]
    if not request.raw_path.startswith("/") or not _TARGET.fullmatch(request.raw_path + request.raw_query):
        raise SignatureRefused(Flaw.MALFORMED, "The request's target must be a path of percent-encoded ASCII.")
    in_query = bool(_QUERY_V4 & set(names)) or {"AWSAccessKeyId", "Signature"} <= set(names)
    if authorization is not None and in_query:
        raise SignatureRefused(
            Flaw.MALFORMED,
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
            "parameter or the Authorization header should be specified",
        )
    if authorization is not None:
        return _from_header(request, authorization)
    if not in_query:
        raise SignatureRefused(Flaw.MISSING, "Missing Authentication Token")
    if any(names.count(name) > 1 for name in _QUERY_V4 | _QUERY_V2):
        raise SignatureRefused(Flaw.MALFORMED, "An authentication parameter of the query is given twice.")
    return _from_query(dict(query))


def _from_header(request: SignedRequest, authorization: str) -> Claimed:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise SignatureRefused(
            Flaw.UNSUPPORTED,
            f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}.",
        )
    given = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    timestamp = _timestamp(request)
    lacking = [name for name in ("Credential", "SignedHeaders", "Signature") if not given.get(name)]
    if lacking:
        wanted = " ".join(f"Authorization header requires '{name}' parameter." for name in lacking)
        raise SignatureRefused(Flaw.MALFORMED, wanted)
    return _claim(Form.HEADER, given["Credential"], given["SignedHeaders"], given["Signature"], timestamp)


def _from_query(query: Mapping[str, str]) -> Claimed:
    if "AWSAccessKeyId" in query:
        expires = query.get("Expires", "")
        if not re.fullmatch(r"[0-9]{1,12}", expires):
            raise SignatureRefused(Flaw.MALFORMED, "Query-string authentication requires an Expires in seconds.")
        return Claimed(
            Form.QUERY_V2, query["AWSAccessKeyId"], query.get("Signature", ""), service="s3", expires=int(expires)
        )
    lacking = sorted(name for name in _QUERY_V4 if not query.get(name))
    if lacking:
        raise SignatureRefused(
            Flaw.MALFORMED, f"Query-string authentication version 4 also requires: {', '.join(lacking)}."
        )
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise SignatureRefused(Flaw.UNSUPPORTED, f'X-Amz-Algorithm only supports "{ALGORITHM}".')
    if not re.fullmatch(r"[0-9]{1,12}", query["X-Amz-Expires"]):
        raise SignatureRefused(Flaw.MALFORMED, "X-Amz-Expires should be a number of seconds.")
    expires_seconds = int(query["X-Amz-Expires"])
    if expires_seconds > PRESIGNED_SECONDS_MAX:
        raise SignatureRefused(
            Flaw.MALFORMED,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
            f"than {PRESIGNED_SECONDS_MAX} seconds",
        )
    return _claim(
        Form.QUERY,
        query["X-Amz-Credential"],
        query["X-Amz-SignedHeaders"],
        query[_SIGNATURE_V4],
        query["X-Amz-Date"],
        expires_seconds,
    )


def _claim(
    form: Form, credential: str, signed_headers: str, signature: str, timestamp: str, expires: int = 0
) -> Claimed:
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise SignatureRefused(
            Flaw.MALFORMED,
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request",
        )
    access_key_id, date, region, service, _ = parts
    if date != timestamp[:8]:
        raise SignatureRefused(
            Flaw.MALFORMED,
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{date}' != "
            f"'{timestamp[:8]}', from '{timestamp}'.",
        )
    names = tuple(signed_headers.lower().split(";"))
    signed_at = _seconds(timestamp)
    return Claimed(form, access_key_id, signature, service, region, date, timestamp, signed_at, names, expires)


def _timestamp(request: SignedRequest) -> str:
    stamp = request.header("x-amz-date")
    if stamp is not None:
        return stamp
    date = request.header("date")
    if date is None:
        raise SignatureRefused(
            Flaw.MALFORMED, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    try:
        return parsedate_to_datetime(date).astimezone(UTC).strftime(_TIMESTAMP)
    except ValueError:
        return date


def _seconds(timestamp: str) -> int:
    try:
        return int(datetime.strptime(timestamp, _TIMESTAMP).replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise SignatureRefused(
            Flaw.MALFORMED, "Date must be in ISO-8601 'basic format', for example 20260131T235959Z."
        ) from None


# ---------------------------------------------------------------- verifying


def verify(
    request: SignedRequest,
    claimed: Claimed,
    secrets: Secrets,
    body_sha256: str,
    now_ms: int,
    host_bucket: str | None = None,
) -> Verified:
    """Check time and signature.

    Args:
        secrets: gives the secret and the principal of an access key id, or None.
        body_sha256: hex hash of the body; not looked at for S3, which signs a hash of its own.
        now_ms: milliseconds since the epoch.
        host_bucket: the S3 bucket that the host names, which the old form signs as part of the path.

    Raises:
        SignatureRefused
    """
    known = secrets(claimed.access_key_id)
    if known is None:
        raise SignatureRefused(
            Flaw.UNKNOWN_KEY,
            "The security token included in the request is invalid.",
            AWSAccessKeyId=claimed.access_key_id,
        )
    secret, principal = known
    if claimed.form is Form.QUERY_V2:
        paths = _v2_paths(request.raw_path, host_bucket)
        _same([_v2_signature(request, claimed, secret, path) for path in paths], claimed)
        _check_time(claimed, now_ms)
        return Verified(claimed, principal, None)
    _check_time(claimed, now_ms)
    _check_coverage(request, claimed)
    payload = _payload(request, claimed, body_sha256)
    signer = _Signer(claimed, BotoCredentials(claimed.access_key_id, secret), payload)
    _same([signer.signature(request)], claimed)
    signed = None if payload == UNSIGNED_PAYLOAD and claimed.form is Form.QUERY else payload
    return Verified(claimed, principal, signed, signer.chunks() if payload in STREAMING_SIGNED else None)


def _same(expected: Sequence[str], claimed: Claimed) -> None:
    given = claimed.signature.encode()
    if not any(hmac.compare_digest(signature.encode(), given) for signature in expected):
        raise SignatureRefused(
            Flaw.MISMATCH,
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
            AWSAccessKeyId=claimed.access_key_id,
            SignatureProvided=claimed.signature,
        )


def _check_time(claimed: Claimed, now_ms: int) -> None:
    now_seconds = now_ms // 1000
    if claimed.form is Form.QUERY_V2:
        if now_seconds > claimed.expires:
            raise SignatureRefused(Flaw.EXPIRED, "Request has expired", **_instants(claimed.expires, now_seconds))
        return
    signed_at = claimed.signed_at_seconds
    if claimed.form is Form.QUERY:
        if signed_at > now_seconds + CLOCK_SKEW_SECONDS_MAX:
            raise SignatureRefused(Flaw.NOT_YET_VALID, "Request is not yet valid")
        if now_seconds > signed_at + claimed.expires:
            instants = _instants(signed_at + claimed.expires, now_seconds)
            raise SignatureRefused(Flaw.EXPIRED, "Request has expired", **instants)
    elif abs(now_seconds - signed_at) > CLOCK_SKEW_SECONDS_MAX:
        now = datetime.fromtimestamp(now_seconds, UTC).strftime(_TIMESTAMP)
        late = signed_at < now_seconds
        words = ("Signature expired", "earlier") if late else ("Signature not yet current", "later")
        raise SignatureRefused(
            Flaw.SKEWED,
            f"{words[0]}: {claimed.timestamp} is now {words[1]} than {now} by more than {CLOCK_SKEW_SECONDS_MAX} s.",
            RequestTime=claimed.timestamp,
            ServerTime=now,
            MaxAllowedSkewMilliseconds=str(CLOCK_SKEW_SECONDS_MAX * 1000),
        )


def _instants(expires_seconds: int, now_seconds: int) -> dict[str, str]:
    def readable(seconds: int) -> str:
        return datetime.fromtimestamp(min(seconds, 253_402_300_799), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    return {"Expires": readable(expires_seconds), "ServerTime": readable(now_seconds)}


def _check_coverage(request: SignedRequest, claimed: Claimed) -> None:
    """The host and every x-amz-* header must be signed, or they could be changed on the way."""
    wanted = {name for name, _ in request.headers if name.startswith("x-amz-")} | {"host"}
    unsigned = sorted(wanted - set(claimed.signed_headers))
    if unsigned:
        raise SignatureRefused(
            Flaw.UNSIGNED_HEADER,
            f"'{unsigned[0]}' must be a 'SignedHeader' in the AWS Authorization.",
            HeadersNotSigned=", ".join(unsigned),
        )


def _payload(request: SignedRequest, claimed: Claimed, body_sha256: str) -> str:
    """The payload hash of the canonical request; for S3 the one that the client chose to sign."""
    declared = request.header("x-amz-content-sha256")
    if claimed.service != "s3":
        if declared is not None and declared != body_sha256:
            raise SignatureRefused(Flaw.MISMATCH, "The body does not have the hash in X-Amz-Content-SHA256.")
        return body_sha256
    if declared is None:
        declared = dict(request.query()).get("X-Amz-Content-Sha256")
    if declared is None and claimed.form is Form.QUERY:
        return UNSIGNED_PAYLOAD
    if declared is None:
        raise SignatureRefused(Flaw.PAYLOAD_HASH, "Missing required header for this request: x-amz-content-sha256")
    if declared != UNSIGNED_PAYLOAD and declared not in STREAMING and not _SHA256_HEX.fullmatch(declared):
        raise SignatureRefused(
            Flaw.PAYLOAD_HASH,
            f"x-amz-content-sha256 must be {UNSIGNED_PAYLOAD}, {', '.join(sorted(STREAMING))}, or a sha256 value.",
        )
    return declared


class _Signer:
    """botocore's signer, fed with exactly the headers that the client says it signed."""

    def __init__(self, claimed: Claimed, credentials: BotoCredentials, payload: str) -> None:
        kind = S3SigV4Auth if claimed.service == "s3" else SigV4Auth
        self._signer = kind(credentials, claimed.service, claimed.region)
        self._claimed = claimed
        self._secret = credentials.secret_key
        self._payload = payload

    def signature(self, request: SignedRequest) -> str:
        """The signature that this request should have."""
        boto = AWSRequest(request.method, _url_unsigned(request))
        boto.context["timestamp"] = self._claimed.timestamp
        text = self._signer.string_to_sign(boto, self._canonical(boto, request))
        return str(self._signer.signature(text, boto))

    def chunks(self) -> ChunkSigner:
        """What follows the request's signature, once that holds."""
        claimed = self._claimed
        key = b"AWS4" + self._secret.encode()
        scope = (claimed.date, claimed.region, claimed.service, "aws4_request")
        for part in scope:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return ChunkSigner(key, claimed.timestamp, "/".join(scope), claimed.signature)

    def _canonical(self, boto: AWSRequest, request: SignedRequest) -> str:
        signer = self._signer
        headers = HTTPHeaders()
        for name, value in request.headers:
            if name in self._claimed.signed_headers:
                headers[name] = value
        for name in self._claimed.signed_headers:
            if name not in headers:
                headers[name] = ""
        return "\n".join(
            (
                request.method,
                request.raw_path if self._claimed.service == "s3" else _normal(request.raw_path),
                signer.canonical_query_string(boto),
                signer.canonical_headers(headers) + "\n",
                signer.signed_headers(headers),
                self._payload,
            )
        )


def _normal(raw_path: str) -> str:
    """Every service but S3 encodes the path a second time, without dot segments."""
    return quote(normalize_url_path(raw_path), safe="/~")


def _url_unsigned(request: SignedRequest) -> str:
    """The URL without the signature parameter, every other byte as it was sent."""
    kept = [pair for pair in request.raw_query.split("&") if unquote(pair.partition("=")[0]) != _SIGNATURE_V4]
    return _ANYWHERE + request.raw_path + ("?" + "&".join(kept) if kept else "")


class _SignerV2(HmacV1Auth):
    """botocore's signer of the old S3 query form, with the expiry where the date would be."""

    def __init__(self, credentials: BotoCredentials, expires: int) -> None:
        super().__init__(credentials)
        self._expires = expires

    def _get_date(self) -> str:
        return str(self._expires)


def _v2_paths(raw_path: str, host_bucket: str | None) -> list[str]:
    """The path as the old form may sign it: with the host's bucket; a bucket alone also with a slash, as botocore."""
    if host_bucket is not None:
        return [f"/{host_bucket}{raw_path}"]
    return [raw_path] if "/" in raw_path[1:] or raw_path == "/" else [raw_path, raw_path + "/"]


def _v2_signature(request: SignedRequest, claimed: Claimed, secret: str, path: str) -> str:
    headers = HTTPHeaders()
    sent = {name for name, _ in request.headers}
    for name, value in request.headers:
        if name.startswith("x-amz-") or name in ("content-md5", "content-type"):
            headers[name] = value
    for name, value in request.query():
        if name.lower().startswith("x-amz-") and name.lower() not in sent:
            headers[name.lower()] = value
    signer = _SignerV2(BotoCredentials(claimed.access_key_id, secret), claimed.expires)
    split = urlsplit(f"{_ANYWHERE}{path}?{request.raw_query}")
    return str(signer.get_signature(request.method, split, headers))  # type: ignore[arg-type]  # the stubs ask for less
