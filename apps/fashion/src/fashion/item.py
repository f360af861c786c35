"""What is known of an item of the catalogue, in a file that is only data."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fashion.errors import NotLoadable

FILE = "metadata.json"
GENDERS = ("female", "male", "unisex")


@dataclass(frozen=True)
class Item:
    """An item.

    Attributes:
        path: of its picture, below the catalogue.
        colours: its main colours, the largest first: CIELAB (D65) and the share of its pixels.
        gender: female, male or unisex.
    """

    id: str
    path: str
    group: str
    category: str
    gender: str
    colours: tuple[tuple[float, float, float, float], ...]


def write(folder: Path, items: list[Item]) -> None:
    """Write them, in the order of the index's rows."""
    (folder / FILE).write_text(json.dumps([asdict(item) for item in items], indent=1) + "\n")


def read(folder: Path) -> list[Item]:
    """Read them.

    Raises:
        NotLoadable: the file is missing or is something else.
    """
    try:
        rows = json.loads((folder / FILE).read_text())
        return [Item(**{**row, "colours": tuple(tuple(one) for one in row["colours"])}) for row in rows]
    except FileNotFoundError:
        raise NotLoadable(f"{FILE} is not in the archive; train again, or add it") from None
    except (ValueError, TypeError, KeyError) as error:
        raise NotLoadable(f"{FILE} is not what training writes ({error}); train again") from None
