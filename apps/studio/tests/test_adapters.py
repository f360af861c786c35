"""The cache of adapters: bounded, the least recently used goes first."""

import json

import pytest
from studio.adapters import Adapters, kept_max_of


@pytest.fixture
def files(samples, tmp_path):
    """The sample's adapter six times, each with a note of its own in its header: other files, other adapters."""
    whole = (samples / "adapter.safetensors").read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:end])
    made = []
    for number in range(6):
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


@pytest.mark.parametrize("kept", [1, 3, 4, 5])
def test_as_many_are_kept_as_are_asked_for(studio, files, kept):
    adapters = Adapters(studio._model, kept_max=kept)
    names = [adapters.ready(file) for file in files]
    assert studio._model.attached == names[-kept:]


def test_a_setting_that_is_no_number_is_named():
    assert (kept_max_of(""), kept_max_of("7")) == (4, 7)
    for wrong in ("many", "0", "-1", "65", "²"):
        with pytest.raises(ValueError, match=r"STUDIO_ADAPTERS_KEPT is .* give a whole number from 1 to 64"):
            kept_max_of(wrong)
