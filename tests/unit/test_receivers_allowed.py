"""Which networks receivers and URLs of inputs may be in: by where the server listens, and by --allow-receiver."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.adapters.urls.guarded import GuardedUrls
from seatrial.config import ConfigError, load_settings
from seatrial.domain.delivery import read_webhooks
from seatrial.domain.errors import BadInput

LOOPBACK = ("http://127.0.0.1:8092/", "http://localhost/", "http://[::1]/")
INSIDE = ("http://10.1.2.3/", "http://192.168.0.9/", "http://172.16.0.1/", "http://100.64.0.1/", "http://[fd00::1]/")
NEVER = (
    "http://169.254.169.254/latest",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://0.0.0.0/",
)


def allowed(url: str, **settings: str) -> bool:
    networks = load_settings({"data": "/nowhere", **settings}).receiver_networks
    try:
        read_webhooks([url], allow=networks)
    except BadInput:
        return False
    return True


def test_a_server_on_loopback_tells_receivers_on_loopback_and_no_others() -> None:
    assert all(allowed(url) for url in LOOPBACK)
    assert not any(allowed(url) for url in INSIDE + NEVER)


def test_a_server_that_others_reach_tells_none_of_its_own_network() -> None:
    assert not any(allowed(url, host="0.0.0.0") for url in LOOPBACK + INSIDE + NEVER)
    assert allowed("https://example.com/hook", host="0.0.0.0")


def test_networks_are_opened_one_by_one() -> None:
    opened = {"host": "0.0.0.0", "allow_receiver": "10.1.0.0/16, fd00::/64"}
    assert [url for url in LOOPBACK + INSIDE + NEVER if allowed(url, **opened)] == [INSIDE[0], INSIDE[4]]
    whole = {"allow_receiver": "169.254.0.0/16"}  # where credentials are handed out opens only by itself
    assert not allowed(NEVER[0], **whole)
    assert allowed(NEVER[0], allow_receiver="169.254.169.254/32")


def test_the_error_names_what_would_open_the_way() -> None:
    with pytest.raises(BadInput, match=r"--allow-receiver 10\.1\.2\.3/32") as refused:
        read_webhooks([INSIDE[0]], allow=())
    assert refused.value.field == "webhook"
    with pytest.raises(BadInput, match=r"--allow-receiver 127\.0\.0\.1/32"):
        read_webhooks(["http://[::ffff:127.0.0.1]/"], allow=())


async def test_a_name_that_leads_inside_is_refused_when_it_is_resolved() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.9.9.9"]

    async with GuardedUrls(resolve=resolve) as urls:
        with pytest.raises(BadInput, match=r"--allow-receiver 10\.9\.9\.9/32"):
            await urls.send("http://plans.example/", "POST", b"{}", {})


def test_the_option_may_come_often_and_is_checked(tmp_path: Path) -> None:
    given = load_settings({"data": str(tmp_path), "allow_receiver": ["10.0.0.0/8", "192.168.1.5/32"]})
    assert [str(one) for one in given.open_networks] == ["10.0.0.0/8", "192.168.1.5/32"]
    with pytest.raises(ConfigError, match="networks such as"):
        load_settings({"data": str(tmp_path), "allow_receiver": "10.0.0.1/8"})
