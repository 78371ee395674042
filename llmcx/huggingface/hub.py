"""A config.json from the Hugging Face hub, through its own client (the optional extra llmcx[hub]).

Only config.json is asked for. The client's settings apply: HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE.
"""

from __future__ import annotations

import logging
import os
import re

from llmcx.errors import InputError


def config_path(repo: str) -> str:
    """The local path of ORG/NAME's config.json (ORG/NAME@REVISION for another revision), downloaded if it is not cached.

    Raises InputError, one sentence, without the extra, for a name that is none, a repository or file that is not there or not
    open to the user, and when offline.
    """
    name, _, revision = repo.partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise InputError(f"--hf is {repo[:80]!r}, but must be ORG/NAME", field="hf", value=repo[:80], allowed="ORG/NAME")
    # Both are read when the client is imported: one small file needs no bar, and it is nobody's business who asks.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError:
        raise InputError("--hf needs the optional extra: pip install 'llmcx[hub]'", field="hf", value=repo) from None
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # we say what failed, once
    try:
        return str(hf_hub_download(name, "config.json", revision=revision or None))
    except GatedRepoError:
        problem = "is gated: accept its terms on the hub and set HF_TOKEN"
    except RevisionNotFoundError:
        problem = f"has no revision {revision!r}"
    except RepositoryNotFoundError:
        problem = "is not on the hub, or is private: check the name, or set HF_TOKEN"
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        problem = "is not in the local cache, and the hub cannot be reached (offline?)"
    except EntryNotFoundError:
        problem = "has no config.json"
    except HfHubHTTPError as error:
        problem = f"could not be read from the hub: {str(error).splitlines()[0]}"
    except OSError as error:
        problem = f"could not be read from the hub: {type(error).__name__}"
    raise InputError(f"{repo} {problem}", field="hf", value=repo)
