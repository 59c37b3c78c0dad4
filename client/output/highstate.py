"""What a state run did: each state with its result, then a summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import Style, nested
from .palette import Palette, escape

RULE = "----------"
LABEL = 8  # the width that labels are set to, right-aligned
CONTINUED = " " * 14  # where the text of a label goes on
TAG_SEPARATOR = "_|-"
MODES = ("full", "terse", "mixed", "changes", "filter")


class Chunk(NamedTuple):
    """One state's result, with what its tag says."""

    id: str
    name: str
    function: str
    result: bool | None
    changes: Any
    comment: str
    started: str
    duration: float | None
    warnings: tuple[str, ...]
    number: int

    @classmethod
    def of(cls, tag: str, data: Mapping[str, Any]) -> Chunk:
        """Build one from an entry of a state run's return."""
        words = tag.split(TAG_SEPARATOR)
        module, ident, name, function = words if len(words) == 4 else ("", tag, tag, "")
        return cls(
            id=_line(data.get("__id__", ident)),
            name=_line(data.get("name", name)),
            function=_line(f"{module}.{function}" if module else tag),
            result=data.get("result"),
            changes=data.get("changes") or {},
            comment=_text(data.get("comment")),
            started=_line(data.get("start_time") or ""),
            duration=_duration(data.get("duration")),
            warnings=tuple(_text(entry) for entry in data.get("warnings") or ()),
            number=data["__run_num__"] if isinstance(data.get("__run_num__"), int) else 0,
        )

    @property
    def clean(self) -> bool:
        """Whether the state found everything as wanted."""
        return self.result is True and not self.changes

    @property
    def word(self) -> str:
        """The result in one word."""
        if self.result is None:
            return "Differs"
        if not self.result:
            return "Failed"
        return "Changed" if self.changes else "Clean"

    @property
    def color(self) -> str:
        """The colour of the result."""
        return {"Differs": "bright_yellow", "Failed": "red", "Changed": "cyan", "Clean": "green"}[self.word]


def output(data: Any, style: Style) -> str:
    """Return state runs as `{minion: {tag: result}}`, or why they did not compile; other data prints nested."""
    if not isinstance(data, Mapping):
        return nested.output(data, style)
    return "\n".join(_minion(_line(minion), run, style) for minion, run in data.items())


def is_state_run(run: Any) -> bool:
    """Say whether `run` has the shape of a state run's return."""
    return (
        isinstance(run, Mapping)
        and bool(run)
        and all(isinstance(chunk, Mapping) and "result" in chunk and "changes" in chunk for chunk in run.values())
    )


def _minion(minion: str, run: Any, style: Style) -> str:
    if isinstance(run, list) and run and all(isinstance(problem, str) for problem in run):
        return _problems(minion, run, style.palette)
    if not is_state_run(run):
        return nested.output({minion: run}, style)
    chunks = sorted((Chunk.of(str(tag), chunk) for tag, chunk in run.items()), key=lambda chunk: chunk.number)
    blocks = [_header(minion, chunks, style.palette)]
    blocks += [_chunk(chunk, style) for chunk in chunks if _is_shown(chunk, style)]
    blocks.append(_summary(minion, chunks, style.palette))
    return "\n".join(blocks)


def _problems(minion: str, problems: Iterable[str], palette: Palette) -> str:
    """Print why a tree did not compile: one entry for each mistake, its further lines below its first."""
    entries = [palette.paint("bright_red", f"{minion}:"), palette.paint("bright_red", "    Data failed to compile:")]
    for problem in problems:
        text = escape(problem).rstrip("\n").replace("\n", "\n    ")
        entries.append(palette.paint("bright_red", f"{RULE}\n    {text}"))
    return "\n".join(entries)


def _header(minion: str, chunks: Iterable[Chunk], palette: Palette) -> str:
    words = {chunk.word for chunk in chunks}
    ranked = (("Failed", "red"), ("Differs", "bright_yellow"), ("Changed", "cyan"))
    color = next((color for word, color in ranked if word in words), "green")
    return palette.paint(color, f"{minion}:")


def _is_shown(chunk: Chunk, style: Style) -> bool:
    if chunk.clean and (not style.state_verbose or style.state_output_diff):
        return False
    return _mode(style) != "filter" or not _is_listed(chunk, style.exclude)


def _mode(style: Style) -> str:
    mode = style.state_output.lower().removesuffix("_id")
    return mode if mode in MODES else "full"


def _is_listed(chunk: Chunk, words: Iterable[str]) -> bool:
    """Say whether a list of state modules and results (`True`, `False`, `None`) names this state."""
    return any(word in (chunk.function.split(".")[0], str(chunk.result)) for word in words)


def _is_terse(chunk: Chunk, style: Style) -> bool:
    match _mode(style):
        case "terse":
            return True
        case "mixed":
            return chunk.result is not False
        case "changes":
            return chunk.result is not False and not chunk.changes
        case "filter":
            return _is_listed(chunk, style.terse)
    return False


def _chunk(chunk: Chunk, style: Style) -> str:
    if _is_terse(chunk, style):
        return _terse(chunk, style)
    palette, color = style.palette, chunk.color
    fields = [("ID", chunk.id), ("Function", chunk.function)]
    if chunk.name != chunk.id:
        fields.append(("Name", chunk.name))
    fields += [("Result", str(chunk.result)), ("Comment", chunk.comment)]
    fields += [("Warnings", warning) for warning in chunk.warnings]
    fields += _profile(chunk, style)
    lines = [RULE, *(_field(label, text) for label, text in fields), _field("Changes", "")]
    return "\n".join([palette.paint(color, "\n".join(lines)), *_changes(chunk.changes, palette)])


def _profile(chunk: Chunk, style: Style) -> list[tuple[str, str]]:
    """When it started and how long it took, as far as it ran and that is wanted."""
    fields = [("Started", chunk.started), ("Duration", _milliseconds(chunk.duration))]
    return [field for field in fields if field[1]] if style.state_output_profile else []


def _field(label: str, text: str) -> str:
    indented = text.rstrip("\n").replace("\n", f"\n{CONTINUED}")
    return f"    {label:>{LABEL}}: {indented}".rstrip()


def _changes(changes: Any, palette: Palette) -> list[str]:
    return list(nested.lines(changes, palette, len(CONTINUED))) if changes else []


def _terse(chunk: Chunk, style: Style) -> str:
    name = chunk.id if style.state_output.lower().endswith("_id") else chunk.name
    fields = [
        ("Name", name.replace("\r", "\\r").replace("\n", "\\n")),
        ("Function", chunk.function),
        ("Result", chunk.word),
    ]
    fields += _profile(chunk, style)
    text = " - ".join(f"{label}: {value}" for label, value in fields)
    return f"  {style.palette.paint(chunk.color, text)}"


def _summary(minion: str, chunks: list[Chunk], palette: Palette) -> str:
    failed = sum(chunk.result is False for chunk in chunks)
    warnings = sum(len(chunk.warnings) for chunk in chunks)
    width = max(4, len(str(len(chunks))))
    counts = [palette.paint("green", f"Succeeded: {len(chunks) - failed:>{width - 3}}") + _kinds(chunks, palette)]
    counts.append(palette.paint("red" if failed else "cyan", f"Failed:    {failed:>{width - 3}}"))
    if warnings:
        counts.append(palette.paint("yellow", f"Warnings:  {warnings:>{width - 3}}"))
    rule = "-" * (len("Succeeded: ") + width - 3)
    total = sum(chunk.duration or 0.0 for chunk in chunks)
    return "\n".join(
        [
            palette.paint("cyan", f"\nSummary for {minion}\n{rule}"),
            *counts,
            palette.paint("cyan", f"{rule}\nTotal states run: {len(chunks):>{width + 1}}"),
            palette.paint("cyan", f"Total run time: {_total(total)}"),
        ]
    )


def _kinds(chunks: list[Chunk], palette: Palette) -> str:
    """Say how many of the succeeded would change in a real run, and how many have (or would have) changes."""
    untouched = sum(chunk.result is None for chunk in chunks)
    changed = sum(bool(chunk.changes) and chunk.result is not False for chunk in chunks)
    parts = [palette.paint("bright_yellow", f"unchanged={untouched}")] if untouched else []
    parts += [palette.paint("green", f"changed={changed}")] if changed else []
    return f" ({', '.join(parts)})" if parts else ""


def _total(milliseconds: float) -> str:
    text = f"{milliseconds:.3f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3f} s"
    return f"{text:>10}"


def _milliseconds(duration: float | None) -> str:
    return "" if duration is None else f"{round(duration, 3):g} ms"


def _duration(value: Any) -> float | None:
    """Return a duration in milliseconds; some states write its unit beside it."""
    try:
        return float(str(value).split()[0])
    except (ValueError, IndexError):
        return None


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(_text(entry) for entry in value)
    return "" if value is None else escape(str(value))


def _line(value: Any) -> str:
    return escape(str(value)).rstrip("\n")
