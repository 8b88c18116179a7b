"""Samples of ScreenSpot, ScreenSpot-v2 and ScreenSpot-Pro from files with the images beside them, as tasks of ``turnwise/Ground-v0``.

    annotations/*.json (lists), *.jsonl, *.parquet  +  image files, or images inside the parquet  ->  ScreenSpot(folder)

Pro's rows have ``ui_type`` and boxes (x1, y1, x2, y2); those of v1 and v2 ``data_type`` and (x, y, width, height), both in pixels; exports
to parquet have shares of the image, (x1, y1, x2, y2). Nothing is downloaded.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from ....records import Message, Task, Trajectory
from ....rewards.boxes import Box, from_xywh, is_coordinates
from ....rewards.gui_score import Verdict, screenspot_accuracy
from ...tasks import Split, TaskSet

ENV_ID = "turnwise/Ground-v0"
Boxes: TypeAlias = Literal["xyxy", "xywh", "share"]
Row: TypeAlias = Mapping[str, Any]

_SUFFIXES = (".json", ".jsonl", ".parquet")
_PLATFORMS = {"ios": "mobile", "android": "mobile", "macos": "desktop", "windows": "desktop", "linux": "desktop"}
_NAMES = ("img_filename", "file_name", "image_path", "image")


class ScreenSpot(TaskSet):
    """One split, "test". ``path``: a file, or a folder whose .json, .jsonl and .parquet files are read.

    ``images``: where image files are; by default the folder of ``path`` and all below it. ``boxes``: how they are written, "xyxy", "xywh"
    (both in pixels) or "share" ((x1, y1, x2, y2) from 0 to 1); None: as the format that a row's names show has it. Raises ``ValueError``
    for rows that name no image or instruction, and for a box that is empty, inverted, or more than ``slack`` pixels outside its image: then
    the boxes are written in another way than ``boxes`` says. ``FileNotFoundError`` for a missing file.
    """

    def __init__(self, path: str | Path, *, images: str | Path | None = None, boxes: Boxes | None = None, slack: float = 1.0) -> None:
        if boxes is not None and boxes not in get_args(Boxes):
            raise ValueError(f"boxes is {boxes!r}; allowed: {', '.join(get_args(Boxes))}, or None for that of the file's format")
        root = Path(path).resolve()
        if not root.exists():
            raise FileNotFoundError(f"{path} does not exist; give a file of samples, or the folder with the annotations and images")
        self.root = root if root.is_dir() else root.parent
        self.images = self.root if images is None else Path(images).resolve()
        self.boxes: Boxes | None = boxes
        self.slack = slack
        found = sorted(f for f in root.rglob("*") if f.suffix in _SUFFIXES) if root.is_dir() else [root]
        self._places: dict[str, Path] | None = None
        self._tables: dict[Path, Any] = {}
        self._tasks = [self._task(file, n, row) for file in found for n, row in enumerate(_rows(file))]
        if not self._tasks:
            raise ValueError(f"{path} holds no samples in {', '.join(_SUFFIXES)} files")

    def list_splits(self) -> list[Split]:
        return [Split(name="test", type="test", num_tasks=len(self._tasks))]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        return self._tasks[index]

    def image(self, task: Task) -> bytes:
        """The encoded image of a task of this set."""
        given = task.data["image"]
        if "file" in given:
            return self._file(str(given["file"])).read_bytes()
        return self._embedded(self.root / str(given["table"]), int(given["row"]))

    # ---- reading -----------------------------------------------------------------------------------------------------------------------

    def _task(self, file: Path, number: int, row: Row) -> Task:
        where = f"{file.name}, sample {number}"
        instruction = row.get("instruction") or row.get("prompt_to_evaluate")
        if not isinstance(instruction, str) or not instruction.strip():
            raise ValueError(f"{where} has no 'instruction'; its names: {', '.join(map(str, row))}")
        image = self._named(file, number, row, where)
        width, height = _size(self._bytes(image))
        size = row.get("img_size")
        if size is not None and [int(v) for v in size] != [width, height]:
            raise ValueError(f"{where} says its image is {list(size)} pixels; the image is {width} x {height}")
        bbox = row.get("bbox")
        target = None if bbox is None else self._box([float(v) for v in bbox], row, file, (width, height), where)
        data: dict[str, Any] = {
            "id": f"{file.stem}-{number}", "image": image, "screen": [width, height], "target": target,
            "ui_type": str(row.get("ui_type") or row.get("data_type") or "unknown"), "group": _group(row, file),
        }  # fmt: skip
        prompt = (Message(role="user", content=instruction),)
        return Task(id=str(row.get("id") or data["id"]), env_id=ENV_ID, split="test", prompt=prompt, data=data)

    def _box(self, given: Sequence[float], row: Row, file: Path, size: tuple[int, int], where: str) -> list[float]:
        convention = self.boxes or ("xyxy" if "ui_type" in row else "share" if file.suffix == ".parquet" else "xywh")
        if not is_coordinates(given, 4):
            raise ValueError(f"{where}: the box {list(given)} is not 4 finite numbers")
        width, height = size
        x1, y1, x2, y2 = given
        if convention == "xywh":
            x1, y1, x2, y2 = (math.nan,) * 4 if min(x2, y2) < 0 else from_xywh(given)
        elif convention == "share":
            x1, y1, x2, y2 = x1 * width, y1 * height, x2 * width, y2 * height
        slack = self.slack
        if not (-slack <= x1 < x2 <= width + slack and -slack <= y1 < y2 <= height + slack):
            raise ValueError(
                f"{where}: the box {list(given)}, read as {convention}, does not lie in its image of {width} x {height} pixels; "
                f"if boxes are written in another way, say so: boxes = {', '.join(get_args(Boxes))}"
            )
        box: Box = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
        return list(box)

    def _named(self, file: Path, number: int, row: Row, where: str) -> dict[str, Any]:
        embedded = row.get("image")
        if isinstance(embedded, Mapping):
            given = cast("Mapping[str, Any]", embedded)
            if given.get("bytes") is not None:
                return {"table": file.relative_to(self.root).as_posix(), "row": number}
            row = {**row, "image": given.get("path")}
        name = next((row[key] for key in _NAMES if isinstance(row.get(key), str)), None)
        if name is None:
            raise ValueError(f"{where} names no image; expected one of {', '.join(_NAMES)}")
        return {"file": str(name)}

    def _bytes(self, image: Mapping[str, Any]) -> bytes:
        return self._file(str(image["file"])).read_bytes() if "file" in image else self._embedded(self.root / image["table"], image["row"])

    def _file(self, name: str) -> Path:
        """The image file: by its path under ``images``, else the one of that name anywhere below."""
        direct = (self.images / name).resolve()
        if direct.is_relative_to(self.images) and direct.is_file():
            return direct
        if self._places is None:
            self._places = {f.name: f for f in sorted(self.images.rglob("*")) if f.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")}
        found = self._places.get(Path(name).name)
        if found is None:
            raise FileNotFoundError(f"there is no image {name!r} in {self.images} or below; give the folder of the images: images=...")
        return found

    def _embedded(self, file: Path, row: int) -> bytes:
        if file not in self._tables:
            import pyarrow.parquet as parquet

            self._tables[file] = cast("Any", parquet).read_table(file, columns=["image"], memory_map=True)["image"]
        return cast(bytes, self._tables[file][row].as_py()["bytes"])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tables": {}}


def _rows(file: Path) -> Iterator[Row]:
    """The samples of a file; the images of a parquet file only as a mark that they are there."""
    if file.suffix == ".parquet":
        try:
            import pyarrow.parquet as parquet
        except ImportError as error:
            raise ImportError("parquet files need pyarrow: pip install 'turnwise[datasets]'") from error
        yield from cast("list[Row]", cast("Any", parquet).read_table(file).to_pylist())
        return
    text = file.read_text(encoding="utf-8")
    try:
        read = [json.loads(line) for line in text.splitlines() if line.strip()] if file.suffix == ".jsonl" else json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is not JSON: {error}") from error
    if not isinstance(read, list) or not all(isinstance(row, dict) for row in cast("list[object]", read)):
        raise ValueError(
            f"{file} is no list of samples; a .json file is a list, a .jsonl file has one sample on each line. "
            "Where other files lie beside the samples, name the file of samples itself"
        )
    yield from cast("list[Row]", read)


def _size(image: bytes) -> tuple[int, int]:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("images need Pillow: pip install 'turnwise[gui]'") from error
    with Image.open(io.BytesIO(image)) as opened:
        return opened.size


def _group(row: Row, file: Path) -> str:
    """Pro's group; for v1 and v2 mobile, desktop or web, by the file's name or the source."""
    if row.get("group"):
        return str(row["group"])
    for name in ("mobile", "desktop", "web"):
        if name in file.stem.lower():
            return name
    source = str(row.get("data_source") or "")
    return _PLATFORMS.get(source.lower(), "web" if source else "unknown")


def verdict(trajectory: Trajectory) -> Verdict:
    """What a finished episode counts as: an answer that could not be read is of a wrong format, and wrong."""
    if not trajectory.turns or not trajectory.turns[-1].action_valid:
        return "wrong_format"
    return "correct" if trajectory.outcome.success else "wrong"


def accuracy_table(trajectories: Sequence[Trajectory]) -> dict[str, dict[str, float]]:
    """ScreenSpot-Pro's table of an evaluation: accuracy for all samples and for each group, by ui type. Voided episodes are left out.

    For generated pages the groups are layouts and the ui types the kinds of instruction.
    """
    valid = [t for t in trajectories if t.outcome.valid]
    kinds = [str(t.task.data.get("ui_type") or t.task.data.get("kind") or "unknown") for t in valid]
    groups = [str(t.task.data.get("group") or t.task.data.get("layout") or "unknown") for t in valid]
    return screenspot_accuracy([verdict(t) for t in valid], kinds, groups)
