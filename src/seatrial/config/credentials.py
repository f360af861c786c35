"""The owner's keys, in the data folder."""

from __future__ import annotations

import base64
import json
import os
import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from seatrial.config.errors import ConfigError
from seatrial.domain.credentials import Credentials
from seatrial.domain.delivery import SECRET_PREFIX

CREDENTIALS_FILE = "credentials.json"
_KEY_ID_ALPHABET = string.ascii_uppercase + string.digits
_WEBHOOK_SECRET_BYTES = 32
_SECRET_ALPHABET = string.ascii_letters + string.digits


def load_or_create_credentials(data: Path, region: str = "us-east-1") -> Credentials:
    """The keys of a data folder, made (readable by their owner only, fsynced) when there are none.

    Raises:
        ConfigError: the file is there and unreadable, or the folder cannot be written.
    """
    file = data / CREDENTIALS_FILE
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            _create(file, _new())
        _complete(file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be made: {error.strerror}") from error
    return load_credentials(data, region)


def load_credentials(data: Path, region: str = "us-east-1") -> Credentials:
    """The keys of a data folder.

    Raises:
        ConfigError: there are none, or the file is damaged.
    """
    file = data / CREDENTIALS_FILE
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return replace(Credentials(**kept), region=region)
    except FileNotFoundError as error:
        raise ConfigError(f"{file} is not there: start a server with `seatrial serve --data {data}`") from error
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{file} is damaged; restore it, or remove it to get new keys at the next start") from error


def _complete(file: Path) -> None:
    """Files of earlier versions know of no webhooks: they get that secret now."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return  # damaged: whoever reads it says so
    if isinstance(kept, dict) and "webhook_secret" not in kept:
        _create(file, kept | {"webhook_secret": _webhook_secret()}, anew=True)


def _create(file: Path, kept: Mapping[str, str], anew: bool = False) -> None:
    """Write a file whole or not at all; of several that make a new one, whoever came first wins."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(dict(kept), stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            draft.replace(file) if anew else os.link(draft, file)
        except FileExistsError:
            pass  # another start made them a moment ago: those are the keys
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _new() -> dict[str, str]:
    """The region is a setting, not a secret: it is not kept."""
    made = Credentials(
        access_key_id="ST" + _random(_KEY_ID_ALPHABET, 18),
        secret_access_key=_random(_SECRET_ALPHABET, 40),
        api_key="st_" + _random(_SECRET_ALPHABET, 40),
        webhook_secret=_webhook_secret(),
    )
    return {name: value for name, value in asdict(made).items() if name != "region"}


def _webhook_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_WEBHOOK_SECRET_BYTES)).decode()


def _random(alphabet: str, chars: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(chars))
