"""The words that name a target on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from seatrial.prove.targets.target import Target
from seatrial.prove.targets.trouble import BadTarget

EXAMPLES = (
    "seatrial:NAME (the server of SEATRIAL_URL), http://host:8400/v1/endpoints/NAME, "
    "sagemaker:ENDPOINT or sagemaker:ENDPOINT@us-east-1, runpod:ENDPOINT_ID, runpod+http://host:8000/ENDPOINT, "
    "studio+http://host:8091, cog+http://host:5000"
)
_NATIVE = re.compile(r"(?P<base>https?://.+)/v1/endpoints/(?P<name>[^/?#]+)/?")


@dataclass(frozen=True, slots=True)
class Address:
    """The words after the wire's: a name, or a base URL, with the environment that completes them."""

    rest: str
    environ: Mapping[str, str]

    def base_url(self, example: str) -> str:
        """The rest as an HTTP URL.

        Raises:
            BadTarget: it is none.
        """
        parts = urlsplit(self.rest)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise BadTarget(f"{self.rest!r} is not the URL of a server", f"such as {example}")
        return self.rest.rstrip("/")


def parse(target: str, environ: Mapping[str, str]) -> Target:
    """The target of these words. Nothing is asked of it yet.

    `environ` has what completes them: SEATRIAL_URL, SEATRIAL_API_KEY, RUNPOD_API_KEY, STUDIO_API_KEY, COG_API_KEY, and
    AWS's own variables (which boto3 reads from the process itself).

    Raises:
        BadTarget: they are not understood, or something that they need is missing; the remedy shows what is.
    """
    native = _NATIVE.fullmatch(target)
    if native:
        from seatrial.prove.targets.seatrial import SeatrialTarget

        return SeatrialTarget(native["base"], native["name"], _api_key(environ))
    scheme, colon, rest = target.partition(":")
    wire, plus, transport = scheme.partition("+")
    make = _WIRES.get(wire)
    if colon and make is not None and not rest.partition("@")[0].strip():
        raise BadTarget(f"{target!r} names no endpoint: what comes after {wire}: is empty", f"valid: {EXAMPLES}")
    if not colon or make is None:
        raise BadTarget(f"{target!r} does not name a target", f"valid: {EXAMPLES}")
    return make(Address(f"{transport}:{rest}" if plus else rest, environ))


def _seatrial(address: Address) -> Target:
    from seatrial.prove.targets.seatrial import SeatrialTarget

    url = address.environ.get("SEATRIAL_URL")
    if not url:
        raise BadTarget(
            "SEATRIAL_URL is not set, so there is no server to look for the endpoint at",
            'eval "$(seatrial env --data DIR)", or name the whole URL: http://host:8400/v1/endpoints/NAME',
        )
    return SeatrialTarget(url, address.rest, _api_key(address.environ))


def _sagemaker(address: Address) -> Target:
    from seatrial.prove.targets.sagemaker import SageMakerTarget, split

    name, _, region = address.rest.partition("@")
    inputs = address.environ.get("SEATRIAL_VERIFY_INPUTS")
    if inputs:
        split(inputs)
    return SageMakerTarget(name, region or None, inputs)


def _runpod(address: Address) -> Target:
    from seatrial.prove.targets.runpod import HOSTED, RunPodTarget

    key = address.environ.get("RUNPOD_API_KEY")
    if address.rest.startswith(("http:", "https:")):
        return RunPodTarget(address.base_url("runpod+http://127.0.0.1:8000"), key)
    if not key:
        raise BadTarget("RUNPOD_API_KEY is not set", "export the API key of your RunPod account")
    base = address.environ.get("RUNPOD_ENDPOINT_BASE_URL", HOSTED).rstrip("/")
    return RunPodTarget(f"{base}/{address.rest}", key)


def _studio(address: Address) -> Target:
    from seatrial.prove.targets.studio import StudioTarget

    return StudioTarget(address.base_url("studio+http://127.0.0.1:8091"), address.environ.get("STUDIO_API_KEY"))


def _cog(address: Address) -> Target:
    from seatrial.prove.targets.cog import CogTarget

    return CogTarget(address.base_url("cog+http://127.0.0.1:5000"), address.environ.get("COG_API_KEY"))


def _api_key(environ: Mapping[str, str]) -> str:
    key = environ.get("SEATRIAL_API_KEY")
    if not key:
        raise BadTarget("SEATRIAL_API_KEY is not set", 'eval "$(seatrial env --data DIR)" sets it')
    return key


_WIRES: Mapping[str, Callable[[Address], Target]] = {
    "seatrial": _seatrial,
    "sagemaker": _sagemaker,
    "runpod": _runpod,
    "studio": _studio,
    "cog": _cog,
}
