"""The folder of a search: how it was called. Imports no torch, so that mistakes are told quickly."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from agents.runs.search_space import Parameter
from rlsuite.tracking import run_folder

DOCUMENT = "search.json"
FACTOR = 3  # of env steps from rung to rung, and of trials


@dataclass(frozen=True)
class Search:
    """The arguments of a search. These, the journal of its proposals and the folders of its runs are its only state."""

    folder: Path
    agent: str
    options: tuple[str, ...]  # of ``train``, for all trials, without what follows
    env_steps: int  # of a trial that is trained to the end
    seeds: int  # of a trial
    seed: int  # the first
    space: tuple[Parameter, ...]
    trials: int
    population: int  # trials of a batch
    rungs: int
    final_seeds: int

    @property
    def batches(self) -> list[tuple[int, int]]:
        """The first trial of each batch, and the one after its last."""
        return [(k, min(k + self.population, self.trials)) for k in range(0, self.trials, self.population)]


def begin(search: Search) -> None:
    """Make the folder of a search, or find the same search in it.

    Raises:
        ValueError: the folder holds something else.
    """
    folder, path = search.folder, search.folder / DOCUMENT
    now = json.loads(json.dumps(dataclasses.asdict(search) | {"folder": ""}))
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} is there already, and is no search: choose another --name")
        folder.mkdir(parents=True, exist_ok=True)
        run_folder.write(folder, now, DOCUMENT)
        return
    before = run_folder.read_document(folder, "search", DOCUMENT)
    if other := next((name for name, entry in now.items() if before.get(name) != entry), None):
        values = [one if isinstance(one, int) else "others" for one in (before.get(other), now[other])]
        changed = other if values[0] == values[1] else f"{other} was {values[0]}, now {values[1]}"
        raise ValueError(
            f"{folder} is a search with other settings ({changed.replace('_', ' ')}): choose another --name, or go on "
            f"with --resume {folder}"
        )


def read(folder: Path) -> Search:
    """The search of a folder.

    Raises:
        ValueError: it holds none, or its file is damaged.
    """
    document = run_folder.read_document(folder, "search", DOCUMENT)
    try:
        space = tuple(Parameter(**one | {"choices": tuple(one["choices"])}) for one in document["space"])
        return Search(**document | {"folder": folder, "options": tuple(document["options"]), "space": space})
    except (TypeError, KeyError) as error:
        raise ValueError(f"{folder / DOCUMENT} is damaged or of another version: {error}") from None
