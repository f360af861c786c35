"""The big backends: nothing takes their place."""

import pytest
from generator import NotLoadable
from studio.handler import Studio


@pytest.mark.parametrize("backend", ["sdxl", "flux", "magic"])
def test_a_backend_that_cannot_be_had_is_no_reason_to_take_another(monkeypatch, backend):
    monkeypatch.setenv("STUDIO_BACKEND", backend)
    with pytest.raises(NotLoadable, match=backend):
        Studio()
