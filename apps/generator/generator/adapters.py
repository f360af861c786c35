"""LoRA adapters in a pipeline: checked, attached, put on and taken off.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021; by diffusers and peft.
"""

import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generator.errors import BadAdapter
from generator.weights import shapes_of

BACKEND = "base_backend"  # in the metadata of an adapter: what it was trained for
WEIGHTS = "base_weights"  # and the identity of the weights, where they had one
PARTS = ("unet", "transformer")  # the denoiser, by the names of diffusers


class Adapters:
    """Those of one pipeline, the least recently used first."""

    def __init__(self, pipeline, backend: str, weights: str | None) -> None:
        self._pipeline = pipeline
        self._backend = backend
        self._weights = weights
        self._names: OrderedDict[str, str] = OrderedDict()  # to the name inside the pipeline, which peft restricts
        self._made = 0

    def names(self) -> list[str]:
        """What is attached."""
        return list(self._names)

    def attach(self, name: str, path: Path) -> None:
        """Load an adapter under a name; one of that name is replaced.

        Raises:
            BadAdapter: the file is no adapter or is another model's. Nothing has changed then.
        """
        check(path, self._backend, self._weights, self._pipeline)
        self._made += 1
        inner = f"adapter{self._made}"
        try:
            with several_adapters():
                self._pipeline.load_lora_weights(str(path), adapter_name=inner, local_files_only=True)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            self._forget(inner)
            raise BadAdapter(f"{path} does not fit the backend {self._backend}: {error}") from error
        if inner not in self._loaded():
            raise BadAdapter(f"{path} has nothing for the backend {self._backend}")
        if name in self._names:
            self.detach(name)
        self._names[name] = inner
        self._pipeline.disable_lora()

    def detach(self, name: str) -> None:
        """Forget an adapter.

        Raises:
            BadAdapter: there is none of that name.
        """
        self._forget(self._inner(name))
        del self._names[name]

    def wear(self, name: str | None, scale: float) -> None:
        """Draw with this adapter from now on, or with none.

        Raises:
            BadAdapter: there is none of that name.
        """
        if name is None:
            if self._names:
                self._pipeline.disable_lora()
            return
        self._pipeline.set_adapters([self._inner(name)], [scale])
        self._pipeline.enable_lora()
        self._names.move_to_end(name)

    def _inner(self, name: str) -> str:
        if name not in self._names:
            attached = ", ".join(self._names) or "none"
            raise BadAdapter(f"no adapter {name!r} is attached; attached: {attached}")
        return self._names[name]

    def _loaded(self) -> set[str]:
        return {inner for names in self._pipeline.get_list_adapters().values() for inner in names}

    def _forget(self, inner: str) -> None:
        if inner in self._loaded():
            with several_adapters():
                self._pipeline.delete_adapters([inner])


@contextmanager
def several_adapters() -> Iterator[None]:
    """peft warns of a second adapter in one model, and of one that goes; here that is what is wanted."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"peft\.")
        yield


def check(path: Path, backend: str, weights: str | None, pipeline) -> None:
    """Look at an adapter's header before it is loaded.

    Raises:
        BadAdapter: it is no `.safetensors`, is cut off, has no LoRA, or one whose shapes are another model's; or it was
            trained on other weights than these, and both are known.
    """
    try:
        told, shapes = shapes_of(path)
    except OSError as error:
        raise BadAdapter(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadAdapter(f"{path} {error}") from None
    trained_for = told.get(BACKEND)
    if trained_for not in (None, backend):
        raise BadAdapter(f"{path} was trained for the backend {trained_for}, and this is {backend}")
    if weights is not None and told.get(WEIGHTS, weights) != weights:
        raise BadAdapter(f"{path} was trained on other weights of {backend} than these; train it again")
    if not any("lora" in name for name in shapes):
        raise BadAdapter(f"{path} has no LoRA matrices; is it a whole model?")
    _check_shapes(path, shapes, pipeline)


def _check_shapes(path: Path, shapes: dict[str, list[int]], pipeline) -> None:
    """Matrices in peft's naming must fit the modules that they name; other namings are read by diffusers alone."""
    for key, found in shapes.items():
        part, _, rest = key.partition(".")
        module, _, side = rest.partition(".lora_")
        if part not in PARTS or side not in ("A.weight", "B.weight"):
            continue
        try:
            meant = getattr(pipeline, part).get_submodule(module)
        except AttributeError:
            raise BadAdapter(f"{path} is another model's: this one has no {part}.{module}") from None
        shape = getattr(meant, "base_layer", meant).weight.shape
        wanted, there = (shape[1], found[1:2]) if side[0] == "A" else (shape[0], found[:1])
        if [wanted] != there:
            raise BadAdapter(f"{path} is another model's: {key} has shape {found}, and {wanted} must be in it")
