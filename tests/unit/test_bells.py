import asyncio

from seatrial.engine.bells import Bells


async def test_a_ring_between_looking_and_waiting_is_not_missed():
    bells = Bells()
    heard = bells.heard("queue")
    bells.ring("queue")
    assert await bells.wait("queue", heard, timeout_seconds=0)


async def test_a_waiter_is_woken_by_its_own_key_only():
    bells = Bells()
    heard = bells.heard("a")
    waiting = asyncio.create_task(bells.wait("a", heard, timeout_seconds=30))
    await asyncio.sleep(0)
    bells.ring("b")
    await asyncio.sleep(0)
    assert not waiting.done()
    bells.ring("a")
    assert await waiting


async def test_time_passes_without_a_ring():
    bells = Bells()
    assert not await bells.wait("a", bells.heard("a"), timeout_seconds=0.001)


async def test_ring_all_wakes_everybody():
    bells = Bells()
    waiting = [asyncio.create_task(bells.wait(key, 0, timeout_seconds=30)) for key in "abc"]
    await asyncio.sleep(0)
    bells.ring_all()
    assert await asyncio.gather(*waiting) == [True, True, True]
