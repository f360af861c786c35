"""Filter patterns of CloudWatch Logs, as far as they are plain terms."""

import pytest

from seatrial.http.dialects import logs
from seatrial.http.dialects.aws_errors import AwsError


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR plan", "plan: ERROR", True),
        ("ERROR plan", "ERROR", False),
        ('"plan: ERROR"', "plan: ERROR", True),
        ('"ERROR plan"', "plan: ERROR", False),
        ("ERROR -plan", "ERROR", True),
        ("ERROR -plan", "plan ERROR", False),
        ("?ERROR ?WARN", "a WARN", True),
        ("?ERROR ?WARN", "fine", False),
        (r'"say \"hi\""', 'they say "hi" to you', True),
    ],
)
def test_terms(pattern: str, text: str, found: bool) -> None:
    assert logs.pattern(pattern).matches(text) is found


@pytest.mark.parametrize("pattern", ["{ $.level = 1 }", "[a, b]", "%ERR.R%", '"open'])
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(AwsError, match="pattern"):
        logs.pattern(pattern)


def test_groups_are_named_or_given_by_arn() -> None:
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/plans"
    for request in (
        {"logGroupName": "/aws/sagemaker/Endpoints/plans"},
        {"logGroupIdentifier": arn},
        {"logGroupIdentifier": arn + ":*"},
    ):
        assert logs.group_name(request) == "/aws/sagemaker/Endpoints/plans"
    with pytest.raises(AwsError, match="Exactly one"):
        logs.group_name({})


@pytest.mark.parametrize("token", ["", "f/1", "x/00000000000000000001", "f/0000000000000000000a"])
def test_a_foreign_token_is_refused(token: str) -> None:
    with pytest.raises(AwsError, match="nextToken is invalid"):
        logs.read_token(token)
