"""Which distribution brings which module: the names differ, and nothing but the distribution itself says how.

A table of the well-known ones, and the rules by which most others are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# module -> distributions that bring it; the first is the one to recommend
DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "Crypto": ("pycryptodome", "pycrypto"),
    "IPython": ("ipython",),
    "OpenSSL": ("pyopenssl",),
    "PIL": ("pillow", "pillow-simd"),
    "PyQt5": ("pyqt5",),
    "absl": ("absl-py",),
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "clip": ("openai-clip", "clip-anytorch", "clip"),
    "cog": ("cog",),
    "cuda": ("cuda-python",),
    "cv2": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    "dateutil": ("python-dateutil",),
    "docx": ("python-docx",),
    "dotenv": ("python-dotenv",),
    "faiss": ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu12", "faiss"),
    "ffmpeg": ("ffmpeg-python",),
    "fitz": ("pymupdf",),
    "flash_attn": ("flash-attn",),
    "git": ("gitpython",),
    "google": ("protobuf", "google-cloud-storage", "google-api-core"),
    "grpc": ("grpcio",),
    "hydra": ("hydra-core",),
    "jose": ("python-jose",),
    "jwt": ("pyjwt",),
    "kornia": ("kornia",),
    "lightning": ("lightning", "pytorch-lightning"),
    "magic": ("python-magic",),
    "mpl_toolkits": ("matplotlib",),
    "multipart": ("python-multipart",),
    "mysql": ("mysql-connector-python",),
    "onnx": ("onnx",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml"),
    "open_clip": ("open-clip-torch",),
    "osgeo": ("gdal",),
    "paddle": ("paddlepaddle", "paddlepaddle-gpu"),
    "pkg_resources": ("setuptools",),
    "distutils": ("setuptools",),
    "psycopg2": ("psycopg2-binary", "psycopg2"),
    "pycocotools": ("pycocotools",),
    "pytorch_lightning": ("pytorch-lightning",),
    "rapidfuzz": ("rapidfuzz",),
    "rapidocr_onnxruntime": ("rapidocr-onnxruntime",),
    "sam2": ("sam-2", "sam2"),
    "segment_anything": ("segment-anything",),
    "sentence_transformers": ("sentence-transformers",),
    "serial": ("pyserial",),
    "setuptools": ("setuptools",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "slugify": ("python-slugify",),
    "soundfile": ("soundfile",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-gpu"),
    "tflite_runtime": ("tflite-runtime",),
    "torch": ("torch",),
    "tree": ("dm-tree",),
    "trimesh": ("trimesh",),
    "umap": ("umap-learn",),
    "usearch": ("usearch",),
    "websocket": ("websocket-client",),
    "wx": ("wxpython",),
    "xgboost": ("xgboost", "xgboost-cpu"),
    "yaml": ("pyyaml",),
    "zmq": ("pyzmq",),
}
# Modules that often come along with what is required: their absence from a requirements file proves nothing.
COME_ALONG = frozenset(
    {
        *(
            "aiohttp",
            "anyio",
            "attr",
            "attrs",
            "boto3",
            "botocore",
            "certifi",
            "charset_normalizer",
            "click",
            "cloudpickle",
        ),
        *(
            "contourpy",
            "cycler",
            "dateutil",
            "dill",
            "distutils",
            "einops",
            "filelock",
            "fsspec",
            "google",
            "h11",
            "httpcore",
        ),
        *(
            "httpx",
            "huggingface_hub",
            "idna",
            "imageio",
            "importlib_metadata",
            "jinja2",
            "jmespath",
            "joblib",
            "jsonschema",
        ),
        *("kiwisolver", "lazy_loader", "lightning_utilities", "llvmlite", "markupsafe", "matplotlib", "more_itertools"),
        *("mpl_toolkits", "mpmath", "multidict", "multiprocess", "networkx", "numba", "numpy", "nvidia", "onnx"),
        *(
            "packaging",
            "pandas",
            "PIL",
            "pkg_resources",
            "platformdirs",
            "psutil",
            "pyarrow",
            "pydantic",
            "pydantic_core",
        ),
        *("pyparsing", "pytz", "regex", "requests", "rich", "s3transfer", "safetensors", "scipy", "sentencepiece"),
        *("setuptools", "shapely", "six", "skimage", "sklearn", "starlette", "sympy", "threadpoolctl", "tifffile"),
        *(
            "timm",
            "tokenizers",
            "torch",
            "torchvision",
            "tqdm",
            "transformers",
            "triton",
            "typing_extensions",
            "tzdata",
        ),
        *("urllib3", "uvicorn", "werkzeug", "xxhash", "yaml", "yarl", "zipp"),
    }
)
SHARED_NAMESPACES = frozenset({"azure", "backports", "google", "jaraco", "nvidia", "opentelemetry", "ruamel", "zope"})
# Names that people write in requirements files although no distribution of that name brings the module.
MISNAMED = {
    "cv2": "opencv-python-headless",
    "dotenv": "python-dotenv",
    "opencv": "opencv-python-headless",
    "pil": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "faiss": "faiss-cpu",
    "dateutil": "python-dateutil",
}
AFFIXES = re.compile(
    r"^(python|py)-|-(python|py|binary|headless|cpu|gpu|core|lib|sdk|client|cu\d+|py3)$|^py(?=[a-z]{3,})", re.IGNORECASE
)


def canonical(name: str) -> str:
    """A distribution's name as the Simple index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def brings(distributions: Iterable[str], module: str) -> bool:
    """Whether one of the distributions (canonical names) surely or very likely brings the top-level module."""
    own = canonical(module)
    listed = DISTRIBUTIONS.get(module, ())
    for distribution in distributions:
        if distribution == own or distribution in listed:
            return True
        if module in SHARED_NAMESPACES and distribution.startswith(f"{own}-"):
            return True
        if module not in DISTRIBUTIONS and own in (AFFIXES.sub("", distribution), distribution.replace("-", "")):
            return True
    return False


def is_explained(distribution: str, modules: Iterable[str]) -> bool:
    """Whether it is known what a distribution is for: it has a table entry, or one of the modules is named like it."""
    if any(distribution in names for names in DISTRIBUTIONS.values()):
        return True
    if distribution.replace("-", "_") in COME_ALONG or distribution in MISNAMED.values():
        return True
    return any(brings((distribution,), module) for module in modules)


def distribution_of(module: str) -> str:
    """What to require for a module."""
    return DISTRIBUTIONS.get(module, (module.replace("_", "-"),))[0]
