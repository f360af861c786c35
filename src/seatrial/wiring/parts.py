"""A server made of its parts, each of what was made before."""

from __future__ import annotations

import asyncio
import contextlib
import math
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from seatrial import __version__
from seatrial.adapters.containers.images import EngineImages
from seatrial.adapters.environments.uv import UvEnvironments
from seatrial.adapters.metrics.prometheus import PrometheusMeters
from seatrial.adapters.objects.blobs import BlobFiles
from seatrial.adapters.objects.embedded import EmbeddedObjects
from seatrial.adapters.packages.folder import FolderPackages
from seatrial.adapters.processes.pool import ProcessPool
from seatrial.adapters.sql.backup import DumpedElsewhere, SqliteCopier
from seatrial.adapters.sql.database import Database
from seatrial.adapters.sql.failures import DatabaseUnusable
from seatrial.adapters.sql.incarnation import read_incarnation
from seatrial.adapters.sql.job_store import SqlJobStore
from seatrial.adapters.sql.lease import begin_lease, end_lease
from seatrial.adapters.sql.log_store import SqlLogStore
from seatrial.adapters.sql.object_names import SqlObjectNames
from seatrial.adapters.sql.opening import listening, open_database
from seatrial.adapters.sql.outbox import SqlOutbox
from seatrial.adapters.sql.registry import SqlRegistry
from seatrial.adapters.sql.topics import SqlTopics
from seatrial.adapters.sql.triggers import SqlTriggers
from seatrial.adapters.system.clock import SystemClock
from seatrial.adapters.system.machine import ThisMachine
from seatrial.adapters.system.memory import free_memory_bytes
from seatrial.adapters.system.sealing_key import (
    SEALING_KEY_FILE,
    SealingKey,
    SealingKeyUnusable,
    load_or_create_sealing_key,
)
from seatrial.adapters.system.secrets import SecretReader
from seatrial.adapters.system.signing_key import (
    SIGNING_KEY_FILE,
    SigningKey,
    SigningKeyUnusable,
    load_or_create_signing_key,
)
from seatrial.adapters.system.topic_certificate import (
    TOPIC_CERTIFICATE_FILE,
    TopicCertificate,
    load_or_create_topic_certificate,
)
from seatrial.adapters.urls.client_buckets import GuardedBuckets
from seatrial.adapters.urls.guarded import GuardedUrls
from seatrial.adapters.urls.posting import GuardedPosts
from seatrial.adapters.weights.store import FolderWeights
from seatrial.config import (
    CONFIG_FILE,
    CREDENTIALS_FILE,
    Settings,
    load_or_create_credentials,
)
from seatrial.domain import commands as c
from seatrial.domain.addresses import PRIVATE_NETWORKS
from seatrial.domain.delivery import TargetKind
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.errors import Unproven
from seatrial.domain.home import Home
from seatrial.domain.jobs import Job, JobPurpose
from seatrial.domain.limits import STORE_POLL_MS
from seatrial.domain.logs import LogLine
from seatrial.domain.objects import ObjectName
from seatrial.domain.triggers import TriggerKind
from seatrial.engine.arrivals import ARRIVALS, Arrivals
from seatrial.engine.awaited import AwaitedUploads
from seatrial.engine.backup import DATABASE, BackupTaker
from seatrial.engine.bells import OUTBOX, Bells
from seatrial.engine.bounds import DAY_MS, Bounds
from seatrial.engine.canaries import Canaries
from seatrial.engine.cancel import Canceller
from seatrial.engine.crew import Bench, Crew
from seatrial.engine.deliver import Deliverer, Sender, Words
from seatrial.engine.deploy import Deployer
from seatrial.engine.directory import Directory
from seatrial.engine.dispatch import Dispatcher
from seatrial.engine.figures import Figures
from seatrial.engine.finder import Finder
from seatrial.engine.inspect import Inspector
from seatrial.engine.keyring import Keyring
from seatrial.engine.keys import Keys
from seatrial.engine.leases import LEASE_MS, Leases
from seatrial.engine.multipart import MultipartUploads
from seatrial.engine.outfit import Outfit, Outfitter
from seatrial.engine.outputs import OUTPUT_URLS, OutputSealer
from seatrial.engine.outside import Outside
from seatrial.engine.prepare import Preparer, reach_of
from seatrial.engine.progress import ProgressTeller
from seatrial.engine.publish import Publisher
from seatrial.engine.reap import Reaper
from seatrial.engine.receivers import OwnReceivers
from seatrial.engine.remains import Again, Remains, Sources
from seatrial.engine.report import REPORTS_BUCKET, Reports, Surroundings
from seatrial.engine.retain import Retainer, Retention, Unused
from seatrial.engine.streams import Streams
from seatrial.engine.submit import INPUTS_BUCKET, RESULTS_BUCKET, TRIALS_BUCKET, Reach, Submitter
from seatrial.engine.topics import Topics
from seatrial.engine.transfers import Transfers
from seatrial.engine.trial import Court
from seatrial.engine.trigger_acts import trigger_acts
from seatrial.engine.triggers import Triggers
from seatrial.engine.waits import Waits
from seatrial.engine.watch import Watch
from seatrial.engine.webhooks import Webhooks
from seatrial.http.dialects.aws_lambda.names import arn
from seatrial.http.doors.cog import CogWebhooks, Documents
from seatrial.http.doors.runpod.outputs import Outputs, told_by_webhook
from seatrial.http.doors.s3.event_words import S3EventWords
from seatrial.http.doors.sns import JobMessages, SnsWords
from seatrial.http.doors.studio import StudioCallbacks
from seatrial.http.own_urls import OwnUrls
from seatrial.http.presigned import part_url, presigned_url
from seatrial.http.services import Services
from seatrial.ports.backup import Keeper, Member
from seatrial.ports.client_buckets import ClientBuckets
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.meters import Meters
from seatrial.ports.object_store import BucketExists, NoSuchBucket, ObjectRefused, ObjectStore
from seatrial.ports.registry import AlreadyThere
from seatrial.ports.storage import StoreUnavailable
from seatrial.ports.urls import UrlReader
from seatrial.wiring.scaling import open_scaling

if TYPE_CHECKING:
    from seatrial.adapters.objects.s3 import S3Objects

log = structlog.get_logger()

PUBLICATION_GRACE_SECONDS = 2  # what is decided and not visible by then, the next server publishes
TRIAL_URL_SECONDS = 3_600
LOG_GROUP_PREFIX = "/aws/sagemaker/Endpoints/"
_OWN_FILES = (CREDENTIALS_FILE, SIGNING_KEY_FILE, SEALING_KEY_FILE, TOPIC_CERTIFICATE_FILE, CONFIG_FILE)  # backed up


class StartError(Exception):
    """The server cannot start; one line, with the remedy."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where each kind of thing lies in the data folder."""

    data: Path

    def made(self, name: str) -> Path:
        """The folder of that name, made for its owner only."""
        folder = self.data / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


def private_folder(data: Path) -> Path:
    """The data folder, made if need be: jobs, objects and keys are their owner's, also in one that was there before."""
    folder = data.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


@dataclass(frozen=True, slots=True)
class Server:
    """A server put together, not yet serving."""

    services: Services
    deployer: Deployer
    dispatcher: Dispatcher
    reaper: Reaper
    publisher: Publisher
    retainer: Retainer
    arrivals: Arrivals
    finder: Finder | None  # where objects' names are no rows
    progress: ProgressTeller
    leases: Leases | None  # where other servers share the database

    def rounds(self) -> list[asyncio.Task[None]]:
        """Begin what it does again and again; each goes on until it is cancelled."""
        services = self.services
        parts = (
            self.reaper,
            self.publisher,
            services.deliverer,
            self.retainer,
            services.outside,
            services.canaries,
            services.keys,
            self.arrivals,
            self.progress,
            services.scaler,
            services.alarms,
        )
        runs = [one.run() for one in parts]
        further = [one.run() for one in (self.leases, self.finder) if one is not None]
        return [asyncio.create_task(run) for run in [*runs, *further]]

    async def wind_up(self, rounds: Sequence[asyncio.Task[None]]) -> None:
        """End the rounds, once the workers are gone; those who wait for jobs hear of it."""
        for one in rounds:
            one.cancel()
        await self.publisher.close(PUBLICATION_GRACE_SECONDS)
        await self.services.deliverer.close(PUBLICATION_GRACE_SECONDS)
        self.services.inspector.close()
        await asyncio.gather(*rounds, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every part stands on. `url` is the server's own; `incarnation` names this run of it."""

    settings: Settings
    folders: Folders
    home: str
    url: str
    clock: SystemClock
    bells: Bells
    watch: Watch
    streams: Streams
    transfers: Transfers
    incarnation: str
    again: Again
    kept: bool

    @property
    def clients_url(self) -> str:
        """The server's address as its clients see it."""
        return self.settings.public_url or self.url

    @property
    def shared(self) -> bool:
        """Whether other servers may use the database."""
        return self.settings.database is not None


@dataclass(frozen=True, slots=True)
class _Stores:
    """What is kept, and where."""

    database: Database
    logs: SqlLogStore
    keyring: Keyring
    keys: Keys
    webhooks: Webhooks
    signing_key: SigningKey
    topic_certificate: TopicCertificate
    jobs: SqlJobStore
    registry: SqlRegistry
    kept: _Kept
    packages: FolderPackages
    weights: FolderWeights
    environments: UvEnvironments


@dataclass(frozen=True, slots=True)
class _Doers:
    """What works on jobs, before there are endpoints."""

    directory: Directory
    inspector: Inspector
    submitter: Submitter
    bench: Bench
    pool: ProcessPool
    outside: Outside


@asynccontextmanager
async def put_together(
    settings: Settings,
    folders: Folders,
    home: str,
    url: str,
    own_urls: UrlReader | None = None,
    again: Again | None = None,
    *,
    kept: bool = True,
) -> AsyncIterator[Server]:
    """A server, ready to serve at `url`; what it holds is let go of at the end.

    `own_urls` reads URLs below `url` that trials make; without one they are fetched as any other. `again` is the line
    that runs a trial again; `kept` says whether the data folder outlives this.

    Raises:
        StartError: the database, or the place for objects, cannot be used as it is set up.
    """
    ground = _Ground(
        settings,
        folders,
        home,
        url,
        SystemClock(),
        Bells(),
        Watch(),
        Streams(),
        Transfers(),
        uuid.uuid4().hex,
        again or _rerun,
        kept,
    )
    async with AsyncExitStack() as stack:
        stores = await _open_stores(ground, stack)
        pool = ProcessPool(stores.logs, folders.data, ground.clock)
        leases = None
        if ground.shared:
            leases = Leases(stores.jobs, ground.watch, ground.bells, ground.clock, ground.incarnation, home)
        await _clear_up(stores.jobs, pool, folders, ground.incarnation, leases, ground.clock)
        await _system_buckets(stores.kept.objects)
        stack.enter_context(listening(settings.database, ground.bells.ring_some))
        urls = await stack.enter_async_context(GuardedUrls(allow=settings.open_networks))
        any_urls = await stack.enter_async_context(GuardedUrls(allow=PRIVATE_NETWORKS))
        dispatcher = _dispatcher(ground, stores)
        doers = await _made_doers(
            ground,
            stores,
            pool,
            dispatcher,
            Preparer(
                stores.kept.objects,
                _with_own(ground, stores, urls),
                own_urls or any_urls,
                stores.kept.home,
                ground.transfers,
            ),
            GuardedBuckets(urls),
        )
        receivers = OwnReceivers(SqlOutbox(stores.database), GuardedPosts(any_urls))
        remains = _remains(ground, stores, doers)
        deployer, court = _deployer(ground, stores, doers, receivers, remains)
        topics = _topics(ground, stores)
        deliverer = await _open_deliverer(ground, stores, doers.inspector, receivers, topics, stack)
        services = await _services(ground, stores, doers, deployer, court, deliverer, topics)
        objects, watch, clock = stores.kept.objects, ground.watch, ground.clock
        yield Server(
            services=services,
            deployer=deployer,
            dispatcher=dispatcher,
            reaper=Reaper(stores.jobs, watch, services.multipart, clock, deployer.end_session),
            publisher=Publisher(stores.jobs, objects, watch, clock, stores.kept.sweep, ground.transfers),
            retainer=_retainer(ground, stores, deployer, remains),
            arrivals=_arrivals(ground, stores, doers, topics, services.awaited),
            finder=None if stores.kept.home is None else Finder(objects, services.triggers, ground.bells, clock),
            progress=ProgressTeller(
                ground.streams, doers.inspector, SqlOutbox(stores.database), ground.bells, ground.clock
            ),
            leases=leases,
        )


async def _open_stores(ground: _Ground, stack: AsyncExitStack) -> _Stores:
    settings, folders = ground.settings, ground.folders
    database, logs = await _open_databases(settings, folders, ground.incarnation, ground.home, stack)
    jobs = SqlJobStore(database, None if settings.objects is None else settings.publish_seconds_max * 1000)
    registry = SqlRegistry(database)
    await _belong(settings, folders.data, registry, ground.clock)
    keyring = Keyring(load_or_create_credentials(folders.data, settings.region), ground.clock)
    kept = await _open_objects(ground, database, jobs, stack)
    sealer = _sealing_key(folders.data)
    keys = Keys(registry, keyring, sealer, ground.clock)
    webhooks = Webhooks(registry, sealer, ground.clock, settings.receiver_networks)
    for one in (keys, webhooks):
        await one.load()
    return _Stores(
        database=database,
        logs=logs,
        keyring=keyring,
        keys=keys,
        webhooks=webhooks,
        signing_key=_signing_key(folders.data),
        topic_certificate=_topic_certificate(folders.data),
        jobs=jobs,
        registry=registry,
        kept=kept,
        packages=FolderPackages(folders.made("packages")),
        weights=FolderWeights(folders.made("weights"), kept.objects, allow=settings.open_networks),
        environments=await _environments(settings, folders),
    )


async def _environments(settings: Settings, folders: Folders) -> UvEnvironments:
    environments = UvEnvironments(folders.made("environments"), settings.python)
    if settings.python is not None:
        try:
            await environments.base()
        except Unproven as error:
            remedy = "name another with --python: its version, or its path"
            raise StartError(f"the base interpreter cannot be used: {str(error).rstrip('.')}; {remedy}") from None
    return environments


def _sealing_key(data: Path) -> SealingKey:
    try:
        return load_or_create_sealing_key(data)
    except SealingKeyUnusable as error:
        remedy = "restore it from a backup; or remove it: a new one is made, and keys sign again once they are rotated"
        raise StartError(f"the key that seals keys' secrets cannot be used: {error}; {remedy}") from error


def _signing_key(data: Path) -> SigningKey:
    try:
        return load_or_create_signing_key(data)
    except SigningKeyUnusable as error:
        remedy = "restore it from a backup; or remove it: a new one is made, and reports signed before are stale"
        raise StartError(f"the key that signs trial reports cannot be used: {error}; {remedy}") from error


def _topic_certificate(data: Path) -> TopicCertificate:
    try:
        return load_or_create_topic_certificate(data)
    except SigningKeyUnusable as error:
        remedy = "restore it from a backup; or remove it: a new one is made"
        raise StartError(f"the certificate that signs notifications cannot be used: {error}; {remedy}") from error


def _dispatcher(ground: _Ground, stores: _Stores) -> Dispatcher:
    poll_ms = STORE_POLL_MS if ground.shared else None
    return Dispatcher(
        stores.jobs, ground.watch, ground.bells, ground.clock, ground.incarnation, _bounds(ground.settings), poll_ms
    )


async def _made_doers(
    ground: _Ground,
    stores: _Stores,
    pool: ProcessPool,
    dispatcher: Dispatcher,
    preparer: Preparer,
    buckets: ClientBuckets,
) -> _Doers:
    directory = Directory(stores.registry, stores.webhooks, ground.bells)
    await directory.load()
    inspector = Inspector(stores.jobs, ground.watch)
    objects, clock = stores.kept.objects, ground.clock
    reach = Reach(stores.kept.home, ground.settings.receiver_networks, stores.webhooks)
    submitter = Submitter(
        stores.jobs,
        objects,
        directory,
        preparer,
        inspector,
        ground.watch,
        ground.bells,
        clock,
        _bounds(ground.settings),
        reach,
    )
    sign = partial(_signed, stores.keyring, ground.clients_url, stores.kept.home)
    sealer = OutputSealer(objects, sign, ground.transfers, buckets)
    streams = ground.streams
    outside = Outside(
        directory,
        dispatcher,
        preparer,
        sealer,
        streams,
        ground.bells,
        clock,
        ground.folders.made("scratch"),
        ground.settings.outside_lease_seconds * 1000,
    )
    bench = Bench(pool, dispatcher, preparer, sealer, clock, streams)
    return _Doers(directory, inspector, submitter, bench, pool, outside)


def _signed(keyring: Keyring, url: str, home: Home | None, job: Job, part: str, name: ObjectName, seconds: int) -> str:
    """A URL that reads a part: by the key of who asked for URLs; where a contract does, by the server's."""
    asker = keyring.holder(reach_of(job).key_id) if OUTPUT_URLS in job.attributes else None
    return part_url(keyring, asker, f"{url}/", job.id, part, name, home, seconds)


def _with_own(ground: _Ground, stores: _Stores, others: UrlReader) -> UrlReader:
    """URLs of inputs, the server's own among them, by every name that a client here may have for it."""
    port = urlsplit(ground.url).port
    names = {urlsplit(one).netloc for one in (ground.url, ground.clients_url)}
    hosts = names | {f"localhost:{port}", f"127.0.0.1:{port}"}
    return OwnUrls(hosts, stores.keyring, stores.kept.objects, ground.clock, stores.kept.home, others)


def _reports(ground: _Ground, stores: _Stores, doers: _Doers, outfitter: Outfitter) -> Reports:
    objects = stores.kept.objects
    surroundings = Surroundings(outfitter, stores.packages, stores.environments, ThisMachine(), objects)
    return Reports(objects, surroundings, stores.signing_key, doers.directory, ground.bells, ground.clock)


def _remains(ground: _Ground, stores: _Stores, doers: _Doers) -> Remains:
    bench = doers.bench
    sources = Sources(doers.directory, doers.inspector, stores.kept.objects, bench.preparer, bench.pool, stores.logs)
    root = ground.folders.made("remains")
    again = ground.again
    return Remains(root, sources, ground.clock, again, lambda name: LOG_GROUP_PREFIX + name, kept=ground.kept)


def _rerun(version: EndpointVersion, stage: str) -> str:
    return f"seatrial trial rerun {version.endpoint_name} --from {stage}"


def _deployer(
    ground: _Ground, stores: _Stores, doers: _Doers, receivers: OwnReceivers, remains: Remains
) -> tuple[Deployer, Court]:
    settings, folders, url, clock = ground.settings, ground.folders, ground.url, ground.clock
    outfitter = Outfitter(
        stores.packages,
        stores.environments,
        stores.weights,
        EngineImages(settings.container_engine, settings.container_options or ""),
        SecretReader(settings.secrets_dir),
        stores.keyring,
        folders.made("scratch"),
        remains.workers,
        lambda: url,
    )

    def make_crew(version: EndpointVersion, outfit: Outfit) -> Crew:
        make_spec = partial(outfitter.spec, version, outfit)  # a fresh scratch folder per worker
        return Crew(doers.directory.version(version.id), make_spec, doers.bench, deployer.broken)

    def say(version: EndpointVersion, text: str) -> None:
        log.info("endpoint", endpoint=version.endpoint_name, said=text)
        group = LOG_GROUP_PREFIX + version.endpoint_name
        stores.logs.append([LogLine(group, f"trial/{version.number}", clock.now_ms(), text)])

    court = Court(
        packages=stores.packages,
        outfitter=outfitter,
        directory=doers.directory,
        submitter=doers.submitter,
        inspector=doers.inspector,
        objects=stores.kept.objects,
        reports=_reports(ground, stores, doers, outfitter),
        clock=clock,
        isolation=doers.pool.isolation,
        make_crew=make_crew,
        say=say,
        url_of=lambda name: presigned_url(
            stores.keyring, stores.keyring.owner, "GET", f"{url}/", name, TRIAL_URL_SECONDS
        ),
        free_memory_bytes=free_memory_bytes,
        drill_seconds=settings.drill_seconds,
        receivers=receivers,
        remains=remains,
        triggers=_triggers(ground, stores, doers),
    )
    deployer = Deployer(
        court,
        doers.directory,
        stores.packages,
        stores.jobs,
        stores.kept.objects,
        ground.watch,
        ground.bells,
        clock,
        doers.outside,
        stores.kept.home,
    )
    return deployer, court


async def _services(
    ground: _Ground,
    stores: _Stores,
    doers: _Doers,
    deployer: Deployer,
    court: Court,
    deliverer: Deliverer,
    topics: Topics,
) -> Services:
    objects, clock = stores.kept.objects, ground.clock
    meters = PrometheusMeters()
    scaling = await open_scaling(
        deployer,
        doers.directory,
        doers.outside,
        stores.registry,
        stores.jobs,
        topics,
        stores.keyring.credentials,
        clock,
    )
    ground.watch.on_ended(partial(_count, meters, scaling.figures, ground.transfers))
    deliverer.on_tried(scaling.figures.notified)
    canaries = Canaries(court, deployer, stores.registry, meters, ground.bells, clock)
    await canaries.load()
    return Services(
        submitter=doers.submitter,
        inspector=doers.inspector,
        canceller=Canceller(stores.jobs, ground.watch, doers.inspector, clock, deployer.stop_work),
        deployer=deployer,
        reports=deployer.reports,
        deliverer=deliverer,
        topics=topics,
        webhooks=stores.webhooks,
        topic_signer=stores.topic_certificate,
        objects=objects,
        registry=stores.registry,
        logs=stores.logs,
        keyring=stores.keyring,
        keys=stores.keys,
        clock=clock,
        uploads=ground.folders.made("uploads"),
        base_url=ground.clients_url,
        is_public=ground.settings.public_url is not None,
        multipart=MultipartUploads(objects, clock),
        streams=ground.streams,
        outside=doers.outside,
        waits=Waits(stores.jobs, deployer),
        canaries=canaries,
        scaler=scaling.scaler,
        alarms=scaling.alarms,
        figures=scaling.figures,
        meters=meters,
        triggers=SqlTriggers(stores.database),
        endpoint_triggers=court.triggers,
        receivers=ground.settings.receiver_networks,
        awaited=_awaited(ground, stores),
        home=stores.kept.home,
        backups=_backups(ground, stores),
    )


def _triggers(ground: _Ground, stores: _Stores, doers: _Doers) -> Triggers:
    credentials = stores.keyring.credentials
    return Triggers(
        SqlTriggers(stores.database),
        stores.kept.objects,
        doers.directory,
        ground.clock,
        lambda endpoint: arn(endpoint, credentials.region, credentials.account_id),
        stores.kept.home,
        buckets_stay=ground.kept,
    )


def _awaited(ground: _Ground, stores: _Stores) -> AwaitedUploads:
    words = S3EventWords(stores.keyring.credentials)
    return AwaitedUploads(stores.jobs, SqlTriggers(stores.database), words, ground.watch, ground.bells, ground.clock)


def _arrivals(ground: _Ground, stores: _Stores, doers: _Doers, topics: Topics, awaited: AwaitedUploads) -> Arrivals:
    words = S3EventWords(stores.keyring.credentials)
    acts = trigger_acts(doers.submitter, topics, words)
    acts[TriggerKind.UPLOAD] = awaited.arrived
    return Arrivals(SqlTriggers(stores.database), acts, ground.bells, ground.clock)


def _count(meters: Meters, figures: Figures, transfers: Transfers, job: Job) -> None:
    moved_us = transfers.of(job.id)
    if job.purpose is JobPurpose.CLIENT:
        meters.job_ended(job)
        figures.job_ended(job, moved_us)


def _backups(ground: _Ground, stores: _Stores) -> BackupTaker:
    data = ground.folders.data
    return BackupTaker(
        DumpedElsewhere() if ground.shared else SqliteCopier(data / DATABASE),
        [*stores.kept.keepers, stores.packages, stores.weights],
        [Member(name, data / name) for name in _OWN_FILES],
        ground.folders.made("backups"),
        ground.clock,
    )


def _retainer(ground: _Ground, stores: _Stores, deployer: Deployer, remains: Remains) -> Retainer:
    kinds: list[tuple[str, Unused, Callable[[], Collection[str]]]] = [
        ("packages", stores.packages, deployer.packages_in_use),
        ("environments", stores.environments, tuple),
        ("weights", stores.weights, tuple),
        ("remains of trials", remains, tuple),
        ("reports", deployer.reports, deployer.version_ids),
    ]
    return Retainer(stores.jobs, stores.kept.objects, kinds, _retention(ground.settings), ground.clock)


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        deaths_max=settings.worker_deaths_max,
        attempts_max=settings.attempts_max,
        key_life_ms=settings.idempotency_days * DAY_MS,
        owner_concurrency_max=settings.owner_concurrency_max,
    )


def _retention(settings: Settings) -> Retention:
    return Retention(
        jobs_ms=settings.job_retention_days * DAY_MS,
        keys_ms=settings.idempotency_days * DAY_MS,
        unused_ms=settings.unused_retention_days * DAY_MS,
    )


async def _database(settings: Settings, folders: Folders) -> Database:
    try:
        return await open_database(folders.data / DATABASE, settings.database)
    except DatabaseUnusable as error:
        raise StartError(str(error)) from error


@asynccontextmanager
async def _alone(database: Database, incarnation: str, home: str) -> AsyncIterator[None]:
    """While no server with another data folder uses the database: its packages and blobs are not in this one."""
    holder = await database.write(partial(begin_lease, server=incarnation, home=home, lease_ms=LEASE_MS))
    if holder is not None:
        raise StartError(
            f"{holder}, is using this database; stop it first. If it is gone for good, start again in "
            f"{math.ceil(holder.left_ms / 1000)} s, when its lease has lapsed"
        )
    try:
        yield
    finally:
        try:
            await database.write(partial(end_lease, server=incarnation))
        except StoreUnavailable as error:
            log.warning("stop.lease_not_ended", error=str(error))  # it lapses by itself


async def _belong(settings: Settings, data: Path, registry: SqlRegistry, clock: SystemClock) -> None:
    """A data folder has the blobs and packages of one database: with another one they would be swept away."""
    with contextlib.suppress(AlreadyThere):
        await registry.put_document("store", "id", {"id": uuid.uuid4().hex}, clock.now_ms())
    store = (await registry.document("store", "id") or {})["id"]
    note = data / "store.id"
    if not note.exists():
        draft = note.with_suffix(".new")
        draft.write_text(store)
        draft.replace(note)
    elif note.read_text() != store:
        raise StartError(
            f"{data} belongs to another database, whose blobs and packages it holds; name that database with "
            "--database (none: the SQLite file in the folder), or choose another folder with --data"
        )
    await _stay_put(settings, registry, clock)


async def _clear_up(
    store: SqlJobStore,
    pool: ProcessPool,
    folders: Folders,
    incarnation: str,
    leases: Leases | None,
    clock: SystemClock,
) -> None:
    """What an earlier server of this folder left: its processes first, then their files and sessions."""
    orphans = await pool.kill_orphans()
    if orphans:
        log.warning("start.orphans_ended", processes=orphans)
    reached(CrashPoint.START_ORPHANS_ENDED)
    for name in ("scratch", "uploads", "backups"):
        await asyncio.to_thread(shutil.rmtree, folders.made(name))
        folders.made(name)
    if leases is not None:
        await leases.beat()
    await store.apply([c.CloseServerSessions(incarnation, clock.now_ms(), leases.home if leases else None)])
    reached(CrashPoint.START_SESSIONS_CLOSED)


async def _open_databases(
    settings: Settings, folders: Folders, incarnation: str, home: str, stack: AsyncExitStack
) -> tuple[Database, SqlLogStore]:
    database = await _database(settings, folders)
    stack.push_async_callback(database.close)
    if settings.database is not None:
        await stack.enter_async_context(_alone(database, incarnation, home))
    logs = await SqlLogStore.open(folders.data / "logs.db")
    stack.push_async_callback(logs.close)
    return database, logs


@dataclass(frozen=True, slots=True)
class _Kept:
    """Where objects are kept. `sweep` removes what was staged in vain, later than at the start."""

    objects: ObjectStore
    home: Home | None
    sweep: Callable[[], Awaitable[int]]
    keepers: tuple[Keeper, ...] = ()  # of what a backup takes along


async def _open_objects(ground: _Ground, database: Database, store: SqlJobStore, stack: AsyncExitStack) -> _Kept:
    settings, folders, clock = ground.settings, ground.folders, ground.clock
    if settings.objects is None:
        blobs = BlobFiles(folders.made("blobs"))
        stack.callback(blobs.close)
        embedded = EmbeddedObjects(SqlObjectNames(database, partial(ground.bells.ring, ARRIVALS)), blobs, clock)
        await embedded.sweep()
        return _Kept(embedded, None, _nothing_to_sweep, (embedded,))
    try:
        from seatrial.adapters.objects.s3 import S3Access, S3Objects, S3Service  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise StartError(f"objects in S3 need {error.name}: pip install 'seatrial[s3]'") from None
    region = settings.objects_region or settings.region
    service = S3Service(S3Access(region, settings.objects_endpoint, settings.objects_credentials))
    stack.callback(service.close)
    home = Home.from_uri(settings.objects)
    objects = S3Objects(service, home, await database.read(read_incarnation), clock)
    await _try_out(objects, home)
    return _Kept(objects, home, partial(objects.sweep, store.still_needed))


async def _stay_put(settings: Settings, registry: SqlRegistry, clock: SystemClock) -> None:
    """Jobs and inputs name objects where they were put: with another place for them, none would be found."""
    place = "the data folder" if settings.objects is None else Home.from_uri(settings.objects).uri
    with contextlib.suppress(AlreadyThere):
        await registry.put_document("store", "objects", {"place": place}, clock.now_ms())
    before = (await registry.document("store", "objects") or {})["place"]
    if before != place:
        remedy = "leave --objects out" if before == "the data folder" else f"give --objects {before}"
        raise StartError(f"the objects of this server are kept in {before}, not in {place}: {remedy}")


async def _try_out(objects: S3Objects, home: Home) -> None:
    """A service that is away may come back; a bucket that is not there, or not ours, does not by itself."""
    try:
        await objects.try_out()
    except StoreUnavailable as error:
        log.warning("start.objects_unavailable", objects=home.uri, error=str(error))
    except NoSuchBucket:
        raise StartError(f"bucket {home.bucket!r} does not exist: make it, or name another with --objects") from None
    except ObjectRefused as error:
        remedy = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file with --objects-credentials"
        raise StartError(f"{home.uri} cannot be used: {error}; {remedy}") from None


async def _nothing_to_sweep() -> int:
    return 0


def _topics(ground: _Ground, stores: _Stores) -> Topics:
    settings = ground.settings
    return Topics(
        SqlTopics(stores.database),
        ground.bells,
        ground.clock,
        region=settings.region,
        receivers=settings.receiver_networks,
    )


async def _open_deliverer(
    ground: _Ground,
    stores: _Stores,
    inspector: Inspector,
    receivers: OwnReceivers,
    topics: Topics,
    stack: AsyncExitStack,
) -> Deliverer:
    urls = await stack.enter_async_context(GuardedUrls(allow=ground.settings.receiver_networks))
    sender = Sender(stores.keyring.credentials.webhook_secret, f"seatrial/{__version__}")
    ground.watch.on_announced(partial(ground.bells.ring, OUTBOX))
    kept, url = stores.kept, ground.clients_url
    outputs = Outputs(inspector, kept.objects, ground.streams, stores.keyring, url, kept.home)
    messages = JobMessages(inspector, stores.kept.objects, ground.settings.region)
    documents = Documents(inspector, kept.objects, ground.streams, stores.logs, stores.keyring, url, kept.home)
    own_words: dict[TargetKind, Words] = {
        TargetKind.COG: CogWebhooks(inspector, documents).words,
        TargetKind.RUNPOD: partial(told_by_webhook, inspector, outputs),
        TargetKind.SNS: SnsWords(topics, stores.topic_certificate, messages, url).words,
        TargetKind.STUDIO: StudioCallbacks(inspector, stores.kept.objects, ground.clock).words,
    }
    outbox, poster = SqlOutbox(stores.database), GuardedPosts(urls)
    return Deliverer(outbox, poster, sender, receivers, ground.bells, ground.clock, own_words, stores.webhooks)


async def _system_buckets(objects: ObjectStore) -> None:
    for bucket in (INPUTS_BUCKET, RESULTS_BUCKET, TRIALS_BUCKET, REPORTS_BUCKET):
        with contextlib.suppress(BucketExists):
            await objects.create_bucket(bucket)
