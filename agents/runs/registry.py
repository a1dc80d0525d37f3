"""The agents: every file of ``agents/`` that defines a ``SPEC``, and any file of a person's own.

Naming and listing agents, and their options, takes no import of torch: of an agent's file only the configuration is
executed for that.
"""

import ast
import difflib
import importlib
import importlib.util
import sys
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rlsuite.faults import told

if TYPE_CHECKING:
    from rlsuite.agent import AgentSpec

_AGENTS = Path(__file__).parents[1]
_LIGHT = {"rlsuite.configuration", "rlsuite.option_groups"}
_HEAVY = {"torch", "gymnasium", "numpy", "rlsuite", "envs"}


class AgentFile:
    """A file that defines an agent.

    Args:
        path: of the file.
        spec: the call of ``AgentSpec`` in it.
    """

    def __init__(self, path: Path, tree: ast.Module, spec: ast.Call) -> None:
        self.path, self._tree = path, tree
        named = dict(zip(("name", "config"), spec.args, strict=False))
        named |= {keyword.arg: keyword.value for keyword in spec.keywords if keyword.arg}
        name, config = named.get("name"), named.get("config")
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str) or not isinstance(config, ast.Name):
            raise ValueError(f"{path}: SPEC = AgentSpec(...) must name the agent, and its configuration's class")
        if not name.value.replace("-", "_").isidentifier():  # runs' folders are called by it
            raise ValueError(f"{path}: {name.value!r} is no name for an agent: letters, digits, - and _")
        self.name, self._config_name = name.value, config.id

    def spec(self) -> "AgentSpec":
        """The spec itself; imports the file, and torch."""
        return self._module().SPEC

    def config_class(self) -> type[Any]:
        """The class of the options, without what else the file imports and does."""
        config = self._light.get(self._config_name)
        return self._checked(config if isinstance(config, type) else self.spec().config)

    def presets(self) -> dict[str, Any]:
        """The ``PRESETS`` of the file, or beside it those of the file in ``presets/`` that has its name."""
        if any(_assigns(node, "PRESETS") for node in self._tree.body):
            return _table(self._light.get("PRESETS") or vars(self._module())["PRESETS"], self.path)
        beside = self.path.parent / "presets" / self.path.name
        if self.path.parent != _AGENTS or not beside.exists():
            return {}
        return _table(importlib.import_module(f"agents.presets.{beside.stem}").PRESETS, beside)

    @cached_property
    def _light(self) -> dict[str, Any]:
        """The names that the file's configuration and constants define."""
        package = "agents." if self.path.parent == _AGENTS else ""  # its errors are told as this project's
        module = ModuleType(f"{package}{self.path.stem}__options")
        module.__file__ = str(self.path)  # help texts are read from it
        sys.modules[module.__name__] = module  # type hints are looked up in it
        for node in self._tree.body:
            if (parent := _agent_imported(node)) is not None:  # its options, without what else it imports
                module.__dict__.update({name: parent._light[name] for name in _imported(node) if name in parent._light})
                continue
            if not _is_light(node):
                continue
            try:
                exec(compile(ast.Module([node], []), str(self.path), "exec"), vars(module))
            except (Exception, SystemExit):
                continue  # it needs a skipped statement; if the configuration does too, the whole module is imported
        return vars(module)

    def _checked(self, config: type[Any]) -> type[Any]:
        from agents.options import RunConfig

        if not issubclass(config, RunConfig):
            raise ValueError(f"{self.path}: {self._config_name} must derive from a configuration of agents/options.py")
        if "__dataclass_fields__" not in vars(config):
            raise ValueError(
                f"{self.path}: {self._config_name} is no dataclass, so that its options are none: "
                "write @dataclass(frozen=True, kw_only=True) above it"
            )
        return config

    def _module(self) -> ModuleType:
        if self.path.parent == _AGENTS:
            return importlib.import_module(f"agents.{self.path.stem}")
        name = f"{self.path.stem}_agent"
        if name in sys.modules and sys.modules[name].__file__ == str(self.path):
            return sys.modules[name]
        found = importlib.util.spec_from_file_location(name, self.path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module
        try:
            found.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise ValueError(f"{self.path} cannot be imported: {told(error)}") from error
        return module


def _assigns(node: ast.stmt, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def _table(presets: Any, path: Path) -> dict[str, Any]:
    if not isinstance(presets, dict) or not all(isinstance(name, str) for name in presets):
        raise ValueError(f"{path}: PRESETS must give names their option values")
    return presets


def _is_light(node: ast.stmt) -> bool:
    """Whether a statement may be part of a configuration: an import of what is quick, a dataclass, a constant."""
    if isinstance(node, ast.Import):
        return not any(name.name.partition(".")[0] in _HEAVY for name in node.names)
    if isinstance(node, ast.ImportFrom):
        is_light = node.module in _LIGHT or (node.module or "").partition(".")[0] not in _HEAVY
        return node.level == 0 and is_light
    if isinstance(node, ast.ClassDef):
        return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
    return isinstance(node, ast.Assign | ast.AnnAssign)


def _agent_imported(node: ast.stmt) -> AgentFile | None:
    """The agent of this project whose file a statement imports from."""
    if not isinstance(node, ast.ImportFrom) or node.level or not (node.module or "").startswith("agents."):
        return None
    path = _AGENTS / f"{(node.module or '').removeprefix('agents.')}.py"
    return next((agent for agent in _ours().values() if agent.path == path), None)


def _imported(node: ast.stmt) -> list[str]:
    return [alias.name for alias in node.names if alias.asname is None] if isinstance(node, ast.ImportFrom) else []


def _read(path: Path) -> AgentFile | None:
    """The agent that a file defines; None where it defines none."""
    tree = ast.parse(path.read_text(), str(path))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SPEC" and isinstance(node.value, ast.Call):
            return AgentFile(path, tree, node.value)
    return None


@cache
def _ours() -> dict[str, AgentFile]:
    found = (_read(path) for path in sorted(_AGENTS.glob("*.py")) if "SPEC = " in path.read_text())
    return {agent.name: agent for agent in found if agent is not None}


def names() -> list[str]:
    """The agents of this project."""
    return list(_ours())


def find(agent: str) -> AgentFile:
    """The agent of a name, or of a Python file.

    Raises:
        ValueError: there is none; the message gives the nearest.
    """
    if not agent.endswith(".py"):
        if agent.startswith("-"):
            raise ValueError(
                f"the agent comes first, before {agent.partition('=')[0]}: ppo --env CartPole-v1, for example"
            )
        if agent not in _ours():
            raise ValueError(nearest("agent", agent, names()))
        return _ours()[agent]
    path = Path(agent).resolve()
    if not path.is_file():
        raise ValueError(f"there is no file {agent}")
    try:
        found = _read(path)
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise ValueError(
            f"{agent} is not Python: {error}" if isinstance(error, SyntaxError | UnicodeDecodeError) else str(error)
        ) from None
    if found is None:
        raise ValueError(f"{agent} defines no agent: it needs SPEC = AgentSpec(name, config, agent, learns_from=...)")
    return found


def config_class(agent: str) -> type[Any]:
    """The configuration of an agent; see ``find``."""
    return find(agent).config_class()


def agent_spec(agent: str) -> "AgentSpec":
    """The spec of an agent; see ``find``. Imports torch."""
    return find(agent).spec()


def nearest(kind: str, name: str, known: list[str]) -> str:
    """One line that says that ``name`` is not a ``kind`` and what comes nearest, in capitals or not."""
    as_known = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), as_known, n=1, cutoff=0.3)
    hint = f"did you mean {as_known[near[0]]!r}? " if near else ""
    return f"there is no {kind} {name!r}: {hint}there are {', '.join(known)}"
