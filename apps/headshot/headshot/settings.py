"""What the environment says, read once when the worker begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from headshot.errors import NotReady

BACKENDS = ("small", "sdxl", "flux")
DEVICES = ("auto", "cpu", "cuda")
STORAGES = ("supabase", "s3")
ON_FAILED_START = ("answer", "exit")
SIDE_MIN, SIDE_MAX = 64, 2_048
URL_SECONDS_MAX = 604_800  # what S3's signatures allow
STEPS_MAX = 200
BYTES_MAX = 2**50


@dataclass(frozen=True, slots=True)
class Settings:
    """`None` where the backend's own default holds."""

    backend: str
    weights: str | None
    device: str | None
    side: int
    steps: int | None
    memory_bytes_min: int | None
    storage: str
    bucket: str
    url_seconds: int
    supabase_url: str = ""
    supabase_key: str = ""


def read(environ: Mapping[str, str]) -> Settings:
    """The settings.

    Raises:
        NotReady: one is missing, or has a value that it cannot have; with what would be valid.
    """
    storage = _one_of(environ, "HEADSHOT_STORAGE", STORAGES)
    device = _one_of(environ, "HEADSHOT_DEVICE", DEVICES)
    has_supabase = storage == "supabase"
    _one_of(environ, "HEADSHOT_ON_FAILED_START", ON_FAILED_START)
    return Settings(
        backend=_one_of(environ, "HEADSHOT_BACKEND", BACKENDS),
        weights=environ.get("HEADSHOT_WEIGHTS") or None,
        device=None if device == "auto" else device,
        side=_number(environ, "HEADSHOT_SIDE", 1_024, SIDE_MIN, SIDE_MAX),
        steps=_number(environ, "HEADSHOT_STEPS", 0, 1, STEPS_MAX) or None,
        memory_bytes_min=_number(environ, "HEADSHOT_MEMORY_BYTES_MIN", 0, 1, BYTES_MAX) or None,
        storage=storage,
        bucket=environ.get("HEADSHOT_BUCKET") or "headshots",
        url_seconds=_number(environ, "HEADSHOT_URL_SECONDS", 3_600, 1, URL_SECONDS_MAX),
        supabase_url=_url(environ, "SUPABASE_URL") if has_supabase else "",
        supabase_key=_needed(environ, "SUPABASE_KEY", "the project's secret (service role) key")
        if has_supabase
        else "",
    )


def _one_of(environ: Mapping[str, str], name: str, valid: tuple[str, ...]) -> str:
    """The first is the default."""
    said = environ.get(name) or valid[0]
    if said not in valid:
        raise NotReady(f"{name} is {said!r}", f"Valid are {', '.join(valid)}.")
    return said


def _number(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    said = environ.get(name)
    if not said:
        return default
    if not (said.isascii() and said.isdigit() and low <= int(said[:20]) <= high):
        raise NotReady(f"{name} is {said!r}", f"Valid is a whole number from {low} to {high}.")
    return int(said)


def _needed(environ: Mapping[str, str], name: str, what: str) -> str:
    said = environ.get(name, "").strip()
    if not said:
        raise NotReady(f"{name} environment variable is required", f"Set {name} to {what}.")
    return said


def _url(environ: Mapping[str, str], name: str) -> str:
    valid = "the project's address, such as https://PROJECT.supabase.co"
    said = _needed(environ, name, valid).rstrip("/")
    parts = urlsplit(said)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise NotReady(f"{name} is no address of a server", f"Set {name} to {valid}.")
    return said
