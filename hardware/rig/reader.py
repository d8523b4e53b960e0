"""A rig file becomes a `RigSpec`, or a list of all that is wrong with it, each with its line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml

from hardware.camera import open_camera
from hardware.errors import HardwareError, SettingError
from hardware.rig.schedule import Schedule
from hardware.rig.spec import STORE_NAMING, CameraSpec, Limits, RigSpec, find_conflicts
from hardware.rig.values import file_name, settings_of
from imgstore import FORMATS, FrameSpec, ImgstoreError, MetadataError, parse_yaml

_MAX_BYTES = 1 << 20
_ANY_SPEC = FrameSpec((960, 1280))
_BASE: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Place = tuple[str, ...]
_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True)
class RigProblem:
    """Something wrong with a rig file.

    Attributes
    ----------
    line : of the file, from 1; None if it is about no line.
    name : of the setting, "cameras.left.rate"; empty if it is about none.
    what : is wrong, and what would do.
    """

    line: int | None
    name: str
    what: str

    def __str__(self) -> str:
        """Return it in a line."""
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{self.name}{': ' if self.name else ''}{self.what}"


class RigFileError(HardwareError, ValueError):
    """A rig file says something that cannot be done.

    Parameters
    ----------
    path : of the file.
    problems : all that is wrong with it.
    """

    def __init__(self, path: Path, problems: tuple[RigProblem, ...]) -> None:
        self.problems = problems
        super().__init__(f"{path}: {'; '.join(map(str, problems))}")


@dataclass(frozen=True, slots=True)
class RigFile:
    """What was read of a rig file.

    Attributes
    ----------
    spec : what it says; None if there are problems.
    problems : all that is wrong with it, by line.
    """

    spec: RigSpec | None
    problems: tuple[RigProblem, ...]


def load_rig(path: Path) -> RigSpec:
    """Return what a rig file says. Raises RigFileError with all that is wrong with it, OSError."""
    read = read_rig(path)
    if read.spec is None:
        raise RigFileError(path, read.problems)
    return read.spec


def read_rig(path: Path) -> RigFile:
    """Read a rig file, and look at all of it; a folder in it is relative to its own. Raises OSError."""
    with path.open("rb") as file:
        read = parse_rig(file.read(_MAX_BYTES + 1))
    if read.spec is None:
        return read
    return replace(read, spec=replace(read.spec, folder=path.parent / read.spec.folder))


def parse_rig(data: bytes) -> RigFile:
    """Read what a rig file holds."""
    notes = _Notes()
    try:
        content = _Lines(notes).read(data)
    except MetadataError as exc:
        notes.add((), *_syntax_error(data, str(exc)))
        return RigFile(None, notes.sorted())
    spec = _read_rig(content, notes)
    return RigFile(None if notes.problems else spec, notes.sorted())


class _Notes:
    """Where everything stands, and what is wrong."""

    def __init__(self) -> None:
        self.lines: dict[_Place, int] = {}
        self.problems: list[RigProblem] = []

    def add(self, place: _Place, what: str, line: int | None = None) -> None:
        """Note a problem with the setting at a place."""
        self.problems.append(RigProblem(self._line(place) if line is None else line, ".".join(place), what))

    def about(self, section: str) -> bool:
        """Return whether anything is wrong in a section of the file."""
        return any(one.name.partition(".")[0] == section for one in self.problems)

    def sorted(self) -> tuple[RigProblem, ...]:
        """Return all problems by line."""
        return tuple(sorted(self.problems, key=lambda one: one.line or 0))

    def _line(self, place: _Place) -> int | None:
        """Return the line of a setting, or of the nearest one above it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


class _Lines:
    """Reads YAML, and notes the line of every name.

    Times such as 20:00 stay text, which YAML takes for numbers of base 60.
    """

    def __init__(self, notes: _Notes) -> None:
        self._notes = notes

    def read(self, data: bytes) -> object:
        """Return what YAML says. Raises MetadataError."""
        content = parse_yaml(data)  # which first sees to it that it is not too much
        node = yaml.compose(data, Loader=_BASE)
        return None if node is None else self._plain(node, content, ())

    def _plain(self, node: yaml.Node, value: Any, place: _Place) -> Any:
        if isinstance(node, yaml.ScalarNode):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return node.value if is_number and ":" in node.value else value
        if isinstance(node, yaml.SequenceNode) and isinstance(value, list):
            return [self._plain(one, item, place) for one, item in zip(node.value, value, strict=True)]
        if isinstance(node, yaml.MappingNode) and isinstance(value, Mapping):
            return self._mapping(node, value, place)
        return value  # a set, an ordered mapping: nothing that a rig takes

    def _mapping(self, node: yaml.MappingNode, value: Mapping[Any, Any], place: _Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in reversed(node.value):  # of a name that stands twice YAML keeps the last
            line = key.start_mark.line + 1
            name = str(key.value)
            here = (*place, name)
            if name not in value:  # on, 12, 2026-11-21
                self._notes.add(place, f"holds the name {name}, which YAML takes for a value; quote it", line)
            elif name in found:
                self._notes.add(here, f"stands here, and again in line {self._notes.lines[here]}", line)
            else:
                self._notes.lines[here] = line
                found[name] = self._plain(item, value[name], here)
        return dict(reversed(found.items()))


def _syntax_error(data: bytes, said: str) -> tuple[str, int | None]:
    """Return what is wrong with YAML, and in which line."""
    try:
        if len(data) <= _MAX_BYTES:
            for _ in yaml.parse(data, Loader=_BASE):
                pass
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else None
        return f"is no YAML: {exc.problem or said}", line
    except (yaml.YAMLError, ValueError):
        pass
    return f"is no YAML that can be read: {said}", None


def _read_rig(content: object, notes: _Notes) -> RigSpec | None:
    """Return the rig, None if it cannot be made; what is wrong is noted."""
    if not isinstance(content, Mapping):
        notes.add((), "is empty" if content is None else "does not hold names and values, as `name: my run`")
        return None
    own = dict(content)
    cameras = _read_cameras(own.pop("cameras", None), own.pop("defaults", None), notes)
    limits = _read(Limits, "limits", own, notes)
    schedule = _read(Schedule, "schedule", own, notes)
    values = _values(RigSpec, own, (), notes, ("cameras", "defaults", "limits", "schedule"))
    if cameras or not notes.about("cameras"):  # of cameras that are all wrong enough was said
        for place, what in find_conflicts(cameras, values.get("stores", STORE_NAMING), schedule):
            notes.add(tuple(place.split(".", 1)), what)
    if notes.problems:
        return None
    return RigSpec(**values, cameras=cameras, limits=limits, schedule=schedule)


def _read_cameras(content: object, common: object, notes: _Notes) -> tuple[CameraSpec, ...]:
    defaults = _section(common, ("defaults",), notes)
    for name in ("name", "source"):
        if name in defaults:
            notes.add(("defaults", name), "cannot be the same for all cameras; say it for each")
            defaults.pop(name)
    shared = _values(CameraSpec, defaults, ("defaults",), notes, whole=False)
    if content is not None and not isinstance(content, Mapping):
        notes.add(
            ("cameras",), "is a mapping of names to cameras, as `front: opencv:0` or `front: {source: ...}`"
        )
        return ()
    found = [_read_camera(name, one, shared, notes) for name, one in (content or {}).items()]
    return tuple(one for one in found if one is not None)


def _read_camera(name: str, content: object, shared: Mapping[str, Any], notes: _Notes) -> CameraSpec | None:
    place = ("cameras", name)
    if content is not None and not isinstance(content, str | Mapping):
        notes.add(place, f"is a source, as opencv:0, or names and values, not {content!r}")
        return None
    section = {"source": content} if isinstance(content, str) else _section(content, place, notes)
    if "name" in section:
        notes.add((*place, "name"), f"is what stands before the colon: {name}")
        section.pop("name")
    try:
        section["name"] = file_name(name)
    except SettingError as exc:
        notes.add(place, f"{exc}")
        return None
    values = _values(CameraSpec, section, place, notes)
    merged = {**shared, **values}
    if {"chunksize", "chunk_s"} & values.keys():  # a camera's own word stands against both defaults
        merged = {
            key: one for key, one in merged.items() if key not in ("chunksize", "chunk_s") or key in values
        }
    for each in ("options", "metadata"):
        merged[each] = {**shared.get(each, {}), **values.get(each, {})}
    camera = _made(CameraSpec, merged, place, notes)
    if camera is not None:
        _check_profile(camera, place, notes)
    return camera


def _check_profile(camera: CameraSpec, place: _Place, notes: _Notes) -> None:
    """Note a profile that the format has not, or a format whose library is missing."""
    try:
        FORMATS.get(camera.format).settings(_ANY_SPEC, camera.settings)
    except ImgstoreError as exc:
        notes.add((*place, "settings" if "settings" in str(exc) else "format"), f"cannot be had: {exc}")


def _section(content: object, place: _Place, notes: _Notes) -> dict[str, Any]:
    """Return a mapping of the file; an empty one, and a note, if it is none."""
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        notes.add(place, f"holds names and values, not {content!r}")
        return {}
    return dict(content)


def _read(kind: type[_Kind], name: str, content: dict[str, Any], notes: _Notes) -> _Kind:
    """Take a section of the file out of its content; what is wrong is noted and left out."""
    section = _section(content.pop(name, None), (name,), notes)
    return _made(kind, _values(kind, section, (name,), notes), (name,), notes) or kind()


def _made(kind: type[_Kind], values: Mapping[str, Any], place: _Place, notes: _Notes) -> _Kind | None:
    """Make a value of checked settings; note if they do not go together."""
    try:
        return kind(**values)
    except SettingError as exc:
        notes.add(place, str(exc))
        return None


def _values(
    kind: type[object],
    content: Mapping[str, Any],
    place: _Place,
    notes: _Notes,
    also: Sequence[str] = (),
    *,
    whole: bool = True,
) -> dict[str, Any]:
    """Return what is right of some settings; what is wrong, unknown or missing is noted.

    Parameters
    ----------
    kind : whose settings they are.
    also : further names that would do, for the message.
    whole : whether what has to be there has to be here; a value that stands in for it is returned.
    """
    known = settings_of(kind)
    values: dict[str, Any] = {}
    for name, value in content.items():
        if name in known:
            _take(name, value, known[name].metadata["parse"], place, notes, values)
        else:
            close = get_close_matches(name, [*known, *also], 1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join([*known, *also])}"
            notes.add((*place, name), f"is no setting; {hint}")
    for name, field in known.items() if whole else ():
        if name not in values and field.metadata["stand_in"]:
            values[name] = field.metadata["stand_in"][0]
            if name not in content:
                notes.add((*place, name), "is missing")
    return values


def _take(name: str, value: object, parse: Any, place: _Place, notes: _Notes, values: dict[str, Any]) -> None:
    try:
        values[name] = parse(value)
    except SettingError as exc:
        notes.add((*place, name), str(exc))


def try_cameras(spec: RigSpec) -> tuple[RigProblem, ...]:
    """Return which cameras cannot take what is asked of them, as far as that is known without opening any."""
    problems = []
    for camera in spec.cameras:
        try:
            open_camera(camera.source, camera.camera_settings)
        except (HardwareError, ImgstoreError) as exc:
            problems.append(RigProblem(None, f"cameras.{camera.name}", f"cannot be made: {exc}"))
    return tuple(problems)
