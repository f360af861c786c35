"""Run an installer: its lines reported as they come, its whole process group ended when it is given up."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

LINES_KEPT = 40
LINE_END = re.compile(rb"[\r\n]+")

# What an installer may know of the server's environment: how to reach an index, and nothing of its secrets.
PASSED = re.compile(
    r"PATH|HOME|LANG|LC_ALL|TMPDIR|XDG_CACHE_HOME|XDG_CONFIG_HOME"
    r"|(HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|SSL_CLIENT_CERT|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|(UV|PIP)_(INDEX|INDEX_\w+|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|CONFIG_FILE|CACHE_DIR|CONSTRAINT"
    r"|KEYRING_PROVIDER)"
    r"|UV_(OFFLINE|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS|HTTP_TIMEOUT|HTTP_RETRIES|LINK_MODE|TORCH_BACKEND)"
    r"|PIP_(TRUSTED_HOST|CERT|CLIENT_CERT|DEFAULT_TIMEOUT|TIMEOUT|RETRIES|PROXY)"
)
UV_WORDS = {  # uv does not read pip's settings; those that say where packages come from, and how, hold for both
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_CERT": "SSL_CERT_FILE",
    "PIP_RETRIES": "UV_HTTP_RETRIES",
}
UNLESS_SET = {"UV_SYSTEM_CERTS": "1"}  # a company's own root certificates hold here, as they do for pip
OURS = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PYTHONNOUSERSITE": "1",
    "UV_NO_PROGRESS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}


class InstallerFailed(Exception):
    """It ended with an error; `lines` are the last that it said."""

    def __init__(self, code: int, lines: Sequence[str]) -> None:
        super().__init__(f"ended with {code}")
        self.code = code
        self.lines = list(lines)


def installer_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that an installer gets of the server's."""
    passed = {name: value for name, value in environ.items() if PASSED.fullmatch(name)}
    for pip_word, uv_word in UV_WORDS.items():
        if pip_word in passed and uv_word not in passed:
            value = passed[pip_word]
            passed[uv_word] = ",".join(value.split()) if uv_word == "UV_FIND_LINKS" else value
    return UNLESS_SET | passed | OURS


async def run_installer(
    command: Sequence[str], environ: Mapping[str, str], folder: Path, on_line: Callable[[str], None]
) -> None:
    """Run to the end in `folder`. When this is cancelled, the process and all in its group are killed.

    Raises:
        InstallerFailed: it ended with another code than 0.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(environ),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    kept: deque[str] = deque(maxlen=LINES_KEPT)
    try:
        assert process.stdout is not None  # noqa: S101  # it is a pipe
        async for line in _lines(process.stdout):
            kept.append(line)
            on_line(line)
        code = await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code != 0:
        raise InstallerFailed(code, kept)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    rest = b""
    while chunk := await stream.read(65_536):
        *whole, rest = LINE_END.split(rest + chunk)
        for line in whole:
            if line.strip():
                yield line.decode("utf-8", "replace").rstrip()
    if rest.strip():
        yield rest.decode("utf-8", "replace").rstrip()
