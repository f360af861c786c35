"""A handler that takes as long as it is told, so that a test can catch it at work."""

import threading


class Paced:
    def echo(self, text: str, seconds: float = 0.0) -> dict[str, str]:
        threading.Event().wait(seconds)
        return {"text": text}
