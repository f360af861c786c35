"""How the processes of a worker are told from all others."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from seatrial.adapters.processes.descendants import Family


@contextmanager
def in_a_namespace() -> Iterator[int]:
    """A process with a mount namespace of its own, which it has entered."""
    pipe = subprocess.PIPE
    with subprocess.Popen(["unshare", "--mount", "cat"], stdin=pipe, stdout=pipe, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(b"x")
        except BrokenPipeError:
            pytest.skip("no mount namespaces here")
        if not process.stdout.read(1):
            pytest.skip("no mount namespaces here")
        yield process.pid
        process.kill()


def test_a_namespace_of_another_is_not_taken_for_the_workers_that_is_gone() -> None:
    with in_a_namespace() as pid:
        family = Family(pid, "worker-1")
        family.remember_namespace()
        assert [one.pid for one in family.members()] == [pid]
    for _ in range(50):
        with in_a_namespace() as other:
            assert other not in [one.pid for one in family.members()]
    family.release()
