"""Loading takes longer than its load timeout."""

import threading


class Slow:
    def __init__(self):
        threading.Event().wait(600)

    def wait(self):
        return {}
