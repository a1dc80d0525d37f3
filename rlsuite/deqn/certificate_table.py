"""A certificate for people."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

_STATISTICS = ("mean", "median", "p90", "p99", "p999", "max")
_MOST_ROWS = 6  # equations; of more, the worst are shown


def print_certificate(certificate: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the errors of the equations as log10, then everything else a line each, then what fails."""
    output = console or Console(highlight=False)
    seeds = certificate["per_seed"]
    output.print()
    if "euler_log10" in certificate:
        output.print(_error_table(certificate))
    if len(seeds) > 1:
        output.print(_seed_table(seeds))
    for label, text in _facts(certificate):
        output.print(f"  {label:<24} {text}")
    for row in seeds:
        for failure in row["failures"]:
            output.print(f"  [red]seed {row['seed']}: {failure}[/red]", soft_wrap=True)
    passed = sum(row["passed"] for row in seeds)
    verdict = "[bold green]passed[/bold green]" if certificate["passed"] else "[bold red]not passed[/bold red]"
    output.print(
        f"  certificate              {verdict}" + (f" ({passed} of {len(seeds)} seeds)" if len(seeds) > 1 else "")
    )


def _error_table(certificate: Mapping[str, Any]) -> Table:
    whose = f", worst seed ({certificate['seed']})" if len(certificate["per_seed"]) > 1 else ""
    table = Table(title=f"{certificate['title']}: log10 of the errors{whose}", title_justify="left")
    table.add_column("states")
    for statistic in _STATISTICS:
        table.add_column(statistic, justify="right")
    errors = certificate["euler_log10"]
    _add(table, "ergodic", errors)
    each = sorted((errors["per_component"] or errors["per_equation"]).items(), key=lambda item: -item[1]["mean"])
    if len(each) > 1:
        for name, values in each[:_MOST_ROWS]:
            _add(table, f"  {name.replace('[', '_').rstrip(']')}", values)
    _add(table, "box", certificate["box_euler_log10"])
    return table


def _add(table: Table, name: str, values: Mapping[str, float]) -> None:
    table.add_row(name, *(f"{values[statistic]:.2f}" for statistic in _STATISTICS))


def _seed_table(seeds: list[dict[str, Any]]) -> Table:
    table = Table(title="over seeds", title_justify="left")
    table.add_column("log10 of the errors")
    measured = [row["euler_log10"] for row in seeds if row["euler_log10"]]
    for statistic in _STATISTICS:
        table.add_column(statistic, justify="right")
    for name, aggregate in (("median seed", np.median), ("worst seed", np.max)):
        _add(table, name, {s: float(aggregate([errors[s] for errors in measured])) for s in _STATISTICS})
    return table


def _facts(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Label and text of everything that is defined for the model."""
    stable = certificate["stability"]
    reference = stable["reference_spectral_radius"]
    facts = [
        ("states", f"{certificate['states']}, {certificate['infeasible_states']} infeasible"),
        (
            "spectral radius",
            f"{stable['spectral_radius']:.5f}" + (f" (reference {reference:.5f})" if reference else ""),
        ),
        ("zero-shock paths end", f"{stable['spread']:.1e} apart"),
    ]
    for name, found in certificate.get("complementarity", {}).items():
        text = f"complementary within {found['violation']:.1e}, binds {found['binding_share']:.1%}"
        facts.append((f"constraint {name}", text))
    if certificate.get("clearing_max") is not None:
        facts.append(("market clearing", f"within {certificate['clearing_max']:.1e} of output"))
    if certificate.get("reference"):
        facts.append(("reference", _quality(certificate["reference"])))
    for name, error in (certificate.get("policy_error") or {}).items():
        facts.append((f"{name} error", f"mean {error['mean']:.1e}, max {error['max']:.1e} (reference solution)"))
    for name, distance in certificate.get("distances", {}).items():
        target = "" if distance["target"] is None else f" (target {distance['target']:.1e})"
        facts.append((name, f"{distance['found']:.1e}{target}"))
    if certificate.get("consumption_loss") is not None:
        loss, error = certificate["consumption_loss"], certificate["consumption_loss_standard_error"]
        facts.append(("welfare loss", f"{loss:.1e} of consumption (standard error {error:.0e})"))
    if "den_haan_marcet" in certificate:
        test = certificate["den_haan_marcet"]
        text = (
            f"does not apply: {test['reason']}"
            if test["reason"]
            else f"{test['below_5_percent']:.1%} below, {test['above_95_percent']:.1%} above (5 % each if exact)"
        )
        facts.append(("den Haan-Marcet", text))
    return facts


def _quality(reference: Mapping[str, Any]) -> str:
    if "fault" in reference:
        return f"none: {reference['fault']}"
    text = f"covers {reference['coverage']:.1%} of the states"
    if own := reference["errors_log10"]:
        text += f", own errors 10^{own['mean']:.1f}, at most 10^{own['max']:.1f}"
    return text
