"""Lines that workers write, with the jobs that they belong to."""

import asyncio
from typing import Any

import pytest

from seatrial.domain.limits import LOG_LINE_BYTES_MAX, LOG_LINES_PER_SECOND_MAX
from seatrial.domain.work import HandlerFailed, LoadFailed, WorkerDied

WRITE = """
import os, subprocess, sys
print("while loading")

class Handler:
    def run(self, n=0, code="None"):
        print("out", n)
        print("err", n, file=sys.stderr)
        os.write(1, b"native %d\\n" % n)
        subprocess.run(["echo", f"child {n}"])
        print("unfinished", n, end="")
        eval(code, globals())
        return n
"""

KEY = "-----BEGIN KEY-----\nfirst-line-of-it\nsecond-line-of-it\n-----END KEY-----"
SECRETS = {"API_TOKEN": "tok-123456", "PEM": KEY}


async def test_each_line_has_its_job(yard: Any) -> None:
    worker = await yard.python(WRITE)
    works = [yard.work(fields={"n": n}) for n in range(30)]
    await asyncio.gather(*(worker.run(work) for work in works))
    await worker.stop(5)
    for n, work in enumerate(works):
        texts = yard.logs.texts(work.job_id)
        assert sorted(texts) == sorted([f"out {n}", f"err {n}", f"native {n}", f"child {n}", f"unfinished {n}"])
    assert yard.logs.texts(None) == ["while loading"]
    (group,) = await yard.logs.groups()
    assert group == "/aws/sagemaker/Endpoints/tested"
    assert {line.stream for line in yard.logs.all} == {worker.id}


async def test_the_lines_of_a_job_are_there_when_its_answer_is(yard: Any) -> None:
    worker = await yard.python(WRITE)
    work = yard.work()
    await worker.run(work)
    assert {"out 0", "err 0", "native 0", "child 0"} <= set(yard.logs.texts(work.job_id))


async def test_what_sagemaker_handlers_log_at_info_shows_up(yard: Any) -> None:
    worker = await yard.sagemaker("""
        import logging
        logger = logging.getLogger(__name__)
        def model_fn(model_dir):
            logger.info("loading from %s", "here")
        def transform_fn(model, body, content_type, accept):
            logger.info("at work")
            return body
        """)
    work = yard.work()
    await worker.run(work)
    assert yard.logs.texts(None) == ["loading from here"]
    assert yard.logs.texts(work.job_id) == ["at work"]


async def test_a_flood_neither_blocks_the_worker_nor_reaches_the_store(yard: Any) -> None:
    worker = await yard.python(WRITE)
    flood = "os.write(1, b'') or [print('line', i) for i in range(300_000)]"
    work = yard.work(fields={"code": flood})
    await worker.run(work)
    assert (await yard.run(worker)).body == b"0"
    await worker.stop(5)
    texts = [line.text for line in yard.logs.all]
    dropped = [text for text in texts if "lines were dropped here" in text]
    assert dropped
    kept = sum(text.startswith("line ") for text in texts)
    assert kept >= LOG_LINES_PER_SECOND_MAX - 10
    assert kept + sum(int(text.split()[1]) for text in dropped) >= 299_990


async def test_long_lines_are_cut(yard: Any) -> None:
    worker = await yard.python(WRITE)
    work = yard.work(fields={"code": "print('\\n' + 'x' * 1_000_000) or print('after')"})
    await worker.run(work)
    await worker.stop(5)
    texts = yard.logs.texts(work.job_id)
    (long,) = [text for text in texts if text.startswith("xxx")]
    assert len(long) == LOG_LINE_BYTES_MAX + 1
    assert "after" in texts


async def test_secrets_are_redacted_everywhere(yard: Any) -> None:
    worker = await yard.python(WRITE, secrets=SECRETS)
    say = "print('\\n' + os.environ['API_TOKEN'] + ' ' + os.environ['PEM'])"
    with pytest.raises(HandlerFailed) as failed:
        await yard.run(worker, fields={"code": f"{say} or [][os.environ['API_TOKEN'] + os.environ['PEM']]"})
    with pytest.raises(HandlerFailed) as also:
        await yard.run(worker, fields={"code": "exec('raise ValueError(dict(os.environ))')"})
    with pytest.raises(WorkerDied) as died:
        await yard.run(worker, fields={"code": "print(os.environ['PEM'], file=sys.stderr) or os._exit(1)"})
    everything = "\n".join(line.text for line in yard.logs.all)
    everything += repr([failed.value.failure, also.value.failure, died.value.failure])
    assert "[redacted API_TOKEN]" in everything
    assert "[redacted PEM]" in everything
    for secret in ("tok-123456", "first-line-of-it", "second-line-of-it", "BEGIN KEY"):
        assert secret not in everything


async def test_secrets_are_redacted_in_load_failures(yard: Any) -> None:
    with pytest.raises(LoadFailed) as failed:
        await yard.sagemaker("import os\nraise KeyError(os.environ['PEM'] + os.environ['API_TOKEN'])", secrets=SECRETS)
    told = repr(failed.value.failure)
    assert "[redacted PEM]" in told
    assert "first-line" not in told
    assert "tok-123456" not in told
