"""Static analysis of student code, on the trusted side.

The run-time watch over libraries and ready-made operators (`checks.student`) shares a process with
the student's code, which could switch it off. So the source text is analysed as well: for code that
tampers with the process, and for names that an exercise forbids.
"""

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import pairwise
from symtable import SymbolTable, symtable

from autograder.checks.student import LIBRARIES, StudentError, refuse

# Modules, names and attributes that no answer needs and that allow tampering with the process.
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
# Methods that IPython calls for magics; their arguments may be code, and are analysed too.
MAGICS = frozenset(("run_line_magic", "run_cell_magic"))
# Attributes that are refused only on the module before them.
OF_MODULES = frozenset((("sys", "modules"), ("torch", "library")))
# The run-time watch sees only its own thread and process.
CONCURRENCY = frozenset(("_thread", "concurrent", "multiprocessing", "subprocess", "threading"))


def tampering(source: str, own: Iterable[str] = ()) -> str:
    """Find code that tampers with the process.

    Args:
        source: the source of a cell, magics included.
        own: functions that the student defined before; they hide Python's of the same names.

    Returns:
        What was found, such as "sys.modules"; "" if nothing was.
    """
    cell = _read(source)
    hidden = {**cell.functions, **dict.fromkeys(own, 0)}
    only_tested = {
        id(node.comparators[0])
        for node in cell.nodes
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn)
    }
    for node in cell.nodes:
        if id(node) not in only_tested and (found := _tampering(node, hidden)):
            return found
    return cell.unreadable


def own_functions(source: str) -> set[str]:
    """Return the functions that a cell defines unconditionally."""
    return set(_read(source).functions)


def harmless(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a submission without Python modules that tamper with the process.

    Args:
        files: contents by name.
    """
    return {
        name: content
        for name, content in files.items()
        if not (name.endswith(".py") and tampering(content.decode(errors="replace")))
    }


class StudentSource:
    """The source of the cells that ran in a student's process.

    Args:
        sources: the sources of the cells, in the order in which they ran.
    """

    def __init__(self, sources: Iterable[str] = ()) -> None:
        #: Names that reference versions replace in the process at present.
        self.replaced: frozenset[str] = frozenset()
        self._definitions: dict[str, list[_Definition]] = {}
        self._imports: dict[str, str] = {}
        self._known: dict[tuple[str, frozenset[str], bool], frozenset[str]] = {}
        for source in sources:
            self._add(_read(source))

    def check(self, name: str, label: str, forbidden: frozenset[str] = frozenset()) -> None:
        """Check that an answer uses neither other libraries nor forbidden operators.

        Args:
            name: the name of the answer.
            label: the call that is made, for the sentence.
            forbidden: operators of PyTorch that the answer must not call.

        Raises:
            StudentError: the answer does; the sentence is that of the run-time watch.
        """
        plain = {_plain(operator): operator for operator in forbidden}
        key = name, self.replaced, bool(forbidden)
        if key not in self._known:
            self._known[key] = frozenset(self._used(name, results=bool(forbidden)))
        used = self._known[key]
        packages = {path.partition(".")[0] for path in used}
        if concurrency := ", ".join(sorted(packages & CONCURRENCY)):
            raise StudentError(f"{label} uses {concurrency}: an answer must run in one thread.")
        last = {_plain(path.rpartition(".")[2]) for path in used}
        refuse(label, packages & LIBRARIES, {plain[name] for name in last & plain.keys()})

    def _add(self, cell: "_Cell") -> None:
        """Add the definitions of a cell; a later definition replaces earlier ones of its name."""
        self._imports |= cell.imports
        for definition in cell.definitions:
            for name in definition.names:
                if definition.is_certain:
                    self._definitions[name] = [definition]
                    self._imports.pop(name, None)
                else:
                    self._definitions.setdefault(name, []).append(definition)

    def _used(self, name: str, *, results: bool) -> Iterator[str]:
        """Yield the dotted names that an answer and the student's code that it uses mention.

        Args:
            name: the name of the answer.
            results: also follow the statements that computed values which the answer uses. Without
                it, a trained network may use data from any library.
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
    """A top-level statement of a cell: the names that it defines and those that it mentions."""

    def __init__(self, statement: ast.stmt) -> None:
        self._statement = statement
        #: Whether it defines a function or a class unconditionally.
        self.is_certain = isinstance(statement, ast.FunctionDef | ast.ClassDef)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that it defines or may define."""
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
        """The names that it reads, each with its attributes, such as ("nn", ".functional.relu")."""
        return frozenset(_paths(self._statement))

    @cached_property
    def looks_up(self) -> frozenset[str]:
        """The global names that it looks up."""
        try:
            return frozenset(_global(symtable(ast.unparse(self._statement), "", "exec")))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise StudentError(f"{', '.join(sorted(self.names))} cannot be read.") from None


class _Cell:
    """The syntax tree of a cell, with magics as calls; empty if the cell is not valid Python."""

    def __init__(self, source: str) -> None:
        #: Why the cell cannot be analysed although it may run; "" if it can.
        self.unreadable = ""
        tree, inner = ast.Module([], []), list[ast.AST]()
        try:
            tree = _parsed(source)
            for text in _texts_of_magics(ast.walk(tree)):
                inner += _read(text).nodes
        except (RecursionError, MemoryError):
            self.unreadable = "code nested this deeply"
        except (SyntaxError, ValueError):
            pass
        self.nodes: tuple[ast.AST, ...] = (*ast.walk(tree), *inner)
        self.imports = _imports(self.nodes)
        self.definitions = tuple(map(_Definition, tree.body))
        #: The functions that it defines, and their lines.
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
    """Yield the arguments of magics, which may be code."""
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in MAGICS:
                for argument in arguments:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value


def _plain(name: str) -> str:
    """Return an operator's name in one spelling for "LeakyReLU", "leaky_relu" and "leaky_relu_"."""
    return name.replace("_", "").lower()


def _chain(node: ast.expr) -> list[str]:
    """Return the names of a.b.c; an expression before the first point becomes "?"."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id if isinstance(node, ast.Name) else "?", *names]


def _paths(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that are read, each with its attributes: ("nn", ".functional.relu")."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        match node:
            case ast.Name() | ast.Attribute() if id(node) not in inner:
                root, *others = _chain(node)
                yield root, "".join(f".{name}" for name in others)
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
                yield "?", f".{name}"


def _imports(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Return imported names and what they stand for, such as {"F": "torch.nn.functional"}."""
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
    """Return the names that a definition looks up outside itself."""
    is_module = table.get_type() == "module"
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_global() or (is_module and symbol.is_referenced())
    }
    return names.union(*map(_global, table.get_children()))
