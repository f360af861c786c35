"""URLs that carry their own credentials for a while."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal
from urllib.parse import quote

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from seatrial.domain.credentials import Keyring
from seatrial.domain.objects import ObjectName


def presigned_url(
    keyring: Keyring,
    method: Literal["GET", "PUT"],
    base_url: str,
    name: ObjectName,
    seconds: int,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """A SigV4 URL of an object, good for `seconds`; `headers` must come with the request.

    `base_url` ends with a slash and is the address that the client itself uses: the host is part of what is signed.
    """
    keys = keyring.credentials
    request = AWSRequest(method, f"{base_url}{name.bucket}/{quote(name.key, safe='/~')}", headers=dict(headers))
    pair = BotoCredentials(keys.access_key_id, keys.secret_access_key)
    S3SigV4QueryAuth(pair, "s3", keys.region, expires=seconds).add_auth(request)
    return str(request.url)
