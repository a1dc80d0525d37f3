"""Options in groups on the command line and in files, flat in Python: ``config.hidden`` is in the group "network".

A class of options names the group of its fields (``class ReplayConfig(AgentConfig, group="replay")``); a method's own
class names none and adds to the group "method". A field that a subclass gives another default stays in its group.
"""

import ast
import dataclasses
import functools
import inspect
import itertools
import textwrap
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar, get_type_hints

import tyro

# What a newcomer needs first; groups of a person's own follow the method's.
_ORDER = [
    "environment",
    "run",
    "training",
    "method",
    "",
    "network",
    "replay",
    "sequences",
    "rollout",
    "evaluation",
    "system",
]
_ORDER += ["tracking"]


class Options:
    """Base of configurations whose fields are in groups."""

    group: ClassVar[str]

    def __init_subclass__(cls, group: str = "method", **rest: Any) -> None:
        super().__init_subclass__(**rest)
        cls.group = group

    @classmethod
    def renamed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The flat values of a file that an older version may have written, by the names of this one."""
        return values


Kind = TypeVar("Kind")


def groups(kind: type[Any]) -> dict[str, list[str]]:
    """The fields of each group, in the order of ``--help``; none where ``kind`` has no groups."""
    if not issubclass(kind, Options):
        return {}
    owner: dict[str, type[Any]] = {}
    for base in reversed(kind.__mro__):  # whatever declares a field first has it in its group
        if issubclass(base, Options) and dataclasses.is_dataclass(base):
            for field in dataclasses.fields(base):
                owner.setdefault(field.name, base)
    found: dict[str, list[str]] = {}
    for base in kind.__mro__:  # a method's own options before those that it has in common with others
        for name, first in owner.items():
            if first is base:
                found.setdefault(first.group, []).append(name)
    place = {group: number for number, group in enumerate(_ORDER)}
    return dict(sorted(found.items(), key=lambda item: place.get(item[0], place[""])))


def nested(config: Options) -> dict[str, dict[str, Any]]:
    """The options as an object of objects, one a group, for a file; ``flat`` is the way back."""
    return {group: {name: getattr(config, name) for name in names} for group, names in groups(type(config)).items()}


def flat(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The options in an object that a file holds, out of their groups.

    Raises:
        ValueError: a group is no object.
    """
    known = groups(kind)
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in known and not isinstance(value, Mapping):
            raise ValueError(f"its group {name!r} is not an object")
        found.update(value if name in known else {name: value})
    return kind.renamed(found) if issubclass(kind, Options) else found


def from_command_line(
    kind: type[Kind], arguments: list[str], prog: str, default: Kind | None = None, description: str | None = None
) -> Kind:
    """The options that a command line names, the others as in ``default``; ``--help`` shows a box for each group.

    Args:
        kind: a dataclass, with groups or without.
        description: what ``--help`` begins with; by default the text of ``kind``.

    Raises:
        ValueError: an option has a value that none can have.
    """
    hints, helps = get_type_hints(kind, include_extras=True), _help_texts(kind)  # type: ignore[arg-type]
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]

    def declared(name: str) -> tuple[str, Any, Any]:
        given: dict[str, Any] = {"default": fields[name].default, "default_factory": fields[name].default_factory}
        if default is not None:
            given = {"default_factory": functools.partial(getattr, default, name)}
        field = dataclasses.field(**given)
        value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        # What happens where nothing is chosen is said by the text.
        is_open = value is None or value == {}
        shown = tyro.conf.arg(help=helps.get(name, ""), help_behavior_hint="" if is_open else None)
        hint: Any = Annotated[hints[name], shown]
        return name, hint, field

    boxes = {
        group: dataclasses.make_dataclass(group, [declared(name) for name in names], kw_only=True, frozen=True)
        for group, names in groups(kind).items()
    }
    members = list(boxes.items()) if boxes else [declared(name) for name in fields]
    whole: Any = dataclasses.make_dataclass(kind.__name__, members, kw_only=True)
    text = inspect.getdoc(kind) if description is None else description
    if text is not None and text.startswith(f"{kind.__name__}("):  # the signature, which dataclasses take for a text
        text = ""
    found = vars(tyro.cli(whole, prog=prog, args=arguments, description=text, config=(tyro.conf.OmitArgPrefixes,)))
    return kind(**{name: value for box in found.values() for name, value in vars(box).items()} if boxes else found)


@functools.cache
def _help_texts(kind: type[Any]) -> dict[str, str]:
    """The text under each field, of the class that declared or changed it last."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        except (OSError, TypeError):  # made without a file, in a notebook or by another class
            continue
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return found
