"""Is a report in a file genuine? Looked at offline, with a key that its reader trusts."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.server import data_folder

REPORT_REMEDY = "give what `seatrial trial show NAME --json` or `seatrial trial report NAME` wrote"
_ENVELOPE = re.compile(r'<pre [^>]*id="envelope">([^<]*)</pre>')  # in the page
_PUBLIC_KEY = re.compile(r'<pre id="public-key">([^<]*)</pre>')


@dataclass(frozen=True, slots=True)
class Checked:
    """What a genuine report says. `trusted`: the key was the reader's own, not the one that came with the report."""

    document: dict[str, Any]
    key_id: str
    trusted: bool


def checked(file: Path, key: Path | None, data: Path | None) -> Checked:
    """The report in a file, verified with `key`, else with the key of the data folder, else with the one beside it.

    Ends the command if it is no report, or not genuine.
    """
    from seatrial.engine.report import NotGenuine, key_id, opened

    said = _read(file)
    envelope = said.get("envelope", said)
    trusted = _trusted_key(key, data)
    pem = trusted or said.get("public_key")
    if not isinstance(pem, str):
        fail(f"{file} brings no public key", ExitCode.USAGE, "give the server's with --key")
    try:
        document = opened(envelope, pem)
    except NotGenuine as error:
        fail(f"{file} is not genuine: {error}", remedy="get the report from its server again, or the right key")
    except ValueError:
        fail(f"{key or file} holds no public key in PEM", ExitCode.USAGE, "`seatrial trial key` prints it")
    if said.get("report") not in (None, document):
        fail(f"{file} is not genuine: what it says under `report` is not what was signed")
    return Checked(document, key_id(pem), trusted is not None)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        inside, key = _ENVELOPE.search(text), _PUBLIC_KEY.search(text)
        said = json.loads(html.unescape(inside[1]) if inside else text)
        if inside and key:
            said = {"envelope": said, "public_key": html.unescape(key[1])}
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", ExitCode.USAGE)
    except ValueError:
        fail(f"{file} is no report of a trial", ExitCode.USAGE, REPORT_REMEDY)
    if not isinstance(said, dict) or not isinstance(said.get("envelope", said), dict):
        fail(f"{file} is no report of a trial", ExitCode.USAGE, REPORT_REMEDY)
    return said


def _trusted_key(key: Path | None, data: Path | None) -> str | None:
    if key is not None:
        try:
            return key.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            fail(f"{key} cannot be read: {error}", ExitCode.USAGE)
    from seatrial.adapters.system.signing_key import SIGNING_KEY_FILE, SigningKeyUnusable, load_or_create_signing_key

    folder = data_folder(data)
    if not (folder / SIGNING_KEY_FILE).exists():
        return None
    try:
        return load_or_create_signing_key(folder).public_pem
    except SigningKeyUnusable as error:
        fail(f"the key of the data folder cannot be used: {error}", ExitCode.USAGE, "give one with --key")
