"""S3's smaller documents: buckets' settings, deletions, copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from seatrial.domain.limits import DELETE_KEYS_MAX
from seatrial.domain.objects import ObjectInfo
from seatrial.http.dialects.aws_errors import AwsError
from seatrial.http.dialects.s3.errors import s3_error
from seatrial.http.dialects.s3.headers import checksum_type, checksums_kept, iso_date, quoted
from seatrial.http.dialects.s3.xml import DECLARATION, NAMESPACE, document, parse, text

CLASSIC_REGION = "us-east-1"  # has an empty LocationConstraint, and lets its buckets be made twice
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True, slots=True)
class Deletions:
    """What DeleteObjects asks for; an entry with conditions has True beside its key."""

    entries: tuple[tuple[str, bool], ...]
    quiet: bool


def read_location(raw: bytes) -> str | None:
    """The region that CreateBucket names, if it names one. Raises AwsError: MalformedXML."""
    if not raw:
        return None
    return parse(raw, "CreateBucketConfiguration").findtext("LocationConstraint") or None


def location_document(region: str) -> bytes:
    """The answer of GetBucketLocation, whose root holds the text itself."""
    value = "" if region == CLASSIC_REGION else region
    return DECLARATION + f'<LocationConstraint xmlns="{NAMESPACE}">{value}</LocationConstraint>'.encode()


def versioning_document() -> bytes:
    """Versioning was never switched on."""
    return document("VersioningConfiguration", [])


def tags_document() -> bytes:
    """No object has tags: they cannot be set."""
    return document("Tagging", [("TagSet", [])])


def access_document(owner: str) -> bytes:
    """The owner, and nobody else, has full control."""
    grantee = f'<Grantee xmlns:xsi="{_XSI}" xsi:type="CanonicalUser"><ID>{owner}</ID></Grantee>'
    return (
        DECLARATION
        + (
            f'<AccessControlPolicy xmlns="{NAMESPACE}"><Owner><ID>{owner}</ID></Owner><AccessControlList>'
            f"<Grant>{grantee}<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"
        ).encode()
    )


def read_deletions(raw: bytes) -> Deletions:
    """Raises AwsError: MalformedXML."""
    root = parse(raw, "Delete")
    entries = tuple(_entry(element) for element in root.findall("Object"))
    if not 1 <= len(entries) <= DELETE_KEYS_MAX:
        raise s3_error("MalformedXML")
    return Deletions(entries, (root.findtext("Quiet") or "").strip().lower() == "true")


def _entry(element: Element) -> tuple[str, bool]:
    version = element.findtext("VersionId")
    conditions = ("ETag", "LastModifiedTime", "Size")
    conditional = version not in (None, "", "null") or any(element.find(name) is not None for name in conditions)
    return text(element, "Key"), conditional


def deletions_document(ends: Sequence[tuple[str, AwsError | None]], quiet: bool) -> bytes:
    """Which keys are free now, and which deletions were refused."""
    deleted = [("Deleted", [("Key", key)]) for key, error in ends if error is None and not quiet]
    refused = [
        ("Error", [("Key", key), ("Code", error.code), ("Message", error.message)])
        for key, error in ends
        if error is not None
    ]
    return document("DeleteResult", [*deleted, *refused])


def copy_document(info: ObjectInfo, root: str = "CopyObjectResult") -> bytes:
    """The answer of CopyObject and, with its root, of UploadPartCopy."""
    sums = [(checksum_member(name), value) for name, value in checksums_kept(info).items()]
    return document(
        root,
        [("LastModified", iso_date(info.modified_at_ms)), ("ETag", quoted(info.sealed.etag)), *sums],
    )


def checksum_member(header: str) -> str:
    """`x-amz-checksum-crc32` is ChecksumCRC32 in a document."""
    return "Checksum" + header.rpartition("-")[2].upper()


def checksum_members(info: ObjectInfo) -> list[tuple[str, str]]:
    """An object's checksum and its type."""
    members: list[tuple[str, str]] = []
    for name, value in checksums_kept(info).items():
        members += [(checksum_member(name), value), ("ChecksumType", checksum_type(value))]
    return members
