"""How long the inputs and outputs of jobs are on their way from and to the object store."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

from seatrial.domain.limits import RECENT_JOBS_MAX


class Transfer(StrEnum):
    """What is moved."""

    INPUT = "input"
    OUTPUT = "output"


class Transfers:
    """Adds up, for each job, what its transfers took; of the last RECENT_JOBS_MAX jobs that nobody has asked for."""

    def __init__(self) -> None:
        self._took_us: OrderedDict[str, dict[Transfer, int]] = OrderedDict()

    @contextmanager
    def measured(self, job_id: str, what: Transfer) -> Iterator[None]:
        """What happens within is a transfer of the job; one that raises does not count."""
        began_ns = time.perf_counter_ns()
        yield
        took_us = (time.perf_counter_ns() - began_ns) // 1000
        took = self._took_us.setdefault(job_id, {})
        took[what] = took.get(what, 0) + took_us
        if len(self._took_us) > RECENT_JOBS_MAX:
            self._took_us.popitem(last=False)

    def of(self, job_id: str) -> Mapping[Transfer, int]:
        """Microseconds of each of the job's transfers that there was; only once."""
        return self._took_us.pop(job_id, {})
