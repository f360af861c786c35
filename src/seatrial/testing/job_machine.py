"""A state machine that gives a job store and a small model the same commands and compares every answer.

Use: subclass `JobStoreMachine` with `open_world`, whose `TestCase` pytest then collects. Commands gather into
calls of several, so that a store that works on runs of commands is compared too.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from seatrial.domain.commands import (
    Beat,
    Beaten,
    Cancel,
    CancelAccepted,
    CancelQueued,
    Closed,
    CloseLapsed,
    CloseServerSessions,
    CloseSession,
    Expire,
    Expired,
    FailQueued,
    Finish,
    Finished,
    JobCommand,
    JobOutcome,
    OpenSession,
    Outcome,
    Release,
    Submit,
    Submitted,
    Take,
)
from seatrial.domain.jobs import Job, JobFilter, JobPurpose, OutputPlan
from seatrial.domain.objects import ObjectName
from seatrial.testing.job_model import Entry, JobModel
from seatrial.testing.job_store import (
    BUCKET,
    DEATH,
    ENDPOINT,
    FAILURE,
    NO_BUCKET,
    World,
    idempotency,
    part,
    submission,
    tokens,
)

_DEPTH_MAX = 8
_VERSIONS = st.sampled_from(["v1", "v1", "v2"])
_SESSIONS = st.sampled_from(["s1", "s2", "s3"])
_SERVERS = st.sampled_from(["server-1", "server-2"])
_HOMES = st.sampled_from(["home-1", "home-2"])
_DAY_MS = 86_400_000
_AFFINITIES = st.sampled_from([None, "a", "b"])
_INDEX = st.integers(0, 200)
_NAMES = st.none() | st.sampled_from([ObjectName(BUCKET, "x"), ObjectName(BUCKET, "y"), ObjectName(NO_BUCKET, "z")])
_KEYS = st.none() | st.builds(idempotency, st.sampled_from(["k", "l"]), st.sampled_from(["f", "f", "g"]))


class JobStoreMachine(RuleBasedStateMachine):
    """Every rule puts one command into the waiting call; `send` and full calls compare the answers."""

    @staticmethod
    def open_world(folder: Path) -> AbstractAsyncContextManager[World]:
        """A fresh world in an empty folder."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.model = JobModel("v1", frozenset({BUCKET}))
        self.now_ms = 1_000
        self.waiting: list[tuple[JobCommand, JobOutcome]] = []
        self.tokens: list[str] = []
        self.takes: list[Take] = []
        self.submits: list[Submit] = []
        self.finishes: list[Finish] = []

    @initialize()
    def open(self) -> None:
        self.world = self.runner.run(self.stack.enter_async_context(self.open_world(Path(self.folder.name))))
        self.runner.run(self.world.furnish())

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.send()
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    # ------------------------------------------------------------ rules

    @rule(
        priority=st.sampled_from([5, 5, 0, 9]),
        version_id=st.none() | _VERSIONS,
        affinity=_AFFINITIES,
        purpose=st.sampled_from([JobPurpose.CLIENT, JobPurpose.CLIENT, JobPurpose.TRIAL]),
        name=_NAMES,
        key=_KEYS,
        owner=st.sampled_from(["000000000000", "other"]),
        device=st.sampled_from([(None, False), (None, False), ("gpu", False), ("gpu", True)]),
        queue_ttl_ms=st.sampled_from([2_000, 50_000]),
        life_ms=st.sampled_from([1_500, 9_000, 60_000]),
    )
    def submit(
        self, name: ObjectName | None, key: Any, life_ms: int, device: tuple[str | None, bool], **changes: Any
    ) -> None:
        changes |= {"device_group": device[0], "exclusive": device[1]}
        command = submission(
            _DEPTH_MAX, key, submitted_at_ms=self.now_ms, decide_by_ms=self.now_ms + life_ms, **changes
        )
        if name is not None:
            output = OutputPlan(name, replace(name, key=name.key + "-error"))
            command = replace(command, job=replace(command.job, output=output))
        self.submits.append(command)
        self.ask(command)

    @precondition(lambda self: self.submits)
    @rule(which=_INDEX)
    def submit_again(self, which: int) -> None:
        self.ask(self.submits[which % len(self.submits)])

    @rule(
        session=_SESSIONS,
        reopen=st.none() | st.tuples(_VERSIONS, _SERVERS),
        n=st.integers(1, 4),
        wants=st.builds(
            dict,
            prefer=st.frozensets(st.sampled_from(["a", "b"])),
            elsewhere=st.frozensets(st.sampled_from(["a", "b"])),
            endpoint_running_max=st.none() | st.none() | st.integers(1, 3),
            owner_running_max=st.none() | st.none() | st.integers(1, 3),
        ),
    )
    def take(self, session: str, reopen: tuple[str, str] | None, n: int, wants: dict[str, Any]) -> None:
        if reopen is not None:
            version_id, server = reopen
            self.ask(OpenSession(session, ENDPOINT.id, version_id, "processes", server, self.now_ms))
        command = Take(session, tokens(n), self.now_ms, **wants)
        self.takes.append(command)
        self.tokens.extend(command.tokens)
        self.ask(command)

    @precondition(lambda self: self.takes)
    @rule(which=_INDEX)
    def take_again(self, which: int) -> None:
        command = self.takes[-1 - which % min(3, len(self.takes))]
        self.ask(command)

    @precondition(lambda self: self.held())
    @rule(which=_INDEX, outcome=st.sampled_from(Outcome), began=st.booleans())
    def finish(self, which: int, outcome: Outcome, began: bool) -> None:
        held = self.held()
        entry = held[which % len(held)]
        parts = (part(entry.job),) if outcome is Outcome.SUCCEEDED else ()
        failure = FAILURE if outcome is Outcome.FAILED else None
        command = Finish(str(entry.token), outcome, self.now_ms, parts, failure, self.now_ms - 1 if began else None)
        self.finishes.append(command)
        self.ask(command)

    @precondition(lambda self: self.finishes)
    @rule(which=_INDEX)
    def finish_again(self, which: int) -> None:
        self.ask(self.finishes[-1 - which % len(self.finishes)])

    @precondition(lambda self: self.tokens)
    @rule(which=_INDEX)
    def finish_with_any_token(self, which: int) -> None:
        token = self.tokens[which % len(self.tokens)]
        self.ask(Finish(token, Outcome.FAILED, self.now_ms, failure=FAILURE))

    @precondition(lambda self: self.tokens)
    @rule(which=st.lists(_INDEX, min_size=1, max_size=3))
    def release(self, which: list[int]) -> None:
        self.ask(Release(tuple(self.tokens[-1 - one % len(self.tokens)] for one in which)))

    @precondition(lambda self: self.held())
    @rule(
        which=_INDEX, begun=st.sets(st.integers(0, 3)), died=st.booleans(), limits=st.tuples(*[st.integers(1, 3)] * 2)
    )
    def close(self, which: int, begun: set[int], died: bool, limits: tuple[int, int]) -> None:
        session = self.held()[which % len(self.held())].session
        held = [str(entry.token) for entry in self.held() if entry.session == session]
        some = tuple(token for at, token in enumerate(held) if at in begun)
        self.ask(CloseSession(str(session), self.now_ms, some, DEATH if died else None, *limits))

    @precondition(lambda self: self.model.entries)
    @rule(
        command=st.builds(CloseServerSessions, _SERVERS, st.just(0), _HOMES | st.none())
        | st.builds(CloseLapsed, _SERVERS, st.sampled_from([-_DAY_MS, _DAY_MS]), st.just(0))
        | st.builds(FailQueued, st.just(ENDPOINT.id), st.just(FAILURE), st.just(0), st.sampled_from(["v1", "v2", None]))
        | st.builds(CancelQueued, st.just(ENDPOINT.id), st.just(0))
        | st.builds(CloseSession, _SESSIONS, st.just(0), presumed=st.booleans())
    )
    def clear(self, command: CloseServerSessions | CloseLapsed | FailQueued | CancelQueued | CloseSession) -> None:
        self.ask(replace(command, now_ms=self.now_ms))

    @rule(server=_SERVERS, home=_HOMES)
    def beat(self, server: str, home: str) -> None:
        self.ask(Beat(server, home))

    @precondition(lambda self: self.model.entries)
    @rule(which=_INDEX)
    def cancel(self, which: int) -> None:
        ids = list(self.model.entries)
        self.ask(Cancel(ids[-1 - which % len(ids)], self.now_ms))

    @rule(passed_ms=st.integers(1, 3_000) | st.just(31_000))
    def time_passes(self, passed_ms: int) -> None:
        self.now_ms += passed_ms
        self.ask(Expire(self.now_ms))

    @precondition(lambda self: len(self.waiting) > 2)
    @rule()
    def send(self) -> None:
        """Send what waits, and compare the answers and then everything that can be read."""
        waiting, self.waiting = self.waiting, []
        outcomes = self.runner.run(self.world.store.apply([command for command, _ in waiting]))
        for (command, expected), outcome in zip(waiting, outcomes, strict=True):
            assert _comparable(outcome) == _comparable(expected), command
        self.runner.run(self.compare())

    # ------------------------------------------------------------ how rules work

    def held(self) -> list[Entry]:
        """The jobs in the hands of sessions."""
        return [entry for entry in self.model.entries.values() if entry.session is not None]

    def ask(self, command: JobCommand) -> None:
        """Let the model answer now and the store with the next call."""
        self.waiting.append((command, self.model.do(command)))
        if len(self.waiting) >= 6:
            self.send()

    async def compare(self) -> None:
        """The store's jobs, counts, deadline and objects are those of the model."""
        store = self.world.store
        found = await store.jobs(JobFilter(purpose=None, limit=len(self.model.jobs) + 1))
        assert [_plain(job) for job in reversed(found)] == self.model.jobs
        assert await store.counts(ENDPOINT.id) == self.model.counts()
        assert await store.next_deadline_ms() == self.model.next_deadline_ms()


def _comparable(answer: JobOutcome) -> JobOutcome:
    """The answer without what the contract leaves open: texts of failures, and the order of jobs that ended."""
    if isinstance(answer, (Finished, CancelAccepted)):
        return replace(answer, job=_plain(answer.job))
    if isinstance(answer, Submitted) and answer.job is not None:
        return replace(answer, job=_plain(answer.job))
    if isinstance(answer, Beaten):
        return Beaten(answer.since_last_ms and 0)
    if isinstance(answer, Expired):
        return Expired(_in_order(answer.jobs))
    if isinstance(answer, Closed):
        return Closed(tuple(sorted(answer.requeued)), _in_order(answer.ended))
    return answer


def _in_order(jobs: tuple[Job, ...]) -> tuple[Job, ...]:
    return tuple(sorted(map(_plain, jobs), key=lambda job: job.id))


def _plain(job: Job) -> Job:
    return job if job.failure is None else replace(job, failure={"error_type": job.failure["error_type"]})
