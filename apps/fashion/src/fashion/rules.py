"""Which categories and genders go together, and how the parts of a score weigh: read from `config/`."""

import json
from dataclasses import dataclass
from pathlib import Path

from fashion.errors import NotLoadable

FILE = Path("config", "rules.json")


@dataclass(frozen=True)
class Rules:
    """Rules of taste.

    Attributes:
        goes_with: for each category, how well another goes with it, 0 to 1; what is not there does not.
        similar: weights of `embedding` and `colour` for look-alikes; they add up to 1.
        matching: weights of `embedding`, `harmony`, `category` and `gender` for what goes with it.
    """

    goes_with: dict[str, dict[str, float]]
    similar: dict[str, float]
    matching: dict[str, float]

    def category(self, one: str, other: str) -> float:
        """How well the second category goes with the first, or the first with the second."""
        return max(self.goes_with.get(one, {}).get(other, 0.0), self.goes_with.get(other, {}).get(one, 0.0))

    @staticmethod
    def gender(wanted: str, other: str) -> float:
        """1 for the same class, 0.9 where one is unisex, 0 otherwise."""
        return 1.0 if wanted == other else 0.9 if "unisex" in (wanted, other) else 0.0


def read(folder: Path) -> Rules:
    """The rules of an archive.

    Raises:
        NotLoadable: the file is missing or is something else.
    """
    try:
        return Rules(**json.loads((folder / FILE).read_text()))
    except FileNotFoundError:
        said = f"{FILE} is not in the archive; add it: sagemaker/rebuild_model_archive.py, or seatrial check --fix"
        raise NotLoadable(said) from None
    except (ValueError, TypeError) as error:
        raise NotLoadable(f"{FILE} is damaged ({error}); take it from the source again") from None
