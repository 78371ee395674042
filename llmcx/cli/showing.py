"""What a sequence shows beside its text: images and a sound, the same options in every command that counts them."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from llmcx.cli.options import option
from llmcx.errors import InputError, shown
from llmcx.model.pictures import NOTHING, RATE, Heard, Seen, Shown, look
from llmcx.model.spec import ModelSpec

_SIZE = re.compile(r"(\d{1,6})\s*[xX×]\s*(\d{1,6})", re.ASCII)
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|min|m|h)", re.ASCII)
_SECONDS = {"ms": "0.001", "s": "1", "m": "60", "min": "60", "h": "3600"}
_LONGEST = 24 * 3600
_COUNT = 10**6


@dataclass(frozen=True)
class Showing:
    """Images and a sound in each sequence. Their tokens are added to --seq, which is the text's."""

    image: Annotated[
        str | None,
        option("An image in each sequence, beside the text: 1024x768.", metavar="WxH", group="Images", needs="not train"),
    ] = None
    images: Annotated[int | None, option("So many of them. Default: 1.", reads="count", rare=True, needs="not train,image")] = (
        None
    )
    audio: Annotated[
        str | None,
        option("A sound in each sequence, beside the text, with its unit: 30s.", metavar="TIME", rare=True, needs="not train"),
    ] = None

    @property
    def given(self) -> bool:
        """Whether anything is shown."""
        return self.image is not None or self.audio is not None

    def of(self, spec: ModelSpec) -> Shown:
        """What these are to a model. Raises InputError where it does not see or hear, or how is not known."""
        if not self.given:
            return NOTHING
        if spec.reads_source:
            flag = "image" if self.image is not None else "audio"
            problem = f"--{flag} is for a model that reads images or sounds among its text, and {spec.name} is an encoder-decoder"
            raise InputError(problem, field=flag)
        many = 1 if self.images is None else self.images
        if not 1 <= many <= _COUNT:
            allowed = f"between 1 and {_COUNT:,}"
            raise InputError(f"--images is {shown(many)}, but must be {allowed}", field="images", value=many, allowed=allowed)
        seen = None if self.image is None else self._seen(spec, self.image, many)
        return Shown(many if seen is not None else 0, seen, None if self.audio is None else self._heard(spec, self.audio))

    def _seen(self, spec: ModelSpec, text: str, many: int) -> Seen:
        width, height = _pixels(text)
        if spec.sight is None:
            raise _without(spec, "image", "sees", "vision_config", "cuts an image into patches")
        return look(spec.sight, width, height, many)

    def _heard(self, spec: ModelSpec, text: str) -> Heard:
        samples = _samples(text)
        if spec.hearing is None:
            raise _without(spec, "audio", "hears", "audio_config", "cuts a sound into tokens")
        return spec.hearing.hear(samples)

    def inputs(self, of: Shown, text: int) -> dict[str, Any]:
        """As JSON has them: what was asked, and what it became."""
        out: dict[str, Any] = {}
        if of.seen is not None:
            out |= {"image": self.image, "images": of.images, "image_tokens": of.seen.tokens}
            out |= {"image_tiles": of.seen.tiles and list(of.seen.tiles)}
            out["image_patches"] = [list(each) for each in of.seen.pictures]
        if of.heard is not None:
            out |= {"audio": self.audio, "audio_tokens": of.heard.tokens}
            out["audio_windows"] = [of.heard.windows, of.heard.frames]
        return out | ({"tokens": text + of.tokens} if out else {})

    def notes(self, spec: ModelSpec, of: Shown, engine: str = "") -> list[str]:
        """In words; of an ``engine``, where it has one."""
        found = []
        if of.seen is not None:
            each = " and ".join(f"{many} of {rows} × {columns} patches" for many, rows, columns in of.seen.pictures)
            cut = f", {of.seen.tiles[0]} × {of.seen.tiles[1]} tiles" if of.seen.tiles and of.seen.tiles != (1, 1) else ""
            found.append(f"an image of {self.image} is {of.seen.tokens:,} tokens beside --seq: pictures {each}{cut}")
            found.append(
                f"as its processor cuts images: {_rule(spec.sight)}; a preprocessor_config.json beside a config says otherwise"
            )
        if of.heard is not None:
            windows = f"{of.heard.windows} of {of.heard.frames:,} frames"
            found.append(
                f"a sound of {self.audio} is {of.heard.tokens:,} tokens beside --seq: windows {windows}, the last one padded"
            )
        if found and engine == "vllm":
            found.append("the workspace of vllm is that of text: what its towers take when it starts is not known here")
        return found


def _rule(rule: Any) -> str:
    """A rule's sizes in words; a list of them by its length."""
    sizes = rule._asdict()
    kind = sizes.pop("type")
    said = (f"{name} {f'{len(value) // 2} sizes' if isinstance(value, tuple) else value}" for name, value in sizes.items())
    return f"{kind}, {', '.join(said)}"


def _pixels(text: str) -> tuple[int, int]:
    """Width and height.

    >>> _pixels("1024x768"), _pixels("10000X1")
    ((1024, 768), (10000, 1))
    """
    match = _SIZE.fullmatch(text.strip())
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= min(width, height) <= max(width, height) <= 100_000:
        allowed = "WIDTHxHEIGHT in pixels, each between 1 and 100,000, as 1024x768"
        problem = f"--image is {shown(text)}, but must be {allowed}; a video is not counted"
        raise InputError(problem, field="image", value=text[:200], allowed=allowed)
    return width, height


def _samples(text: str) -> int:
    """Samples of a sound, 16,000 a second.

    >>> _samples("30s"), _samples("1.5m"), _samples("250ms")
    (480000, 1440000, 4000)
    """
    from decimal import Decimal  # which few calls need

    match = _TIME.fullmatch(text.strip())
    seconds = Decimal(match[1]) * Decimal(_SECONDS[match[2]]) if match else Decimal(0)
    if not Decimal("0.1") <= seconds <= _LONGEST:
        allowed = "a time with its unit, as 30s or 2m, of at least 0.1 s and at most a day"
        raise InputError(f"--audio is {shown(text)}, but must be {allowed}", field="audio", value=text[:200], allowed=allowed)
    return int(seconds * RATE)


def _without(spec: ModelSpec, flag: str, does: str, key: str, how: str) -> InputError:
    """The refusal where a model has no such sense, or its rule is not known."""
    fed = "image" if flag == "image" else "audio"
    if any(tower.fed == fed for tower in spec.towers):
        return InputError(f"--{flag} cannot be counted: how {spec.name} {how} is not known here", field=flag)
    hint = f"a preset is the language model alone, so give the config.json with its {key}"
    return InputError(f"--{flag} needs a model that {does}, and {spec.name} has no tower for it; {hint}", field=flag)
