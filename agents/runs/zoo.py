"""Results of runs as tables, and trained agents as single files: all from the folders of runs alone."""

import dataclasses
import json
import shlex
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from agents.runs import sweep_folder
from agents.runs.registry import config_class, find, names
from agents.runs.run import Run, shown
from rlsuite.tracking import run_folder
from rlsuite.tracking.jsonl import complete_lines
from rlsuite.training.checkpoint import save

_CARD, _BEST = "README.md", "checkpoint/best"
_PACKED = (run_folder.CONFIG, "evaluation.json", "metrics.jsonl", _CARD, _BEST)
_LARGEST = 4 << 30  # bytes that a packed agent may take
_COLUMNS = (
    "environment",
    "agent",
    "env steps a seed",
    "seeds",
    "IQM (95 % interval) over seeds",
    "lowest seed's mean",
    "protocol",
    "minutes",
    "command",
)
_HEADER = f"| {' | '.join(_COLUMNS)} |"


def presets() -> list[tuple[str, str, str, str]]:
    """Agent, preset, env steps and the environments that it is for, of all agents of the project."""
    return [
        (name, preset, f"{values.get('total_env_steps', config_class(name).total_env_steps):,}", _example(preset))
        for name in names()
        for preset, values in find(name).presets().items()
    ]


def _example(preset: str) -> str:
    whole = {"Atari": "all games of ALE", "MinAtar": "rlsuite/MinAtar-*"}
    return whole.get(preset, f"{preset.partition('-')[0]}-v*")


@dataclasses.dataclass(frozen=True)
class Result:
    """The final score of a run, and what it takes to have it again."""

    name: str
    command: str
    agent: str
    env: str
    env_steps: int  # of a seed
    seeds: list[int]
    iqm: float
    interval: tuple[float, float]  # 95 %, over seeds or over episodes of the only one
    per_seed: list[float]
    episodes: int
    protocol: str
    checkpoint: str
    train_seconds: float  # wall time
    versions: dict[str, str]
    commit: str | None
    created: str | None = None  # unknown of results that were written until November 2026


def result(folder: Path) -> Result:
    """The result of an evaluated run.

    Raises:
        ValueError: the folder holds no run of an agent, or it has not been evaluated.
    """
    document = run_folder.read(folder, "agent")
    try:
        report = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} has not been evaluated yet: rlsuite evaluate {folder}") from None
    except ValueError:
        raise ValueError(f"{folder}/evaluation.json is damaged: rlsuite evaluate {folder} writes it anew") from None
    rows = [row for row, _ in complete_lines(folder / "metrics.jsonl")]
    program, *words = document["command"]
    return Result(
        name=folder.name,
        command=shlex.join([Path(program).name, *_without_place(words)]),
        agent=report["agent"],
        env=report["env"],
        # Older reports do not say how far their agent had been trained.
        env_steps=report.get("env_steps") or max((row["env_steps"] for row in rows), default=0),
        seeds=report["seeds"],
        iqm=report["iqm"],
        interval=tuple(report["ci95"]),
        per_seed=report["per_seed_mean"],
        episodes=report["episodes"],
        protocol=report["protocol"],
        checkpoint=report["checkpoint"],
        train_seconds=max((row.get("wall_seconds", 0.0) for row in rows), default=0.0),
        versions=document["versions"],
        commit=document.get("commit"),
        created=document.get("created"),
    )


def _without_place(words: Sequence[str]) -> Iterator[str]:
    """The words of a command but for the name and the place of its run."""
    rest = iter(words)
    for word in rest:
        if word in ("--name", "--runs"):
            next(rest, None)
        elif not word.startswith(("--name=", "--runs=")):
            yield word


def write_results(sources: Sequence[Path], out: Path) -> int:
    """Write the results of runs and sweeps to a Markdown table, and to a JSON file beside it; returns their number.

    A source that is a JSON file gives results that were written to it before. Text above the table of ``out`` stays.

    Raises:
        ValueError: there are none, a folder holds no evaluated run, or a file no results.
    """
    if out.suffix == ".json":
        raise ValueError(f"--out names the table, such as {out.with_suffix('.md')}: {out} is written beside it")
    files = [source for source in sources if source.suffix == ".json"]
    folders = [source for source in sources if source.suffix != ".json"]
    every = [*(one for file in files for one in _written(file)), *map(result, _runs(folders))]
    # Of what is named twice, the newer.
    found = list({(one.name, one.command, one.created): one for one in every}.values())
    found.sort(key=lambda one: (one.env, one.agent, one.name))
    if not found:
        raise ValueError("name at least one run folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    before = out.read_text(encoding="utf-8").partition(_HEADER)[0] if out.exists() else ""
    out.with_suffix(".json").write_text(json.dumps([dataclasses.asdict(one) for one in found], indent=2) + "\n")
    out.write_text(before + "\n".join(table(found)) + "\n", encoding="utf-8")
    return len(found)


def _written(file: Path) -> list[Result]:
    try:
        return [Result(**row) for row in json.loads(file.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        raise ValueError(f"{file} is missing") from None
    except (ValueError, TypeError):
        raise ValueError(f"{file} does not hold results that zoo results wrote") from None


def _runs(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        if (folder / sweep_folder.DOCUMENT).exists():
            yield from (folder / one.name for one in sweep_folder.read(folder).members if one.finished)
        else:
            yield folder


def table(found: Sequence[Result]) -> Iterator[str]:
    """A Markdown table."""
    yield _HEADER
    yield "|---" * len(_COLUMNS) + "|"
    for one in found:
        low, high = one.interval
        cells = (
            one.env,
            one.agent,
            f"{one.env_steps:,}",
            f"{len(one.seeds)}",
            f"{one.iqm:.4g} ({low:.4g} .. {high:.4g})" + (" over episodes" if len(one.seeds) == 1 else ""),
            f"{min(one.per_seed):.4g}",
            f"{one.protocol}, {one.episodes} episodes, {one.checkpoint}",
            f"{one.train_seconds / 60:.0f}",
            f"`{one.command}`",
        )
        yield f"| {' | '.join(cells)} |"
    versions = {f"{name} {version}" for one in found for name, version in one.versions.items()}
    yield ""
    yield f"Minutes are wall time. Versions: {', '.join(sorted(versions))}."


def pack(run: Run, out: Path) -> None:
    """Write the agent of a run with its configuration, score, curves and a model card into one file, without pickle.

    Raises:
        CheckpointError: the run has no checkpoint.
        OSError: the file cannot be written.
    """
    learner = run.checkpoints.load(_judged(run))["learner"]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".") as there:
        folder, partial = Path(there), Path(there) / "packed"
        save(folder / _BEST, {"learner": learner})
        (folder / _CARD).write_text(card(run.folder), encoding="utf-8")
        for name in ("evaluation.json", "metrics.jsonl", run_folder.CONFIG):
            if (run.folder / name).exists():
                shutil.copyfile(run.folder / name, folder / name)
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
            for name in _PACKED:
                if (folder / name).exists():
                    file.write(folder / name, name)
        partial.replace(out)


def _judged(run: Run) -> str:
    """The checkpoint that the run's score is of, which the pack holds as its best; where there is none, the best."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        judged = str(json.loads((run.folder / "evaluation.json").read_text(encoding="utf-8"))["checkpoint"])
        if run.checkpoints.exists(judged):  # not in a pack's own folder
            return judged
    return shown(run, "best")


def card(folder: Path) -> str:
    """Model card of a trained agent, in Markdown."""
    document = run_folder.read(folder, "agent")
    lines = [f"# {document['agent']} on {document['config']['environment']['env']}", ""]
    try:
        one = result(folder)
    except ValueError:
        lines.append("It has not been evaluated.")
    else:
        low, high = one.interval
        lines += [
            f"IQM {one.iqm:.4g} (95 % interval over {'seeds' if len(one.seeds) > 1 else 'episodes'} {low:.4g} to "
            f"{high:.4g}), seeds: {len(one.seeds)}, episodes of each: {one.episodes}; protocol {one.protocol}, after "
            f"{one.env_steps:,} env steps a seed, by its checkpoint `{one.checkpoint}`, which is `best` here.",
            "",
            f"Scores of the seeds: {', '.join(f'{score:.4g}' for score in one.per_seed)}.",
            "",
            f"Trained by `{one.command}` in {one.train_seconds / 60:.0f} minutes.",
        ]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines += ["", f"Observations {document['spaces']['observation']}, actions {document['spaces']['action']}.", ""]
    lines += [f"Versions: {versions}; commit {document.get('commit') or 'unknown'}.", ""]
    lines.append(
        "To use it: `rlsuite zoo unpack FILE`, then `rlsuite evaluate --checkpoint best`, `watch` and `export` on the "
        "folder."
    )
    if document["agent"].endswith(".py"):
        lines += ["", f"The agent's code is in a file of its own, not in the pack: {Path(document['agent']).name}."]
    lines.append("")
    return "\n".join(lines)


def unpack(file: Path, runs: Path, name: str | None = None) -> Path:
    """Make a run of what ``pack`` wrote; returns its folder.

    Raises:
        ValueError: the file is something else, or the name is taken.
    """
    try:
        with zipfile.ZipFile(file) as packed:
            parts = {entry.filename: entry for entry in packed.infolist()}
            if not {run_folder.CONFIG, _BEST} <= parts.keys() <= set(_PACKED):
                raise ValueError(f"{file} is no packed agent")
            if sum(entry.file_size for entry in parts.values()) > _LARGEST:
                raise ValueError(f"{file} holds more than {_LARGEST >> 30} GiB")
            document = json.loads(packed.read(run_folder.CONFIG))
            folder = run_folder.create(runs, name or file.stem, file.stem, document)
            for part in parts.keys() - {run_folder.CONFIG}:
                (folder / part).parent.mkdir(exist_ok=True)
                (folder / part).write_bytes(packed.read(part))
    except FileNotFoundError:
        raise ValueError(f"there is no file {file}") from None
    except (zipfile.BadZipFile, json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError(f"{file} is no packed agent, or damaged") from None
    return folder
