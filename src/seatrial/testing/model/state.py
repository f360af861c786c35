"""The small world: two jobs, two workers, one or two servers. Everything durable and everything volatile is here."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple

from seatrial.domain.jobs import TERMINAL, JobState

ABSENT = 0
STATES: tuple[JobState | None, ...] = (None, *JobState)  # a job's state is a place in here: small and quick to hash
NUMBER = {state: number for number, state in enumerate(STATES) if state is not None}
ENDED = frozenset(NUMBER[state] for state in TERMINAL)
QUEUED, RUNNING, PUBLISHING = NUMBER[JobState.QUEUED], NUMBER[JobState.RUNNING], NUMBER[JobState.PUBLISHING]
SUCCEEDED, FAILED, CANCELLED = NUMBER[JobState.SUCCEEDED], NUMBER[JobState.FAILED], NUMBER[JobState.CANCELLED]
NOBODY = -1


class Part(IntFlag):
    """What a job can make visible."""

    NOTHING = 0
    SECONDARY = 1
    PRIMARY = 2
    RESULT = 3
    FAILURE = 4


class Outcome(IntEnum):
    """What was decided."""

    NONE = 0
    SUCCESS = 1
    FAILURE = 2
    CANCEL = 3


class Phase(IntEnum):
    """Where a worker is with its attempt: the memory of the server that drives it."""

    IDLE = 0
    RUNS = 1  # its process executes the handler
    STAGED_SECONDARY = 2  # the handler has answered
    STAGED_ALL = 3
    GONE = 4  # the server has seen the process and its descendants gone, and has not closed the session yet
    FORGOTTEN = 5  # the server that drove it is dead
    REVEALED_EARLY = 6  # only without Guard.DECISION_FIRST


class Job(NamedTuple):
    """One job's row, its objects and its outbox: all durable."""

    state: int = ABSENT
    holder: int = NOBODY  # the worker whose attempt the row's token names
    wished: int = 0  # its cancel was asked for while it ran
    outcome: int = 0  # the decision
    staged: int = 0  # parts of the decision that are still in staging
    visible: int = 0  # its bytes under its names
    outbox: int = 0  # rows written for it
    presumed: int = 0  # ended although its process was not seen gone, and says so
    keyed: int = 1  # its idempotency key is recorded
    twin: int = 0  # the same request made another job
    superseded: int = 0  # a later job has its names
    given_up: int = 0  # its result could not be published in time: it became a failure


class Worker(NamedTuple):
    """One place for a worker: what the server remembers of its attempt, and what an earlier server left running."""

    phase: int = Phase.IDLE
    job: int = NOBODY
    staging_gone: int = 0  # its staged parts were discarded
    orphan: int = NOBODY  # a process of a dead server that still executes this job


class Server(NamedTuple):
    """One server's process: whether it lives, and what its publisher means to do next."""

    up: int = 1
    job: int = NOBODY  # being published, as far as this server knows
    outcome: int = 0  # the decision that it read
    step: int = 0


class Budget(NamedTuple):
    """How much may still go wrong."""

    server_kills: int = 0
    worker_kills: int = 0
    lapses: int = 0  # a live server's lease is taken for expired: it was paused, and goes on later
    cancels: int = 0
    giveups: int = 0  # publications whose time is up


class State(NamedTuple):
    """Everything, at one moment."""

    jobs: tuple[Job, Job]
    workers: tuple[Worker, Worker]
    servers: tuple[Server, ...]
    budget: Budget

    def with_job(self, number: int, job: Job) -> State:
        """The same with another job in that place."""
        jobs = (job, self.jobs[1]) if number == 0 else (self.jobs[0], job)
        return State(jobs, self.workers, self.servers, self.budget)

    def with_worker(self, number: int, worker: Worker) -> State:
        """The same with another worker in that place."""
        workers = (worker, self.workers[1]) if number == 0 else (self.workers[0], worker)
        return State(self.jobs, workers, self.servers, self.budget)

    def with_server(self, number: int, server: Server) -> State:
        """The same with another server in that place."""
        servers = tuple(server if at == number else one for at, one in enumerate(self.servers))
        return State(self.jobs, self.workers, servers, self.budget)

    def __str__(self) -> str:
        parts = [f"job {at}: {_said(job, Job())}" for at, job in enumerate(self.jobs)]
        parts += [f"worker {at}: {_said(worker, Worker())}" for at, worker in enumerate(self.workers)]
        parts += [f"server {at}: {_said(server, Server())}" for at, server in enumerate(self.servers)]
        return "; ".join(parts)


def canonical(state: State) -> State:
    """The same for all states that differ only in which job, worker and server has which number.

    Jobs and sides (a worker with its server) are sorted by what they are without their references to each other;
    among equal ones the least of both orders counts.
    """
    (first, second), (a, b), servers, _ = state
    if _JOB_RANKS[first] > _JOB_RANKS[second]:
        state = _with_jobs_swapped(state)
    one_side = (_WORKER_RANKS[a], _SERVER_RANKS[servers[0]])
    other_side = (_WORKER_RANKS[b], _SERVER_RANKS[servers[-1]])
    if one_side > other_side:
        state = _with_sides_swapped(state)
    equals = [state]
    if _JOB_RANKS[first] == _JOB_RANKS[second]:
        equals.append(_with_jobs_swapped(state))
    if one_side == other_side:
        equals += [_with_sides_swapped(one) for one in equals]
    return min(equals)


def _with_jobs_swapped(state: State) -> State:
    (first, second), (a, b), servers, budget = state
    swapped = tuple([_SERVERS[one] for one in servers])
    return State((second, first), (_WORKERS[a], _WORKERS[b]), swapped, budget)


def _with_sides_swapped(state: State) -> State:
    (first, second), (a, b), servers, budget = state
    return State((_JOBS[first], _JOBS[second]), (b, a), servers[::-1], budget)


class _JobRanks(dict[Job, tuple[int, ...]]):
    """What a job is, whoever holds it."""

    def __missing__(self, job: Job) -> tuple[int, ...]:
        self[job] = rank = tuple(job._replace(holder=int(job.holder != NOBODY)))
        return rank


class _WorkerRanks(dict[Worker, tuple[int, ...]]):
    """What a worker is, whatever it holds."""

    def __missing__(self, worker: Worker) -> tuple[int, ...]:
        self[worker] = rank = tuple(worker._replace(job=int(worker.job != NOBODY), orphan=int(worker.orphan != NOBODY)))
        return rank


class _ServerRanks(dict[Server, tuple[int, ...]]):
    """What a server is, whatever it publishes."""

    def __missing__(self, server: Server) -> tuple[int, ...]:
        self[server] = rank = tuple(server._replace(job=int(server.job != NOBODY)))
        return rank


class _Swapped(dict[Job, Job]):
    """Jobs with the other worker as their holder, worked out once each."""

    def __missing__(self, job: Job) -> Job:
        self[job] = swapped = job if job.holder == NOBODY else job._replace(holder=1 - job.holder)
        return swapped


class _SwappedWorkers(dict[Worker, Worker]):
    """Workers with the other job, worked out once each."""

    def __missing__(self, worker: Worker) -> Worker:
        self[worker] = swapped = worker._replace(job=_other(worker.job), orphan=_other(worker.orphan))
        return swapped


class _SwappedServers(dict[Server, Server]):
    """Servers with the other job, worked out once each."""

    def __missing__(self, server: Server) -> Server:
        self[server] = swapped = server._replace(job=_other(server.job))
        return swapped


def _other(number: int) -> int:
    return number if number == NOBODY else 1 - number


_JOBS = _Swapped()
_WORKERS = _SwappedWorkers()
_SERVERS = _SwappedServers()
_JOB_RANKS = _JobRanks()
_WORKER_RANKS = _WorkerRanks()
_SERVER_RANKS = _ServerRanks()


def _said(one: NamedTuple, usual: NamedTuple) -> str:
    told = []
    for name, value, normal in zip(one._fields, one, usual, strict=True):
        if name == "state":
            told.append(str(STATES[value] or "absent"))
        elif value != normal:
            told.append(f"{name}={_WORDS.get(name, int)(value)!r}".replace("'", ""))
    return " ".join(told) or "as usual"


_WORDS = {
    "outcome": lambda it: Outcome(it).name,
    "phase": lambda it: Phase(it).name,
    "visible": lambda it: Part(it).name,
}
