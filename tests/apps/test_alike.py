"""What two packages need alike lies in each: an archive has to run by itself. Neither copy goes its own way."""

from tests.apps.conftest import APPS

COPIES = ("gen3d/code/gen3d/weights.py", "fashion/src/fashion/weights.py")


def test_the_check_of_weights_is_one_text_in_both_archives() -> None:
    first, second = ((APPS / copy).read_text() for copy in COPIES)
    assert first == second
