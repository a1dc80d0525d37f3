"""Options for where the runs of a sweep or a search take place: ``--jobs N`` and ``--cluster HOST:PORT``."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from agents.cli import command

if TYPE_CHECKING:
    from agents.runs.sweep_folder import Hosts

HOSTS = ("--jobs", "--cluster")


def own_options(words: list[str], names: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The values of a command's own options, and the words that are left for ``train``.

    Raises:
        ValueError: one has no value.
    """
    own: dict[str, str] = {}
    rest: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if name not in names:
            rest.append(word)
        elif (not equals and (value := next(left, "")).startswith("--")) or not value:
            raise ValueError(f"{name} needs a value")
        else:
            own[name] = value
    return own, rest


def count(own: Mapping[str, str], name: str) -> int | None:
    """The number of an option, where it is named.

    Raises:
        ValueError: it is no number from 1 on.
    """
    if name not in own:
        return None
    if not own[name].isdecimal() or int(own[name]) < 1:
        raise ValueError(f"{name} must be at least 1, not {own[name]}")
    return int(own[name])


def require_hosts(own: Mapping[str, str]) -> None:
    """Raise ``ValueError`` where the options of hosts do not fit."""
    count(own, "--jobs")
    if {"--cluster", "--jobs"} <= own.keys():
        raise ValueError("--jobs is for this machine: a cluster runs as many side by side as its hosts have room for")


def hosts(own: Mapping[str, str]) -> "Hosts":
    """This machine, or the cluster that the options name."""
    if "--cluster" in own:
        from agents.runs.cluster import Cluster

        return Cluster(own["--cluster"], command.train_program())
    from agents.runs.processes import Processes

    return Processes(command.train_program(), count(own, "--jobs"))
