"""What can happen in the small world. One move is one durable effect, or one loss of memory.

Two ways of publishing: names as rows of the database, where an ending is one transaction, and copies in an object
store, where the decision comes first, then each part by a conditional copy, then the terminal state with its outbox
row, and staging goes last. Every change of a job's state is looked up in the product's own table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from seatrial.domain.jobs import TRANSITIONS, JobEvent, JobState
from seatrial.testing.model.guards import Guard, Publication
from seatrial.testing.model.state import (
    ABSENT,
    ENDED,
    NOBODY,
    NUMBER,
    PUBLISHING,
    QUEUED,
    RUNNING,
    STATES,
    Budget,
    Job,
    Outcome,
    Part,
    Phase,
    Server,
    State,
    Worker,
    canonical,
)
from seatrial.testing.model.verdict import fault


class Label(NamedTuple):
    """What happened, to which job, by which worker or server."""

    what: str
    job: int = NOBODY
    who: str = ""

    def __str__(self) -> str:
        job = "" if self.job == NOBODY else f" job {self.job}"
        return f"{self.who or 'a server'}: {self.what}{job}"


Move = tuple[Label, State]


SERVERS = ("server 0", "server 1")
WORKERS = ("worker 0", "worker 1")
SECONDARY, PRIMARY, TERMINAL, STAGING = "secondary", "primary", "terminal", "staging"
_WRITING = 9  # a step after all others
_ENDING = {
    Outcome.SUCCESS: JobEvent.PUBLISHED,
    Outcome.FAILURE: JobEvent.FAILED,
    Outcome.CANCEL: JobEvent.CANCELLED,
}


ONE_CRASH = Budget(server_kills=1, worker_kills=1, lapses=0, cancels=1)


@dataclass(frozen=True)
class SmallWorld:
    """Two jobs and two workers; with two servers each drives one worker."""

    publication: Publication
    servers: int = 1
    budget: Budget = ONE_CRASH
    same_name: bool = False  # both jobs ask for the same output name
    without: frozenset[Guard] = frozenset()
    table: Mapping[tuple[JobState, JobEvent], JobState] = field(default_factory=lambda: TRANSITIONS)

    def first(self) -> State:
        """Nothing was asked for yet."""
        return State((Job(), Job()), (Worker(), Worker()), (Server(),) * self.servers, self.budget)

    def canonical(self, state: State) -> State:
        """See state.canonical."""
        return canonical(state)

    def fault(self, before: State, after: State) -> str | None:
        """See verdict.fault."""
        return fault(before, after)

    def done(self, state: State) -> bool:
        """Every job was asked for, has ended, and its notification waits in the outbox."""
        return all(job.state in ENDED and job.outbox for job in state.jobs)

    def moves(self, state: State) -> Iterator[Move]:
        """Everything that can happen now."""
        for number, server in enumerate(state.servers):
            if server.up:
                yield from self._of_server(state, number, server)
            else:
                yield from self._of_starting(state, number)
        if any(server.up for server in state.servers):
            for number, job in enumerate(state.jobs):
                yield from self._of_job(state, number, job)
        for number, worker in enumerate(state.workers):
            if state.servers[self._server_of(number)].up:
                yield from self._of_worker(state, number, worker)

    # ------------------------------------------------------------------ what is looked up

    def _has(self, guard: Guard) -> bool:
        return guard not in self.without

    def _server_of(self, worker: int) -> int:
        return worker if self.servers == 2 else 0

    def _workers_of(self, server: int) -> tuple[int, ...]:
        return (server,) if self.servers == 2 else (0, 1)

    @cached_property
    def _next(self) -> dict[tuple[int, JobEvent], int]:
        return {(NUMBER[state], event): NUMBER[to] for (state, event), to in self.table.items()}

    @cached_property
    def _steps(self) -> tuple[str, ...]:
        if not self._has(Guard.VISIBLE_FIRST):
            return (SECONDARY, TERMINAL, PRIMARY)
        return (SECONDARY, PRIMARY, TERMINAL) if self._has(Guard.PARTS_FIRST) else (PRIMARY, SECONDARY, TERMINAL)

    @cached_property
    def _withdrawal(self) -> tuple[str, ...]:
        return (STAGING, PRIMARY, SECONDARY) if self._has(Guard.SOURCE_FIRST) else (PRIMARY, SECONDARY, STAGING)

    # ------------------------------------------------------------------ a job, by any server

    def _of_job(self, state: State, number: int, job: Job) -> Iterator[Move]:
        if job.state == ABSENT:
            yield from self._submit(state, number)
            return
        if not job.keyed:
            yield Label("record the key of", number), state.with_job(number, job._replace(keyed=1))
            yield Label("accept, under the same key, again", number), state.with_job(number, job._replace(twin=1))
        if job.state == QUEUED:
            yield Label("expire", number), state.with_job(number, self._decided(job, Outcome.FAILURE, 0))
        if state.budget.cancels:
            yield from self._cancel(state, number, job)
        if job.staged and (job.state in ENDED or not self._has(Guard.STAGING_LAST)):
            yield Label("discard the staging of", number), state.with_job(number, job._replace(staged=0))
        if job.state in ENDED and not job.outbox and not self._has(Guard.OUTBOX_TOGETHER):
            yield from self._write_outbox(state, number, job)

    def _submit(self, state: State, number: int) -> Iterator[Move]:
        other = state.jobs[1 - number]
        accepted = state.with_job(number, Job(QUEUED, keyed=int(self._has(Guard.KEY_TOGETHER))))
        if self.same_name and other.state != ABSENT:
            if self._has(Guard.NAME_RESERVED) and other.state not in ENDED:
                return  # refused: the client may ask again
            accepted = accepted.with_job(1 - number, other._replace(superseded=int(other.state in ENDED)))
        yield Label("accept", number), accepted

    def _cancel(self, state: State, number: int, job: Job) -> Iterator[Move]:
        spent = state._replace(budget=state.budget._replace(cancels=state.budget.cancels - 1))
        if job.state == QUEUED:
            yield Label("cancel queued", number), spent.with_job(number, self._decided(job, Outcome.CANCEL, 0))
        elif job.state == RUNNING:
            yield Label("note the cancel of", number), spent.with_job(number, job._replace(wished=1))

    def _write_outbox(self, state: State, number: int, job: Job) -> Iterator[Move]:
        """Without the guard it is a memory of the server that ended the job, and dies with it."""
        if any(server.job == number for server in state.servers):
            servers = tuple([Server(one.up) if one.job == number else one for one in state.servers])
            done = state._replace(servers=servers)
            yield Label("write the outbox row of", number), done.with_job(number, job._replace(outbox=1))

    # ------------------------------------------------------------------ decisions

    def _decided(self, job: Job, outcome: Outcome, staged: int) -> Job:
        """The decision is committed; where names are rows, so is everything that follows from it."""
        event = _ENDING[outcome]
        decided = job._replace(holder=NOBODY, wished=0, outcome=int(outcome), staged=staged)
        if self.publication is Publication.COPIES:
            return decided._replace(state=self._next[job.state, JobEvent.DECIDED])
        start = self._next[job.state, JobEvent.DECIDED] if outcome is Outcome.SUCCESS else job.state
        visible = staged if outcome is Outcome.SUCCESS else Part.FAILURE
        return self._terminal(decided._replace(state=start, staged=0, visible=int(visible)), event)

    def _terminal(self, job: Job, event: JobEvent) -> Job:
        together = int(self._has(Guard.OUTBOX_TOGETHER) or self.publication is Publication.ROWS)
        return job._replace(state=self._next[job.state, event], outbox=job.outbox + together)

    # ------------------------------------------------------------------ a worker, by its server

    def _of_worker(self, state: State, number: int, worker: Worker) -> Iterator[Move]:
        if worker.phase == Phase.GONE:
            yield Label("close the session", who=WORKERS[number]), self._closed(state, (number,), presumed=False)
            return
        yield from self._stop(state, number, worker)
        if worker.phase == Phase.IDLE:
            yield from self._take(state, number, worker)
        elif worker.phase == Phase.RUNS:
            yield from self._run(state, number, worker)
        elif worker.phase == Phase.STAGED_SECONDARY:
            staged = worker._replace(phase=int(Phase.STAGED_ALL))
            yield Label("stage the primary", worker.job, who=WORKERS[number]), state.with_worker(number, staged)
        else:
            yield from self._finish(state, number, worker, Outcome.SUCCESS)
        if worker.phase in (Phase.STAGED_SECONDARY, Phase.STAGED_ALL) and not worker.staging_gone:
            yield from self._clear_up(state, number, worker)

    def _stop(self, state: State, number: int, worker: Worker) -> Iterator[Move]:
        """A job that the worker holds was cancelled: its process and every descendant are ended first."""
        if not any(job.wished and job.holder == number for job in state.jobs):
            return
        if not self._has(Guard.PROCESS_GONE):
            closed = self._closed(state, (number,), presumed=False)
            yield Label("close the session unseen", who=WORKERS[number]), closed.with_worker(number, worker)
        gone = worker._replace(phase=int(Phase.GONE), job=NOBODY, staging_gone=0)
        yield Label("killed for a cancel", who=WORKERS[number]), state.with_worker(number, gone)

    def _take(self, state: State, number: int, worker: Worker) -> Iterator[Move]:
        for at, job in enumerate(state.jobs):
            if job.state == QUEUED:
                taken = job._replace(state=self._next[job.state, JobEvent.TAKEN], holder=number)
                holding = worker._replace(phase=int(Phase.RUNS), job=at)
                yield Label("take", at, who=WORKERS[number]), state.with_job(at, taken).with_worker(number, holding)

    def _run(self, state: State, number: int, worker: Worker) -> Iterator[Move]:
        staged = worker._replace(phase=int(Phase.STAGED_SECONDARY))
        yield (
            Label("handler answers: stage the secondary part", worker.job, who=WORKERS[number]),
            state.with_worker(number, staged),
        )
        yield from self._finish(state, number, worker, Outcome.FAILURE)
        if state.budget.worker_kills:
            spent = state._replace(budget=state.budget._replace(worker_kills=state.budget.worker_kills - 1))
            gone = worker._replace(phase=int(Phase.GONE), job=NOBODY)
            yield Label("dies of", worker.job, who=WORKERS[number]), spent.with_worker(number, gone)

    def _finish(self, state: State, number: int, worker: Worker, outcome: Outcome) -> Iterator[Move]:
        job = state.jobs[worker.job]
        free = state.with_worker(number, worker._replace(phase=int(Phase.IDLE), job=NOBODY, staging_gone=0))
        proven = job.holder == number or not self._has(Guard.TOKEN_CHECK)
        wished = job.wished and self._has(Guard.WISH)
        if not proven or wished or (job.state, JobEvent.DECIDED) not in self._next:
            yield Label("finish: stale", worker.job, who=WORKERS[number]), free
            return
        if outcome is Outcome.SUCCESS and not self._has(Guard.DECISION_FIRST) and not job.visible:
            early = job._replace(visible=int(Part.RESULT))
            yield (
                Label("reveal before the decision", worker.job, who=WORKERS[number]),
                state.with_job(worker.job, early),
            )
        staged = 0 if outcome is not Outcome.SUCCESS or worker.staging_gone else int(Part.RESULT)
        decided = self._decided(job, outcome, staged)
        yield (
            Label(f"decide {outcome.name.lower()}", worker.job, who=WORKERS[number]),
            free.with_job(worker.job, decided),
        )

    def _clear_up(self, state: State, number: int, worker: Worker) -> Iterator[Move]:
        """Any server discards staging that belongs to no claim."""
        if state.jobs[worker.job].holder != number or not self._has(Guard.CLAIM_KEPT):
            cleared = worker._replace(staging_gone=1)
            yield (
                Label("discard unclaimed staging", worker.job, who=WORKERS[number]),
                state.with_worker(number, cleared),
            )

    # ------------------------------------------------------------------ sessions

    def _closed(self, state: State, workers: tuple[int, ...], presumed: bool) -> State:
        """Sessions are closed in one transaction: their jobs go back, or end where their cancel was wished."""
        for number, job in enumerate(state.jobs):
            if job.holder in workers and job.state == RUNNING:
                state = state.with_job(number, self._handed_back(job, presumed))
        for number in workers:
            worker = state.workers[number]
            if worker.phase in (Phase.GONE, Phase.FORGOTTEN) and not presumed:
                state = state.with_worker(number, Worker(orphan=worker.orphan))
        return state

    def _handed_back(self, job: Job, presumed: bool) -> Job:
        if job.wished:
            return self._decided(job, Outcome.CANCEL, 0)._replace(presumed=int(presumed or job.presumed))
        back = job._replace(state=self._next[job.state, JobEvent.RELEASED], holder=NOBODY)
        return back._replace(presumed=1) if presumed and self._has(Guard.PRESUMED_SAID) else back

    # ------------------------------------------------------------------ a server

    def _of_server(self, state: State, number: int, server: Server) -> Iterator[Move]:
        if state.budget.server_kills:
            yield Label("kill -9", who=SERVERS[number]), self._killed(state, number)
        if self.servers == 2:
            yield from self._lapse(state, 1 - number)
        if self.publication is Publication.COPIES:
            yield from self._publish(state, number, server)

    def _killed(self, state: State, number: int) -> State:
        state = state._replace(budget=state.budget._replace(server_kills=state.budget.server_kills - 1)).with_server(
            number, Server(up=0)
        )
        for at in self._workers_of(number):
            worker = state.workers[at]
            orphan = worker.job if worker.phase == Phase.RUNS else NOBODY
            state = state.with_worker(at, Worker(int(Phase.FORGOTTEN), orphan=orphan))
        return state

    def _lapse(self, state: State, other: int) -> Iterator[Move]:
        """The other server's lease is over: it is dead, or was paused too long and will go on unaware."""
        workers = self._workers_of(other)
        if not any(job.holder in workers for job in state.jobs):
            return
        if not state.servers[other].up:
            yield (
                Label("the other's lease is over: close its sessions", who=SERVERS[1 - other]),
                self._closed(state, workers, True),
            )
        elif state.budget.lapses:
            spent = state._replace(budget=state.budget._replace(lapses=state.budget.lapses - 1))
            yield (
                Label("the other is presumed dead: close its sessions", who=SERVERS[1 - other]),
                self._closed(spent, workers, True),
            )

    def _of_starting(self, state: State, number: int) -> Iterator[Move]:
        """A server that starts: orphans first, then the sessions of its predecessor."""
        workers = self._workers_of(number)
        orphans = [at for at in workers if state.workers[at].orphan != NOBODY]
        for at in orphans:
            worker = state.workers[at]
            yield (
                Label("kill the orphan", worker.orphan, who=WORKERS[at]),
                state.with_worker(at, worker._replace(orphan=NOBODY)),
            )
        if not orphans or not self._has(Guard.PROCESS_GONE):
            started = self._closed(state, workers, presumed=False).with_server(number, Server())
            yield Label("start: close the old sessions", who=SERVERS[number]), started

    # ------------------------------------------------------------------ publishing copies

    def _publish(self, state: State, number: int, server: Server) -> Iterator[Move]:
        if server.job == NOBODY:
            for at, job in enumerate(state.jobs):
                if job.state == PUBLISHING:
                    reading = state.with_server(number, Server(job=at, outcome=job.outcome, step=self._begin(job)))
                    yield Label("read the decision of", at, who=SERVERS[number]), reading
            return
        job = state.jobs[server.job]
        if server.outcome == Outcome.SUCCESS:
            yield from self._publish_result(state, number, server, job)
        else:
            yield from self._publish_failure(state, number, server, job)

    def _begin(self, job: Job) -> int:
        """With which of the steps of its outcome a publication begins."""
        if job.outcome == Outcome.SUCCESS or (job.given_up and self._has(Guard.WITHDRAWN_BY_ALL)):
            return 0
        return len(self._withdrawal)

    def _publish_result(self, state: State, number: int, server: Server, job: Job) -> Iterator[Move]:
        if server.step >= len(self._steps):
            return
        if state.budget.giveups:
            yield from self._give_up(state, number, server, job)
        what = self._steps[server.step]
        if what is TERMINAL:
            yield from self._end(state, number, server, job)
            return
        on = state.with_server(number, self._onward(server))
        part = int(Part.SECONDARY if what is SECONDARY else Part.PRIMARY)
        copied = self._copied(on, server.job, job, part)
        if copied is None:
            label = Label(f"copy the {what} part: taken, or its source is gone", server.job, who=SERVERS[number])
            yield label, state.with_server(number, Server())
        else:
            yield Label(f"copy the {what} part", server.job, who=SERVERS[number]), copied

    def _give_up(self, state: State, number: int, server: Server, job: Job) -> Iterator[Move]:
        """Its time is up: the decision becomes a failure, unless another server was faster."""
        after = state._replace(budget=state.budget._replace(giveups=state.budget.giveups - 1))
        after = after.with_server(number, Server())
        if job.state == PUBLISHING and job.outcome == Outcome.SUCCESS:
            after = after.with_job(server.job, job._replace(outcome=int(Outcome.FAILURE), given_up=1))
            if not self._has(Guard.WITHDRAWN_BY_ALL):
                after = after.with_server(number, Server(job=server.job, outcome=int(Outcome.FAILURE)))
        yield Label("give up the result of", server.job, who=SERVERS[number]), after

    def _publish_failure(self, state: State, number: int, server: Server, job: Job) -> Iterator[Move]:
        on = state.with_server(number, server._replace(step=server.step + 1))
        if server.step < len(self._withdrawal):
            what = self._withdrawal[server.step]
            if what is STAGING:
                gone = job._replace(staged=0)
            else:
                gone = job._replace(visible=job.visible & ~(Part.SECONDARY if what is SECONDARY else Part.PRIMARY))
            yield Label(f"withdraw the {what} of", server.job, who=SERVERS[number]), on.with_job(server.job, gone)
        elif server.step == len(self._withdrawal):
            shown = on.with_job(server.job, job._replace(visible=job.visible | Part.FAILURE))
            yield Label("reveal the failure object", server.job, who=SERVERS[number]), shown
        elif server.step == len(self._withdrawal) + 1:
            yield from self._end(state, number, server, job)

    def _onward(self, server: Server) -> Server:
        return Server() if server.step == len(self._steps) - 1 else server._replace(step=server.step + 1)

    def _copied(self, state: State, number: int, job: Job, part: int) -> State | None:
        """Revealed or already there; None: the name is another's, or there is nothing to copy."""
        if job.visible & part:
            return state
        other = state.jobs[1 - number]
        if not job.staged & part:
            return None
        if self.same_name and other.visible & part:
            if self._has(Guard.COPY_CONDITIONAL) and not other.superseded:
                return None
            state = state.with_job(1 - number, other._replace(visible=other.visible & ~part))
        return state.with_job(number, job._replace(visible=job.visible | part))

    def _end(self, state: State, number: int, server: Server, job: Job) -> Iterator[Move]:
        """Commit the terminal state with its outbox row; another server may have been first."""
        event = _ENDING[Outcome(server.outcome)]
        same = server.outcome == job.outcome or not self._has(Guard.SAME_DECISION)
        if self._has(Guard.OUTBOX_TOGETHER):
            after = state.with_server(number, self._onward(server) if server.outcome == Outcome.SUCCESS else Server())
        else:
            after = state.with_server(number, server._replace(step=_WRITING))
        if same and (job.state, event) in self._next:
            after = after.with_job(server.job, self._terminal(job, event))
        elif not self._has(Guard.OUTBOX_TOGETHER):
            after = state.with_server(number, Server())
        yield Label(f"commit the terminal state after {STATES[job.state]}", server.job, who=SERVERS[number]), after
