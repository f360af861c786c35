"""The key `validate` of an output: what the validators hold it against, as one table that needs no other file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seatrial.domain.media_types import extension_of
from seatrial.package.files import file_inside
from seatrial.package.problems import Problems, did_you_mean
from seatrial.prove.validate import PROFILES, BadProfile, Kind, kind_of_name, profile_from, read_profile_table

KEY = "validate"
TEXTURES_APART = (".obj", ".ply")
VALID_TYPES = "a media type of a picture, mesh, array, JSON document, sound or film, such as 'image/png'"


def read_validation(
    root: Path, said: str | Mapping[str, Any] | None, media_type: str | None, table: str, problems: Problems
) -> dict[str, Any] | None:
    """The table of thresholds, checked; None when there is none, or with the problem noted."""
    if said is None:
        return None
    if media_type is None or kind_of_name(f"_{extension_of(media_type)}") is Kind.OTHER:
        problems.add(table, KEY, f"there are no validators for the media type {media_type}", VALID_TYPES)
        return None
    try:
        told = _table(root, said, table, problems)
        if told is None:
            return None
        profile = profile_from(told, KEY, KEY)
        json.dumps(told, allow_nan=False)
    except BadProfile as error:
        problems.add(table, KEY, str(error).replace(f"{root.resolve()}/", ""), None)
        return None
    except (TypeError, ValueError) as error:
        problems.add(table, KEY, f"is not JSON: {error}", "numbers, texts, lists and tables")
        return None
    if profile.mesh.texture_required and extension_of(media_type) in TEXTURES_APART:
        fault = f"the textures of {media_type} lie in files of their own, which nobody could look at"
        problems.add(table, KEY, fault, "texture_required = false, or model/gltf-binary, which holds its textures")
        return None
    return told


def _table(root: Path, said: str | Mapping[str, Any], table: str, problems: Problems) -> dict[str, Any] | None:
    if not isinstance(said, str):
        return dict(said)
    if said in PROFILES:
        return {"extends": said}
    if not said.endswith(".toml"):
        valid = f"{', '.join(PROFILES)}, the path of a .toml file in the package, or a table"
        problems.add(table, KEY, f"there is no profile {said!r}{did_you_mean(said, PROFILES)}", valid)
        return None
    path = file_inside(root, said, table, KEY, problems)
    return None if path is None else read_profile_table(path)
