"""Constructs in Python source that can reach into the run of the tests, found in its syntax tree. ``screen.NAMES`` says what they mean."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

RUNNER_MODULES = {"pytest", "_pytest", "pluggy", "unittest", "doctest", "nose", "mock", "turnwise_inside", "turnwise_inside_child"}
_MODULES = {
    **dict.fromkeys(RUNNER_MODULES, "runner_import"),
    **dict.fromkeys(("ctypes", "_ctypes", "cffi", "_testcapi", "_testinternalcapi"), "ctypes"),
    **dict.fromkeys(("builtins", "__builtin__"), "builtins"),
    **dict.fromkeys(("runpy", "code", "codeop", "marshal", "imp", "zipimport", "_xxsubinterpreters"), "dynamic_code"),
    **dict.fromkeys(("pty", "_posixsubprocess", "_thread"), "process"),
    "atexit": "exit_hook",
    "faulthandler": "process_exit",
}
_ATTRIBUTES = {
    name: kind
    for kind, names in {
        "process_exit": "_exit raise_signal pthread_kill",
        "frames": "_getframe _getframemodulename _current_frames _current_exceptions "
        "f_back f_globals f_builtins tb_frame gi_frame cr_frame ag_frame",
        "interpreter_hooks": "settrace setprofile addaudithook meta_path path_hooks path_importer_cache excepthook "
        "unraisablehook displayhook setswitchinterval __stdout__ __stderr__",
        "introspection": "__subclasses__ __globals__ __closure__ __builtins__ __kwdefaults__ cell_contents func_globals func_code",
        "process": "forkpty posix_spawn posix_spawnp execv execve execvp execvpe execl execle execlp fork_exec "
        "start_new_thread _register_atexit",
        "descriptors": "dup2 memfd_create pidfd_open",
        "dynamic_code": "spec_from_file_location spec_from_loader module_from_spec exec_module load_module SourceFileLoader",
        "runner_aware": "pytest_plugins",
    }.items()
    for name in names.split()
}
"""Attributes of any object; only names that hardly mean anything else."""
_QUALIFIED = {
    name: kind
    for kind, names in {
        "process_exit": "os.abort os.kill os.killpg signal.signal signal.alarm signal.setitimer",
        "frames": "inspect.stack inspect.trace inspect.currentframe inspect.getinnerframes inspect.getouterframes",
        "gc_search": "gc.get_objects gc.get_referrers gc.get_referents gc.disable gc.freeze gc.callbacks",
        "interpreter_hooks": "sys.modules",
        "import_path": "sys.path site.addsitedir",
        "runner_aware": "sys.argv sys.orig_argv os.putenv",
        "descriptors": "os.write os.dup os.open os.close os.closerange os.pipe os.fdopen",
        "process": "os.fork os.system os.popen",
        "reads_tests": "linecache.getline linecache.getlines linecache.cache inspect.getsource "
        "inspect.getsourcelines inspect.getsourcefile",
        "dynamic_code": "importlib.reload types.CodeType pkgutil.resolve_name pydoc.locate",
        "exit_hook": "threading._register_atexit",
    }.items()
    for name in names.split()
}
LENIENT = {"sys.path", "sys.argv"}
"""More of these is no finding where the base has one."""
_CODE_FIELDS = {"co_argcount", "co_varnames", "co_name", "co_filename", "co_firstlineno", "co_flags", "co_posonlyargcount"}
_TEXTS = (
    ("runner_aware", re.compile(r"PYTEST|\b_?pytest|py\.test|\bconftest|\bPYTHON[A-Z]{3,}|LD_PRELOAD")),
    (
        "forged_output",
        re.compile(r"<testsuite|</?testcase|\bPASSED\b|\d+ passed\b|::test_\w+|Start Test Output|short test summary|^ok \d+ - "),
    ),
    ("reads_tests", re.compile(r"(^|/)tests?/|/tests?$|\btest_\w*\.py|\btest_\*|_test\.py")),
    ("descriptors", re.compile(r"/proc/|/dev/fd|/dev/(stdout|stderr|shm)")),
    ("dynamic_code", re.compile(r"__import__|\bsys\._getframe|\bos\._exit|__subclasses__|__globals__|__builtins__")),
    ("universal_equal", re.compile(r"^__(eq|ne|instancecheck|subclasscheck)__$")),
)
_COMPARISONS = {
    **dict.fromkeys(("__eq__", "__le__", "__ge__", "__lt__", "__gt__", "__contains__", "__instancecheck__", "__subclasscheck__"), True),
    "__ne__": False,
}
_AT_IMPORT = {"subprocess", "socket", "threading", "concurrent", "asyncio", "multiprocessing"}
_REACHING = {"os", "sys", "builtins", "gc", "inspect", "importlib", "types", "signal", "posix", *RUNNER_MODULES}
"""Modules whose attributes must be named in plain text."""
_HARMLESS = {"Lock", "RLock", "local", "Event", "Condition", "Semaphore", "getLogger"}


@dataclass(frozen=True, slots=True)
class Construct:
    """``what``: the name that is used, so that equal ones can be counted."""

    name: str
    what: str
    line: int


def equalities(tree: ast.Module) -> list[str]:
    """What a file says about being equal."""
    named = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in ("__eq__", "__ne__"))
    given = (n for n in ast.walk(tree) if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) in ("__eq__", "__ne__"))
    return sorted(ast.dump(node) for node in (*named, *given))


def constructs(tree: ast.Module) -> Iterator[Construct]:
    """All constructs of a file that could be findings, new or not."""
    reader = _Reader(tree)
    reader.visit(tree)
    yield from reader.found


class _Reader(ast.NodeVisitor):
    """Walks one file and knows what its names were imported from and whether a line runs at import."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[Construct] = []
        self.depth = 0
        self.modules: dict[str, str] = {}
        self.bound: set[str] = set()
        """Names that the file gives a meaning of its own."""
        self.skipped: set[int] = set()
        """Nodes that are no finding: docstrings, and parts of harmless expressions."""
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.bound.add(node.name)
            elif isinstance(node, ast.arg):
                self.bound.add(node.arg)
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.modules[alias.asname or alias.name.split(".")[0]] = alias.name if alias.asname else alias.name.split(".")[0]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                for alias in node.names:
                    self.modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                origin = self.origin(node.value)
                if origin:  # another name for what was imported
                    self.modules.setdefault(node.targets[0].id, origin)
            if isinstance(node, ast.ImportFrom):
                self.bound.update(alias.asname or alias.name for alias in node.names)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0] if node.body else None
                if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                    self.skipped.add(id(first.value))

    def add(self, name: str, what: str, node: ast.AST) -> None:
        if name:
            self.found.append(Construct(name, what, getattr(node, "lineno", 0)))

    def origin(self, node: ast.expr) -> str:
        """What a name or dotted name was imported as, such as "os.path"; empty where it is no import."""
        if isinstance(node, ast.Name):
            return self.modules.get(node.id, "")
        if isinstance(node, ast.Attribute):
            before = self.origin(node.value)
            return f"{before}.{node.attr}" if before else ""
        return ""

    # imports

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.module(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0 and node.module:
            self.module(node.module, node)
            for alias in node.names:
                self.reference(f"{node.module}.{alias.name}", alias.name, node)

    def module(self, name: str, node: ast.AST) -> None:
        for part in (name, name.split(".")[0]):
            if part in _MODULES:
                self.add(_MODULES[part], f"import {name}", node)
                return

    def reference(self, dotted: str, attribute: str, node: ast.AST) -> None:
        """An attribute, or a name imported from a module."""
        dotted = ".".join(dotted.split(".")[-2:])  # logging.sys.modules is sys.modules
        name = _QUALIFIED.get(dotted, _ATTRIBUTES.get(attribute, ""))
        self.add(name, dotted if dotted in _QUALIFIED else attribute, node)
        if attribute == "__dict__" and dotted.split(".")[0] in _REACHING:
            self.add("dynamic_code", dotted, node)

    # names, attributes, texts

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if id(node) not in self.skipped:
            self.reference(self.origin(node), node.attr, node)
            if node.attr == "__code__":
                self.add("introspection", "__code__", node)
        if node.attr in _CODE_FIELDS:
            self.skipped.add(id(node.value))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if self.origin(node.value) == "sys.modules" and isinstance(node.slice, ast.Name) and node.slice.id == "__name__":
            self.skipped.add(id(node.value))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == "__builtins__":
            self.add("builtins", "__builtins__", node)
        elif node.id == "pytest_plugins" or (node.id == "__test__" and isinstance(node.ctx, ast.Store)):
            self.add("runner_aware", node.id, node)
        elif node.id == "AssertionError" and isinstance(node.ctx, ast.Store):
            self.add("builtins", "AssertionError =", node)
        elif node.id in ("exec", "eval", "compile", "__import__") and isinstance(node.ctx, ast.Load) and node.id not in self.bound:
            self.add("dynamic_code", node.id, node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if isinstance(value, str) and id(node) not in self.skipped:
            self.text(value, node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        parts = [part.value for part in (node.left, node.right) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        if isinstance(node.op, ast.Add) and len(parts) == 2:
            self.text("".join(map(str, parts)), node)
        self.generic_visit(node)

    def text(self, value: str, node: ast.AST) -> None:
        self.add(_ATTRIBUTES.get(value, ""), repr(value), node)
        for name, pattern in _TEXTS:
            if pattern.search(value):
                self.add(name, repr(value)[:60], node)

    # calls

    def visit_Call(self, node: ast.Call) -> None:
        origin = self.origin(node.func)
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if self.depth == 0:
            self._at_import(node, origin, called)
        if called in ("getattr", "setattr", "delattr", "hasattr", "vars") and node.args:
            self._looked_up(node, called)
        if origin == "importlib.import_module" and node.args:
            self._import_module(node)
        if called == "open" and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, int):
            self.add("descriptors", "open(number)", node)
        self.generic_visit(node)

    def _at_import(self, node: ast.Call, origin: str, called: str) -> None:
        if origin == "sys.exit" or (called in ("exit", "quit", "SystemExit", "KeyboardInterrupt") and called not in self.bound):
            self.add("process_exit", f"{ast.unparse(node.func)}() at import", node)
        if origin.split(".")[0] in _AT_IMPORT and origin.split(".")[-1] not in (
            "Lock",
            "RLock",
            "local",
            "Event",
            "Condition",
            "Semaphore",
        ):
            self.add("process", f"{origin}() at import", node)

    def _looked_up(self, node: ast.Call, called: str) -> None:
        """``getattr(sys, "_getframe")`` is ``sys._getframe``; a name that is computed cannot be read."""
        owner = self.origin(node.args[0])
        name = node.args[1] if len(node.args) > 1 else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            if called != "hasattr":
                self.reference(f"{owner}.{name.value}", name.value, node)
            if called in ("setattr", "delattr") and _foreign(owner):
                self.add("patches_module", f"{called}({owner}, {name.value!r})", node)
        elif owner.split(".")[0] in _REACHING:
            self.add("dynamic_code", f"{called}({owner}, ...)", node)

    def _import_module(self, node: ast.Call) -> None:
        name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            self.module(name.value, node)
        else:
            self.add("dynamic_code", "import_module(...)", node)

    # assignments

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._target(target)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._target(node.target)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._target(target)
        self.generic_visit(node)

    def _target(self, target: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self._target(part)
        owner = target.value if isinstance(target, ast.Attribute | ast.Subscript) else None
        while isinstance(owner, ast.Attribute | ast.Subscript) and not self.origin(owner):
            owner = owner.value
        if owner is not None and _foreign(self.origin(owner)) and self.origin(owner) != "os.environ":
            self.add("patches_module", ast.unparse(target)[:60], target)

    # what runs when

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in ("__name__ == '__main__'", "'__main__' == __name__"):
            self.depth += 1
            for statement in node.body:
                self.visit(statement)
            self.depth -= 1
            for statement in node.orelse:
                self.visit(statement)
        else:
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        if self.depth == 0 and isinstance(node.exc, ast.Name) and node.exc.id in ("SystemExit", "KeyboardInterrupt"):
            self.add("process_exit", f"raise {node.exc.id} at import", node)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if node.name in _COMPARISONS and _accepts_all(node, _COMPARISONS[node.name]):
            self.add("universal_equal", node.name, node)
        elif self.depth and node.name == "__eq__":
            self.add("universal_equal", "__eq__ of a class made in a function", node)
        for part in (*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)):
            self.visit(part)
        self.depth += 1
        for statement in node.body:
            self.visit(statement)
        self.depth -= 1

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1


def _foreign(origin: str) -> bool:
    top = origin.split(".")[0]
    return bool(top) and (top in sys.stdlib_module_names or top in RUNNER_MODULES)


def _accepts_all(node: ast.FunctionDef | ast.AsyncFunctionDef, answer: bool) -> bool:
    """Whether a comparison never looks at what it is compared with, and can answer ``answer``."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    other = arguments[1].arg if len(arguments) > 1 else ""
    read = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    values = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
    if not values:
        return False
    constant = [bool(v.value) == answer for v in values if isinstance(v, ast.Constant)]
    if len(constant) == len(values):
        return all(constant)
    raising = {"NotImplemented"} == {n.id for v in values for n in ast.walk(v) if isinstance(n, ast.Name)}
    return other not in read and not raising and not any(isinstance(v, ast.Constant) for v in values)
