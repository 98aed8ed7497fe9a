"""The peer: the provider's generated classes, loaded as carefully as one can, or as their package loads itself.

The package's ``__init__`` imports all of its 2,100 submodules, whichever class is asked for. The careful way puts a
bare package module in its place first; then the submodules of the types that the stacks use can be imported one by one.

    python -m benchmarks.generated_bindings lean|stock
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

PACKAGE = "cdktf_cdktf_provider_aws"
BINDINGS = Path(__file__).resolve().parents[1] / "stacks" / "bindings.py"


def submodules() -> list[str]:
    """The submodule of every type that ``stacks/bindings.py`` names, and the provider's."""
    return ["provider", *re.findall(r'_resource\("aws_(\w+)"\)', BINDINGS.read_text())]


def load_lean() -> None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit(f"{PACKAGE} is not installed: run `make setup`")
    package = ModuleType(PACKAGE)
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules[PACKAGE] = package
    importlib.import_module(f"{PACKAGE}._jsii")  # loads the assembly, once
    for name in submodules():
        importlib.import_module(f"{PACKAGE}.{name}")


def load_stock() -> None:
    importlib.import_module(PACKAGE)


if __name__ == "__main__":
    {"lean": load_lean, "stock": load_stock}[sys.argv[1]]()
