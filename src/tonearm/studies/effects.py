"""Effect of DiffMean steering on tempo and brightness, beside its controls.

    python -m tonearm.studies.effects --out build/effects

Source: Facchiano et al. 2025, Table 1. The conditions and the records are described in
`tonearm.studies.effects_trials`.
"""

import argparse
import logging
from pathlib import Path

import torch

from tonearm.datasets import prompts
from tonearm.model import load
from tonearm.studies.effects_report import write_report
from tonearm.studies.effects_trials import (
    RECORDS,
    STRENGTH,
    conditions,
    random_conditions,
    read_records,
    references,
    run,
    save_records,
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--device", help="cpu, cuda ...; default: the best available")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--out", type=Path, default=Path("build/effects"), help="of the records")
    parser.add_argument("--docs", type=Path, help="folder of the page and its figures; else --out")
    parser.add_argument("--readme", type=Path, help="also write the two tables of this README")
    parser.add_argument("--strength", type=float, default=STRENGTH)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[
            condition.name
            for condition in (
                *conditions(STRENGTH),
                *references(),
                *random_conditions(STRENGTH),
            )
        ],
        metavar="CONDITION",
        help="generate and measure these, without a report",
    )
    parser.add_argument("--keep", type=Path, help="folder of the takes' audio, for later runs")
    parser.add_argument(
        "--records",
        type=Path,
        help="draw the report of these records (.jsonl.xz); generate nothing",
    )
    parser.add_argument("--threads", type=int, default=2, help="of generation")
    parser.add_argument("--workers", type=int, default=1, help="processes that measure, or 0")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model, device=arguments.device, dtype=arguments.dtype)
    if arguments.records:
        records = list(read_records(arguments.records))
    else:
        records = run(
            model,
            prompts.held_out()[: arguments.prompts],
            arguments.strength,
            arguments.seconds,
            arguments.out,
            arguments.only,
            workers=arguments.workers,
            keep=arguments.keep,
        )
    if arguments.only:
        return
    folder = arguments.docs or arguments.out
    write_report(records, model, arguments.strength, arguments.seconds, folder, arguments.readme)
    if not arguments.records:
        save_records(records, folder / RECORDS)


if __name__ == "__main__":
    main()
