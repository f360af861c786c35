"""URLs of objects: with credentials of their own for a while, or for those who send their key."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from seatrial.domain.access import reaches_object
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.errors import KEY_UNSEALED, Conflict
from seatrial.domain.home import Home
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


def part_url(
    keyring: Keyring,
    asker: Principal | None,
    base_url: str,
    job_id: str,
    part: str,
    name: ObjectName,
    home: Home | None,
    seconds: int,
) -> str:
    """A URL that reads a part of a job, for who asks; None: for whom the job's own settings name.

    Signed in the asker's name for `seconds`, if it may read the object by itself. If not, nobody signs: it is the
    job's own route, read with the asker's key as far as that reaches. `base_url` ends with a slash; `home` is where
    the server's own buckets lie in an S3 service.

    Raises:
        Conflict: the asker's secret access key cannot be opened.
    """
    if asker is None:
        return presigned_url(keyring, keyring.owner, "GET", base_url, name, seconds)
    if KeyScope.READ in asker.scopes and reaches_object(asker.reach, name, home):
        return presigned_url(keyring, asker, "GET", base_url, name, seconds)
    return f"{base_url}v1/jobs/{job_id}/result?{urlencode({'part': part})}"
