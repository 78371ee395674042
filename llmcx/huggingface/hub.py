"""A config.json, and the headers of weight files, from the Hugging Face hub, through its own client (the extra llmcx[hub]).

Of weights only the headers are asked for, by ranges of bytes. The client's settings apply: HF_HOME, HF_TOKEN, HF_ENDPOINT,
HF_HUB_OFFLINE.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from llmcx.errors import InputError, Unreachable
from llmcx.huggingface.weights import INDEX, File, choose

_REPO = re.compile(r"([\w.-]+/[\w.-]+)(?:/([^@]+))?(?:@(.+))?")
_BLOCK = 2**18
"""Bytes asked for at a time: most headers are smaller."""


def is_repo(text: str) -> bool:
    """Whether a text could be ORG/NAME[/FILE][@REVISION], and is no path that begins with a dot."""
    return _REPO.fullmatch(text) is not None and not text.startswith(".")


def config_path(repo: str) -> str:
    """The local path of ORG/NAME's config.json (ORG/NAME@REVISION for another revision), downloaded if it is not cached.

    Raises InputError, one sentence, without the extra, for a name that is none, a repository or file that is not there or not
    open to the user, and when offline.
    """
    name, _, revision = repo.partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise InputError(f"--hf is {repo[:80]!r}, but must be ORG/NAME", field="hf", value=repo[:80], allowed="ORG/NAME")
    with _asking(repo, revision, "hf"):
        from huggingface_hub import hf_hub_download

        return str(hf_hub_download(name, "config.json", revision=revision or None, local_files_only=not _known()))


def weight_files(repo: str) -> list[File]:
    """The weight files of ORG/NAME, or the one that ORG/NAME/FILE names; @REVISION for another revision. Nothing but headers is
    read of them, and the index that names them. Raises InputError as :func:`config_path` does.
    """
    match = _REPO.fullmatch(repo)
    assert match is not None  # see is_repo
    name, wanted, revision = match.groups()
    root = name + (f"@{revision.replace('/', '%2F')}" if revision else "")
    with _asking(repo, revision or "", "weights"):
        from huggingface_hub import HfFileSystem, hf_hub_download
        from huggingface_hub.errors import OfflineModeIsEnabled

        if not _known():
            raise OfflineModeIsEnabled
        client = HfFileSystem()
        folder, _, named = (wanted or "").rpartition("/")
        where = f"{root}/{folder}" if folder else root
        listed = cast("list[dict[str, Any]]", client.ls(where))
        sizes: dict[str, int] = {each["name"].rpartition("/")[2]: each["size"] for each in listed if each["type"] == "file"}

        def index() -> str:
            return Path(hf_hub_download(name, f"{folder}/{INDEX}".lstrip("/"), revision=revision)).read_text("utf-8")

        if named and named not in sizes:
            raise InputError(f"{repo} is not on the hub", field="weights", value=repo)
        chosen = [named] if named else choose(repo, sizes, index)

        def opened(file: str) -> BinaryIO:
            with _asking(repo, revision or "", "weights"):
                remote = client.open(f"{where}/{file}", block_size=_BLOCK)
                remote.read(1)  # whether it may be read at all
                remote.seek(0)
                return cast(BinaryIO, remote)

        return [File(f"{where}/{file}", sizes[file], partial(opened, file)) for file in chosen]


def _known() -> bool:
    """Whether the hub's name is found in the network: where it is not, the client asks for it again for half a minute."""
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    from huggingface_hub.constants import ENDPOINT

    if getproxies():  # which finds it then
        return True
    try:
        return bool(socket.getaddrinfo(urlsplit(ENDPOINT).hostname, None))
    except OSError:
        return False


@contextmanager
def _asking(repo: str, revision: str, field: str) -> Iterator[None]:
    """What the client may raise, in one sentence."""
    # Both are read when the client is imported: one small file needs no bar, and it is nobody's business who asks.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
        from huggingface_hub.utils.logging import set_verbosity
    except ImportError:
        problem = "what is on the hub needs the optional extra: pip install 'llmcx[hub]'"
        raise Unreachable(problem, field=field, value=repo) from None
    set_verbosity(logging.CRITICAL)  # we say what failed, once
    try:
        yield
        return
    except InputError:
        raise
    except Exception as error:
        # The client's file system says FileNotFoundError for whatever it was that the hub said.
        cause = error.__cause__ if type(error) is FileNotFoundError and error.__cause__ is not None else error
    if isinstance(cause, GatedRepoError):
        problem = "is gated: accept its terms on the hub and set HF_TOKEN"
    elif isinstance(cause, RevisionNotFoundError):
        problem = f"has no revision {revision!r}"
    elif isinstance(cause, RepositoryNotFoundError):
        problem = "is not on the hub, or is private: check the name, or set HF_TOKEN"
    elif isinstance(cause, (LocalEntryNotFoundError, OfflineModeIsEnabled)):
        problem = "is not in the local cache, and the hub cannot be reached (offline?)"
        raise Unreachable(f"{repo} {problem}", field=field, value=repo)
    elif isinstance(cause, (EntryNotFoundError, FileNotFoundError)):
        problem = "has no config.json" if field == "hf" else "is not on the hub"
    elif isinstance(cause, HfHubHTTPError):
        problem = f"could not be read from the hub: {str(cause).splitlines()[0]}"
    elif isinstance(cause, OSError) or type(cause).__module__.startswith(("httpx", "requests")):
        problem = f"could not be read from the hub: {type(cause).__name__}"
    else:
        raise cause
    raise InputError(f"{repo} {problem}", field=field, value=repo)
