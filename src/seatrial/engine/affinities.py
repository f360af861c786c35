"""Which affinities a worker holds: those of the jobs that it ran last."""

from __future__ import annotations

from collections import OrderedDict

from seatrial.domain.limits import AFFINITIES_HELD_MAX


class Affinities:
    """What a model keeps at hand between jobs (an adapter, a variant, a customer's weights) it keeps for a few."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, None] = OrderedDict()

    @property
    def held(self) -> frozenset[str]:
        """At most AFFINITIES_HELD_MAX of them."""
        return frozenset(self._held)

    def ran(self, affinity: str | None) -> None:
        """The worker has run a job of this affinity, or is about to."""
        if affinity is None:
            return
        self._held[affinity] = None
        self._held.move_to_end(affinity)
        if len(self._held) > AFFINITIES_HELD_MAX:
            self._held.popitem(last=False)
