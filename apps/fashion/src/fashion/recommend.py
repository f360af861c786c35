"""Look-alikes of a picture, and what goes with it, out of a catalogue.

The query's category is what most of its ten nearest items are, weighed by similarity. Where the request gives no gender
class, it is what most of those of them are that have the query's category. A look-alike's score is
`similar.embedding * cosine + similar.colour * closeness`; what goes with it scores
`matching.embedding * cosine + matching.harmony * harmony + matching.category * category + matching.gender * gender`,
and nothing whose category or gender does not go at all is shown. Look-alikes are of the query's category; where
the filter `categories` leaves that out, of the filter's.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from fashion import item as items_file
from fashion import rules as rules_file
from fashion.colour import closeness, harmony, main_colours, name_of
from fashion.encoder import Encoder
from fashion.errors import BadRequest, NotLoadable
from fashion.item import GENDERS, Item
from fashion.picture import Picture
from fashion.rules import Rules

INDEX, EMBEDDINGS = "faiss_index.index", "embeddings.npz"
NEIGHBOURS = 10  # that vote for a category
TOP_K_MAX = 50


@dataclass(frozen=True)
class Wanted:
    """What a request asks for; empty means any."""

    top_k: int = 5
    categories: tuple[str, ...] = ()
    gender: str = ""


class Recommender:
    """A catalogue, its index and its rules, with the encoder that made the index."""

    def __init__(self, folder: Path, encoder: Encoder, prefix: str) -> None:
        """Load an archive's files.

        Raises:
            NotLoadable: one is missing, or they do not belong together.
        """
        self._encoder = encoder
        self._prefix = prefix.rstrip("/")
        self._items = items_file.read(folder)
        self._rules: Rules = rules_file.read(folder)
        for name in (INDEX, EMBEDDINGS):
            if not (folder / name).is_file():
                raise NotLoadable(f"{name} is not in the archive; train again, or add it")
        self._index = faiss.read_index(str(folder / INDEX))
        with np.load(folder / EMBEDDINGS) as arrays:
            self._embeddings = arrays["embeddings"]
        if not self._index.ntotal == len(self._items) == len(self._embeddings):
            counts = (
                f"{self._index.ntotal} in {INDEX}, {len(self._embeddings)} in {EMBEDDINGS}, {len(self._items)} items"
            )
            raise NotLoadable(f"the archive's files are of different trainings ({counts}); train again")
        self.categories = sorted({one.category for one in self._items})

    def wanted(self, request: dict[str, Any]) -> Wanted:
        """The request's options.

        Raises:
            BadRequest: `invalid_field`, with what is valid.
        """
        top_k = request.get("top_k", 5)
        if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= TOP_K_MAX:
            raise BadRequest(
                "invalid_field", f"top_k is {top_k!r}; valid is a whole number from 1 to {TOP_K_MAX}.", "top_k"
            )
        categories = tuple(request.get("categories") or ())
        for one in categories:
            if one not in self.categories:
                said = f"categories holds {one!r}; valid are {', '.join(self.categories)}."
                raise BadRequest("invalid_field", said, "categories")
        gender = request.get("gender") or ""
        if gender and gender not in GENDERS:
            raise BadRequest("invalid_field", f"gender is {gender!r}; valid are {', '.join(GENDERS)}.", "gender")
        return Wanted(top_k, categories, gender)

    def recommend(self, picture: Picture, wanted: Wanted) -> dict[str, Any]:
        """What is shown for a picture."""
        started = time.monotonic()
        vector = self._encoder.encode([picture.image])
        colours = main_colours(np.asarray(picture.image), picture.opaque)
        neighbours = self._neighbours(vector)
        category, confidence = _voted((self._items[row].category, score) for row, score in neighbours)
        gender = wanted.gender or self._gender(neighbours, category)
        cosines = self._embeddings @ vector[0]
        shown = [row for row, one in enumerate(self._items) if self._is_wanted(one, wanted)]
        alike = wanted.categories if wanted.categories and category not in wanted.categories else (category,)
        similar = [self._similar(row, cosines[row], colours) for row in shown if self._items[row].category in alike]
        matching = [self._matching(row, cosines[row], colours, category, gender) for row in shown]
        return {
            "status": "success",
            "backend": self._encoder.name,
            "device": self._encoder.device,
            "query": {
                "category": category,
                "confidence": round(confidence, 3),
                "gender": gender,
                "colours": [{"name": name_of(one), "lab": list(one[:3]), "share": one[3]} for one in colours],
            },
            "similar": _best(similar, wanted.top_k),
            "matching": _best([one for one in matching if one is not None], wanted.top_k),
            "seconds": round(time.monotonic() - started, 4),
        }

    def _neighbours(self, vector: np.ndarray) -> list[tuple[int, float]]:
        scores, rows = self._index.search(vector, min(NEIGHBOURS, len(self._items)))
        return [(int(row), float(score)) for score, row in zip(scores[0], rows[0], strict=True)]

    def _gender(self, neighbours: list[tuple[int, float]], category: str) -> str:
        """A bag beside a dress says nothing about the dress: those of the query's category vote."""
        alike = [(self._items[row], score) for row, score in neighbours if self._items[row].category == category]
        return _voted((one.gender, score) for one, score in alike)[0]

    @staticmethod
    def _is_wanted(one: Item, wanted: Wanted) -> bool:
        if wanted.categories and one.category not in wanted.categories:
            return False
        return not wanted.gender or Rules.gender(wanted.gender, one.gender) > 0

    def _similar(self, row: int, cosine: float, colours: tuple) -> dict[str, Any]:
        parts = {"embedding": float(cosine), "colour": closeness(colours, self._items[row].colours)}
        return self._told(row, parts, self._rules.similar)

    def _matching(
        self, row: int, cosine: float, colours: tuple, category: str, wanted_gender: str
    ) -> dict[str, Any] | None:
        one = self._items[row]
        goes = self._rules.category(category, one.category)
        gender = self._rules.gender(wanted_gender, one.gender)
        if not goes or not gender:
            return None
        parts = {
            "embedding": float(cosine),
            "harmony": harmony(colours, one.colours),
            "category": goes,
            "gender": gender,
        }
        return self._told(row, parts, self._rules.matching)

    def _told(self, row: int, parts: dict[str, float], weights: dict[str, float]) -> dict[str, Any]:
        one = self._items[row]
        return {
            "id": one.id,
            "uri": f"{self._prefix}/{one.path}",
            "category": one.category,
            "gender": one.gender,
            "colours": [name_of(colour) for colour in one.colours],
            "score": round(sum(weights[name] * value for name, value in parts.items()), 4),
            "parts": {name: round(value, 4) for name, value in parts.items()},
        }


def _voted(votes: Iterable[tuple[str, float]]) -> tuple[str, float]:
    """The word with most of the votes, and its share of them."""
    counted: Counter[str] = Counter()
    for word, weight in votes:
        counted[word] += weight
    word, most = counted.most_common(1)[0]
    return word, most / sum(counted.values())


def _best(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda one: (-one["score"], one["id"]))[:count]
