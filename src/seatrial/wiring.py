"""Put the parts together: the one place that knows every adapter."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import shutil
import signal
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvicorn

from seatrial import __version__
from seatrial.adapters.environments.uv import UvEnvironments
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
from seatrial.adapters.sql.lock import DataFolderLock
from seatrial.adapters.sql.log_store import SqlLogStore
from seatrial.adapters.sql.object_names import SqlObjectNames
from seatrial.adapters.sql.opening import listening, open_database
from seatrial.adapters.sql.outbox import SqlOutbox
from seatrial.adapters.sql.registry import SqlRegistry
from seatrial.adapters.system.clock import SystemClock
from seatrial.adapters.system.memory import free_memory_bytes
from seatrial.adapters.system.secrets import SecretReader
from seatrial.adapters.urls.guarded import GuardedUrls
from seatrial.adapters.urls.posting import GuardedPosts
from seatrial.adapters.weights.store import FolderWeights
from seatrial.config import (
    CONFIG_FILE,
    CREDENTIALS_FILE,
    RunningServer,
    Settings,
    clear_running,
    load_or_create_credentials,
    note_running,
)
from seatrial.domain import commands as c
from seatrial.domain.credentials import Keyring
from seatrial.domain.endpoint import EndpointVersion
from seatrial.domain.home import Home
from seatrial.domain.limits import STORE_POLL_MS
from seatrial.domain.logs import LogLine
from seatrial.engine.backup import DATABASE, BackupTaker
from seatrial.engine.bells import Bells
from seatrial.engine.bounds import DAY_MS, Bounds
from seatrial.engine.cancel import Canceller
from seatrial.engine.crew import Bench, Crew
from seatrial.engine.deliver import OUTBOX, Deliverer, Sender
from seatrial.engine.deploy import Deployer
from seatrial.engine.directory import Directory
from seatrial.engine.dispatch import Dispatcher
from seatrial.engine.inspect import Inspector
from seatrial.engine.leases import LEASE_MS, Leases
from seatrial.engine.multipart import MultipartUploads
from seatrial.engine.outfit import Outfit, Outfitter
from seatrial.engine.outputs import OutputSealer
from seatrial.engine.prepare import Preparer
from seatrial.engine.publish import Publisher
from seatrial.engine.reap import Reaper
from seatrial.engine.retain import Retainer, Retention, Unused
from seatrial.engine.submit import INPUTS_BUCKET, RESULTS_BUCKET, TRIALS_BUCKET, Reach, Submitter
from seatrial.engine.trial import Court
from seatrial.engine.waits import Waits
from seatrial.engine.watch import Watch
from seatrial.http.app import build_app
from seatrial.http.presigned import presigned_url
from seatrial.http.services import Services
from seatrial.ports import crash_points
from seatrial.ports.backup import Keeper, Member
from seatrial.ports.crash_points import CrashPoint, reached
from seatrial.ports.object_store import BucketExists, NoSuchBucket, ObjectRefused, ObjectStore
from seatrial.ports.registry import AlreadyThere
from seatrial.ports.storage import StoreUnavailable

if TYPE_CHECKING:
    from seatrial.adapters.objects.s3 import S3Objects

log = structlog.get_logger()

HTTP_CLOSE_SECONDS = 5
PUBLICATION_GRACE_SECONDS = 2  # what is decided and not visible by then, the next server publishes
LISTEN_BACKLOG = 2_048
TRIAL_URL_SECONDS = 3_600
LOG_GROUP_PREFIX = "/aws/sagemaker/Endpoints/"


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


@dataclass(frozen=True, slots=True)
class Server:
    """A server put together, not yet serving."""

    services: Services
    deployer: Deployer
    dispatcher: Dispatcher
    reaper: Reaper
    publisher: Publisher
    retainer: Retainer
    leases: Leases | None  # where other servers share the database


async def run_server(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then stop in a bounded time; a second signal skips the grace.

    `on_ready` gets the URL once requests are answered.

    Raises:
        StartError: the port is taken, or the database cannot be used as it is set up.
        DataFolderInUse: another server owns the data folder.
    """
    crash_points.arm(os.environ.get(crash_points.VARIABLE))
    data = settings.data.absolute()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    data.chmod(0o700)  # jobs, objects and keys are their owner's, also in a folder that was there before
    async with AsyncExitStack() as stack:
        home = stack.enter_context(DataFolderLock(data)).home()
        listener = stack.enter_context(_listen(settings.host, settings.port))
        url = _url(settings, listener)
        server = await stack.enter_async_context(_put_together(settings, Folders(data), home, url))
        stops = stack.enter_context(_signals())
        web = _web(server.services)
        serving = asyncio.create_task(web.serve(sockets=[listener]))
        at_rounds = (server.reaper, server.publisher, server.services.deliverer, server.retainer)
        rounds = [asyncio.create_task(one.run()) for one in at_rounds]
        if server.leases is not None:
            rounds.append(asyncio.create_task(server.leases.run()))
        try:
            await _until_started(web, serving)
            await server.deployer.resume()
            note_running(data, RunningServer(url=url, pid=os.getpid(), region=settings.region))
            stack.callback(clear_running, data)
            on_ready(url)
            await _first({asyncio.create_task(stops.get()), serving})
        finally:
            await _stop(server, web, serving, rounds, stops, settings.stop_grace_seconds)


# ---------------------------------------------------------------------- parts


@asynccontextmanager
async def _put_together(settings: Settings, folders: Folders, home: str, url: str) -> AsyncIterator[Server]:
    clock = SystemClock()
    incarnation = uuid.uuid4().hex
    async with AsyncExitStack() as stack:
        database, logs = await _open_databases(settings, folders, incarnation, home, stack)
        keyring = Keyring(load_or_create_credentials(folders.data, settings.region))
        store = SqlJobStore(database, None if settings.objects is None else settings.publish_seconds_max * 1000)
        registry = SqlRegistry(database)
        await _belong(settings, folders.data, registry, clock)
        kept = await _open_objects(settings, folders, database, store, clock, stack)
        objects = kept.objects
        pool = ProcessPool(logs, folders.data, clock)
        bells, watch = Bells(), Watch()
        shared = settings.database is not None
        leases = Leases(store, watch, bells, clock, incarnation, home) if shared else None
        await _clear_up(store, pool, folders, incarnation, leases, clock)
        await _system_buckets(objects)

        stack.enter_context(listening(settings.database, bells.ring_some))
        directory = Directory(registry, bells)
        await directory.load()
        urls = await stack.enter_async_context(GuardedUrls(allow_private=settings.allow_private_urls))
        own_urls = await stack.enter_async_context(GuardedUrls(allow_private=True))
        preparer, sealer = Preparer(objects, urls, own_urls), OutputSealer(objects)
        inspector = Inspector(store, watch)
        bounds = _bounds(settings)
        reach = Reach(kept.home, settings.private_webhooks)
        submitter = Submitter(store, objects, directory, preparer, inspector, watch, bells, clock, bounds, reach)
        deliverer = await _open_deliverer(settings, database, keyring, bells, clock, stack)
        watch.on_announced(partial(bells.ring, OUTBOX))
        dispatcher = Dispatcher(store, watch, bells, clock, incarnation, bounds, STORE_POLL_MS if shared else None)
        packages = FolderPackages(folders.made("packages"))
        weights = FolderWeights(folders.made("weights"), objects, allow_private=settings.allow_private_urls)
        environments = UvEnvironments(folders.made("environments"), settings.python)
        outfitter = Outfitter(
            packages,
            environments,
            weights,
            SecretReader(settings.secrets_dir),
            keyring,
            folders.made("scratch"),
            lambda: url,
        )
        bench = Bench(pool, dispatcher, preparer, sealer, clock)

        def make_crew(version: EndpointVersion, outfit: Outfit) -> Crew:
            make_spec = partial(outfitter.spec, version, outfit)  # a fresh scratch folder per worker
            return Crew(directory.version(version.id), make_spec, bench, deployer.broken)

        def say(version: EndpointVersion, text: str) -> None:
            log.info("endpoint", endpoint=version.endpoint_name, said=text)
            group = LOG_GROUP_PREFIX + version.endpoint_name
            logs.append([LogLine(group, f"trial/{version.number}", clock.now_ms(), text)])

        court = Court(
            packages=packages,
            outfitter=outfitter,
            directory=directory,
            submitter=submitter,
            inspector=inspector,
            objects=objects,
            clock=clock,
            isolation=pool.isolation,
            make_crew=make_crew,
            say=say,
            url_of=lambda name: presigned_url(keyring, "GET", f"{url}/", name, TRIAL_URL_SECONDS),
            free_memory_bytes=free_memory_bytes,
            drill_seconds=settings.drill_seconds,
        )
        deployer = Deployer(court, directory, packages, store, objects, watch, bells, clock)
        multipart = MultipartUploads(objects, clock)
        services = Services(
            submitter=submitter,
            inspector=inspector,
            canceller=Canceller(store, watch, inspector, clock, deployer.stop_work),
            deployer=deployer,
            deliverer=deliverer,
            objects=objects,
            registry=registry,
            logs=logs,
            keyring=keyring,
            clock=clock,
            uploads=folders.made("uploads"),
            base_url=url,
            multipart=multipart,
            waits=Waits(store, deployer),
            home=kept.home,
            backups=BackupTaker(
                DumpedElsewhere() if shared else SqliteCopier(folders.data / DATABASE),
                [*kept.keepers, packages, weights],
                [Member(name, folders.data / name) for name in (CREDENTIALS_FILE, CONFIG_FILE)],
                folders.made("backups"),
                clock,
            ),
        )
        kinds: list[tuple[str, Unused, Callable[[], Collection[str]]]] = [
            ("packages", packages, deployer.packages_in_use),
            ("environments", environments, tuple),
            ("weights", weights, tuple),
        ]
        retainer = Retainer(store, objects, kinds, _retention(settings), clock)
        publisher = Publisher(store, objects, watch, clock, kept.sweep)
        reaper = Reaper(store, watch, multipart, clock, deployer.end_session)
        yield Server(services, deployer, dispatcher, reaper, publisher, retainer, leases)


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


async def _open_objects(
    settings: Settings,
    folders: Folders,
    database: Database,
    store: SqlJobStore,
    clock: SystemClock,
    stack: AsyncExitStack,
) -> _Kept:
    if settings.objects is None:
        blobs = BlobFiles(folders.made("blobs"))
        stack.callback(blobs.close)
        embedded = EmbeddedObjects(SqlObjectNames(database), blobs, clock)
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


async def _open_deliverer(
    settings: Settings, database: Database, keyring: Keyring, bells: Bells, clock: SystemClock, stack: AsyncExitStack
) -> Deliverer:
    urls = await stack.enter_async_context(GuardedUrls(allow_private=settings.private_webhooks))
    sender = Sender(keyring.credentials.webhook_secret, f"seatrial/{__version__}")
    return Deliverer(SqlOutbox(database), GuardedPosts(urls), sender, bells, clock)


async def _system_buckets(objects: ObjectStore) -> None:
    for bucket in (INPUTS_BUCKET, RESULTS_BUCKET, TRIALS_BUCKET):
        with contextlib.suppress(BucketExists):
            await objects.create_bucket(bucket)


# ---------------------------------------------------------------------- listening


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        remedy = "another server may use the port: choose one with --port, or --port 0 for any free one"
        raise StartError(f"cannot listen on {host}:{port} ({error.strerror}); {remedy}") from None
    with listener:
        yield listener


def _url(settings: Settings, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if settings.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://{host}:{port}"


class _Web(uvicorn.Server):
    """uvicorn without its own signal handling: signals are the server's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _web(services: Services) -> _Web:
    config = uvicorn.Config(
        build_app(services),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=HTTP_CLOSE_SECONDS,
        h11_max_incomplete_event_size=None,
    )
    return _Web(config)


async def _until_started(web: _Web, serving: asyncio.Task[None]) -> None:
    while not web.started:
        if serving.done():
            await serving
            raise StartError("the web server stopped while starting")
        await asyncio.sleep(0.005)


# ---------------------------------------------------------------------- stopping


@contextmanager
def _signals() -> Iterator[asyncio.Queue[int]]:
    loop = asyncio.get_running_loop()
    received: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, received.put_nowait, number)
    try:
        yield received
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _first(tasks: set[asyncio.Task[int] | asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _stop(
    server: Server,
    web: _Web,
    serving: asyncio.Task[None],
    rounds: Sequence[asyncio.Task[None]],
    stops: asyncio.Queue[int],
    grace_seconds: float,
) -> None:
    """Hand nothing out, let what runs end within the grace, hand the rest back, close the doors last."""
    started = time.monotonic()
    log.info("server.stopping", grace_seconds=grace_seconds)
    server.services.submitter.drain()
    server.dispatcher.drain()
    closing = asyncio.create_task(server.deployer.close(grace_seconds))
    impatient = asyncio.create_task(stops.get())
    await _first({closing, impatient})
    if not closing.done():
        log.warning("server.stopping_now")
        await server.deployer.hurry()
    await closing
    impatient.cancel()
    for one in rounds:
        one.cancel()
    await server.publisher.close(PUBLICATION_GRACE_SECONDS)
    await server.services.deliverer.close(PUBLICATION_GRACE_SECONDS)
    server.services.inspector.close()
    web.should_exit = True
    await asyncio.gather(serving, *rounds, return_exceptions=True)
    log.info("server.stopped", seconds=round(time.monotonic() - started, 1))
