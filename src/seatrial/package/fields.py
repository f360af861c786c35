"""The input fields of a task, read from `[tasks.NAME.input.FIELD]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.domain.contract import IMAGE_MODES, Field, FieldType, MediaForm, MediaSource
from seatrial.package.problems import Problems, did_you_mean
from seatrial.package.schema import value_schema
from seatrial.package.tables import MEDIA_TYPES, PLAIN_TYPES, TYPES, MediaTable, ValueTable

IMAGE_FORMATS = ("png", "jpeg", "gif", "bmp", "webp", "tiff", "avif", "heic")
IMAGE_KEYS = ("modes", "exif_rotated", "pixels_min", "pixels_max")
BUCKET_KEYS = ("key_field", "bucket_field", "bucket_default")


def read_fields(inputs: Mapping[str, Any], task_field: str, table: str, problems: Problems) -> tuple[Field, ...]:
    """The fields in the order of the file; those that cannot be read are noted and left out."""
    found = [_read_field(name, values, f"[{table}.input.{name}]", problems) for name, values in inputs.items()]
    fields = tuple(field for field in found if field is not None)
    _check_names(inputs, fields, task_field, table, problems)
    return fields


def _read_field(name: str, values: Any, table: str, problems: Problems) -> Field | None:
    kind = values.get("type") if isinstance(values, Mapping) else None
    if kind in MEDIA_TYPES:
        media = problems.parse(MediaTable, values, table)
        return None if media is None else _media_field(name, media, table, problems)
    if isinstance(kind, str) and kind not in PLAIN_TYPES:
        problems.add(table, "type", f"found {kind!r}{did_you_mean(kind, FieldType)}", TYPES)
        return None
    value = problems.parse(ValueTable, values, table)
    if value is None:
        return None
    schema = value_schema(value, table, problems)
    return Field(name, FieldType(value.type), value.required, value.description, value.default, schema)


def _media_field(name: str, media: MediaTable, table: str, problems: Problems) -> Field:
    sources = frozenset(MediaSource) if media.sources is None else frozenset(map(MediaSource, media.sources))
    if MediaSource.KEY not in sources:
        for key in BUCKET_KEYS:
            if getattr(media, key) is not None:
                problems.add(table, key, "means nothing without the source 'key'", "sources with 'key'")
    _check_image_keys(media, table, problems)
    return Field(
        name,
        FieldType(media.type),
        media.required,
        media.description,
        form=MediaForm(media.form),
        sources=sources,
        formats=tuple(media.formats),
        modes=tuple(media.modes),
        exif_rotated=media.exif_rotated,
        bytes_max=media.bytes_max,
        pixels_min=media.pixels_min,
        pixels_max=media.pixels_max,
        pixels_max_declared="pixels_max" in media.model_fields_set,
        key_field=media.key_field,
        bucket_field=media.bucket_field,
        bucket_default=media.bucket_default,
    )


def _check_image_keys(media: MediaTable, table: str, problems: Problems) -> None:
    if media.type != "image":
        for key in IMAGE_KEYS:
            if key in media.model_fields_set:
                problems.add(table, key, "means nothing for the type 'file'", "type = 'image'")
        return
    for key, known in (("formats", IMAGE_FORMATS), ("modes", IMAGE_MODES)):
        for one in getattr(media, key):
            if one not in known:
                problems.add(table, key, f"found {one!r}{did_you_mean(one, known)}", ", ".join(known))
    if media.pixels_min > media.pixels_max:
        fault = f"found {media.pixels_min}, above pixels_max = {media.pixels_max}"
        problems.add(table, "pixels_min", fault, f"at most {media.pixels_max}")


def _check_names(
    inputs: Mapping[str, Any], fields: tuple[Field, ...], task_field: str, table: str, problems: Problems
) -> None:
    """No request field may mean two things. One bucket field may serve several media fields."""
    if task_field in inputs:
        problems.add(
            f"[{table}.input.{task_field}]", None, "is the field that names the task", "another name, or task_field"
        )
    taken = {name: f"the field {name!r}" for name in inputs} | {task_field: "the field that names the task"}
    for field in fields:
        if field.key_field is None:
            continue
        if field.key_field in taken:
            problems.add(
                f"[{table}.input.{field.name}]",
                "key_field",
                f"{field.key_field!r} is {taken[field.key_field]} already",
                "a name that no other field has",
            )
        taken[field.key_field] = f"the key field of {field.name!r}"
    for field in fields:
        if field.bucket_field in taken:
            problems.add(
                f"[{table}.input.{field.name}]",
                "bucket_field",
                f"{field.bucket_field!r} is {taken[str(field.bucket_field)]} already",
                "a name that no other field has",
            )
