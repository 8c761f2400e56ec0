"""Loading of foreign weights: errors of one line, comparison of tensors.

transformers initialises missing tensors at random and ignores tensors that the model does not have.
The functions here turn both cases into an error.
"""

import json
import pickle
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tonearm.errors import TonearmError
from tonearm.escapes import shortened

MAX_REASON = 300  # characters of a library's error in a message
NAMED = 3  # tensors listed per kind of fault
WRAPPERS = ("module", "_orig_mod")  # added by DataParallel and torch.compile
# In transformers' order of preference.
WEIGHTS, PICKLED_WEIGHTS = "model.safetensors", "pytorch_model.bin"
WEIGHTS_INDEX, PICKLED_INDEX = f"{WEIGHTS}.index.json", f"{PICKLED_WEIGHTS}.index.json"

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)

# Tensors of older releases that the model computes from its configuration, and the T5 decoder,
# which MusicGen does not use.
REDUNDANT = re.compile(
    r"(^|\.)(embed_positions\.weights|position_ids|token_type_ids|rotary_emb\.inv_freq)$|^text_encoder\.decoder\."
)
# Names of weight normalisation in the released checkpoints, renamed by transformers at load.
RENAMED = {
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}

# Arguments of every `from_pretrained` call on a foreign checkpoint. Without the first, transformers
# offers at a terminal to run the checkpoint's own Python code.
NO_CODE: dict[str, Any] = {"trust_remote_code": False}
# Mismatched tensors are then listed in the loading info instead of in a table of the log.
REPORTED: dict[str, Any] = {"output_loading_info": True, "ignore_mismatched_sizes": True}


def may_be_hub_id(name: str) -> bool:
    """Whether a name that is no local folder may be that of a hub repository, and not a mistyped
    path: `owner/repository` without a local file or folder called `owner`.
    """
    owner = name.split("/")[0]
    return bool(HUB_ID.fullmatch(name)) and not Path(owner).exists()


def check_pretrained(
    name: str, source: str, model: Any, info: Mapping[str, Any], remedy: str
) -> None:
    """Compare the tensors of a transformers checkpoint with those of the loaded model.

    Args:
        name: checkpoint as the user gave it, for the message.
        source: folder or hub id that was loaded.
        model: the loaded transformers model.
        info: its loading info (`output_loading_info=True`).
        remedy: end of the message: allowed values and the next step.

    Raises:
        TonearmError: a tensor is missing, unexpected or of another shape.
    """
    # transformers drops every name with "decoder" from `unexpected_keys`, since T5's encoder
    # ignores T5's decoder. The names in the file show, for example, layers beyond those of the
    # configuration.
    stored = {original_name(key) for key in stored_names(source)}
    mismatched = [entry[0] for entry in info["mismatched_keys"]]
    extra = (stored | set(info["unexpected_keys"])) - set(model.state_dict())
    check_tensors(name, info["missing_keys"], extra, mismatched, remedy)


def check_tensors(
    name: str,
    missing: Collection[str],
    unexpected: Collection[str],
    mismatched: Collection[str],
    remedy: str,
) -> None:
    """Raise TonearmError with some tensor names if any collection is not empty.

    Args:
        name: checkpoint as the user gave it.
        missing: tensors of the model that the checkpoint does not have.
        unexpected: tensors of the checkpoint that the model does not have; redundant ones are
            permitted.
        mismatched: tensors whose shapes differ.
        remedy: end of the message: allowed values and the next step.
    """
    unexpected = [key for key in unexpected if not REDUNDANT.search(key)]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": mismatched}
    found = [f"{len(keys)} {fault} ({_some(keys)})" for fault, keys in faults.items() if keys]
    if not found:
        return
    wrappers = [part for part in WRAPPERS if any(part in key.split(".") for key in unexpected)]
    hint = "".join(f"; remove {part + '.'!r} from the tensor names" for part in wrappers)
    raise TonearmError(
        f"the tensors of {name} are not those of its configuration: {', '.join(found)}; "
        f"every tensor has to be there under its own name{hint}; {remedy}"
    )


def check_code(name: str, config: Mapping[str, Any], remedy: str) -> None:
    """Refuse a configuration that depends on code outside transformers: `auto_map`, or an attention
    kernel of the hub.

    transformers would replace the former by a class of its own, and download and run the latter.

    Args:
        name: checkpoint as the user gave it, for the message.
        config: content of config.json or tokenizer_config.json.
        remedy: end of the message: allowed values and the next step.

    Raises:
        TonearmError: the configuration names such code.
    """
    named = [*(["auto_map"] if config.get("auto_map") else []), *_kernels(config)]
    if named:
        raise TonearmError(
            f"{name} depends on custom code ({named[0]!r}), which Tonearm does not run; {remedy}"
        )


def stored_names(source: str) -> set[str]:
    """Tensor names in the safetensors files of a folder or a cached hub id; empty for other
    formats.
    """
    import safetensors

    if (single := find_file(source, WEIGHTS)) is not None:
        with safetensors.safe_open(single, framework="pt") as file:
            return set(file.keys())
    if (index := find_file(source, WEIGHTS_INDEX)) is not None:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
    return set()


def weight_files(source: str) -> list[Path]:
    """Files that transformers reads the weights of a folder or a cached hub id from."""
    for single, index in ((WEIGHTS, WEIGHTS_INDEX), (PICKLED_WEIGHTS, PICKLED_INDEX)):
        if (path := find_file(source, single)) is not None:
            return [path]
        if (path := find_file(source, index)) is not None:
            parts = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
            found = [find_file(source, part) for part in sorted(parts)]
            return [part for part in found if part is not None]
    return []


def find_file(source: str, file: str) -> Path | None:
    """Locate a file of a folder or a cached hub id; None where there is none."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if Path(source).is_dir():
        path = Path(source) / file
        return path if path.is_file() else None
    try:
        cached = try_to_load_from_cache(source, file)
    except HFValidationError:  # no hub id; the loader of the library says so
        return None
    return Path(cached) if isinstance(cached, str) else None


def original_name(key: str) -> str:
    """Name of a stored tensor in the loaded model."""
    for old, new in RENAMED.items():
        if key.endswith(old):
            return key.removesuffix(old) + new
    return key


def _some(keys: Collection[str]) -> str:
    shown = ", ".join(sorted(keys)[:NAMED])
    return f"{shown}, ..." if len(keys) > NAMED else shown


def _kernels(config: Any) -> Iterator[str]:
    """Values of `attn_implementation` at any depth that name a hub repository."""
    if not isinstance(config, Mapping):
        return
    for key, value in config.items():
        if str(key).endswith("attn_implementation"):
            values = value.values() if isinstance(value, Mapping) else (value,)
            yield from (one for one in values if isinstance(one, str) and "/" in one)
        else:
            yield from _kernels(value)


def check_json(name: str, source: str, files: Collection[str], remedy: str) -> None:
    """Check that the JSON files of a folder or a cached hub id are objects; absent ones pass.

    Args:
        name: checkpoint as the user gave it, for the message.
        source: folder or hub id.
        files: names of the files.
        remedy: end of the message: allowed values and the next step.

    Raises:
        TonearmError: a file is not JSON, or not an object.
    """
    for file in files:
        path = find_file(source, file)
        if path is None:
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise TonearmError(f"{file} of {name} is not JSON ({error}); {remedy}") from None
        if not isinstance(content, dict):
            raise TonearmError(
                f"{file} of {name} holds a {type(content).__name__}, not a JSON object; {remedy}"
            )


@contextmanager
def loading_errors(label: str, remedy: str) -> Iterator[None]:
    """Turn any error of a loading library within the block into a TonearmError of one line.

    Args:
        label: the checkpoint, for the message.
        remedy: end of the message: allowed values and the next step.
    """
    try:
        yield
    except TonearmError:
        raise
    except pickle.UnpicklingError as error:  # torch's own message recommends running the code
        raise TonearmError(
            f"cannot load {label} (its pickled weights hold more than tensors, or are cut off: "
            f"save them as safetensors with `save_pretrained`); {remedy}"
        ) from error
    except BaseException as error:
        # A panic of the tokenizer library, which is written in Rust, is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = shortened(" ".join(str(error).split()) or type(error).__name__, MAX_REASON)
        raise TonearmError(f"cannot load {label} ({reason}); {remedy}") from error
