"""The job store as a few dictionaries: what each command does, without any care for disks or speed.

Failure documents are reduced to their `error_type`, whose words are part of the contract; their texts are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from functools import singledispatchmethod
from typing import Any

from seatrial.domain.commands import (
    Beat,
    Beaten,
    Cancel,
    CancelAccepted,
    CancelQueued,
    CancelRefused,
    Claim,
    Closed,
    CloseLapsed,
    CloseServerSessions,
    CloseSession,
    Expire,
    Expired,
    FailQueued,
    Finish,
    Finished,
    IdempotencyKey,
    JobCommand,
    JobOutcome,
    KeyConflict,
    NameTaken,
    NoSuchJob,
    Opened,
    OpenSession,
    Outcome,
    QueueFull,
    Release,
    Released,
    SessionGone,
    Stale,
    Submit,
    Submitted,
    Take,
    Taken,
)
from seatrial.domain.jobs import Job, JobPurpose, JobState, NewJob, Part, rank_ms
from seatrial.domain.limits import AFFINITY_HEAD_START_MS, AFFINITY_WAIT_MS, EXCLUSIVE_PATIENCE_SECONDS
from seatrial.domain.objects import ObjectName

_LIVE = (JobState.QUEUED, JobState.RUNNING)


@dataclass(slots=True)
class Entry:
    """A job and what its readers do not see. The token stays after a finish, so that it can be repeated."""

    job: Job
    affinity: str | None
    grouped: bool = False
    queue_ttl_counts: bool = True
    excused: int = 0
    token: str | None = None
    session: str | None = None

    @property
    def expires_at_ms(self) -> int:
        if self.job.cancel_requested:
            return 0
        if not self.queue_ttl_counts:
            return self.job.decide_by_ms
        return min(self.job.queue_deadline_ms, self.job.decide_by_ms)


@dataclass(slots=True)
class JobModel:
    """An endpoint with one active version; `buckets` are those that exist."""

    active_version: str
    buckets: frozenset[str]
    entries: dict[str, Entry] = field(default_factory=dict)  # in the order of submission
    sessions: dict[str, OpenSession] = field(default_factory=dict)
    servers: dict[str, str] = field(default_factory=dict)  # server -> home, of those that have beaten
    keys: dict[tuple[str, str, str, str], tuple[str, str]] = field(default_factory=dict)

    @property
    def jobs(self) -> list[Job]:
        """All jobs, oldest first."""
        return [entry.job for entry in self.entries.values()]

    def counts(self) -> dict[JobState, int]:
        """Client jobs by state."""
        return dict(Counter(job.state for job in self.jobs if job.purpose is JobPurpose.CLIENT))

    def next_deadline_ms(self) -> int | None:
        """Of the queued job that expires first."""
        return min((one.expires_at_ms for one in self._in_state(JobState.QUEUED)), default=None)

    @singledispatchmethod
    def do(self, command: JobCommand) -> JobOutcome:
        """What the store must answer."""
        raise NotImplementedError(type(command))

    # ------------------------------------------------------------ submission

    @do.register
    def _submit(self, command: Submit) -> JobOutcome:
        new = command.job
        before = self._made_before(new.id, command.idempotency)
        if before is not None:
            return before
        if new.purpose is JobPurpose.CLIENT:
            depth = sum(count for state, count in self.counts().items() if state in _LIVE)
            if depth >= command.queue_depth_max:
                return QueueFull(depth, command.queue_depth_max)
        for name in (new.output.result, new.output.failure):
            holder = self._holder_of(name)
            if holder is not None:
                return NameTaken(name, holder)
        self.entries[new.id] = Entry(_accepted(new), new.affinity, new.device_group is not None)
        if command.idempotency is not None:
            self.keys[_identity(command.idempotency)] = (command.idempotency.fingerprint, new.id)
        return Submitted(new.id)

    def _made_before(self, job_id: str, key: IdempotencyKey | None) -> JobOutcome | None:
        if job_id in self.entries:
            return Submitted(job_id, True, self.entries[job_id].job)
        if key is None or _identity(key) not in self.keys:
            return None
        fingerprint, made = self.keys[_identity(key)]
        return Submitted(made, True, self.entries[made].job) if fingerprint == key.fingerprint else KeyConflict(made)

    def _holder_of(self, name: ObjectName) -> str | None:
        names = {one.id: (one.output.result, one.output.failure) for one in self.jobs if one.state in _LIVE}
        return next((job_id for job_id, held in names.items() if name in held), None)

    # ------------------------------------------------------------ sessions and claims

    @do.register
    def _open(self, command: OpenSession) -> JobOutcome:
        self.sessions.setdefault(command.session, command)
        return Opened()

    @do.register
    def _take(self, command: Take) -> JobOutcome:
        session = self.sessions.get(command.session)
        if session is None:
            return SessionGone()
        if any(one.token in command.tokens for one in self.entries.values()):
            return self._claims(command)
        waiting = self._waiting_for(session, command)
        chosen = self._quotas(self._admitted(waiting, session, command.now_ms), command)
        if not chosen and any(one.job.exclusive for one in waiting):
            others = self._waiting_for(session, command, exclusive_too=False)
            chosen = self._quotas(self._admitted(others, session, command.now_ms), command)
        chosen = self._alone_if_suspect(chosen, command.session)
        for entry, token in zip(chosen, command.tokens, strict=False):
            entry.token, entry.session = token, command.session
            entry.job = replace(
                entry.job,
                state=JobState.RUNNING,
                attempt=entry.job.attempt + 1,
                taken_by=session.version_id,
                started_at_ms=command.now_ms,
            )
        return self._claims(command)

    def _alone_if_suspect(self, chosen: list[Entry], session: str) -> list[Entry]:
        first = next((at for at, one in enumerate(chosen) if one.job.suspect), None)
        if first is None:
            return chosen
        if first > 0:
            return chosen[:first]
        return [] if any(one.session == session for one in self._in_state(JobState.RUNNING)) else chosen[:1]

    def _may_have(self, session: OpenSession, entry: Entry) -> bool:
        mine = {session.version_id} | ({None} if session.version_id == self.active_version else set())
        return entry.job.state is JobState.QUEUED and entry.job.version_id in mine and not entry.job.cancel_requested

    def _running_clients(self) -> list[Entry]:
        return [one for one in self._in_state(JobState.RUNNING) if one.job.purpose is JobPurpose.CLIENT]

    def _room(self, command: Take) -> int:
        room = len(command.tokens)
        if command.endpoint_running_max is not None:
            room = min(room, command.endpoint_running_max - len(self._running_clients()))
        return max(0, room)

    def _waiting_for(self, session: OpenSession, command: Take, exclusive_too: bool = True) -> list[Entry]:
        """What limits and affinities leave of the queue, in its order: as many as there is room for."""
        of_owner = Counter(one.job.owner for one in self._running_clients())
        elsewhere = command.elsewhere - command.prefer
        waiting = []
        for at, one in enumerate(self.entries.values()):
            left_alone = one.affinity in elsewhere and one.job.submitted_at_ms > command.now_ms - AFFINITY_WAIT_MS
            full = one.job.purpose is JobPurpose.CLIENT and self._is_full(of_owner[one.job.owner], command)
            left_alone = left_alone or (one.job.exclusive and not exclusive_too)
            if self._may_have(session, one) and not left_alone and not full:
                head_start_ms = AFFINITY_HEAD_START_MS if one.affinity in command.prefer else 0
                waiting.append((rank_ms(one.job.submitted_at_ms, one.job.priority) - head_start_ms, at, one))
        return [one for *_, one in sorted(waiting, key=lambda one: one[:2])][: self._room(command)]

    def _is_full(self, count: int, command: Take) -> bool:
        return command.owner_running_max is not None and count >= command.owner_running_max

    def _quotas(self, ordered: list[Entry], command: Take) -> list[Entry]:
        of_owner = Counter(one.job.owner for one in self._running_clients())
        chosen: list[Entry] = []
        for entry in ordered:
            if len(chosen) == self._room(command):
                break
            if entry.job.purpose is JobPurpose.CLIENT:
                if self._is_full(of_owner[entry.job.owner], command):
                    continue
                of_owner[entry.job.owner] += 1
            chosen.append(entry)
        return chosen

    def _admitted(self, waiting: list[Entry], session: OpenSession, now_ms: int) -> list[Entry]:
        """There is one device group: what may run beside what runs there, and all that is not of it."""
        grouped = [one for one in waiting if one.grouped]
        allowed = self._admitted_to_device(grouped, session, now_ms) if grouped else []
        beyond = [one for one in allowed if one not in waiting]
        return [*beyond, *(one for one in waiting if not one.grouped or one in allowed)]

    def _admitted_to_device(self, waiting: list[Entry], session: OpenSession, now_ms: int) -> list[Entry]:
        running = [one for one in self._in_state(JobState.RUNNING) if one.grouped]
        if any(one.job.exclusive for one in running):
            return []
        exclusive = [
            (rank_ms(one.job.submitted_at_ms, one.job.priority), at, one)
            for at, one in enumerate(self._in_state(JobState.QUEUED))
            if one.job.exclusive and not one.job.cancel_requested
        ]
        plain = [one for one in waiting if not one.job.exclusive]
        if not exclusive:
            return plain
        first = min(exclusive, key=lambda one: one[:2])[2]
        ended = [one.job.ended_at_ms or 0 for one in self.entries.values() if one.job.ended and one.job.exclusive]
        overdue = now_ms - max(first.job.submitted_at_ms, *ended, 0) >= EXCLUSIVE_PATIENCE_SECONDS * 1000
        if running:
            return [] if overdue else plain
        if not overdue and waiting[0] is not first:
            return plain
        return [first] if self._may_have(session, first) else []

    def _claims(self, command: Take) -> Taken:
        held = {one.token: one.job for one in self._in_state(JobState.RUNNING) if one.session == command.session}
        return Taken(
            tuple(
                Claim(held[token], held[token].attempt, token, max(0, held[token].decide_by_ms - command.now_ms))
                for token in command.tokens
                if token in held
            )
        )

    @do.register
    def _finish(self, command: Finish) -> JobOutcome:
        entry = next((one for one in self.entries.values() if one.token == command.token), None)
        if entry is None:
            return Stale()
        if entry.job.ended:
            return Finished(entry.job, repeated=True)
        if entry.job.cancel_requested and command.outcome is not Outcome.CANCELLED:
            return Stale()
        if command.started_at_ms is not None:
            entry.job = replace(entry.job, started_at_ms=command.started_at_ms)
        if command.outcome is Outcome.CANCELLED:
            self._end(entry, JobState.CANCELLED, command.now_ms, "cancelled")
        elif command.failure is not None:
            self._end(entry, JobState.FAILED, command.now_ms, command.failure.error_type)
        elif any(part.object.bucket not in self.buckets for part in command.parts):
            self._end(entry, JobState.FAILED, command.now_ms, "publish_failed")
        else:
            self._succeed(entry, command)
        entry.token = command.token
        return Finished(entry.job)

    def _succeed(self, entry: Entry, command: Finish) -> None:
        parts = tuple(
            Part(part.name, part.object, part.sealed.size_bytes, part.sealed.sha256, part.media_type)
            for part in command.parts
        )
        entry.session = None
        entry.job = replace(entry.job, state=JobState.SUCCEEDED, ended_at_ms=command.now_ms, parts=parts)

    @do.register
    def _release(self, command: Release) -> JobOutcome:
        released = [one for one in self._in_state(JobState.RUNNING) if one.token in command.tokens]
        for entry in released:
            self._requeue(entry, begun=False)
        return Released(len(released))

    @do.register
    def _close(self, command: CloseSession) -> JobOutcome:
        return self._close_all([command])

    @do.register
    def _close_servers(self, command: CloseServerSessions) -> JobOutcome:
        one_owner = command.home is None
        earlier = [server for server, home in self.servers.items() if one_owner or home == command.home]
        self.servers = {one: home for one, home in self.servers.items() if one not in earlier or one == command.server}
        return self._close_lost(command.server, None if one_owner else earlier, command.now_ms)

    @do.register
    def _beat(self, command: Beat) -> Beaten:
        known = command.server in self.servers
        self.servers.setdefault(command.server, command.home)
        return Beaten(0 if known else None)

    @do.register
    def _close_lapsed(self, command: CloseLapsed) -> Closed:
        """The time of the machine's rules never comes near a lease, so either all have lapsed or none."""
        if command.lease_ms < 0:
            self.servers = {server: home for server, home in self.servers.items() if server == command.server}
        gone = {session.server for session in self.sessions.values()} - set(self.servers)
        lost = {session.session for session in self.sessions.values() if session.server in gone - {command.server}}
        for entry in self._in_state(JobState.RUNNING):
            if entry.session in lost:
                entry.job = replace(entry.job, stop_confirmed=False)
        return self._close_lost(command.server, list(gone), command.now_ms)

    def _close_lost(self, server: str, which: list[str] | None, now_ms: int) -> Closed:
        """The sessions of these servers, or of all, but not of the one that asks."""
        others = [
            one.session
            for one in self.sessions.values()
            if one.server != server and (which is None or one.server in which)
        ]
        begun = tuple(str(one.token) for one in self._in_state(JobState.RUNNING))
        return self._close_all(CloseSession(session, now_ms, begun) for session in others)

    def _close_all(self, commands: Iterable[CloseSession]) -> Closed:
        requeued: list[str] = []
        ended: list[Job] = []
        for command in commands:
            self.sessions.pop(command.session, None)
            held = [one for one in self._in_state(JobState.RUNNING) if one.session == command.session]
            begun = [one for one in held if one.token in command.begun]
            for entry in held:
                if command.presumed:
                    entry.job = replace(entry.job, stop_confirmed=False)
                died = command.death is not None and begun == [entry]
                shared = command.death is not None and len(begun) > 1 and entry in begun
                self._lose(entry, command, begun=entry in begun, died=died)
                if shared and not entry.job.ended:
                    entry.job = replace(entry.job, suspect=True)
                (ended.append(entry.job) if entry.job.ended else requeued.append(entry.job.id))
        return Closed(tuple(requeued), tuple(ended))

    def _lose(self, entry: Entry, command: CloseSession, begun: bool, died: bool) -> None:
        """The session of a running job is gone."""
        if entry.job.cancel_requested:
            self._end(entry, JobState.CANCELLED, command.now_ms, "cancelled")
            return
        entry.job = replace(entry.job, deaths=entry.job.deaths + died)
        if died and entry.job.deaths >= command.deaths_max:
            self._end(entry, JobState.FAILED, command.now_ms, "worker_crashed")
        elif begun and command.death is not None and entry.job.attempt - entry.excused >= command.attempts_max:
            self._end(entry, JobState.FAILED, command.now_ms, "attempts_exhausted")
        else:
            entry.excused += begun and command.death is None
            self._requeue(entry, begun)

    # ------------------------------------------------------------ cancel and deadlines

    @do.register
    def _cancel(self, command: Cancel) -> JobOutcome:
        entry = self.entries.get(command.job_id)
        if entry is None:
            return NoSuchJob()
        if entry.job.state is JobState.RUNNING:
            entry.job = replace(entry.job, cancel_requested=True)
            return CancelAccepted(entry.job, entry.session, entry.token)
        if entry.job.state is JobState.QUEUED:
            self._end(entry, JobState.CANCELLED, command.now_ms, "cancelled")
        elif (entry.job.state, entry.job.ended_at_ms) != (JobState.CANCELLED, command.now_ms):
            return CancelRefused(entry.job.state)
        return CancelAccepted(entry.job)

    @do.register
    def _expire(self, command: Expire) -> JobOutcome:
        due = [one for one in self._in_state(JobState.QUEUED) if one.expires_at_ms <= command.now_ms]
        for entry in due:
            late = entry.job.decide_by_ms <= command.now_ms
            self._drop(entry, command.now_ms, "deadline_exceeded" if late else "queue_ttl_expired")
        return Expired(tuple(entry.job for entry in due))

    @do.register
    def _fail(self, command: FailQueued) -> JobOutcome:
        any_version = command.version_id is None
        queued = self._in_state(JobState.QUEUED)
        failing = [one for one in queued if any_version or one.job.version_id == command.version_id]
        for entry in failing:
            self._drop(entry, command.now_ms, command.failure.error_type)
        return Expired(tuple(entry.job for entry in failing))

    @do.register
    def _purge(self, command: CancelQueued) -> JobOutcome:
        queued = self._in_state(JobState.QUEUED)
        purged = [one for one in queued if one.job.purpose is JobPurpose.CLIENT]
        for entry in purged:
            self._end(entry, JobState.CANCELLED, command.now_ms, "cancelled")
        return Expired(tuple(entry.job for entry in purged))

    def _drop(self, entry: Entry, now_ms: int, error_type: str) -> None:
        if entry.job.cancel_requested:
            self._end(entry, JobState.CANCELLED, now_ms, "cancelled")
        else:
            self._end(entry, JobState.FAILED, now_ms, error_type)

    # ------------------------------------------------------------ the moves

    def _in_state(self, state: JobState) -> list[Entry]:
        return [one for one in self.entries.values() if one.job.state is state]

    def _end(self, entry: Entry, state: JobState, now_ms: int, error_type: str) -> None:
        entry.token = entry.session = None
        entry.job = replace(entry.job, state=state, ended_at_ms=now_ms, failure={"error_type": error_type})

    def _requeue(self, entry: Entry, begun: bool) -> None:
        attempt = entry.job.attempt if begun else entry.job.attempt - 1
        entry.token = entry.session = None
        entry.queue_ttl_counts = attempt == 0
        entry.job = replace(entry.job, state=JobState.QUEUED, attempt=attempt, started_at_ms=None)


def _identity(key: IdempotencyKey) -> tuple[str, str, str, str]:
    return key.owner, key.endpoint_id, key.door, key.key


def _accepted(new: NewJob) -> Job:
    kept = {one.name for one in fields(Job)}
    same: dict[str, Any] = {one.name: getattr(new, one.name) for one in fields(NewJob) if one.name in kept}
    deadline_ms = new.submitted_at_ms + new.queue_ttl_ms
    return Job(**same, state=JobState.QUEUED, attempt=0, deaths=0, queue_deadline_ms=deadline_ms)
