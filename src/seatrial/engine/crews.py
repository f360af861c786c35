"""The crews of this server, by version."""

from __future__ import annotations

import asyncio

from seatrial.engine.crew import Crew


class Crews:
    """Every crew from its making until none of its workers is left: on trial, in service, and on its way out."""

    def __init__(self) -> None:
        self._of: dict[str, Crew] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def keep(self, version_id: str, crew: Crew) -> None:
        """This is the crew of that version now."""
        self._of[version_id] = crew

    def of(self, version_id: str | None) -> Crew | None:
        """The crew of that version, if it has one."""
        return self._of.get(version_id or "")

    async def retire(self, version_id: str, grace_seconds: float | None) -> None:
        """Let what runs end within the grace, then end every worker; see Crew.retire."""
        crew = self._of.get(version_id)
        if crew is None:
            return
        await crew.retire(grace_seconds)
        if self._of.get(version_id) is crew:
            del self._of[version_id]

    def retire_later(self, version_id: str) -> None:
        """In the background: it takes no more work, and what runs on it may end there, however long that takes."""
        leaving = asyncio.create_task(self.retire(version_id, None))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def retire_all(self, grace_seconds: float) -> None:
        """No worker is left when this returns."""
        await asyncio.gather(*(self.retire(version_id, grace_seconds) for version_id in list(self._of)))
        await asyncio.gather(*self._leaving)

    async def stop_all(self) -> None:
        """End every worker now: its work goes back to the queue."""
        await asyncio.gather(*(crew.stop_all() for crew in list(self._of.values())))

    async def end_session(self, session: str) -> None:
        """End the worker that holds the session, and every process of it."""
        for crew in list(self._of.values()):
            if await crew.end_session(session):
                return

    async def cancel(self, session: str, token: str) -> None:
        """End the work of that claim, see Runner.cancel."""
        for crew in list(self._of.values()):
            if await crew.cancel(session, token):
                return
