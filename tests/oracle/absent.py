"""Stand-ins for kernels of GPUs, which are not installed where an engine is asked on a CPU, and which nothing there runs."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from typing import Any
from unittest.mock import MagicMock


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Packages of the names ``packages``, in which is whatever is asked for."""

    def __init__(self, *packages: str) -> None:
        self.packages = packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> Any:
        return MagicMock(__path__=[], __spec__=spec)

    def exec_module(self, module: Any) -> None:
        pass


def stand_in(*packages: str) -> None:
    """From now on ``packages`` can be imported."""
    sys.meta_path.append(Absent(*packages))
