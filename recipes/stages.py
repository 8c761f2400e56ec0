"""Stage runner of the recipes."""

import argparse
from collections.abc import Callable, Mapping

import torch
import transformers


def run_stages(
    stages: Mapping[str, Callable[[argparse.Namespace], None]], arguments: argparse.Namespace
) -> None:
    """Run the selected stages in order, with settings that suit training on a CPU.

    Args:
        stages: name -> function of the parsed arguments.
        arguments: `stages` (names to run), `out` (created if absent) and `threads` are read here.
    """
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    transformers.logging.set_verbosity_error()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for stage in arguments.stages:
        print(f"== {stage}", flush=True)
        stages[stage](arguments)
