"""URLs of a job's parts: nobody gets one that opens more than the own key does."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from tests.unit.test_keys import OWNER, Clock

from seatrial.domain.credentials import KeyScope
from seatrial.domain.keys import Key, KeyPlan, KeySecret
from seatrial.domain.objects import ObjectName
from seatrial.engine.keyring import Keyring
from seatrial.http.presigned import part_url

BOTH = frozenset({KeyScope.SUBMIT, KeyScope.READ})


@pytest.mark.parametrize(
    ("scopes", "bucket", "signed"),
    [
        (BOTH, "seatrial-results", True),
        (BOTH, "plans", True),
        (BOTH, "vault", False),
        (frozenset({KeyScope.SUBMIT}), "plans", False),
    ],
)
def test_who_asks_signs_or_nobody_does(scopes: frozenset[KeyScope], bucket: str, signed: bool) -> None:
    keyring = Keyring(OWNER, Clock())
    plan = KeyPlan("shop", scopes, frozenset({"echo"}), frozenset({"plans"}))
    key = Key("key_a", plan, (KeySecret("STKEYA", "00" * 32, "…", "sealed", 0),), 0)
    keyring.hold(key, {"STKEYA": "a secret"})
    name = ObjectName(bucket, "echo/1.out")
    asker = key.principal("000000000000")
    url = urlsplit(part_url(keyring, asker, "http://here/", "job-1", "result", name, None, 60))
    if signed:
        assert url.path == f"/{bucket}/echo/1.out"
        assert parse_qs(url.query)["X-Amz-Credential"][0].startswith("STKEYA/")
    else:
        assert (url.path, url.query) == ("/v1/jobs/job-1/result", "part=result")
