"""The stages of a recipe, one after the other, under settings that suit training on a CPU."""

import argparse
from collections.abc import Callable, Mapping

import torch
import transformers


def run_stages(stages: Mapping[str, Callable[[argparse.Namespace], None]], arguments: argparse.Namespace) -> None:
    """Those named in `arguments.stages`; reads `out` and `threads` too."""
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    transformers.logging.set_verbosity_error()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for stage in arguments.stages:
        print(f"== {stage}", flush=True)
        stages[stage](arguments)
