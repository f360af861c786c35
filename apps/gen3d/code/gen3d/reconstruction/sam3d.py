"""SAM 3D Objects from a folder with its checkpoint (`facebook/sam-3d-objects`) and a checkout of its code."""

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from gen3d.device import clear, settle
from gen3d.errors import NotLoadable
from gen3d.reconstruction import Object3D
from gen3d.weights import checked

VARIABLE = "GEN3D_SAM3D_WEIGHTS"
CODE_VARIABLE = "GEN3D_SAM3D_CODE"
NEEDED = ("pipeline.yaml",)
ENTRY = Path("notebook", "inference.py")
STEPS = {"fast": 12, "balanced": 25, "high": 50}  # of both of its diffusion stages; 25 is its own default
SEED = 42


class Sam3DObjects:
    """Its own `Inference`, as its demonstration uses it."""

    name = "sam3d-objects"

    def __init__(self, device: str, weights: str) -> None:
        folder = checked(weights, VARIABLE, NEEDED)
        if device != "cuda":
            raise NotLoadable("sam3d-objects runs on a GPU only, and this worker has none; take `inflation`, or a GPU")
        code = Path(os.environ.get(CODE_VARIABLE, "")) / ENTRY
        if not code.is_file():
            raise NotLoadable(f"{CODE_VARIABLE} must be a checkout of sam-3d-objects: {code} is not there")
        self.device = device
        self._inference = _loaded(code, folder / "pipeline.yaml")

    def reconstruct(self, picture: np.ndarray, mask: np.ndarray, quality: str) -> Object3D:
        """See `Reconstructor`."""
        pipeline = self._inference._pipeline
        pipeline.ss_inference_steps = pipeline.slat_inference_steps = STEPS[quality]
        try:
            made = self._inference(picture, mask, seed=SEED)
            settle(self.device)
            with tempfile.TemporaryDirectory() as folder:
                made["gs"].save_ply(f"{folder}/points.ply")
                points = Path(folder, "points.ply").read_bytes()
            mesh = made["glb"]
            counts = {
                "vertex_count": len(mesh.vertices),
                "face_count": len(mesh.faces),
                "watertight": bool(mesh.is_watertight),
            }
            bounds = [[round(float(one), 5) for one in corner] for corner in mesh.bounds]
            return Object3D(mesh.export(file_type="glb"), points, {**counts, "bounds": bounds})
        finally:
            clear(self.device)


def _loaded(code: Path, pipeline: Path) -> Any:
    """Its `Inference`, by its own code.

    Raises:
        NotLoadable: whatever that code raised, which wants some dozen libraries and many files.
    """
    spec = importlib.util.spec_from_file_location("sam3d_inference", code)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return module.Inference(str(pipeline), compile=False)
    except ImportError as error:
        said = f"the code of sam-3d-objects in {code.parents[1]} lacks a library ({error})"
        raise NotLoadable(f"{said}; install what its own setup asks for into this worker's environment") from error
    except Exception as error:  # a stranger's code and files: none of what they raise may pass for a model
        said = f"sam-3d-objects does not load from {pipeline} ({type(error).__name__}: {error})"
        raise NotLoadable(f"{said}; fetch its checkpoint again, or point {VARIABLE} elsewhere") from error
