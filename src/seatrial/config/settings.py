"""Every setting of a server: command line > SEATRIAL_* environment > TOML file > default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from seatrial.config.errors import ConfigError
from seatrial.domain.addresses import LOOPBACK_NETWORKS, PRIVATE_NETWORKS, IpNetwork
from seatrial.domain.home import Home
from seatrial.domain.limits import (
    ATTEMPTS_MAX,
    COG_PORT_DEFAULT,
    CONCURRENCY_MAX,
    DRILL_SECONDS_DEFAULT,
    IDEMPOTENCY_DAYS,
    JOB_RETENTION_DAYS,
    OUTSIDE_LEASE_SECONDS,
    PUBLISH_SECONDS_MAX_DEFAULT,
    SERVER_STOP_GRACE_SECONDS,
    STUDIO_PORT_DEFAULT,
    UNUSED_RETENTION_DAYS,
    WORKER_DEATHS_MAX,
)

ENV_PREFIX = "SEATRIAL_"
CONFIG_FILE = "server.toml"  # in the data folder; `seatrial.toml` is a package's
_FROM_FILE = "_from_file"
_SECRETIVE = {"database"}  # settings whose values may hold a password: never shown
_DATABASE_SCHEMES = ("postgresql://", "postgres://")


def _setting(default: Any, unit: str, description: str, *, many: bool = False, **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"unit": unit, "many": many}, **limits)


class Settings(BaseSettings):
    """The settings of one server, fixed at its start. `load_settings` makes one."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    data: Path = _setting(
        Path("seatrial-data"),
        "folder",
        "Where everything is kept: jobs, objects, packages, credentials. One server owns it at a time.",
    )
    database: str | None = _setting(
        None,
        "URL",
        "PostgreSQL database of jobs, endpoints and object names, as postgresql://user@host:5432/name; one "
        "server at a time. Its password is better given as PGPASSWORD or in ~/.pgpass, where no list of processes "
        "shows it. Unset: a SQLite file in the data folder.",
        repr=False,
    )
    host: str = _setting(
        "127.0.0.1",
        "address",
        "Where to listen. Anything but loopback has to be asked for here and prints a warning: every request "
        "needs credentials, but the wire is plain HTTP, so put TLS in front of it.",
    )
    port: int = _setting(8400, "port", "Port to listen on; 0 takes any free one.", ge=0, le=65_535)
    public_url: str | None = _setting(
        None,
        "URL",
        "The server's address as its clients see it, such as https://seatrial.example.com, where that is not where it "
        "listens (behind a proxy, in a container). Signed URLs and printed calls have it; a proxy must pass on the "
        "Host header, which signatures cover. Unset: the address that it listens on.",
    )
    region: str = _setting(
        "us-east-1", "name", "AWS region that clients sign for, and that ARNs show.", pattern=r"^[a-z0-9-]{1,32}$"
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "level", "Least level of the server's own log: debug, info, warning or error."
    )
    log_format: Literal["auto", "text", "json"] = _setting(
        "auto", "format", "Log lines as text or json; auto: text on a terminal, json elsewhere."
    )
    stop_grace_seconds: float = _setting(
        float(SERVER_STOP_GRACE_SECONDS),
        "seconds",
        "How long running jobs may go on after SIGTERM before they are handed back to the queue.",
        ge=0,
        le=3_600,
    )
    worker_deaths_max: int = _setting(
        WORKER_DEATHS_MAX, "deaths", "Worker deaths charged to one job before it fails as worker_crashed.", ge=1
    )
    outside_lease_seconds: int = _setting(
        OUTSIDE_LEASE_SECONDS,
        "seconds",
        "A worker that pulls from elsewhere has lost what it held when it is not heard of for so long.",
        ge=1,
        le=3_600,
    )
    owner_concurrency_max: int | None = _setting(
        None,
        "jobs",
        "Jobs of one owner that run at once at most, over all endpoints and servers. Unset: no limit.",
        ge=1,
        le=CONCURRENCY_MAX,
    )
    attempts_max: int = _setting(
        ATTEMPTS_MAX,
        "attempts",
        "Attempts of one job that may lose their worker, whoever is charged for it, before the job fails as "
        "attempts_exhausted. Those that the server itself broke off (a stop, a neighbour's cancel) do not count.",
        ge=1,
        le=1_000,
    )
    idempotency_days: int = _setting(
        IDEMPOTENCY_DAYS, "days", "How long after its job's end an idempotency key still gives that job.", ge=0, le=365
    )
    drill_seconds: float = _setting(
        float(DRILL_SECONDS_DEFAULT),
        "seconds",
        "How long a trial's drill repeats its runs, beyond the one that it always makes; 0 leaves drills out.",
        ge=0,
        le=3_600,
    )
    job_retention_days: int = _setting(
        JOB_RETENTION_DAYS,
        "days",
        "How long ended jobs are kept, and objects in the server's own buckets (inputs it kept, results, failures). "
        "Objects in your own buckets stay. Idempotency keys go with their jobs at the latest.",
        ge=1,
        le=36_500,
    )
    unused_retention_days: int = _setting(
        UNUSED_RETENTION_DAYS,
        "days",
        "How long packages, environments and weights are kept after their last use when no version uses them.",
        ge=1,
        le=36_500,
    )
    allow_private_urls: bool = _setting(
        False,
        "yes/no",
        "Let receivers, and URLs of inputs and weights, be on any loopback or private address. Off: they are refused, "
        "so that a request cannot reach into the server's network; `allow_receiver` opens parts of it.",
    )
    allow_receiver: str | None = _setting(
        None,
        "CIDR",
        "Network that receivers of notifications, and URLs of inputs and weights, may lie in although it is not "
        "public, such as 10.1.0.0/16 or 192.168.1.5/32; several with commas, or by repeating the option. Where a cloud "
        "hands out credentials (169.254.169.254, …) is open only to a network of that one address. Loopback is open to "
        "receivers while the server listens on loopback.",
        many=True,
    )
    objects: str | None = _setting(
        None,
        "s3://bucket/prefix",
        "Keep objects in this bucket of an S3 service (needs the extra `s3`); output buckets are then real buckets "
        "there. Unset: in the data folder.",
    )
    objects_endpoint: str | None = _setting(
        None, "URL", "Where that S3 service answers. Unset: AWS, in `objects_region`.", pattern=r"^https?://"
    )
    objects_region: str | None = _setting(None, "name", "Region of that service. Unset: `region`.")
    objects_credentials: Path | None = _setting(
        None,
        "file",
        "Credentials for it, in the form of ~/.aws/credentials. Unset: AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, or whatever else AWS's own clients would use.",
    )
    publish_seconds_max: int = _setting(
        PUBLISH_SECONDS_MAX_DEFAULT,
        "seconds",
        "How long a decided job tries to publish in that service before it ends as publish_failed.",
        ge=1,
        le=7 * 86_400,
    )
    studio: str | None = _setting(
        None,
        "ENDPOINT[:PORT]",
        "Serve this endpoint in the studio protocol (/inference, /train, callbacks) at a port of its own, 8091 unless "
        "named, 0 for any free one. On loopback it asks for no key. Unset: off.",
    )
    cog: str | None = _setting(
        None,
        "ENDPOINT[:PORT]",
        "Serve this endpoint with Cog's HTTP API (/predictions, /trainings, /health-check) at a port of its own, 5000 "
        "unless named, 0 for any free one. On loopback it asks for no key. Unset: off; every endpoint has it under "
        "/cog/ENDPOINT.",
    )
    cog_at_capacity: Literal["queue", "refuse"] = _setting(
        "queue",
        "queue|refuse",
        "What becomes of a prediction that comes by Cog's API while every worker is busy: it waits in the queue, or "
        "it is refused with 409, as Cog's own server does.",
    )
    secrets_dir: Path | None = _setting(
        None, "folder", "Folder of the files that `[secrets]` entries of the form file:NAME read."
    )
    container_engine: str | None = _setting(
        None,
        "command",
        "Runs the images of packages: a program with its options, such as `podman --runtime=crun`. Unset: podman, or "
        "else docker, if it is in PATH.",
    )
    container_options: str | None = _setting(
        None,
        "options",
        "More options of the engine's `run`, such as `--shm-size=2g --ulimit=nofile=4096:4096`. Unset: none.",
    )
    python: str | None = _setting(
        None,
        "version|path",
        "Base interpreter of packages that name none (3.9 or newer), by its version or its path. Unset: the server's "
        "own.",
    )

    @field_validator("python")
    @classmethod
    def _counts_from_here(cls, given: str | None) -> str | None:
        return str(Path(given).absolute()) if given and "/" in given else given

    @field_validator("objects")
    @classmethod
    def _is_home(cls, given: str | None) -> str | None:
        if given is not None:
            Home.from_uri(given)
        return given

    @field_validator("allow_receiver")
    @classmethod
    def _are_networks(cls, given: str | None) -> str | None:
        try:
            _networks(given or "")
        except ValueError as error:
            raise PydanticCustomError("cidr", "networks such as 10.1.0.0/16: {said}", {"said": str(error)}) from None
        return given

    @field_validator("public_url")
    @classmethod
    def _is_address(cls, given: str | None) -> str | None:
        return None if given is None else _address(given)

    @field_validator("studio", "cog")
    @classmethod
    def _is_door(cls, given: str | None) -> str | None:
        name, _, port = (given or "x").partition(":")
        if not name or (port and not (port.isdecimal() and len(port) < 6 and int(port) <= 65_535)):
            raise PydanticCustomError("door", "the name of an endpoint, and a port if need be: painter or painter:8091")
        return given

    @field_validator("database")
    @classmethod
    def _is_postgresql(cls, url: str | None) -> str | None:
        form = "postgresql://user:password@host:5432/name"
        if url is None:
            return None
        if not url.startswith(_DATABASE_SCHEMES):
            raise PydanticCustomError("database", f"not a PostgreSQL URL: it has the form {form}")
        if url.count("@") != urlsplit(url).netloc.count("@") or url.count("@") > 1:
            raise PydanticCustomError(
                "database", f"a special character in the user or the password needs its %-escape (/ is %2F): {form}"
            )
        return url

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def studio_door(self) -> tuple[str, int] | None:
        """The endpoint that is served in the studio protocol, and at which port."""
        return _door(self.studio, STUDIO_PORT_DEFAULT)

    @property
    def cog_door(self) -> tuple[str, int] | None:
        """The endpoint that is served with Cog's API, and at which port."""
        return _door(self.cog, COG_PORT_DEFAULT)

    @property
    def open_networks(self) -> tuple[IpNetwork, ...]:
        """Networks that are not public and that URLs of requests may lead into."""
        named = _networks(self.allow_receiver or "")
        return named + PRIVATE_NETWORKS if self.allow_private_urls else named

    @property
    def receiver_networks(self) -> tuple[IpNetwork, ...]:
        """The same for receivers of notifications."""
        return self.open_networks + (LOOPBACK_NETWORKS if self.is_loopback else ())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """First one wins. `load_settings` passes what the file says beside what was given."""
        given = dict(init_settings())
        from_file = given.pop(_FROM_FILE, {})
        return (
            InitSettingsSource(settings_cls, given),
            env_settings,
            InitSettingsSource(settings_cls, from_file),
        )


def _networks(text: str) -> tuple[IpNetwork, ...]:
    """Raises ValueError."""
    return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())


def _address(given: str) -> str:
    """Scheme and host, as URLs begin with; what would follow the host is refused, since signatures cover paths."""
    form = "https://host or https://host:port, without a path, a query or a user"
    try:
        parts = urlsplit(given)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise PydanticCustomError(
            "address", "{said}: it has the form {form}", {"said": str(error), "form": form}
        ) from None
    if not whole or parts.path not in ("", "/") or set("?#@ \\") & set(given) or not given.isascii():
        raise PydanticCustomError("address", "not the address of a server: it has the form {form}", {"form": form})
    return f"{parts.scheme}://{parts.netloc}".lower()


def _door(given: str | None, port_default: int) -> tuple[str, int] | None:
    """The endpoint and the port of ENDPOINT[:PORT]."""
    if given is None:
        return None
    name, _, port = given.partition(":")
    return name, int(port or port_default)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as help and reference show it. `default` is text."""

    name: str
    unit: str
    default: str
    description: str
    is_switch: bool = False
    is_list: bool = False  # on the command line it may come often; elsewhere its values are separated by commas

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return ENV_PREFIX + self.name.upper()

    @property
    def option(self) -> str:
        """Its command-line option."""
        return "--" + self.name.replace("_", "-")


def all_settings() -> list[Setting]:
    """Every setting, in the order of the class."""
    return [_described(name, field) for name, field in Settings.model_fields.items()]


def _described(name: str, field: FieldInfo) -> Setting:
    extra = field.json_schema_extra
    unit = extra["unit"] if isinstance(extra, dict) else ""
    default = "unset" if field.default is None else str(field.default)
    if isinstance(field.default, bool):
        default = "on" if field.default else "off"
    many = bool(extra["many"]) if isinstance(extra, dict) else False
    return Setting(name, str(unit), default, field.description or "", isinstance(field.default, bool), many)


def load_settings(given: Mapping[str, Any], config: Path | None = None) -> Settings:
    """Settings from what the command line gave (None: not given), the environment, a file and the defaults.

    The file is `config`, or what SEATRIAL_CONFIG names, or `server.toml` in the data folder if it is there.

    Raises:
        ConfigError: a value is not valid or not known; it says which one and where it came from.
    """
    chosen = {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None and value != []
    }
    file = _config_file(chosen, config)
    from_file = _read_toml(file) if file else {}
    if config is None and "data" in from_file and file and file.name == CONFIG_FILE:
        raise ConfigError(f"{file}: a file in the data folder cannot move it; set data with --data")
    sources: dict[str, Any] = {**chosen, _FROM_FILE: from_file}
    try:
        return Settings(**sources)
    except ValidationError as error:
        raise ConfigError(_first_fault(error, chosen, from_file, file)) from error


def _config_file(chosen: Mapping[str, Any], config: Path | None) -> Path | None:
    named = config or (Path(os.environ["SEATRIAL_CONFIG"]) if os.environ.get("SEATRIAL_CONFIG") else None)
    if named:
        return named
    default = Settings.model_fields["data"].default
    data = Path(chosen.get("data") or os.environ.get(ENV_PREFIX + "DATA") or default)
    beside = data / CONFIG_FILE
    return beside if beside.is_file() else None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not a TOML file: {error}") from error


def _first_fault(
    error: ValidationError, chosen: Mapping[str, Any], from_file: Mapping[str, Any], file: Path | None
) -> str:
    fault = error.errors()[0]
    name = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        return f"{file}: unknown setting {name!r}; known ones: {', '.join(Settings.model_fields)}"
    if name in chosen:
        where = "--" + name.replace("_", "-")
    elif name in from_file and ENV_PREFIX + name.upper() not in os.environ:
        where = f"{file}: {name}"
    else:
        where = ENV_PREFIX + name.upper()
    if name in _SECRETIVE:
        return f"{where}: {fault['msg']}"
    return f"{where}: {fault['msg']} (got {fault['input']!r})"
