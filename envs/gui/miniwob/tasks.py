"""MiniWoB++'s task types, BrowserGym's split of them, and episodes by seed.

A task's data are ``{"type": "click-test", "seed": 17}``; the seed is the page's own (``Math.seedrandom``). Seeds of train, validation
and test are disjoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ....records import Task
from ...tasks import Split, SplitType, TaskSet

ENV_ID = "turnwise/MiniWoB-v0"
_TRAIN = """
book-flight book-flight-nodelay buy-ticket choose-date choose-date-easy choose-date-medium choose-date-nodelay circle-center
click-checkboxes click-checkboxes-large click-checkboxes-soft click-checkboxes-transfer click-collapsible click-collapsible-2
click-collapsible-2-nodelay click-collapsible-nodelay click-dialog click-dialog-2 click-option click-shades click-test-2
click-test-transfer count-shape daily-calendar drag-box drag-items drag-shapes drag-shapes-2 drag-single-shape drag-sort-numbers
draw-circle draw-line enter-date enter-password enter-text enter-text-2 enter-text-dynamic enter-time find-midpoint focus-text
focus-text-2 form-sequence identify-shape login-user login-user-popup multi-layouts multi-orderings navigate-tree odd-or-even
read-table read-table-2 search-engine text-editor text-transform unicode-test use-autocomplete use-autocomplete-nodelay
use-colorwheel use-colorwheel-2 use-slider use-slider-2 visual-addition
"""
_TEST = """
ascending-numbers bisect-angle choose-list click-button click-button-sequence click-color click-link click-menu click-menu-2
click-pie click-pie-nodelay click-scroll-list click-shape click-tab click-tab-2 click-tab-2-easy click-tab-2-hard
click-tab-2-medium click-test click-widget copy-paste copy-paste-2 count-sides drag-circle drag-cube drag-items-grid email-inbox
email-inbox-delete email-inbox-forward email-inbox-forward-nl email-inbox-forward-nl-turk email-inbox-important
email-inbox-nl-turk email-inbox-noscroll email-inbox-reply email-inbox-star-reply find-greatest find-word form-sequence-2
form-sequence-3 generate-number grid-coordinate guess-number highlight-text highlight-text-2 hot-cold number-checkboxes order-food
phone-book resize-textarea right-angle scroll-text scroll-text-2 sign-agreement simple-algebra simple-arithmetic social-media
social-media-all social-media-some stock-market terminal tic-tac-toe use-spinner
"""
TRAIN_TYPES: tuple[str, ...] = tuple(_TRAIN.split())
TEST_TYPES: tuple[str, ...] = tuple(_TEST.split())
"""The 62 and 63 types of BrowserGym's split (ServiceNow, browsergym-experiments 0.14.3, metadata/miniwob.csv)."""
OTHER_TYPES: tuple[str, ...] = ("button-delay", "chase-circle", "hover-shape", "moving-items", "simon-says")
"""Pages of the ``miniwob`` package that BrowserGym leaves out."""
TYPES: tuple[str, ...] = tuple(sorted((*TRAIN_TYPES, *TEST_TYPES, *OTHER_TYPES)))
_FIRST_SEED = {"train": 0, "validation": 10_000_000, "test": 20_000_000}


class MissingPages(RuntimeError):
    """The ``miniwob`` package is not installed."""


@lru_cache
def pages_folder() -> Path:
    """The folder of the ``miniwob`` package that holds its pages. Raises ``MissingPages``."""
    from importlib.util import find_spec

    spec = find_spec("miniwob")
    if spec is None or not spec.submodule_search_locations:
        raise MissingPages("the pages of MiniWoB++ come with the package miniwob; install it: pip install 'turnwise[gui]'")
    return Path(next(iter(spec.submodule_search_locations))) / "html"


class MiniWobTasks(TaskSet):
    """``per_type`` seeds of every type; tasks go through the types in turn, so that every prefix of a split is balanced.

    The splits are train, validation (the types of train, other seeds) and test.
    """

    def __init__(self, train: Sequence[str], test: Sequence[str], per_type: int) -> None:
        self.types: dict[str, tuple[str, ...]] = {"train": tuple(train), "validation": tuple(train), "test": tuple(test)}
        self.per_type = per_type

    def list_splits(self) -> list[Split]:
        kinds: tuple[SplitType, ...] = ("train", "validation", "test")
        return [Split(name=kind, type=kind, num_tasks=len(self.types[kind]) * self.per_type) for kind in kinds]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        types = self.types[split]
        kind, seed = types[index % len(types)], _FIRST_SEED[split] + index // len(types)
        return Task(id=f"{kind}-{seed}", env_id=ENV_ID, split=split, data={"type": kind, "seed": seed})
