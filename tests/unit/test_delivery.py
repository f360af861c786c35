"""Deliveries: signatures that the real verifier takes, when they are tried again, and where they may go."""

import base64
import json
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from seatrial.domain.addresses import PRIVATE_NETWORKS
from seatrial.domain.delivery import Attempt, is_final, read_webhooks, retry_after_ms, signed_headers
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import DELIVERY_ATTEMPTS_MAX, DELIVERY_RETRY_MS_MAX, WEBHOOKS_PER_JOB_MAX

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BODY = json.dumps({"type": "job.succeeded", "ä": 1}, ensure_ascii=False).encode()


def test_the_real_verifier_takes_what_was_signed_and_nothing_else() -> None:
    headers = signed_headers([SECRET], "msg_1", int(time.time()), BODY)
    assert Webhook(SECRET).verify(BODY, headers) == json.loads(BODY)
    for body, changed in ((BODY + b" ", headers), (BODY, headers | {"webhook-id": "msg_2"})):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, changed)


def test_tries_are_spread_over_most_of_a_day() -> None:
    waits = [retry_after_ms(tries, 0.5) for tries in range(1, DELIVERY_ATTEMPTS_MAX)]
    assert waits[:4] == [5_000, 15_000, 45_000, 135_000]
    assert waits == sorted(waits)
    assert 20 * 3_600_000 < sum(waits) < 24 * 3_600_000
    assert (retry_after_ms(1, 0.0), retry_after_ms(1, 1.0)) == (4_000, 6_000)


def test_a_receiver_may_ask_for_more_time_within_bounds() -> None:
    assert retry_after_ms(1, 0.5, 60) == 60_000
    assert retry_after_ms(3, 0.5, 1) == 45_000
    assert retry_after_ms(1, 0.5, 10**8) == DELIVERY_RETRY_MS_MAX


def test_some_answers_are_final() -> None:
    assert is_final(1, Attempt(1, 0, 0, 410))
    assert not is_final(1, Attempt(1, 0, 0, 404))
    assert is_final(DELIVERY_ATTEMPTS_MAX, Attempt(1, 0, 0, 500))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "https://",
        "hook",
        "https://user:word@example.com/",
        "https://example.com/\n",
        "https://exämple.com/",
        "https://example.com:99999/",
        "https://example.com/" + "a" * 9_000,
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://169.254.169.254/latest",
        "http://10.1.2.3/",
    ],
)
def test_what_cannot_be_a_webhook_is_said_at_once(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_webhooks([url], allow=())
    assert refused.value.field == "webhook"


def test_private_ones_are_allowed_where_that_was_asked_for_but_never_credentials() -> None:
    (target,) = read_webhooks(["http://127.0.0.1:8000/a", "http://127.0.0.1:8000/a"], allow=PRIVATE_NETWORKS)
    assert (target.address, target.receiver) == ("http://127.0.0.1:8000/a", "http://127.0.0.1:8000")
    read_webhooks(["http://localhost:8000/"], allow=PRIVATE_NETWORKS)
    with pytest.raises(BadInput):
        read_webhooks(["http://169.254.169.254/"], allow=PRIVATE_NETWORKS)
    with pytest.raises(BadInput):
        read_webhooks([f"https://example.com/{n}" for n in range(WEBHOOKS_PER_JOB_MAX + 1)], allow=PRIVATE_NETWORKS)
