"""Effect of steering by amounts, beside words, signal processing and random directions.

    python -m tonearm.studies.effects --out build/effects

Source: Facchiano et al. 2025, Table 1. The conditions are described in
`tonearm.studies.effects_conditions`, the measures in `tonearm.studies.measure_groups`.
"""

import argparse
import logging
from pathlib import Path

import torch

from tonearm.datasets import prompts
from tonearm.model import load
from tonearm.studies.effects_analysis import analyse
from tonearm.studies.effects_page import RECORDS, write_page
from tonearm.studies.effects_readme import write_readme
from tonearm.studies.effects_run import condition_names, run_effects
from tonearm.studies.records import read_records, save_records
from tonearm.studies.run import Settings


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--device", help="cpu, cuda ...; default: the best available")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--out", type=Path, default=Path("build/effects"), help="of the store")
    parser.add_argument("--docs", type=Path, help="folder of the page and its figures; else --out")
    parser.add_argument("--readme", type=Path, help="also write the parts of this README")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="CONDITION",
        help="generate and measure these, without a report; an unknown name prints all",
    )
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
    names = condition_names(model.vectors)
    if unknown := [name for name in arguments.only or () if name not in names]:
        parser.error(f"no condition {', '.join(unknown)}; there are {', '.join(names)}")
    if arguments.records:
        records = list(read_records(arguments.records))
    else:
        records = run_effects(
            model,
            prompts.held_out()[: arguments.prompts],
            arguments.seconds,
            arguments.out,
            arguments.only,
            Settings(workers=arguments.workers),
        )
    if arguments.only:
        return
    folder = arguments.docs or arguments.out
    results = analyse(records, model.vectors)
    write_page(records, results, model, arguments.seconds, folder)
    if arguments.readme:
        write_readme(arguments.readme, results)
    if not arguments.records:
        save_records(records, folder / RECORDS)


if __name__ == "__main__":
    main()
