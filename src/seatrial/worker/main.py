"""Started by the user's interpreter: `python /path/to/worker/main.py SOCKET PERMITS ASKS`, three descriptors.

Nothing of ours may stand in the way of the user's modules: this folder leaves sys.path before anything else is
imported, and the rest of it is loaded as a package with a private name.
"""

import os
import sys

_FOLDER = __file__.rpartition("/")[0]
if __name__ == "__main__" and sys.path and sys.path[0] == _FOLDER:
    del sys.path[0]

import importlib.machinery  # noqa: E402  (only once our folder is off the path)
import importlib.util  # noqa: E402

_PRIVATE_NAME = "_seatrial_worker"


def adopt_package() -> None:
    """Load the rest of this folder under its private name."""
    spec = importlib.util.spec_from_file_location(
        _PRIVATE_NAME, _FOLDER + "/__init__.py", submodule_search_locations=[_FOLDER]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{_FOLDER} is not a package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PRIVATE_NAME] = package
    spec.loader.exec_module(package)


def main() -> int:
    """Serve until the server closes the socket; the exit code."""
    adopt_package()
    child = importlib.import_module(_PRIVATE_NAME + ".child")
    code: int = child.serve(*map(int, sys.argv[1:4]))
    return code


if __name__ == "__main__":
    exit_code = main()
    if exit_code:
        os._exit(exit_code)  # the server is out of reach: threads that the handler left behind are not waited for
    sys.exit(exit_code)
