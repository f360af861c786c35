"""The documents of multipart uploads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from seatrial.domain import checksums
from seatrial.domain.errors import BadInput, Busy, NotFound, SeatrialError
from seatrial.domain.limits import LIST_KEYS_MAX, MULTIPART_PARTS_MAX
from seatrial.domain.objects import ObjectInfo, ObjectName, PutCondition
from seatrial.domain.uploads import ClaimedPart, Completion, Part, Upload
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.s3.documents import checksum_member, checksum_members
from seatrial.http.dialects.s3.errors import invalid_argument, invalid_request, s3_error
from seatrial.http.dialects.s3.headers import iso_date, quoted
from seatrial.http.dialects.s3.integrity import CHECKSUM
from seatrial.http.dialects.s3.listings import encoder, is_url_encoded, owner_members, read_count
from seatrial.http.dialects.s3.xml import body, document, parse, text

_NUMBER = re.compile(r"[0-9]{1,9}")
_CODES = {
    "upload_not_found": "NoSuchUpload",
    "invalid_part": "InvalidPart",
    "invalid_part_order": "InvalidPartOrder",
    "part_too_small": "EntityTooSmall",
    "checksum_mismatch": "BadDigest",
}


@dataclass(frozen=True, slots=True)
class UploadPage:
    """Which uploads of a bucket are asked for."""

    prefix: str
    key_marker: str
    upload_marker: str
    limit: int
    url_encoded: bool


def as_s3(error: SeatrialError) -> AwsError:
    """The engine's refusal in S3's words."""
    code = _CODES.get(error.error_type)
    if code is not None and isinstance(error, BadInput | NotFound):
        found = s3_error(code)
        found.message = f"{found.message} ({error.message})"
        return found
    if isinstance(error, Busy):
        return AwsError("SlowDown", error.message, 503, headers={"Retry-After": str(error.retry_after_seconds)})
    return AwsError("InvalidRequest", error.message, 400)


def read_begin(words: Mapping[str, str]) -> tuple[str | None, bool]:
    """The parts' checksum algorithm, and whether the object's is over its bytes. Raises AwsError: InvalidRequest."""
    algorithm = words.get("x-amz-checksum-algorithm", "").lower() or None
    kind = words.get("x-amz-checksum-type", "").upper()
    if algorithm is None:
        return None, False
    if algorithm not in checksums.ALGORITHMS:
        raise invalid_request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types"
        )
    if (kind == "FULL_OBJECT" and algorithm.startswith("sha")) or (
        kind == "COMPOSITE" and algorithm in checksums.WHOLE_ONLY
    ):
        raise invalid_request(f"The {kind} checksum type cannot be used with the {algorithm} checksum algorithm.")
    return algorithm, kind == "FULL_OBJECT" or algorithm in checksums.WHOLE_ONLY


def read_part_number(query: Mapping[str, str]) -> int:
    """Raises AwsError: InvalidArgument."""
    value = query.get("partNumber", "")
    if not _NUMBER.fullmatch(value) or not 1 <= int(value) <= MULTIPART_PARTS_MAX:
        raise invalid_argument(
            "partNumber", value, f"Part number must be an integer between 1 and {MULTIPART_PARTS_MAX}, inclusive"
        )
    return int(value)


def read_completion(raw: bytes, words: Mapping[str, str], condition: PutCondition | None) -> Completion:
    """Raises AwsError: MalformedXML."""
    elements = parse(raw, "CompleteMultipartUpload").findall("Part")
    if not 1 <= len(elements) <= MULTIPART_PARTS_MAX:
        raise s3_error("MalformedXML")
    whole = [words[CHECKSUM + name] for name in checksums.ALGORITHMS if CHECKSUM + name in words]
    size = words.get("x-amz-mp-object-size", "")
    return Completion(
        parts=tuple(_claimed(element) for element in elements),
        condition=condition,
        checksum=whole[0] if whole else None,
        size_bytes=int(size) if re.fullmatch(r"[0-9]{1,18}", size) else None,
    )


def _claimed(element: Element) -> ClaimedPart:
    number = text(element, "PartNumber").strip()
    if not _NUMBER.fullmatch(number):
        raise s3_error("MalformedXML")
    sums = [element.findtext("Checksum" + name.upper()) for name in checksums.ALGORITHMS]
    return ClaimedPart(
        int(number), text(element, "ETag").strip().strip('"'), next((value for value in sums if value), None)
    )


def begun_document(upload: Upload) -> bytes:
    """The answer of CreateMultipartUpload."""
    return document(
        "InitiateMultipartUploadResult",
        [("Bucket", upload.name.bucket), ("Key", upload.name.key), ("UploadId", upload.id)],
    )


def completed_body(info: ObjectInfo, location: str) -> bytes:
    """The answer of CompleteMultipartUpload without the XML declaration, which may have been sent before."""
    return body(
        "CompleteMultipartUploadResult",
        [
            ("Location", location),
            ("Bucket", info.name.bucket),
            ("Key", info.name.key),
            ("ETag", quoted(info.sealed.etag)),
            *checksum_members(info),
        ],
    )


def parts_document(upload: Upload, parts: Sequence[Part], more: bool, query: Mapping[str, str], owner: str) -> bytes:
    """The answer of ListParts."""
    encode = encoder(is_url_encoded(query))
    shown = [("Part", _part(part, upload)) for part in parts]
    return document(
        "ListPartsResult",
        [
            ("Bucket", upload.name.bucket),
            ("Key", encode(upload.name.key)),
            ("UploadId", upload.id),
            ("PartNumberMarker", read_part_marker(query)),
            ("NextPartNumberMarker", parts[-1].number if parts else 0),
            ("MaxParts", read_count(query, "max-parts", LIST_KEYS_MAX)),
            ("IsTruncated", more),
            *shown,
            ("Initiator", owner_members(owner)),
            ("Owner", owner_members(owner)),
            ("StorageClass", "STANDARD"),
            ("ChecksumAlgorithm", upload.checksum_algorithm and upload.checksum_algorithm.upper()),
        ],
    )


def read_part_marker(query: Mapping[str, str]) -> int:
    """Raises AwsError: InvalidArgument."""
    return read_count({"part-number-marker": query.get("part-number-marker") or "0"}, "part-number-marker", 100_000)


def _part(part: Part, upload: Upload) -> list[tuple[str, Any]]:
    members: list[tuple[str, Any]] = [
        ("PartNumber", part.number),
        ("LastModified", iso_date(part.modified_at_ms)),
        ("ETag", quoted(part.etag)),
        ("Size", part.size_bytes),
    ]
    if upload.checksum_algorithm is not None and part.checksum is not None:
        members.append((checksum_member(upload.checksum_algorithm), part.checksum))
    return members


def copied_part_document(part: Part) -> bytes:
    """The answer of UploadPartCopy."""
    return document("CopyPartResult", [("LastModified", iso_date(part.modified_at_ms)), ("ETag", quoted(part.etag))])


def read_upload_page(query: Mapping[str, str]) -> UploadPage:
    """Raises AwsError: InvalidArgument, NotImplemented."""
    if query.get("delimiter"):
        raise AwsError("NotImplemented", "A delimiter in ListMultipartUploads is not offered here.", 501)
    return UploadPage(
        prefix=query.get("prefix", ""),
        key_marker=query.get("key-marker", ""),
        upload_marker=query.get("upload-id-marker", ""),
        limit=read_count(query, "max-uploads", LIST_KEYS_MAX),
        url_encoded=is_url_encoded(query),
    )


def uploads_document(page: UploadPage, bucket: str, uploads: Sequence[Upload], owner: str) -> bytes:
    """The answer of ListMultipartUploads, of all the bucket's open uploads in order."""
    encode = encoder(page.url_encoded)
    found = _after_markers([upload for upload in uploads if upload.name.key.startswith(page.prefix)], page)
    shown = found[: page.limit]
    more = bool(shown) and len(found) > page.limit
    return document(
        "ListMultipartUploadsResult",
        [
            ("Bucket", bucket),
            ("KeyMarker", encode(page.key_marker)),
            ("UploadIdMarker", page.upload_marker),
            ("NextKeyMarker", encode(shown[-1].name.key) if more else None),
            ("NextUploadIdMarker", shown[-1].id if more else None),
            ("Prefix", encode(page.prefix)),
            ("EncodingType", "url" if page.url_encoded else None),
            ("MaxUploads", page.limit),
            ("IsTruncated", more),
            *(("Upload", _upload(upload, encode(upload.name.key), owner)) for upload in shown),
        ],
    )


def _after_markers(uploads: list[Upload], page: UploadPage) -> list[Upload]:
    """Those of later keys; of the marker's own key, those that come after the upload named beside it."""
    ids = [upload.id for upload in uploads if upload.name == ObjectName(upload.name.bucket, page.key_marker)]
    done = set(ids if page.upload_marker not in ids else ids[: ids.index(page.upload_marker) + 1])
    marker = page.key_marker.encode()
    return [upload for upload in uploads if upload.name.key.encode() >= marker and upload.id not in done]


def _upload(upload: Upload, key: str, owner: str) -> list[tuple[str, Any]]:
    return [
        ("Key", key),
        ("UploadId", upload.id),
        ("Initiator", owner_members(owner)),
        ("Owner", owner_members(owner)),
        ("StorageClass", "STANDARD"),
        ("Initiated", iso_date(upload.created_at_ms)),
    ]
