"""Good and damaged arrays and embeddings."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.outputs.item import Item, Maker, Random
from seatrial.prove.validate import DEFAULT, Profile

WIDTH = 256


def embedding(random: Random, count: int = 1) -> NDArray[np.float32]:
    """Vectors of length 1."""
    vectors = random.normal(size=(count, WIDTH))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def expecting(shape: tuple[int, ...] | None = None) -> Profile:
    """Vectors of length 1 of 32 bits."""
    array = replace(DEFAULT.array, dtypes=("float32",), shape=shape, norm_min=0.99, norm_max=1.01)
    return replace(DEFAULT, array=array)


def npy(array: NDArray[Any], allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def npz(random: Random, **arrays: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if random.random() < 0.5 else np.savez)(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def good_npy(random: Random) -> Item:
    vectors = embedding(random, int(random.integers(1, 50)))
    return Item("embedding.npy", "array", npy(vectors), "embeddings", profile=expecting((-1, WIDTH)))


def good_npz(random: Random) -> Item:
    labels = np.array(["tops", "shoes", "bags"])
    data = npz(random, embeddings=embedding(random, 20), ids=np.arange(20), labels=labels)
    profile = expecting((-1, WIDTH))
    profile = replace(profile, array=replace(profile.array, members=("embeddings",)))
    return Item("embeddings.npz", "array", data, "archive", profile=profile)


def good_plain(random: Random) -> Item:
    """Any array of any type and shape, under the default profile."""
    shape = tuple(int(side) for side in random.integers(1, 12, random.integers(1, 5)))
    kind = str(random.choice(["float16", "float32", "float64", "int32", "uint8", "complex64", "bool"]))
    values = random.normal(size=shape) * 50 + 60
    array = values.astype(kind) if kind != "bool" else values > 60
    array = np.asfortranarray(array) if random.random() < 0.3 else array
    return Item("array.npy", "array", npy(array), f"{kind} {shape}")


def cut(random: Random) -> Item:
    whole = (good_npy if random.random() < 0.5 else good_npz)(random)
    return replace(whole, data=whole.data[: int(random.integers(1, len(whole.data)))], damage="cut at a byte")


def flipped(random: Random) -> Item:
    """Bytes of a member changed: its checksum tells."""
    whole = good_npz(random)
    at = int(random.integers(200, len(whole.data) // 2))
    data = whole.data[:at] + bytes(byte ^ 0xFF for byte in whole.data[at : at + 16]) + whole.data[at + 16 :]
    return replace(whole, data=data, damage="bytes changed")


def not_finite(random: Random) -> Item:
    vectors = embedding(random, int(random.integers(1, 30)))
    vectors[random.integers(0, len(vectors)), random.integers(0, WIDTH)] = random.choice([np.nan, np.inf])
    return Item("embedding.npy", "array", npy(vectors), "embeddings", "NaN", expecting((-1, WIDTH)))


def constant(random: Random) -> Item:
    value = random.choice([0.0, 1.0, random.normal()])
    vectors = np.full((int(random.integers(1, 30)), WIDTH), value, np.float32)
    profile = DEFAULT if random.random() < 0.5 else expecting()
    return Item("embedding.npy", "array", npy(vectors), "embeddings", "constant", profile)


def wrong_shape(random: Random) -> Item:
    vectors = embedding(random, 4)
    other = vectors.reshape(8, -1) if random.random() < 0.5 else vectors[0]
    return Item("embedding.npy", "array", npy(other), "embeddings", "wrong shape", expecting((-1, WIDTH)))


def wrong_dtype(random: Random) -> Item:
    vectors = embedding(random, 4).astype(str(random.choice(["float64", "float16", "int8"])))
    return Item("embedding.npy", "array", npy(vectors), "embeddings", "wrong dtype", expecting((-1, WIDTH)))


def wrong_norm(random: Random) -> Item:
    vectors = embedding(random, 4)
    vectors[random.integers(0, 4)] *= random.choice([0.0, 0.5, 3.0, 40.0])
    return Item("embedding.npy", "array", npy(vectors), "embeddings", "wrong norm", expecting((-1, WIDTH)))


def pickled(random: Random) -> Item:
    """Python objects: never unpickled."""
    objects = np.array([{"a": 1}, None, [1.0] * int(random.integers(1, 9))], dtype=object)
    return Item("array.npy", "array", npy(objects, allow_pickle=True), "objects", "pickled")


def bomb(random: Random) -> Item:
    """A header that says far more than there is, or an archive that unpacks to far more than is allowed."""
    if random.random() < 0.5:
        whole = npy(np.zeros((4, 4), np.float32))
        return Item("array.npy", "array", whole.replace(b"(4, 4), }    ", b"(40000, 9999)}"), "header", "too large")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.npy", npy(np.zeros(8_000_000, np.float32)))
    limited = replace(DEFAULT, array=replace(DEFAULT.array, bytes_max=10_000_000))
    return Item("zeros.npz", "array", file.getvalue(), "archive", "too large", limited)


def empty(random: Random) -> Item:
    array = np.zeros((0, WIDTH), np.float32)
    return Item("embedding.npy", "array", npy(array), "embeddings", "empty", expecting())


GOOD: dict[str, Maker] = {"npy": good_npy, "npz": good_npz, "plain": good_plain}
DAMAGED: dict[str, Maker] = {
    "cut at a byte": cut,
    "NaN": not_finite,
    "constant": constant,
    "wrong shape": wrong_shape,
    "cut at a byte, again": cut,
    "bytes changed": flipped,
    "wrong dtype": wrong_dtype,
    "wrong norm": wrong_norm,
    "pickled": pickled,
    "too large": bomb,
    "empty": empty,
}
