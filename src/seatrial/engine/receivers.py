"""Receivers of this server's own trials: on loopback, each with a secret of its own, for as long as its trial lasts.

What is posted to them goes through the outbox as any notification does. A stranger's webhook may not name loopback,
and is signed with the server's secret; these are known one by one, and nothing else is posted there.
"""

from __future__ import annotations

from seatrial.domain.delivery import Target, TargetKind
from seatrial.ports.outbox import Outbox
from seatrial.ports.urls import UrlPoster


class OwnReceivers:
    """`poster` may reach loopback."""

    def __init__(self, outbox: Outbox, poster: UrlPoster) -> None:
        self._outbox = outbox
        self.poster = poster
        self._secrets: dict[str, str] = {}

    @property
    def names(self) -> frozenset[str]:
        """Those that are there now, as `Target.receiver` has them."""
        return frozenset(self._secrets)

    def open(self, url: str, secret: str) -> None:
        """A trial's receiver listens at every path of this URL's host; `secret` is `whsec_…`."""
        self._secrets[_receiver(url)] = secret

    async def close(self, url: str) -> None:
        """It listens no more; what was meant for it goes as well."""
        self._secrets.pop(_receiver(url), None)
        await self._outbox.drop(_receiver(url))

    def secret_of(self, target: Target) -> str | None:
        """What its notifications are signed with; None: it is gone."""
        return self._secrets.get(target.receiver)


def _receiver(url: str) -> str:
    return Target(TargetKind.TRIAL, url).receiver
