"""AWS's own errors, in the form of each of its protocols.

Sources: botocore's error parsers (botocore/parsers.py), which these bodies are read by, and the error lists of
the services in AWS's documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from xml.sax.saxutils import escape

from starlette.responses import Response


class Protocol(StrEnum):
    """How a service speaks; the words are botocore's."""

    JSON = "json"
    REST_JSON = "rest-json"
    QUERY = "query"
    EC2 = "ec2"
    REST_XML = "rest-xml"
    CBOR = "smithy-rpc-v2-cbor"


class AwsError(Exception):
    """An answer of AWS's. `members` are further members of the error's body; `headers` go with the answer."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})
        self.headers = dict(headers or {})


def error_response(protocol: Protocol, error: AwsError, request_id: str) -> Response:
    """The error as a client of that protocol expects it. `request_id` goes into the body or a header, or both."""
    headers = {"x-amzn-RequestId": request_id, **error.headers}
    if protocol is Protocol.REST_JSON:
        headers["x-amzn-ErrorType"] = error.code
    elif protocol is Protocol.CBOR:
        headers["smithy-protocol"] = "rpc-v2-cbor"
    elif protocol is Protocol.REST_XML:
        headers["x-amz-request-id"] = request_id
    return Response(_body(protocol, error, request_id), error.status, headers, _MEDIA_TYPES[protocol])


_MEDIA_TYPES = {
    Protocol.JSON: "application/x-amz-json-1.1",
    Protocol.REST_JSON: "application/json",
    Protocol.QUERY: "text/xml",
    Protocol.EC2: "text/xml",
    Protocol.REST_XML: "application/xml",
    Protocol.CBOR: "application/cbor",
}


def _body(protocol: Protocol, error: AwsError, request_id: str) -> bytes:
    match protocol:
        case Protocol.JSON:
            return _json({"__type": error.code, "message": error.message, **error.members})
        case Protocol.REST_JSON:
            return _json({"Message": error.message, **error.members})
        case Protocol.QUERY:
            return _query_xml(error, request_id)
        case Protocol.EC2:
            return _ec2_xml(error, request_id)
        case Protocol.REST_XML:
            return _s3_xml(error, request_id)
        case Protocol.CBOR:
            return _cbor({"__type": error.code, "message": error.message})


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()


def _elements(members: Mapping[str, Any]) -> str:
    return "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in members.items())


def _query_xml(error: AwsError, request_id: str) -> bytes:
    fault = "Sender" if error.status < 500 else "Receiver"
    inner = _elements({"Type": fault, "Code": error.code, "Message": error.message})
    return (
        f"<ErrorResponse><Error>{inner}</Error><RequestId>{escape(request_id)}</RequestId></ErrorResponse>"
    ).encode()


def _ec2_xml(error: AwsError, request_id: str) -> bytes:
    inner = _elements({"Code": error.code, "Message": error.message})
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{escape(request_id)}</RequestID></Response>"
    ).encode()


def _s3_xml(error: AwsError, request_id: str) -> bytes:
    inner = _elements({"Code": error.code, "Message": error.message, **error.members, "RequestId": request_id})
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


def _cbor(texts: Mapping[str, str]) -> bytes:
    """A CBOR map of short texts (RFC 8949: major type 5 of major type 3)."""
    encoded = bytes([0xA0 | len(texts)])
    for name, value in texts.items():
        encoded += _cbor_text(name) + _cbor_text(value)
    return encoded


def _cbor_text(text: str) -> bytes:
    raw = text.encode()
    return b"\x79" + len(raw).to_bytes(2, "big") + raw


# ---------------------------------------------------------------- signatures, in each service's words

# flaw -> (code, status); the flaws are those of sigv4.Flaw
_JSON_CODES = {
    "missing": ("MissingAuthenticationTokenException", 403),
    "malformed": ("IncompleteSignatureException", 400),
    "unsupported": ("IncompleteSignatureException", 400),
    "unknown_key": ("UnrecognizedClientException", 403),
    "expired": ("RequestExpired", 400),
    "not_yet_valid": ("RequestExpired", 400),
}
_QUERY_CODES = {
    "missing": ("MissingAuthenticationToken", 403),
    "malformed": ("IncompleteSignature", 400),
    "unsupported": ("IncompleteSignature", 400),
    "unknown_key": ("InvalidClientTokenId", 403),
    "expired": ("RequestExpired", 400),
    "not_yet_valid": ("RequestExpired", 400),
}
_S3_CODES = {
    "missing": ("AccessDenied", 403),
    "malformed": ("AuthorizationHeaderMalformed", 400),
    "unsupported": ("InvalidRequest", 400),
    "unknown_key": ("InvalidAccessKeyId", 403),
    "expired": ("AccessDenied", 403),
    "not_yet_valid": ("AccessDenied", 403),
    "skewed": ("RequestTimeTooSkewed", 403),
    "unsigned_header": ("AccessDenied", 403),
    "payload_hash": ("InvalidRequest", 400),
}
_S3_MESSAGES = {
    "missing": "Access Denied",
    "unknown_key": "The AWS Access Key Id you provided does not exist in our records.",
    "mismatch": "The request signature we calculated does not match the signature you provided. "
    "Check your key and signing method.",
    "skewed": "The difference between the request time and the current time is too large.",
    "unsigned_header": "There were headers present in the request which were not signed",
}


def signature_error(
    protocol: Protocol, flaw: str, message: str, details: Mapping[str, str], *, presigned: bool = False
) -> AwsError:
    """What a service of that protocol says to a signature with that flaw.

    S3 says more in `details`, and has a code of its own for malformed presigned queries.
    """
    if protocol is Protocol.REST_XML:
        code, status = _S3_CODES.get(flaw, ("SignatureDoesNotMatch", 403))
        if flaw == "malformed" and presigned:
            code = "AuthorizationQueryParametersError"
        return AwsError(code, _S3_MESSAGES.get(flaw, message), status, details)
    if protocol in (Protocol.QUERY, Protocol.EC2):
        code, status = _QUERY_CODES.get(flaw, ("SignatureDoesNotMatch", 403))
    else:
        code, status = _JSON_CODES.get(flaw, ("InvalidSignatureException", 403))
    return AwsError(code, message, status)


# ---------------------------------------------------------------- what every service may have to say


def unknown_operation(protocol: Protocol, operation: str, service: str, offered: str) -> AwsError:
    """The service is there, the operation is not; `offered` lists those that are."""
    message = f"The operation {operation} of {service} is not offered here. Offered: {offered}."
    if protocol in (Protocol.QUERY, Protocol.EC2):
        return AwsError("InvalidAction", message, 400)
    if protocol is Protocol.REST_XML:
        return AwsError("NotImplemented", message, 501)
    return AwsError("UnknownOperationException", message, 404 if protocol is Protocol.REST_JSON else 400)


def not_offered(protocol: Protocol, service: str, offered: str) -> AwsError:
    """The whole service is not there; `offered` lists those that are."""
    message = (
        f"The service {service!r} is not offered here. Offered: {offered}. To use AWS itself for the rest, set the "
        "per-service variables (AWS_ENDPOINT_URL_SAGEMAKER, …) instead of AWS_ENDPOINT_URL."
    )
    if protocol in (Protocol.QUERY, Protocol.EC2):
        return AwsError("InvalidAction", message, 400)
    if protocol is Protocol.REST_XML:
        return AwsError("NotImplemented", message, 501)
    return AwsError("UnknownOperationException", message, 404 if protocol is Protocol.REST_JSON else 400)


def access_denied(protocol: Protocol, message: str) -> AwsError:
    """The signature holds, but these credentials do not reach this."""
    code = "AccessDenied" if protocol in (Protocol.QUERY, Protocol.EC2, Protocol.REST_XML) else "AccessDeniedException"
    return AwsError(code, message, 403)


def body_too_large(protocol: Protocol, limit_bytes: int) -> AwsError:
    """The body passed its limit; nothing of it was kept."""
    message = f"The request body is larger than {limit_bytes} bytes."
    code = "ValidationError" if protocol is Protocol.REST_JSON else "RequestEntityTooLargeException"
    return AwsError(code, message, 413)


def internal_failure(protocol: Protocol) -> AwsError:
    """Our fault; the server's log has the traceback under the request id."""
    code = "InternalError" if protocol is Protocol.REST_XML else "InternalFailure"
    return AwsError(code, "The server could not do this; its log says why under this request id.", 500)


def unavailable() -> AwsError:
    """The store did not answer; the client may repeat the request."""
    return AwsError(
        "ServiceUnavailable", "The store is not available now; try again.", 503, headers={"Retry-After": "1"}
    )
