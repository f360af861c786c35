"""What a request may say: a prompt, a user's id, a seed. All else is refused with its field and what is valid."""

import re
import unicodedata
from dataclasses import dataclass

from headshot.errors import BadRequest

PROMPT_CHARS_MIN = 3
PROMPT_CHARS_MAX = 1_000
USER_ID_CHARS_MAX = 64
SEED_MAX = 2**32 - 1
FIELDS = ("prompt", "user_id", "seed")
PROMPT_VALID = f"a text of {PROMPT_CHARS_MIN} to {PROMPT_CHARS_MAX} characters, without control characters"
USER_ID_VALID = f"1 to {USER_ID_CHARS_MAX} of the characters a-z, A-Z, 0-9, _ and -, the first a letter or a digit"
SEED_VALID = f"a whole number from 0 to {SEED_MAX}"
VALID = {"prompt": PROMPT_VALID, "user_id": USER_ID_VALID}
SHOWN_CHARS_MAX = 50
# Control characters that are no white space, and halves of surrogate pairs.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_USER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
JOINERS = "\u200c\u200d"  # scripts and emoji are written with them; other invisible characters only hide something
DECOMPOSED = 4  # NFC makes one character of so many at the most


@dataclass(frozen=True, slots=True)
class Request:
    """One that can be answered."""

    prompt: str
    user_id: str
    seed: int | None


def read(given: object) -> Request:
    """The request of a job's input.

    Raises:
        BadRequest: the first thing that is wrong with it.
    """
    if not isinstance(given, dict):
        raise BadRequest(
            "input_invalid_type", "Input must be an object", "input", f"an object with {', '.join(FIELDS)}"
        )
    for name, valid in VALID.items():
        if given.get(name) is None:
            raise BadRequest("missing_field", f"Missing required field: '{name}'", name, valid)
    prompt = sanitised_prompt(given["prompt"])
    user_id = checked_user_id(given["user_id"])
    seed = _checked_seed(given.get("seed"))
    for name in given:
        if name not in FIELDS:
            shown = str(name).encode("ascii", "backslashreplace").decode()[:SHOWN_CHARS_MAX]
            raise BadRequest("unknown_field", f"Unknown field: '{shown}'", shown, ", ".join(FIELDS))
    return Request(prompt, user_id, seed)


def sanitised_prompt(prompt: object) -> str:
    """In Unicode's form NFC, without invisible characters, with each run of white space as one space, none at the ends.

    Raises:
        BadRequest: it is no text, empty, too short, too long, or has control characters.
    """
    if not isinstance(prompt, str):
        raise _bad_prompt("invalid_type", "Prompt must be a string")
    if _CONTROL.search(prompt):
        raise _bad_prompt("invalid_characters", "Prompt contains invalid characters")
    text = " ".join(prompt.split())
    if (
        len(text) <= DECOMPOSED * PROMPT_CHARS_MAX
    ):  # what is longer is too long whatever its form, which would take long
        text = "".join(one for one in text if one in JOINERS or unicodedata.category(one) != "Cf")
        text = " ".join(unicodedata.normalize("NFC", text).split())
    if not text:
        raise _bad_prompt("empty", "Prompt cannot be empty")
    if len(text) > PROMPT_CHARS_MAX:
        raise _bad_prompt("too_long", f"Prompt is too long. Maximum length: {PROMPT_CHARS_MAX} characters")
    if len(text) < PROMPT_CHARS_MIN:
        raise _bad_prompt("too_short", f"Prompt is too short. Minimum length: {PROMPT_CHARS_MIN} characters")
    return text


def checked_user_id(user_id: object) -> str:
    """As it came: nobody's id is made into another's.

    Raises:
        BadRequest: it could be more than the name of one folder.
    """
    if not isinstance(user_id, str):
        raise _bad_user_id("invalid_type", "User ID must be a string")
    if not user_id:
        raise _bad_user_id("empty", "User ID cannot be empty")
    if len(user_id) > USER_ID_CHARS_MAX:
        raise _bad_user_id("too_long", f"User ID is too long. Maximum length: {USER_ID_CHARS_MAX} characters")
    if not _USER_ID.fullmatch(user_id):
        raise _bad_user_id("invalid_format", "User ID contains invalid characters")
    return user_id


def _checked_seed(seed: object) -> int | None:
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise BadRequest("seed_invalid_type", "Seed must be a whole number", "seed", SEED_VALID)
    if not 0 <= seed <= SEED_MAX:
        raise BadRequest("seed_out_of_range", f"Seed is out of range. Valid: 0 to {SEED_MAX}", "seed", SEED_VALID)
    return seed


def _bad_prompt(what: str, message: str) -> BadRequest:
    return BadRequest(f"prompt_{what}", message, "prompt", PROMPT_VALID)


def _bad_user_id(what: str, message: str) -> BadRequest:
    return BadRequest(f"user_id_{what}", message, "user_id", USER_ID_VALID)
