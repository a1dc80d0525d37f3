"""Write a trained policy to a file that acts without this project: ONNX, or a program of torch.export.

rlsuite export runs/NAME --to onnx
"""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from agents.cli import command


@dataclasses.dataclass(frozen=True)
class Options:
    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    to: Literal["onnx", "torch"] = "onnx"
    """onnx: for ONNX Runtime and others; torch: what torch.export.load reads."""
    out: Path | None = None
    """File to write; by default policy.onnx or policy.pt2 in the run's folder."""
    checkpoint: Literal["last", "best", "previous"] = "best"
    """last: as training ended; best: each seed's best evaluation during training."""
    seed: int | None = None
    """Seed of the run to export; the first unless given."""


def main(arguments: list[str]) -> int:
    options = command.parse(Options, arguments, description=__doc__)
    from agents.runs.exporting import export
    from agents.runs.run import open_run

    out = options.out or options.run / ("policy.onnx" if options.to == "onnx" else "policy.pt2")
    report = export(open_run(options.run), options.to, out, options.checkpoint, options.seed)
    print(
        f"wrote {out} ({out.stat().st_size / 1e6:.2f} MB): as the agent in {report.observations} observations, "
        f"within {report.difference:.1g}\n"
        f"  inputs   {', '.join(report.inputs)}\n"
        f"  outputs  {', '.join(report.outputs)}"
    )
    return 0
