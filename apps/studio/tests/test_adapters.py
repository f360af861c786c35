"""The cache of adapters: bounded, the least recently used goes first."""

import json

import pytest
from studio.adapters import Adapters


@pytest.fixture
def files(samples, tmp_path):
    """The sample's adapter four times, each with a note of its own in its header: other files, other adapters."""
    whole = (samples / "adapter.safetensors").read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:end])
    made = []
    for number in range(4):
        header["__metadata__"] = {**header.get("__metadata__", {}), "note": str(number)}
        said = json.dumps(header).encode()
        made.append(tmp_path / f"{number}.safetensors")
        made[-1].write_bytes(len(said).to_bytes(8, "little") + said + whole[end:])
    return made


def test_the_least_recently_used_goes_first(studio, files):
    model = studio._model
    adapters = Adapters(model, kept_max=2)
    first, second = adapters.ready(files[0]), adapters.ready(files[1])
    assert model.attached == [first, second]
    model.generate("a lake", steps=1, size=(64, 64), adapter=first)
    third = adapters.ready(files[2])
    assert model.attached == [first, third]
    assert adapters.ready(files[0]) == first
    assert adapters.ready(files[1]) == second
    assert (len(model.attached), second in model.attached) == (2, True)
