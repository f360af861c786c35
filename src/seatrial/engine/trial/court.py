"""What trials work with, and what they bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.objects import ObjectName
from seatrial.engine.crew import Crew
from seatrial.engine.directory import Directory
from seatrial.engine.inspect import Inspector
from seatrial.engine.outfit import Outfit, Outfitter
from seatrial.engine.receivers import OwnReceivers
from seatrial.engine.remains import Remains
from seatrial.engine.report import Reports
from seatrial.engine.submit import Submitter
from seatrial.engine.triggers import Triggers
from seatrial.ports.clock import Clock
from seatrial.ports.object_store import ObjectStore
from seatrial.ports.packages import PackageStore


@dataclass(frozen=True, slots=True)
class Court:
    """What every trial of this server works with.

    `url_of` makes a URL that anybody may GET for a while; `drill_seconds` is how long a drill repeats its runs;
    `receivers` makes known where a trial's own callbacks may go.
    """

    packages: PackageStore
    outfitter: Outfitter
    directory: Directory
    submitter: Submitter
    inspector: Inspector
    objects: ObjectStore
    reports: Reports
    clock: Clock
    isolation: Callable[[], str | None]
    make_crew: Callable[[EndpointVersion, Outfit], Crew]
    say: Callable[[EndpointVersion, str], None]
    url_of: Callable[[ObjectName], str]
    free_memory_bytes: Callable[[], int]
    drill_seconds: float
    receivers: OwnReceivers
    remains: Remains
    triggers: Triggers


@dataclass(frozen=True, slots=True)
class Proved:
    """A version that passed, with its first worker running. `unproven`: some task had no sample."""

    version: EndpointVersion
    crew: Crew
    unproven: bool
