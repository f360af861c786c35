"""What every door needs to act: the engine's verbs and the stores behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.domain.addresses import IpNetwork
from seatrial.domain.home import Home
from seatrial.engine.keyring import Keyring
from seatrial.ports.clock import Clock
from seatrial.ports.log_store import LogStore
from seatrial.ports.meters import Meters
from seatrial.ports.object_store import ObjectStore
from seatrial.ports.registry import Registry
from seatrial.ports.signer import TopicSigner
from seatrial.ports.triggers import TriggerStore

if TYPE_CHECKING:
    from starlette.requests import Request

    from seatrial.engine.alarms import Alarms
    from seatrial.engine.awaited import AwaitedUploads
    from seatrial.engine.backup import BackupTaker
    from seatrial.engine.canaries import Canaries
    from seatrial.engine.cancel import Canceller
    from seatrial.engine.deliver import Deliverer
    from seatrial.engine.deploy import Deployer
    from seatrial.engine.figures import Figures
    from seatrial.engine.inspect import Inspector
    from seatrial.engine.keys import Keys
    from seatrial.engine.multipart import MultipartUploads
    from seatrial.engine.outside import Outside
    from seatrial.engine.report import Reports
    from seatrial.engine.scale import Scaler
    from seatrial.engine.streams import Streams
    from seatrial.engine.submit import Submitter
    from seatrial.engine.topics import Topics
    from seatrial.engine.triggers import Triggers
    from seatrial.engine.waits import Waits
    from seatrial.engine.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to each door when the app is built.

    `uploads` is a folder of the data folder for bodies being received; `base_url` is the server's
    address as its clients see it, such as http://127.0.0.1:8400.
    """

    submitter: Submitter
    inspector: Inspector
    canceller: Canceller
    deployer: Deployer
    reports: Reports
    deliverer: Deliverer
    topics: Topics
    webhooks: Webhooks
    topic_signer: TopicSigner
    objects: ObjectStore
    registry: Registry
    logs: LogStore
    keyring: Keyring
    keys: Keys
    clock: Clock
    uploads: Path
    base_url: str
    multipart: MultipartUploads
    waits: Waits
    canaries: Canaries
    scaler: Scaler
    alarms: Alarms
    figures: Figures
    meters: Meters
    backups: BackupTaker
    streams: Streams
    outside: Outside
    triggers: TriggerStore
    endpoint_triggers: Triggers
    awaited: AwaitedUploads
    receivers: tuple[IpNetwork, ...] = ()  # networks, not public, that receivers may be in
    is_public: bool = False  # that `base_url` was set; else each client has the address that it asked for
    home: Home | None = None  # where the server's own buckets lie in an S3 service

    def url_for(self, request: Request) -> str:
        """The server's address for URLs that this client is given; it ends with a slash."""
        return f"{self.base_url}/" if self.is_public else str(request.base_url)
