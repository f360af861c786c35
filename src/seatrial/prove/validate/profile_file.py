"""Profiles from TOML files.

extends = "studio"        # or "default", which is also what is taken without this line

[image]
width = 512
height = 512

[json]
schema = "answer.schema.json"   # a file beside this one, or a table
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from seatrial.prove.limits import IMAGE_PIXELS_CEILING, PROFILE_BYTES_MAX, SCHEMA_BYTES_MAX
from seatrial.prove.validate.profile import DEFAULT, PROFILES, Profile


class BadProfile(Exception):
    """A profile or a schema cannot be used; the message says why and what would be valid."""


def profile_of(name_or_file: str) -> Profile:
    """The profile of a built-in name or of a TOML file.

    Raises:
        BadProfile: neither, or the file does not hold a profile.
    """
    if name_or_file in PROFILES:
        return PROFILES[name_or_file]
    path = Path(name_or_file)
    if path.suffix != ".toml" and not path.is_file():
        raise BadProfile(f"there is no profile {name_or_file!r}; valid: {', '.join(PROFILES)}, or a TOML file")
    return load_profile(path)


def load_profile(path: Path) -> Profile:
    """The profile that a TOML file holds.

    Raises:
        BadProfile: unreadable, no TOML, an unknown key or a value of the wrong type, named by its path.
    """
    return profile_from(read_profile_table(path), str(path), path.stem)


def read_profile_table(path: Path) -> dict[str, Any]:
    """What a TOML file says of a profile, not checked yet; a schema that it names is read in its place.

    Raises:
        BadProfile: unreadable or no TOML, the file or its schema.
    """
    try:
        told = tomllib.loads(_bounded_text(path, PROFILE_BYTES_MAX))
    except tomllib.TOMLDecodeError as error:
        raise BadProfile(f"{path} is no TOML: {error}") from None
    section = told.get("json")
    if isinstance(section, dict) and isinstance(section.get("schema"), str):
        section["schema"] = load_schema(path.parent / section["schema"])
    return told


def profile_from(told: Mapping[str, Any], where: str, name: str) -> Profile:
    """The profile of such a table: what it says, over what it `extends`. `where` begins every message.

    Raises:
        BadProfile: an unknown key or a value of the wrong type, named by its path.
    """
    told = dict(told)
    base = told.pop("extends", "default")
    if base not in PROFILES:
        raise BadProfile(f"{where}: extends: there is no profile {base!r}; valid: {', '.join(PROFILES)}")
    merged: dict[str, Any] = asdict(PROFILES[base]) | {"name": name}
    for section, value in told.items():
        known = merged.get(section)
        merged[section] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return _checked(merged, where)


def load_schema(path: Path) -> Mapping[str, Any]:
    """A JSON Schema from a file.

    Raises:
        BadProfile: unreadable, no JSON object, or no valid schema.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        schema = json.loads(_bounded_text(path, SCHEMA_BYTES_MAX))
    except (ValueError, RecursionError) as error:
        raise BadProfile(f"{path} is no JSON: {error}") from None
    if not isinstance(schema, dict):
        raise BadProfile(f"{path} holds no JSON object: a schema is one")
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise BadProfile(f"{path} is no valid JSON Schema: {error.message}") from None
    return schema


def _checked(merged: Mapping[str, Any], where: str) -> Profile:
    from pydantic import TypeAdapter, ValidationError

    _refuse_unknown(merged, where)
    try:
        profile = TypeAdapter(Profile).validate_python(merged)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise BadProfile(f"{where}: {at}: {first['msg']}") from None
    _refuse_out_of_range(profile, where)
    return profile


def _refuse_unknown(merged: Mapping[str, Any], where: str) -> None:
    sections = {one.name for one in fields(Profile)}
    for section, value in merged.items():
        if section not in sections:
            raise BadProfile(f"{where}: {section}: unknown; valid: extends, {', '.join(sorted(sections - {'name'}))}")
        if section == "name" or not isinstance(value, dict):
            continue
        known = [one.name for one in fields(getattr(DEFAULT, section))]
        for key in value:
            if key not in known:
                raise BadProfile(f"{where}: {section}.{key}: unknown; valid: {', '.join(known)}")


def _refuse_out_of_range(profile: Profile, where: str) -> None:
    for section in (profile.image, profile.mesh, profile.array, profile.json, profile.audio, profile.video):
        for one in fields(section):
            value, at = getattr(section, one.name), f"{where}: {_section_name(section)}.{one.name}"
            if isinstance(value, int | float) and value < 0:
                raise BadProfile(f"{at}: must not be negative")
            if "share" in one.name and isinstance(value, int | float) and value > 1:
                raise BadProfile(f"{at}: a share is between 0 and 1, such as {value / 100:g}")
    if profile.image.pixels_max > IMAGE_PIXELS_CEILING:
        raise BadProfile(f"{where}: image.pixels_max: at most {IMAGE_PIXELS_CEILING:,}")


def _section_name(section: object) -> str:
    return type(section).__name__.removesuffix("Settings").lower()


def _bounded_text(path: Path, bytes_max: int) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise BadProfile(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > bytes_max:
        raise BadProfile(f"{path} has more than {bytes_max:,} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadProfile(f"{path} is no UTF-8 text") from None
