"""The weight files that a path names, on the disk or on the hub."""

from __future__ import annotations

from pathlib import Path

from llmcx.huggingface.gguf import local
from llmcx.huggingface.hub import is_repo, weight_files
from llmcx.huggingface.weights import INDEX, MAX_HEADER, File, Stored, choose, summed, tensors, wrong


def read(path: str) -> Stored:
    """The weights in a file, in all the .safetensors or .gguf files of a directory, or of ORG/NAME on the hub (:func:`files`)."""
    chosen = files(path)
    return summed(len(chosen), (tensor for file in chosen for tensor in tensors(file)))


def files(path: str) -> list[File]:
    """The files of one model: a file, those of a directory, or those of ORG/NAME[/FILE][@REVISION] on the hub, of which only the
    headers are read.

    Raises InputError for what is none of them, for missing shards, and for several models side by side.
    """
    root = Path(path)
    try:
        if root.is_file():
            return [local(root)]
        if root.is_dir():
            names = {child.name for child in root.iterdir() if child.is_file()}
            return [local(root / name) for name in choose(path, names, lambda: _index_text(root / INDEX))]
        if root.exists():
            raise wrong(path, "is neither a file nor a directory")
    except OSError as error:  # a name too long, a loop of links, a directory that may not be read
        raise wrong(path, f"cannot be read: {error.strerror}") from None
    if not is_repo(path):
        raise wrong(path, "does not exist")
    return weight_files(path)


def _index_text(path: Path) -> str:
    if path.stat().st_size > MAX_HEADER:
        raise wrong(str(path), "is larger than 100 MB")
    return path.read_text("utf-8")
