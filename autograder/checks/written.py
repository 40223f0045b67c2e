"""What a student wrote, read as text on the trusted side.

The watch over libraries and ready-made operators runs beside the student's code, which could switch
it off. So the text is read too: for what reaches into the process that answers, and for the names
that an exercise forbids.
"""

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import pairwise
from symtable import SymbolTable, symtable

from autograder.checks.student import LIBRARIES, StudentError, refuse

# What no answer needs, and what reaches into the process in which it runs.
MODULES = frozenset((
    "autograder", "builtins", "cffi", "code", "codeop", "ctypes", "_ctypes", "dis", "gc", "imp",
    "importlib", "inspect", "marshal", "runpy",
))  # fmt: skip
NAMES = frozenset(
    ("__builtins__", "__import__", "__loader__", "__spec__", "compile", "eval", "exec")
)
ATTRIBUTES = frozenset((
    "__builtins__", "__closure__", "__code__", "__getattribute__", "__globals__", "__import__",
    "__loader__", "__subclasses__", "__traceback__", "_C", "_current_frames", "_getframe",
    "_python_dispatch", "CodeType", "TorchDispatchMode", "TorchFunctionMode", "ag_frame",
    "cr_frame", "f_back", "f_builtins", "f_globals", "f_locals", "get_objects", "get_referents",
    "get_referrers", "gi_frame", "import_module", "setprofile", "settrace", "tb_frame", "tb_next",
    "ast_transformers", "input_transformer_manager", "input_transformers_cleanup",
    "input_transformers_post", "register_magic_function", "run_ast_nodes", "run_cell", "run_code",
))  # fmt: skip
# What IPython makes of magics; the text that they are given is read too.
MAGICS = frozenset(("run_line_magic", "run_cell_magic"))
# Only on the module before the point.
OF_MODULES = frozenset((("sys", "modules"), ("torch", "library")))
# The watch sees what happens in its own thread and process.
ELSEWHERE = frozenset(("_thread", "concurrent", "multiprocessing", "subprocess", "threading"))


def tampering(source: str, own: Iterable[str] = ()) -> str:
    """What in a cell's text reaches into the process, such as "sys.modules"; "" if nothing does.

    Args:
        source: of the cell, magics included.
        own: functions that the student has defined before, which hide Python's.
    """
    cell = _read(source)
    hidden = {**cell.functions, **dict.fromkeys(own, 0)}
    asked_for = {
        id(node.comparators[0])
        for node in cell.nodes
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn)
    }
    for node in cell.nodes:
        if id(node) not in asked_for and (found := _tampering(node, hidden)):
            return found
    return cell.unreadable


def own_functions(source: str) -> set[str]:
    """Functions that a cell defines, whatever happens in it."""
    return set(_read(source).functions)


def harmless(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """A hand-in's files less modules that reach into the process."""
    return {
        name: content
        for name, content in files.items()
        if not (name.endswith(".py") and tampering(content.decode(errors="replace")))
    }


class Written:
    """The cells that ran in a student's process, as text.

    Args:
        sources: of the cells, in the order in which they ran.
    """

    def __init__(self, sources: Iterable[str] = ()) -> None:
        #: Names for which ours stand in the process.
        self.replaced: frozenset[str] = frozenset()
        self._definitions: dict[str, list[_Definition]] = {}
        self._imports: dict[str, str] = {}
        self._known: dict[tuple[str, frozenset[str], bool], frozenset[str]] = {}
        for source in sources:
            self._add(_read(source))

    def check(self, name: str, label: str, forbidden: frozenset[str] = frozenset()) -> None:
        """See that an answer stands on nothing that others made.

        Args:
            name: of the answer.
            label: of what is asked of it, for the sentence.
            forbidden: PyTorch's operators that it must not call.

        Raises:
            StudentError: it does; the sentence is that of the watch.
        """
        plain = {_plain(operator): operator for operator in forbidden}
        key = name, self.replaced, bool(forbidden)
        if key not in self._known:
            self._known[key] = frozenset(self._used(name, results=bool(forbidden)))
        used = self._known[key]
        packages = {path.partition(".")[0] for path in used}
        if elsewhere := ", ".join(sorted(packages & ELSEWHERE)):
            raise StudentError(f"{label} uses {elsewhere}: an answer needs one thread only.")
        last = {_plain(path.rpartition(".")[2]) for path in used}
        refuse(label, packages & LIBRARIES, {plain[name] for name in last & plain.keys()})

    def _add(self, cell: "_Cell") -> None:
        """The definitions of a cell: a later one takes the place of those before."""
        self._imports |= cell.imports
        for definition in cell.definitions:
            for name in definition.names:
                if definition.is_certain:
                    self._definitions[name] = [definition]
                    self._imports.pop(name, None)
                else:
                    self._definitions.setdefault(name, []).append(definition)

    def _used(self, name: str, *, results: bool) -> Iterator[str]:
        """Dotted names of what an answer, and whatever else of the student's it uses, mentions.

        Args:
            name: of the answer.
            results: look also at how the values came about that it uses. A network that was trained
                uses data, which may come from anywhere.
        """
        waiting, seen = [name], set(self.replaced)
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            for definition in self._definitions.get(name, ()):
                if not (results or definition.is_code):
                    continue
                imports = self._imports | definition.imports
                for root, path in definition.paths:
                    if root in imports:
                        yield imports[root] + path
                    elif path and root not in ("self", "cls"):
                        yield f"?{path}"
                    elif "*" in imports and root not in self._definitions:
                        yield f"?.{root}"
                waiting += definition.looks_up


def _tampering(node: ast.AST, hidden: dict[str, int]) -> str:
    match node:
        case ast.Import(names=names):
            paths = [one.name for one in names]
        case ast.ImportFrom(module=str(module), names=names):
            paths = [module, *(f"{module}.{one.name}" for one in names)]
        case ast.Name(id=name, ctx=ast.Load()):
            own = name in hidden and node.lineno > hidden[name]
            return name if name in NAMES and not own else ""
        case ast.Name(id=name, ctx=ast.Del()):
            return name if name in NAMES else ""
        case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in MAGICS:
            return "" if all(isinstance(one, ast.Constant) for one in arguments) else name
        case ast.Attribute():
            paths = [".".join(_chain(node))]
        case ast.Constant(value=str(text)):
            if text in ATTRIBUTES or text in NAMES - {"compile", "eval"}:
                return text
            return "autograder" if "autograder." in text or "import autograder" in text else ""
        case _:
            return ""
    for path in paths:
        first, *others = path.split(".")
        if isinstance(node, ast.Import | ast.ImportFrom) and first in MODULES:
            return first
        for pair in pairwise((first, *others)):
            if pair in OF_MODULES:
                return ".".join(pair)
        for name in others:
            if name in ATTRIBUTES:
                return name
    return ""


class _Definition:
    """A statement of a cell that defines something, and what it mentions."""

    def __init__(self, statement: ast.stmt) -> None:
        self._statement = statement
        #: Whether it defines a function or a class, whatever happens.
        self.is_certain = isinstance(statement, ast.FunctionDef | ast.ClassDef)

    @cached_property
    def names(self) -> frozenset[str]:
        """That it defines, or may define."""
        if isinstance(self._statement, ast.FunctionDef | ast.ClassDef):
            return frozenset((self._statement.name,))
        return frozenset(
            node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else node.id
            for node in ast.walk(self._statement)
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        )

    @property
    def is_code(self) -> bool:
        """Whether it defines a function or a class, or gives one another name."""
        if isinstance(self._statement, ast.Assign):
            return isinstance(self._statement.value, ast.Name | ast.Attribute | ast.Lambda)
        return self.is_certain

    @cached_property
    def imports(self) -> dict[str, str]:
        return _imports(ast.walk(self._statement))

    @cached_property
    def paths(self) -> frozenset[tuple[str, str]]:
        """What it reads: names, each with what follows it, such as ("nn", ".functional.relu")."""
        return frozenset(_paths(self._statement))

    @cached_property
    def looks_up(self) -> frozenset[str]:
        """The names that it looks up outside of itself."""
        try:
            return frozenset(_global(symtable(ast.unparse(self._statement), "", "exec")))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise StudentError(f"{', '.join(sorted(self.names))} cannot be read.") from None


class _Cell:
    """A cell's tree, with IPython's magics as calls; empty if it is no Python."""

    def __init__(self, source: str) -> None:
        #: What keeps it from being read although it may run.
        self.unreadable = ""
        tree, inner = ast.Module([], []), list[ast.AST]()
        try:
            tree = _parsed(source)
            for text in _texts_of_magics(ast.walk(tree)):
                inner += _read(text).nodes
        except (RecursionError, MemoryError):
            self.unreadable = "what is nested that deep"
        except (SyntaxError, ValueError):
            pass
        self.nodes: tuple[ast.AST, ...] = (*ast.walk(tree), *inner)
        self.imports = _imports(self.nodes)
        self.definitions = tuple(map(_Definition, tree.body))
        #: Functions that it defines, by the line.
        self.functions = {
            node.name: node.lineno
            for node in reversed(tree.body)
            if isinstance(node, ast.FunctionDef)
        }


_read = lru_cache(256)(_Cell)


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except SyntaxError:
            from IPython.core.inputtransformer2 import TransformerManager

            transformer = TransformerManager()  # type: ignore[no-untyped-call]
            return ast.parse(transformer.transform_cell(source))


def _texts_of_magics(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """What is given to magics: some run it as code."""
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in MAGICS:
                for argument in arguments:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value


def _plain(name: str) -> str:
    """An operator's name as that of its function and its module: "LeakyReLU", "leaky_relu_"."""
    return name.replace("_", "").lower()


def _chain(node: ast.expr) -> list[str]:
    """The names of a.b.c; what is no name before the first point is "?"."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id if isinstance(node, ast.Name) else "?", *names]


def _paths(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """What is read: names, each with what follows it, such as ("nn", ".functional.relu")."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        match node:
            case ast.Name() | ast.Attribute() if id(node) not in inner:
                root, *others = _chain(node)
                yield root, "".join(f".{name}" for name in others)
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
                yield "?", f".{name}"


def _imports(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Imported names and what they stand for: {"F": "torch.nn.functional"}."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for one in node.names:
                first = one.name.partition(".")[0]
                found[one.asname or first] = one.name if one.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return found


def _global(table: SymbolTable) -> set[str]:
    """The names that a definition looks up outside of itself."""
    is_module = table.get_type() == "module"
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_global() or (is_module and symbol.is_referenced())
    }
    return names.union(*map(_global, table.get_children()))
