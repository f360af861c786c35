"""What is asked for, and what must come of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

ENDPOINT = "ballast"


@dataclass
class Errand:
    """One job as its client knows it. `key` is its idempotency key."""

    number: int
    key: str
    size: int = 64
    part_size: int = 0
    seconds: float = 0.0
    act: str = "answer"
    padding: int = 0  # characters: a large request
    port: int = 0
    door: str = "v1"
    ids: set[str] = field(default_factory=set)  # every id that the server gave for this key
    jobs_max: int = 1  # how many jobs it may have become: one, unless its door has no key and an answer was lost
    promised: bool = False  # the server said that it accepted it
    ends: set[str] = field(default_factory=set)  # every terminal state that was ever seen
    cancelled: bool = False  # somebody asked for it
    lost: bool = False  # its result was taken away before it could be published
    last_said: str = ""  # what came of the last try
    refused: str | None = None  # the server said no, for good

    @property
    def accepted(self) -> bool:
        return self.promised or bool(self.ids)

    def request(self) -> dict[str, Any]:
        """The handler's input."""
        asked = {"number": self.number, "size": self.size, "part_size": self.part_size, "seconds": self.seconds}
        more = {"act": self.act, "padding": "x" * self.padding, "port": self.port}
        return asked | {name: value for name, value in more.items() if value and value != "answer"}

    def body(self) -> bytes:
        return json.dumps(self.request()).encode()

    def may_end_as(self) -> set[str]:
        """The terminal states that are right for it."""
        right = {"failed"} if self.lost or self.act in ("fail", "die") else {"succeeded"}
        return right | ({"cancelled"} if self.cancelled else set())

    def is_answer(self, answer: Any) -> bool:
        """Whether this is what the handler answers, apart from where its part is."""
        told = isinstance(answer, dict) and {name: answer.get(name) for name in ("number", "text")}
        return bool(told == {"number": self.number, "text": filling(self.number, self.size, "text")})

    def is_asked_by(self, content: bytes) -> bool:
        """Whether these bytes are its request, in whatever form its door sends it."""
        try:
            return bool(json.loads(content).get("number") == self.number)
        except (ValueError, AttributeError):
            return self.door == "form" and f"\r\n{self.number}\r\n".encode() in content

    def cargo(self) -> bytes:
        """The secondary part."""
        return filling(self.number, self.part_size, "cargo").encode()


def filling(number: int, size: int, what: str) -> str:
    """The same as the handler's own."""
    word = hashlib.sha256(f"{what} {number}".encode()).hexdigest()
    return (word * (size // len(word) + 1))[:size]
