"""kill -9 at every named point of the code; the next server keeps every promise, as seen from outside."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import boto3
import httpx
import pytest
from botocore.config import Config
from tests import forks
from tests.conftest import until
from torture import v1
from torture.outside import Outside
from torture.receiver import Receiver
from torture.server import Server
from torture.work import ENDPOINT, Errand

from seatrial.ports.crash_points import CrashPoint
from seatrial.testing.postgres import PostgresServer
from seatrial.testing.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server, free_bucket

P = CrashPoint
CLOCK = "clock-offset"
BLOB = 40_000  # bytes: more than a row holds, so it becomes a file


class Served(Server):
    """Whose wall clock jumps with a file."""

    def begin(self, arguments: Sequence[str], log: IO[str], environment: Mapping[str, str]) -> Any:
        clock = self.folder / CLOCK
        return forks.start(clock, *arguments, module="torture.served", stderr=log.fileno(), env=environment)


class Yard:
    """One data folder for all points; the server on it is killed and started again all the time."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._clock = folder / CLOCK
        self.server = Served(folder, ("--drill-seconds", "0", *options))
        self.receiver = Receiver()
        self.errands: list[Errand] = []
        self._numbers = itertools.count(1)
        assert self.server.start()
        self.receiver.secret = self.server.variables["SEATRIAL_WEBHOOK_SECRET"]
        self.server.deploy(ENDPOINT, webhook=self.receiver.url)
        self.outside = Outside(self.server.http, self.server.s3, f"{ENDPOINT}/", receiver=self.receiver)

    @classmethod
    def in_s3(cls, folder: Path, service: S3Server) -> Yard:
        """One whose objects are kept in a real S3 service; there the checker looks at them."""
        session = boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name="us-east-1")
        s3 = session.client("s3", endpoint_url=service.url, config=Config(s3={"addressing_style": "path"}))
        bucket = free_bucket("home")
        s3.create_bucket(Bucket=bucket)
        keys = folder / "s3-credentials"
        keys.write_text(f"[default]\naws_access_key_id={ACCESS_KEY_ID}\naws_secret_access_key={SECRET_ACCESS_KEY}\n")
        place = ("--objects", f"s3://{bucket}/home", "--objects-endpoint", service.url)
        yard = cls(folder, *place, "--objects-credentials", str(keys))
        prefix = f"home/seatrial-results/{ENDPOINT}/"
        yard.outside = Outside(yard.server.http, s3, prefix, bucket, yard.receiver)
        return yard

    def discard_staging(self) -> None:
        """Somebody takes away what was staged, in the S3 service itself."""
        s3, bucket = self.outside.s3, self.outside.bucket
        for item in s3.list_objects_v2(Bucket=bucket, Prefix="home/staging/").get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"])

    def begin(self, order: str) -> None:
        """The next test: with errands of its own."""
        self.errands = []
        self._earlier = self.outside.objects()
        self.server.order(order)

    def new_objects(self) -> set[str]:
        """What this test made visible."""
        return self.outside.objects() - self._earlier

    def errand(self, **what: object) -> Errand:
        number = next(self._numbers)
        self.errands.append(Errand(number, f"key-{number}", **what))
        return self.errands[-1]

    def send(self, errand: Errand) -> None:
        v1.send(self.server.http, errand)

    def check(self) -> None:
        """All that was asked for is asked for again, under the same keys, and ends as it must."""
        for errand in self.errands:
            v1.send_until_accepted(self.server.http, errand)
        for errand in self.errands:
            for job_id in errand.ids:
                errand.ends.add(v1.ended(self.server.http, job_id)["status"])
        self._wait_until_told()
        assert self.receiver.wrong == []
        assert self.outside.violations(self.errands, self._earlier) == []

    def close(self) -> None:
        self.server.close()
        self.receiver.close()

    def _wait_until_told(self) -> None:
        """What the dead server had in hand is due a minute later: the clock jumps there."""
        self._clock.write_text("100")
        give_up = time.monotonic() + v1.PATIENCE_SECONDS
        while self.server.http.get("/v1/deliveries", params={"status": "pending"}).json()["deliveries"]:
            assert time.monotonic() < give_up, "a notification is not delivered"
            time.sleep(0.05)
        self._clock.unlink()


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    made = Yard(tmp_path_factory.mktemp("points"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def postgres_yard(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Yard]:
    made = Yard(tmp_path_factory.mktemp("points-postgres"), "--database", postgres.database())
    yield made
    made.close()


@pytest.fixture(scope="module")
def s3_yard(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[Yard]:
    made = Yard.in_s3(tmp_path_factory.mktemp("points-s3"), s3_server)
    yield made
    made.outside.s3.close()
    made.close()


# ---------------------------------------------------------------------- stories: how to come to a point


def jobs(yard: Yard) -> None:
    """A small one, a large one with a part, and one that fails."""
    yard.send(yard.errand())
    yard.send(yard.errand(size=BLOB, part_size=BLOB, padding=BLOB))
    yard.send(yard.errand(act="fail"))


def a_death(yard: Yard) -> None:
    yard.send(yard.errand(act="die"))


def a_cancel(yard: Yard) -> None:
    """Of a job that runs."""
    with socket.create_server(("127.0.0.1", 0)) as gate:
        errand = yard.errand(port=gate.getsockname()[1], cancelled=True)
        yard.send(errand)
        gate.settimeout(v1.PATIENCE_SECONDS)
        held, _ = gate.accept()
        with held:
            _cancel(yard, errand)


def a_queued_cancel(yard: Yard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gate:
        yard.send(yard.errand(port=gate.getsockname()[1]))
        gate.settimeout(v1.PATIENCE_SECONDS)
        held, _ = gate.accept()
        with held:
            waiting = yard.errand(cancelled=True)
            yard.send(waiting)
            _cancel(yard, waiting)


def _cancel(yard: Yard, errand: Errand) -> None:
    for job_id in errand.ids:
        with suppress(httpx.TransportError):
            yard.server.http.post(f"/v1/jobs/{job_id}/cancel")


def a_deployment(yard: Yard) -> None:
    with suppress(httpx.TransportError):
        yard.server.put("second")
        yard.server.settled("second")


def an_update(yard: Yard) -> None:
    with suppress(httpx.TransportError):
        yard.server.put(ENDPOINT, webhook=yard.receiver.url)
        yard.server.settled(ENDPOINT)


def a_deletion(yard: Yard) -> None:
    yard.server.deploy("doomed")
    with suppress(httpx.TransportError):
        yard.server.http.delete("/v1/endpoints/doomed")
        yard.server.settled("doomed")


def a_start(yard: Yard) -> None:
    """The server is killed while a job runs and another waits; the point is on the way of the next start."""
    with socket.create_server(("127.0.0.1", 0)) as gate:
        yard.send(yard.errand(port=gate.getsockname()[1]))
        gate.settimeout(v1.PATIENCE_SECONDS)
        held, _ = gate.accept()
        yard.send(yard.errand())
        yard.server.kill()
        held.close()
    yard.server.start()


Story = Callable[[Yard], None]
_SLOW = pytest.mark.slow  # the others of its kind run always

# point, at which arrival, story. The points before `slow` are the ones where something durable is half done.
CRASHES = [
    (P.SUBMIT_COMMITTED, 1, jobs),
    (P.STAGE_PART_SEALED, 2, jobs),
    (P.COMMIT_WRITTEN, 6, jobs),
    (P.FINISH_COMMITTED, 2, jobs),
    (P.NOTIFY_TOLD, 2, jobs),
    (P.CLOSE_PROCESS_GONE, 1, a_cancel),
    (P.START_ORPHANS_ENDED, 1, a_start),
]
SLOW_CRASHES = [
    (P.DEPLOY_IN_SERVICE, 1, an_update),
    (P.CANCEL_COMMITTED, 1, a_cancel),
    (P.LEASE_TAKEN, 1, jobs),
    (P.SUBMIT_INPUT_KEPT, 1, jobs),
    (P.START_SESSIONS_CLOSED, 1, a_start),
    (P.SUBMIT_COMMITTED, 3, jobs),
    (P.LEASE_OPENED, 1, a_start),
    (P.RUN_PREPARED, 1, jobs),
    (P.RUN_ANSWERED, 1, jobs),
    (P.STAGE_FILE_WRITTEN, 1, jobs),
    (P.STAGE_FILE_WRITTEN, 2, jobs),
    (P.STAGE_PART_SEALED, 1, jobs),
    (P.STAGE_PART_SEALED, 3, jobs),
    (P.STAGE_ALL_SEALED, 2, jobs),
    (P.COMMIT_WRITTEN, 4, jobs),
    (P.COMMIT_WRITTEN, 9, jobs),
    (P.COMMIT_DONE, 4, jobs),
    (P.COMMIT_DONE, 8, jobs),
    (P.FINISH_COMMITTED, 1, jobs),
    (P.FINISH_COMMITTED, 3, jobs),
    (P.NOTIFY_TOLD, 1, jobs),
    (P.NOTIFY_RECORDED, 1, jobs),
    (P.CLOSE_PROCESS_GONE, 1, a_death),
    (P.CLOSE_COMMITTED, 1, a_death),
    (P.CLOSE_COMMITTED, 3, a_death),
    (P.CLOSE_COMMITTED, 1, a_cancel),
    (P.CANCEL_COMMITTED, 1, a_queued_cancel),
    (P.CANCEL_PROCESS_GONE, 1, a_cancel),
    (P.DEPLOY_CREATED, 1, a_deployment),
    (P.DEPLOY_PACKAGE_STORED, 1, a_deployment),
    (P.DEPLOY_PROVED, 1, a_deployment),
    (P.DEPLOY_PROVED, 1, an_update),
    (P.DELETE_QUEUE_FAILED, 1, a_deletion),
]


# Where objects are not rows, an ending takes several steps.
S3_CRASHES = [
    (P.PUBLISH_PART_REVEALED, 2, jobs),
]
SLOW_S3_CRASHES = [
    (P.PUBLISH_COMMITTED, 2, jobs),
    (P.FINISH_COMMITTED, 2, jobs),
    (P.SUBMIT_INPUT_KEPT, 1, jobs),
    (P.SUBMIT_COMMITTED, 2, jobs),
    (P.STAGE_PART_SEALED, 2, jobs),
    (P.STAGE_ALL_SEALED, 1, jobs),
    (P.FINISH_COMMITTED, 3, jobs),
    (P.PUBLISH_PART_REVEALED, 1, jobs),
    (P.PUBLISH_PART_REVEALED, 3, jobs),
    (P.PUBLISH_FAILURE_REVEALED, 1, jobs),
    (P.PUBLISH_FAILURE_REVEALED, 1, a_queued_cancel),
    (P.PUBLISH_FAILURE_REVEALED, 1, a_cancel),
    (P.PUBLISH_COMMITTED, 1, jobs),
    (P.PUBLISH_COMMITTED, 3, jobs),
    (P.NOTIFY_TOLD, 2, jobs),
    (P.CLOSE_COMMITTED, 3, a_death),
]


# The same steps on PostgreSQL, whose transactions are several at a time.
POSTGRES_CRASHES = [
    (P.COMMIT_WRITTEN, 6, jobs),
]
SLOW_POSTGRES_CRASHES = [
    (P.FINISH_COMMITTED, 2, jobs),
    (P.START_SESSIONS_CLOSED, 1, a_start),
    (P.SUBMIT_INPUT_KEPT, 1, jobs),
    (P.SUBMIT_COMMITTED, 1, jobs),
    (P.LEASE_TAKEN, 1, jobs),
    (P.STAGE_PART_SEALED, 2, jobs),
    (P.COMMIT_WRITTEN, 4, jobs),
    (P.COMMIT_WRITTEN, 9, jobs),
    (P.COMMIT_DONE, 5, jobs),
    (P.FINISH_COMMITTED, 3, jobs),
    (P.NOTIFY_TOLD, 1, jobs),
    (P.CANCEL_COMMITTED, 1, a_cancel),
    (P.CLOSE_PROCESS_GONE, 1, a_cancel),
    (P.CLOSE_COMMITTED, 3, a_death),
    (P.DEPLOY_IN_SERVICE, 1, an_update),
    (P.DELETE_QUEUE_FAILED, 1, a_deletion),
]


def _cases(table: list[tuple[CrashPoint, int, Story]], *marks: pytest.MarkDecorator) -> list[object]:
    return [pytest.param(*case, id=f"{case[0]}-{case[1]}-{case[2].__name__}", marks=marks) for case in table]


@pytest.mark.parametrize(("point", "arrival", "story"), _cases(CRASHES) + _cases(SLOW_CRASHES, _SLOW))
def test_the_server_dies_at(yard, point, arrival, story):
    yard.begin(f"kill {point} {arrival}")
    story(yard)
    assert yard.server.wait_ended() == -signal.SIGKILL, f"it never came to {point}"

    assert yard.server.start()
    yard.check()
    _endpoints_are_settled(yard)


@pytest.mark.parametrize(("point", "arrival", "story"), _cases(POSTGRES_CRASHES) + _cases(SLOW_POSTGRES_CRASHES, _SLOW))
def test_the_server_dies_on_postgres_at(postgres_yard, point, arrival, story):
    postgres_yard.begin(f"kill {point} {arrival}")
    story(postgres_yard)
    assert postgres_yard.server.wait_ended() == -signal.SIGKILL, f"it never came to {point}"

    assert postgres_yard.server.start()
    postgres_yard.check()
    _endpoints_are_settled(postgres_yard)


@pytest.mark.parametrize(("point", "arrival", "story"), _cases(S3_CRASHES) + _cases(SLOW_S3_CRASHES, _SLOW))
def test_the_server_dies_with_its_objects_in_s3_at(s3_yard, point, arrival, story):
    s3_yard.begin(f"kill {point} {arrival}")
    story(s3_yard)
    assert s3_yard.server.wait_ended() == -signal.SIGKILL, f"it never came to {point}"

    assert s3_yard.server.start()
    s3_yard.check()


def test_the_server_dies_after_it_gave_a_half_shown_result_up(s3_yard):
    """The next one takes back what shows of it before it shows the failure."""
    s3_yard.begin(f"hold {P.PUBLISH_PART_REVEALED} 1")
    errand = s3_yard.errand(size=BLOB, part_size=BLOB, lost=True)
    s3_yard.send(errand)
    s3_yard.server.wait_held()
    assert len(s3_yard.new_objects()) == 1, "the part shows, the primary does not"
    s3_yard.discard_staging()
    s3_yard.server.order(f"kill {P.PUBLISH_GIVEN_UP} 1")
    s3_yard.server.go_on()
    assert s3_yard.server.wait_ended() == -signal.SIGKILL

    assert s3_yard.server.start()
    s3_yard.check()
    assert len(s3_yard.new_objects()) == 1, "the failure object"


@pytest.mark.parametrize(
    ("point", "story"),
    [
        (P.RUN_PREPARED, jobs),
        pytest.param(P.LEASE_TAKEN, jobs, marks=_SLOW),
        pytest.param(P.RUN_ANSWERED, jobs, marks=_SLOW),
        pytest.param(P.STAGE_PART_SEALED, jobs, marks=_SLOW),
        pytest.param(P.FINISH_COMMITTED, jobs, marks=_SLOW),
        pytest.param(P.CANCEL_COMMITTED, a_cancel, marks=_SLOW),
        pytest.param(P.CLOSE_PROCESS_GONE, a_death, marks=_SLOW),
    ],
)
def test_the_worker_dies_at(yard, point, story):
    yard.server.kill()  # a server counts how often workers fall: each test begins with none
    assert yard.server.start()
    yard.begin(f"hold {point} 1")
    telling = threading.Thread(target=story, args=(yard,))
    telling.start()
    yard.server.wait_held()
    for pid in yard.server.workers():
        os.kill(pid, signal.SIGKILL)
    yard.server.go_on()
    telling.join()
    yard.check()


def test_what_an_object_set_off_is_done_once_when_the_server_dies_before_it_says_so(yard):
    yard.begin(f"kill {P.ARRIVAL_ACTED} 1")
    yard.server.s3.create_bucket(Bucket="arriving")
    wanted = {"bucket": "arriving", "endpoint": ENDPOINT, "prefix": "in/", "result": "s3://arriving/out/{job_id}"}
    trigger = yard.server.http.post("/v1/triggers", json=wanted).raise_for_status().json()["id"]
    body = Errand(next(yard._numbers), "").body()
    yard.server.s3.put_object(Bucket="arriving", Key="in/one", Body=body, ContentType="application/json")
    assert yard.server.wait_ended() == -signal.SIGKILL

    assert yard.server.start()

    def acted() -> dict[str, Any] | None:
        (event,) = yard.server.http.get(f"/v1/triggers/{trigger}").json()["last_events"]
        return dict(event) if event["status"] != "waiting" else None

    event = until(acted, v1.PATIENCE_SECONDS)
    assert event["status"] == "done"
    made = [job for job in yard.outside.jobs(ENDPOINT) if job["door"] == "trigger"]
    assert [f"job {job['id']}" for job in made] == [event["outcome"]]
    assert v1.ended(yard.server.http, made[0]["id"])["status"] == "succeeded"
    assert yard.server.http.delete(f"/v1/triggers/{trigger}").status_code == 204


def test_every_point_is_exercised():
    exercised = {point for point, _, _ in CRASHES + SLOW_CRASHES + S3_CRASHES + SLOW_S3_CRASHES}
    assert exercised | {P.PUBLISH_GIVEN_UP, P.ARRIVAL_ACTED} == set(CrashPoint)


def _endpoints_are_settled(yard: Yard) -> None:
    """What was being deployed is in service, failed for a reason that it names, or was never there."""
    for name in (ENDPOINT, "second", "doomed"):
        endpoint = yard.server.settled(name)
        if endpoint is None:
            assert name != ENDPOINT
            continue
        if name == ENDPOINT:
            assert endpoint["status"] == "InService", endpoint
        elif endpoint["status"] == "Failed":
            assert "The server stopped before the package was stored" in endpoint["failure_reason"]
        if name != ENDPOINT:
            assert yard.server.http.delete(f"/v1/endpoints/{name}").status_code == 202
            yard.server.settled(name)
