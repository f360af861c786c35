"""A Dockerfile as a list of instructions (reference: docs.docker.com, "Dockerfile reference"); nothing is built."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

COMMENT = re.compile(r"^\s*#")
HEREDOC = re.compile(r"<<-?\s*[\"']?(\w+)[\"']?")
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")
LAMBDA_BASES = ("public.ecr.aws/lambda/", "amazon/aws-lambda-")
LAMBDA_TASK_ROOT = "/var/task"  # WORKDIR of those images
FLAG = re.compile(r"^--([a-z]+)(?:=(\S+))?\s+")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its word in capitals, the rest of it, its flags, and its line."""

    word: str
    rest: str
    line: int
    flags: Mapping[str, str] = field(default_factory=dict)

    @property
    def exec_form(self) -> tuple[str, ...] | None:
        """The words of a JSON array; None for the shell form."""
        try:
            words = json.loads(self.rest)
        except ValueError:
            return None
        return tuple(words) if isinstance(words, list) and all(isinstance(one, str) for one in words) else None


@dataclass(slots=True)
class Stage:
    """The last stage, which becomes the image: what it starts from, and its instructions."""

    base: Instruction
    instructions: list[Instruction] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def is_lambda(self) -> bool:
        """Whether it starts from one of AWS's base images for Lambda, whose ENTRYPOINT is the runtime."""
        return any(base in self.base.rest for base in LAMBDA_BASES)

    def last(self, word: str) -> Instruction | None:
        """The one that counts."""
        return next((one for one in reversed(self.instructions) if one.word == word), None)

    def expanded(self, text: str) -> str:
        """The text with the known variables replaced."""
        return VARIABLE.sub(self._value, text)

    def _value(self, found: re.Match[str]) -> str:
        return self.variables.get(found[1] or found[3], found[2] or found[0])


def read_dockerfile(path: Path) -> tuple[list[Instruction], Stage | None]:
    """Every instruction, and the last stage (None without a FROM)."""
    instructions = _instructions(path.read_text("utf-8", "replace"))
    stage: Stage | None = None
    named: dict[str, Stage] = {}
    for one in instructions:
        if one.word == "FROM":
            words = one.rest.split()
            before = named.get(words[0].lower()) if words else None
            stage = Stage(before.base if before else one, list(before.instructions) if before else [])
            stage.variables = dict(before.variables) if before else _known(one.rest)
            if len(words) == 3 and words[1].lower() == "as":
                named[words[2].lower()] = stage
        elif stage is not None:
            stage.instructions.append(one)
            if one.word in ("ENV", "ARG"):
                stage.variables |= _assignments(stage.expanded(one.rest))
    return instructions, stage


def _known(base: str) -> dict[str, str]:
    """Variables that well-known base images set."""
    if "lambda/" not in base and not any(one in base for one in LAMBDA_BASES):
        return {}
    return {"LAMBDA_TASK_ROOT": LAMBDA_TASK_ROOT, "LAMBDA_RUNTIME_DIR": "/var/runtime"}


def _instructions(text: str) -> list[Instruction]:
    found: list[Instruction] = []
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        first, so_far = number + 1, ""
        while number < len(lines):
            line = lines[number]
            number += 1
            if COMMENT.match(line) or (so_far and not line.strip()):
                continue
            so_far += line.rstrip().removesuffix("\\")
            if not line.rstrip().endswith("\\"):
                break
        number = _past_heredocs(so_far, lines, number)
        if so_far.strip():
            found.append(_instruction(so_far.strip(), first))
    return found


def _past_heredocs(text: str, lines: list[str], number: int) -> int:
    for word in HEREDOC.findall(text):
        while number < len(lines) and lines[number].strip() != word:
            number += 1
        number += 1
    return number


def _instruction(text: str, line: int) -> Instruction:
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    flags: dict[str, str] = {}
    while (flag := FLAG.match(rest + " ")) is not None:
        flags[flag[1]] = flag[2] or ""
        rest = rest[flag.end() :].strip()
    return Instruction(word.upper(), rest, line, flags)


def _assignments(text: str) -> dict[str, str]:
    if "=" not in text.split(" ", 1)[0]:
        name, _, value = text.partition(" ")
        return {name: value.strip()} if value else {}
    pairs = [part.partition("=") for part in text.split()]
    return {name: value.strip("\"'") for name, _, value in pairs if value}
