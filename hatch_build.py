"""The wheel's data: every file of presets/, and the index of them that a checkout writes for itself on first use."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Presets(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the data into a wheel that is to be installed; an editable one finds it in the checkout."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from llmcx.catalog.presets import index

        self.directory_of_index = TemporaryDirectory()  # removed with this object, after the build
        written = Path(self.directory_of_index.name, "index.json")
        written.write_text(index(), encoding="utf-8")
        root = Path(self.root)
        found = [path for path in sorted(root.glob("presets/**/*")) if path.suffix in (".yaml", ".txt")]
        files = {str(path): path.relative_to(root).as_posix() for path in found}
        files[str(written)] = "presets/index.json"
        build_data["force_include"].update({path: f"llmcx/{inside}" for path, inside in files.items()})
