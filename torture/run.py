"""One run: clients ask, things break, and in the end the checker looks at what has come of it."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from seatrial.testing.postgres import PostgresServer
from seatrial.testing.s3_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, S3Server, free_bucket
from torture import v1
from torture.doors import Client
from torture.faults import Breaker, Deployment, small_disk
from torture.outside import RESULTS_BUCKET, Outside
from torture.plan import Step, faults, steps
from torture.proxy import FaultyProxy
from torture.receiver import REFUSED, Receiver
from torture.server import Server
from torture.work import ENDPOINT, Errand

CLIENTS = 4
WORKERS = 2
DISK_MB = 96
SETTLE_SECONDS = 120
OPTIONS = ("--drill-seconds", "0")  # a trial's drill kills workers too; here that is the run's own doing


@dataclass
class Report:
    """What happened."""

    seed: int
    objects: str
    database: str
    seconds: float = 0.0
    jobs: int = 0
    kills: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    doors: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)  # what this machine does not allow
    violations: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        told = [
            f"seed {self.seed}, objects in {self.objects}, {self.database}, {self.seconds:.0f} s",
            f"jobs: {self.jobs}  ({_counted(self.doors)}; {_counted(self.ends)})",
            f"kills: {self.kills}",
            f"faults: {sum(self.faults.values())}  ({_counted(self.faults)})",
            *(f"left out: {one}" for one in self.left_out),
            f"violations: {len(self.violations)}",
        ]
        return told + [f"  {one}" for one in self.violations]

    def as_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Kept:
    """Where the server keeps its objects, and how the checker looks at them."""

    options: tuple[str, ...] = ()
    proxy: FaultyProxy | None = None
    s3: Any = None
    bucket: str = RESULTS_BUCKET
    prefix: str = f"{ENDPOINT}/"


@contextmanager
def kept_in(store: str, folder: Path, seed: int) -> Iterator[Kept]:
    """`rows`: with the server itself; `s3`: in a real S3 server, behind a proxy that breaks."""
    if store == "rows":
        yield Kept()
        return
    service = S3Server(folder / "s3").start()
    proxy = FaultyProxy(service.ports["s3.port"], seed).start()
    session = boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name="us-east-1")
    s3 = session.client("s3", endpoint_url=service.url, config=Config(s3={"addressing_style": "path"}))
    try:
        bucket = free_bucket("home")
        s3.create_bucket(Bucket=bucket)
        keys = folder / "s3-credentials"
        keys.write_text(f"[default]\naws_access_key_id={ACCESS_KEY_ID}\naws_secret_access_key={SECRET_ACCESS_KEY}\n")
        place = ("--objects", f"s3://{bucket}/home", "--objects-endpoint", proxy.url)
        options = (*place, "--objects-credentials", str(keys))
        yield Kept(options, proxy, s3, bucket, f"home/{RESULTS_BUCKET}/{ENDPOINT}/")
    finally:
        s3.close()
        proxy.close()
        service.kill()


@contextmanager
def database_of(kind: str) -> Iterator[PostgresServer | None]:
    """`sqlite`: the server's own file; `postgres`: a real one, which the run kills too."""
    if kind == "sqlite":
        yield None
        return
    with PostgresServer() as postgres:
        yield postgres


def torture(seed: int, seconds: float, folder: Path, objects: str = "rows", database: str = "sqlite") -> Report:
    """Run for so long, then let everything settle, and check."""
    with (
        small_disk(folder / "server", DISK_MB) as is_small,
        kept_in(objects, folder, seed) as kept,
        database_of(database) as postgres,
    ):
        clock = folder / "clock-offset"
        served = [sys.executable, "-m", "torture.served", str(clock)]
        place = () if postgres is None else ("--database", postgres.database())
        server = Server(folder / "server", (*OPTIONS, *kept.options, *place), command=served)
        server.log = folder / "server.log"  # not on the disk that fills up
        report = Report(seed, objects, database)
        receiver = Receiver(seed, REFUSED)
        if not is_small:
            report.left_out.append("disk full: mounting a small file system takes root")
        try:
            if not server.start():
                raise RuntimeError(f"the server did not start: {server.log.read_text()[-2000:]}")
            receiver.secret = server.variables["SEATRIAL_WEBHOOK_SECRET"]
            deployment = Deployment(WORKERS, receiver.url)
            server.deploy(ENDPOINT, deployment.workers, deployment.webhook)
            breaker = Breaker(server, clock, deployment, is_small, kept.proxy, postgres)
            _Run(server, report, breaker, kept, receiver).run(seconds)
        finally:
            server.close()
            receiver.close()
    return report


class _Run:
    def __init__(self, server: Server, report: Report, breaker: Breaker, kept: Kept, receiver: Receiver) -> None:
        self._kept = kept
        self._receiver = receiver
        self._server = server
        self._report = report
        self._breaker = breaker
        self._over = threading.Event()
        self._errands: list[Errand] = []
        self._said: list[str] = []

    def run(self, seconds: float) -> None:
        began = time.monotonic()
        clients = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        breaking = threading.Thread(target=self._breaker.run, args=(faults(self._report.seed), self._over))
        for thread in (*clients, breaking):
            thread.start()
        self._over.wait(seconds)
        self._over.set()
        for thread in (breaking, *clients):
            thread.join()
        self._settle()
        self._check()
        self._tell(time.monotonic() - began)

    def _ask(self, number: int) -> None:
        client = Client(self._server, self._over, self._said.append)
        try:
            for step in steps(self._report.seed, number, CLIENTS):
                if self._over.wait(step.pause_seconds):
                    return
                self._take(client, step)
        finally:
            client.close()

    def _take(self, client: Client, step: Step) -> None:
        errand = step.errand
        self._errands.append(errand)
        client.send(errand)
        if step.twice and errand.door in ("v1", "form"):
            client.send(errand)  # under the same key: the same job
        if step.cancel_after_seconds is not None:
            self._over.wait(step.cancel_after_seconds)
            client.cancel(errand)
        client.look(errand)

    def _settle(self) -> None:
        """Nothing is broken any more: whoever has a key asks once more, and every job must come to its end."""
        endpoint = self._server.settled(ENDPOINT)
        if endpoint is None or endpoint["status"] != "InService":
            self._server.deploy(ENDPOINT, WORKERS, self._receiver.url)
        for errand in self._errands:
            if errand.door == "v1" and errand.refused is None:
                v1.send_until_accepted(self._server.http, errand)
        give_up = time.monotonic() + SETTLE_SECONDS
        for waited in count():
            counts = self._server.http.get(f"/v1/endpoints/{ENDPOINT}").json()["jobs"]
            unfinished = sum(counts.get(state, 0) for state in ("queued", "running", "publishing"))
            if not unfinished and not self._tell_again():
                return
            if time.monotonic() > give_up:
                untold = self._tell_again()
                self._said.append(f"after {waited} looks something is unfinished: {counts}, {untold} untold")
                return
            time.sleep(0.5)

    def _tell_again(self) -> int:
        """How many notifications wait for their next try; they get it now, as an operator would see to it."""
        self._receiver.refuses = False
        pending = self._server.http.get("/v1/deliveries", params={"status": "pending", "limit": 100})
        waiting = [one["id"] for one in pending.json()["deliveries"]]
        for delivery in waiting:
            self._server.http.post(f"/v1/deliveries/{delivery}/replay")
        return len(waiting)

    def _check(self) -> None:
        kept = self._kept
        outside = Outside(self._server.http, kept.s3 or self._server.s3, kept.prefix, kept.bucket, self._receiver)
        by_key = {errand.key: errand for errand in self._errands}
        by_id = {job_id: errand for errand in self._errands for job_id in errand.ids}
        for job in outside.jobs(ENDPOINT):
            if job["purpose"] != "client":
                continue
            errand = by_id.get(job["id"]) or by_key.get(job["attributes"].get("inference_id", ""))
            if errand is None:
                errand = self._unanswered(outside, job["id"], by_key)
            if errand is None:
                self._said.append(f"job {job['id']} was asked for by nobody")
            else:
                errand.ids.add(job["id"])
        self._said += self._receiver.wrong
        self._said += outside.violations(self._errands)
        self._said += [f"errand {one.number} was refused: {one.refused}" for one in self._errands if one.refused]
        self._report.ends = dict(Counter(job["status"] for job in outside.jobs(ENDPOINT) if job["purpose"] == "client"))

    def _unanswered(self, outside: Outside, job_id: str, by_key: dict[str, Errand]) -> Errand | None:
        """A job whose 202 was lost for good: its own input says whose it is."""
        content = outside.http.get(f"/v1/jobs/{job_id}/input").content
        return next((one for one in by_key.values() if not one.promised and one.is_asked_by(content)), None)

    def _tell(self, seconds: float) -> None:
        report, done = self._report, self._breaker.done
        report.seconds = seconds
        report.jobs = sum(len(errand.ids) for errand in self._errands)
        report.kills = sum(number for kind, number in done.items() if "killed" in kind)
        report.faults = {str(kind): number for kind, number in sorted(done.items())}
        report.doors = dict(Counter(errand.door for errand in self._errands))
        report.violations = self._said


def _counted(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in sorted(numbers.items()))
