import pytest

import generator


@pytest.fixture(scope="session")
def model():
    return generator.load(device="cpu")
