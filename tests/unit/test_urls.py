"""URLs from requests, against real servers on loopback. Names resolve as each test says."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.adapters.urls.guarded import GuardedUrls
from seatrial.domain.addresses import PRIVATE_NETWORKS, refusal
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import URL_REDIRECTS_MAX

LOOPBACK = (ip_network("127.0.0.0/8"),)
LIMIT = 1_000


class Site(BaseHTTPRequestHandler):
    """Answers by path, and notes the Host header and the address it was reached at."""

    seen: list[tuple[str | None, str]]
    stuck: threading.Event

    def do_GET(self) -> None:
        self.seen.append((self.headers["Host"], self.path))
        name, _, rest = self.path.lstrip("/").partition("/")
        getattr(self, f"on_{name}")(rest)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:  # the client has read as much as it takes
            pass

    def on_ok(self, rest: str) -> None:
        self.answer(200, b"x" * int(rest), Content_Type="Image/PNG; q=1", Content_Length=rest)

    def on_unannounced(self, rest: str) -> None:
        self.answer(200, b"x" * int(rest))

    def on_zipped(self, _: str) -> None:
        self.answer(200, b"\x1f\x8b", Content_Encoding="gzip")

    def on_to(self, rest: str) -> None:
        self.answer(302, Location=rest)

    def on_chain(self, rest: str) -> None:
        left = int(rest)
        self.answer(307, Location=f"/chain/{left - 1}" if left else "/ok/3")

    def on_status(self, rest: str) -> None:
        self.answer(int(rest))

    def on_short(self, _: str) -> None:
        self.answer(200, b"abc", Content_Length="500")

    def on_stuck(self, _: str) -> None:
        self.answer(200, b"abc", Content_Length="500")
        self.stuck.wait()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    handler = type("Handler", (Site,), {"seen": [], "stuck": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        handler.stuck.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def base(site: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{site.server_port}"


def seen(site: ThreadingHTTPServer) -> list[tuple[str, str]]:
    return site.RequestHandlerClass.seen  # type: ignore[attr-defined]


def answers(*lists: list[str]) -> Callable[[str, int], Any]:
    """A resolver that gives one list after the other, the last one for ever."""
    left = list(lists)

    async def resolve(host: str, port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


async def refused(urls: GuardedUrls, url: str) -> BadInput:
    async with urls:
        with pytest.raises(BadInput) as caught:
            await urls.fetch(url, LIMIT)
    assert caught.value.error_type in ("input_unreachable", "media_too_large")
    return caught.value


async def test_a_body_comes_with_its_type(base: str) -> None:
    async with GuardedUrls(allow=LOOPBACK) as urls:
        fetched = await urls.fetch(f"{base}/ok/{LIMIT}", LIMIT)
    assert (fetched.body, fetched.media_type) == (b"x" * LIMIT, "image/png")


async def test_a_name_is_connected_to_by_the_address_that_was_judged(site: ThreadingHTTPServer) -> None:
    """The second answer of the resolver would be another address: it is never asked for."""
    async with GuardedUrls(allow=LOOPBACK, resolve=answers(["127.0.0.1"], ["127.0.0.2"])) as urls:
        fetched = await urls.fetch(f"http://plans.example:{site.server_port}/ok/5", LIMIT)
    assert fetched.body == b"xxxxx"
    assert seen(site) == [(f"plans.example:{site.server_port}", "/ok/5")]


async def test_the_next_address_is_tried_when_one_refuses(site: ThreadingHTTPServer) -> None:
    resolve = answers(["::1", "127.0.0.2", "127.0.0.1"])
    async with GuardedUrls(allow=PRIVATE_NETWORKS, resolve=resolve) as urls:
        assert (await urls.fetch(f"http://plans.example:{site.server_port}/ok/5", LIMIT)).body == b"xxxxx"


async def test_only_open_addresses_of_a_name_are_used(site: ThreadingHTTPServer) -> None:
    only = (ip_network("127.0.0.1/32"),)
    async with GuardedUrls(allow=only, resolve=answers(["10.0.0.1", "169.254.169.254", "127.0.0.1"])) as urls:
        assert (await urls.fetch(f"http://plans.example:{site.server_port}/ok/5", LIMIT)).body == b"xxxxx"


async def test_our_own_network_is_shut(site: ThreadingHTTPServer, base: str) -> None:
    error = await refused(GuardedUrls(), f"{base}/ok/5?X-Amz-Signature=secret")
    assert "127.0.0.1 (loopback)" in error.message
    assert "--allow-receiver 127.0.0.1/32" in error.message
    assert "secret" not in error.message
    assert seen(site) == []


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"]
)
async def test_no_spelling_of_our_own_network_is_open(site: ThreadingHTTPServer, host: str) -> None:
    await refused(GuardedUrls(), f"http://{host}:{site.server_port}/ok/5")
    assert seen(site) == []


async def test_every_hop_is_judged(site: ThreadingHTTPServer, base: str) -> None:
    only = (ip_network("127.0.0.1/32"),)
    other = f"http://127.0.0.2:{site.server_port}/ok/5"
    error = await refused(GuardedUrls(allow=only), f"{base}/to/{other}")
    assert "127.0.0.2 (loopback)" in error.message
    assert len(seen(site)) == 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://a:b@127.0.0.1/", "gopher://x"])
async def test_redirects_lead_to_the_web_only(base: str, target: str) -> None:
    await refused(GuardedUrls(allow=LOOPBACK), f"{base}/to/{target}")


async def test_redirects_are_followed_so_far(base: str) -> None:
    async with GuardedUrls(allow=LOOPBACK) as urls:
        assert (await urls.fetch(f"{base}/chain/{URL_REDIRECTS_MAX - 1}", LIMIT)).body == b"xxx"
    error = await refused(GuardedUrls(allow=LOOPBACK), f"{base}/chain/{URL_REDIRECTS_MAX}")
    assert "redirects more than 5 times" in error.message


@pytest.mark.parametrize("path", [f"ok/{LIMIT + 1}", f"unannounced/{LIMIT + 1}", "unannounced/5000000"])
async def test_a_body_is_bounded(base: str, path: str) -> None:
    error = await refused(GuardedUrls(allow=LOOPBACK), f"{base}/{path}")
    assert error.error_type == "media_too_large"
    assert "1,000" in error.message


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("status/404", "answers 404"),
        ("status/204", "answers 204"),
        ("status/302", "answers 302"),
        ("zipped/", "compressed"),
        ("short/", "broke off"),
    ],
)
async def test_what_is_not_a_whole_success_is_told(base: str, path: str, says: str) -> None:
    assert says in (await refused(GuardedUrls(allow=LOOPBACK), f"{base}/{path}")).message


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.org/", "not an http or https URL"),
        ("http://", "not an http or https URL"),
        ("http://user:word@example.org/", "user name or password"),
        ("http://[::1", "not a URL"),
        ("http://example.org/" + "a" * 9_000, "longer than 8,192"),
    ],
)
async def test_a_url_that_cannot_be_is_refused(url: str, says: str) -> None:
    error = await refused(GuardedUrls(), url)
    assert says in error.message
    assert "word@" not in error.message


async def test_an_unknown_host_is_told() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    assert (
        "'plans.example' is not known" in (await refused(GuardedUrls(resolve=nowhere), "http://plans.example/")).message
    )


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = await refused(GuardedUrls(allow=LOOPBACK), f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert "cannot be connected to" in error.message


async def test_the_whole_fetch_is_bounded_in_time(base: str) -> None:
    error = await refused(GuardedUrls(allow=LOOPBACK, seconds_max=0.2), f"{base}/stuck/")
    assert "within 0.2 s" in error.message


async def test_tls_is_asked_for_by_name_at_the_judged_address() -> None:
    """The server has no certificate, but it hears which name the client asks for."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _connection, name, _context: asked.append(name)  # type: ignore[assignment]
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    urls = GuardedUrls(allow=LOOPBACK, resolve=answers(["127.0.0.1"]))
    await refused(urls, f"https://plans.example:{port}/")
    server.close()
    await server.wait_closed()
    assert asked == ["plans.example"]


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.0.1",
        "192.168.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "2002:7f00:1::1",
        "2001:0:7f00:1::",
        "not an address",
    ],
)
def test_special_addresses_are_shut(address: str) -> None:
    assert refusal(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_open(address: str) -> None:
    assert refusal(address) is None


def test_private_networks_open_without_machine_credentials() -> None:
    for address in ("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "::1", "fc00::1", "::ffff:10.0.0.1"):
        assert refusal(address, PRIVATE_NETWORKS) is None
    for address in ("169.254.169.254", "224.0.0.1", "0.0.0.0", "fe80::1", "64:ff9b::a9fe:a9fe", "fd00:ec2::254"):
        assert refusal(address, PRIVATE_NETWORKS), address
    assert refusal("fd00:ec2::254", (ip_network("fd00:ec2::254/128"),)) is None


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_opens_nothing(address: Any) -> None:
    inner = refusal(str(address))
    assert (refusal(f"::ffff:{address}") is None) == (inner is None)
    assert (refusal(f"64:ff9b::{address}") is None) == (inner is None)
    if inner:
        assert refusal(f"2002:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}::1")
