"""What a person sees while a run goes on: one line per step with phase times, and a bar for the phase under way."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def quiet() -> None:
    """Silence the progress bars transformers draws for every file it reads or writes."""
    from transformers.utils import logging

    logging.disable_progress_bar()


class Display:
    """Prints to ``console``; bars appear only on a terminal. Use as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._interrupted = False
        self._progress = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Any]:
        """A function to call once per finished piece of ``total``."""
        task = self._progress.add_task(title, total=total)
        try:
            yield lambda *_: self._progress.advance(task)
        finally:
            self._progress.remove_task(task)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C inside is taken at the next ``check``, a second one at once.

        Python raises it wherever it happens to be, and loses it in a weak reference's callback, of which torch has many.
        A SIGINT that is ignored or handled by somebody else is left alone.
        """
        own = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if own:
            signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            yield
        finally:
            if own:
                signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(self) -> None:
        """Stop at the next safe point, as after Ctrl-C; may be called from another thread."""
        self._interrupted = True

    def _on_interrupt(self, *_: Any) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        os.write(2, b"\nstopping at the next safe point; Ctrl-C again stops at once\n")  # print is not safe in a handler

    def check(self) -> None:
        """A safe point: raise ``KeyboardInterrupt`` if Ctrl-C was pressed."""
        if self._interrupted:
            raise KeyboardInterrupt

    def step(self, row: dict[str, Any], total: int) -> None:
        """One line for a step of reinforcement learning; then a safe point."""
        seconds = row["seconds"]
        self.say(
            f"step {row['step']:>4}/{total}  success {row['success']:.3f}  turn reward {row['turn_reward']:.3f}  "
            f"turns {row['mean_turns']:.1f}  entropy {row.get('entropy', float('nan')):.3f}  "
            f"no signal {row['groups_without_signal']}+{row['groups_replaced']}  faults {row['faults']}  "
            f"rollout {seconds['rollout']:.1f}s credit {seconds['credit']:.2f}s train {seconds['train']:.1f}s save {seconds['save']:.2f}s"
        )
        self.check()


class Clock:
    """Seconds per phase: ``with clock("rollout"): ...``; ``seconds`` sums them up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
