"""Worker processes through the pool: real processes, real handlers of both layouts."""

import asyncio
import ctypes
import json
import os
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seatrial.adapters.processes.descendants import look_at
from seatrial.adapters.processes.pool import ProcessPool
from seatrial.adapters.processes.worker import ProcessWorker
from seatrial.domain.logs import LogFilter, LogLine, LogStream
from seatrial.domain.work import HandlerFailed, LoadFailed, Work, WorkerDied, WorkerSpec, WorkTimedOut
