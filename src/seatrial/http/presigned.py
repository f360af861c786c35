"""URLs that carry their own credentials for a while."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from seatrial.domain.credentials import Principal
from seatrial.domain.errors import KEY_UNSEALED, Conflict
from seatrial.domain.objects import ObjectName
from seatrial.engine.keyring import Keyring


def presigned_url(
    keyring: Keyring,
    signer: Principal,
    method: Literal["GET", "PUT"],
    base_url: str,
    name: ObjectName,
    seconds: int,
    headers: Mapping[str, str] = MappingProxyType({}),
    query: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """A SigV4 URL of an object, good for `seconds` and as long as the signer's key reaches that object.

    `base_url` ends with a slash and is the address that the client itself uses: the host is part of what is signed.
    `headers` must come with the request; `query` are parameters of the URL, signed with it.

    Raises:
        Conflict: the signer's secret access key cannot be opened.
    """
    pair = keyring.pair_of(signer)
    if pair is None:
        remedy = {"remedy": f"seatrial keys rotate {signer.key_id}"}
        raise Conflict(KEY_UNSEALED, f"The secret access key of {signer.said} cannot be opened.", details=remedy)
    url = f"{base_url}{name.bucket}/{quote(name.key, safe='/~')}"
    request = AWSRequest(method, f"{url}?{urlencode(query)}" if query else url, headers=dict(headers))
    boto = BotoCredentials(pair.access_key_id, pair.secret_access_key)
    S3SigV4QueryAuth(boto, "s3", keyring.credentials.region, expires=seconds).add_auth(request)
    return str(request.url)
