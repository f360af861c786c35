import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    matches = {line: PIN.fullmatch(line) for line in lines}
    odd = [line for line, match in matches.items() if match is None]
    assert odd == [], "constraints.txt holds plain name==version lines only"
    return {match[1]: match[2] for match in matches.values() if match}


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [Requirement(text) for group in groups for text in group]
    return [one for one in requirements if one.name != project["name"]]


def test_every_declared_dependency_is_pinned_within_its_range() -> None:
    pinned = pins()
    unpinned = [one.name for one in declared() if canonicalize_name(one.name) not in pinned]
    assert unpinned == []
    outside = [str(one) for one in declared() if pinned[canonicalize_name(one.name)] not in one.specifier]
    assert outside == []
