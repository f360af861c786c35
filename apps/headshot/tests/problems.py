"""Requests that are refused, with what they are answered: the report's own, and more of their kind."""

FIELD_NAMES = "prompt, user_id, seed"
PROMPT = "portrait of a person with glasses"
BAD_ID = ("User ID contains invalid characters", "user_id_invalid_format", "user_id")
BAD_PROMPT = ("Prompt contains invalid characters", "prompt_invalid_characters", "prompt")
NO_PROMPT = ("Missing required field: 'prompt'", "missing_field", "prompt")
LONG_PROMPT = ("Prompt is too long. Maximum length: 1000 characters", "prompt_too_long", "prompt")
NO_USER_ID = ("Missing required field: 'user_id'", "missing_field", "user_id")

# The sixth of the report, no GPU, is none of the request: see test_start.py.
REPORTED = [
    ({"user_id": "test"}, NO_PROMPT),
    ({"prompt": "test"}, NO_USER_ID),
    ({}, NO_PROMPT),
    ({"prompt": "A" * 1001, "user_id": "test"}, LONG_PROMPT),
    ({"prompt": "test", "user_id": "user@domain.com"}, BAD_ID),
]
MORE = [
    ({"prompt": None, "user_id": "test"}, NO_PROMPT),
    ({"prompt": PROMPT, "user_id": None}, NO_USER_ID),
    ({"prompt": "", "user_id": "test"}, ("Prompt cannot be empty", "prompt_empty", "prompt")),
    ({"prompt": " \n\t\u3000 ", "user_id": "test"}, ("Prompt cannot be empty", "prompt_empty", "prompt")),
    (
        {"prompt": "ab", "user_id": "test"},
        ("Prompt is too short. Minimum length: 3 characters", "prompt_too_short", "prompt"),
    ),
    ({"prompt": 7, "user_id": "test"}, ("Prompt must be a string", "prompt_invalid_type", "prompt")),
    ({"prompt": ["a face"], "user_id": "test"}, ("Prompt must be a string", "prompt_invalid_type", "prompt")),
    ({"prompt": "a face\x00", "user_id": "test"}, BAD_PROMPT),
    ({"prompt": "a \x1b[31mred face", "user_id": "test"}, BAD_PROMPT),
    ({"prompt": "half a \ud83d face", "user_id": "test"}, BAD_PROMPT),
    ({"prompt": "\u0001", "user_id": "test"}, BAD_PROMPT),
    ({"prompt": "e\u0301" * 1001, "user_id": "test"}, LONG_PROMPT),
    ({"prompt": "face " * 100_000, "user_id": "test"}, LONG_PROMPT),
    ({"prompt": PROMPT, "user_id": ""}, ("User ID cannot be empty", "user_id_empty", "user_id")),
    ({"prompt": PROMPT, "user_id": 7}, ("User ID must be a string", "user_id_invalid_type", "user_id")),
    ({"prompt": PROMPT, "user_id": {"id": "x"}}, ("User ID must be a string", "user_id_invalid_type", "user_id")),
    ({"prompt": PROMPT, "user_id": True}, ("User ID must be a string", "user_id_invalid_type", "user_id")),
    (
        {"prompt": PROMPT, "user_id": "u" * 65},
        ("User ID is too long. Maximum length: 64 characters", "user_id_too_long", "user_id"),
    ),
    (
        {"prompt": PROMPT, "user_id": "../" * 100_000},
        ("User ID is too long. Maximum length: 64 characters", "user_id_too_long", "user_id"),
    ),
    ({"prompt": PROMPT, "user_id": ".."}, BAD_ID),
    ({"prompt": PROMPT, "user_id": "../other"}, BAD_ID),
    ({"prompt": PROMPT, "user_id": "%2e%2e%2fother"}, BAD_ID),
    ({"prompt": PROMPT, "user_id": "a/../../other"}, BAD_ID),
    ({"prompt": PROMPT, "user_id": "/etc/passwd"}, BAD_ID),
    ({"prompt": PROMPT, "user_id": "..\\other"}, BAD_ID),
    ({"prompt": PROMPT, "user_id": "test\x00"}, BAD_ID),
    ({"prompt": PROMPT, "user_id": "test\n"}, BAD_ID),
    ({"prompt": PROMPT, "user_id": " test"}, BAD_ID),
    ({"prompt": PROMPT, "user_id": "\uff0e\uff0e\uff0fother"}, BAD_ID),  # full-width dots and slash
    ({"prompt": PROMPT, "user_id": "te\u0455t"}, BAD_ID),  # a Cyrillic letter that looks like an s
    ({"prompt": PROMPT, "user_id": "\u0661\u0662"}, BAD_ID),  # digits, but none of ASCII's
    ({"prompt": PROMPT, "user_id": "-rf"}, BAD_ID),
    ({"prompt": PROMPT, "user_id": "test", "seed": "7"}, ("Seed must be a whole number", "seed_invalid_type", "seed")),
    ({"prompt": PROMPT, "user_id": "test", "seed": True}, ("Seed must be a whole number", "seed_invalid_type", "seed")),
    (
        {"prompt": PROMPT, "user_id": "test", "seed": -1},
        ("Seed is out of range. Valid: 0 to 4294967295", "seed_out_of_range", "seed"),
    ),
    ({"prompt": PROMPT, "user_id": "test", "Prompt": "x"}, ("Unknown field: 'Prompt'", "unknown_field", "Prompt")),
    ({"prompt": PROMPT, "user_id": "test", "path": "/"}, ("Unknown field: 'path'", "unknown_field", "path")),
]
NO_OBJECT = [[], "a face", 7, True, ["prompt", "user_id"]]
