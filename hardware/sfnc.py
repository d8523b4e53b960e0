"""What people ask of a camera, in the nodes of GenICam's Standard Features Naming Convention (SFNC)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hardware.camera import CameraSettings
from hardware.errors import SettingError
from hardware.node_file import load_nodes, read_node_file
from hardware.nodes import NodeMap, first_node, get_node, selector_states, write_node
from hardware.options import CameraOption, about
from hardware.pixels import PixelFormat, is_known, parse_pixel_format

RATE_NODES = (
    "ResultingFrameRate",
    "ResultingFrameRateAbs",
    "AcquisitionFrameRate",
    "AcquisitionFrameRateAbs",
)
"""Frames per second: what it comes to if the device says that, else what it is told."""

MAIN_NODES = (
    *("PixelFormat", "Width", "Height", "OffsetX", "OffsetY", "BinningHorizontal", "BinningVertical"),
    *RATE_NODES,
    *(
        "ExposureAuto",
        "ExposureTime",
        "ExposureTimeAbs",
        "GainAuto",
        "Gain",
        "GainRaw",
        "Gamma",
        "BlackLevel",
    ),
    *("TriggerSelector", "TriggerMode", "TriggerSource", "TriggerActivation", "TriggerDelay"),
    *("DeviceVendorName", "DeviceFirmwareVersion", "DeviceTemperature"),
)
"""Those that go into a recording's metadata, as far as there are any."""

_ROUNDING = 0.05  # cameras round exposure and rate to lines
_COLOURS = (
    "BGR8",
    "RGB8",
    "BGR8Packed",
    "RGB8Packed",
    "BGRa8",
    "RGBa8",
    "BayerRG8",
    "BayerGR8",
    "BayerGB8",
    "BayerBG8",
)


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What a camera with nodes can be told besides size and rate; and any node, by its name."""

    others: ClassVar[tuple[CameraOption, ...]] = (
        CameraOption(
            "NODE",
            "any node of the camera by its own name; `ethostore camera dump` lists them",
            "a number or a word",
            values="as in ExposureMode=Timed",
            default="as the camera has it",
        ),
    )

    settings: str | None = field(
        default=None,
        metadata=about("file of `ethostore camera dump` to load before all else", values="a path"),
    )
    pixel_format: str | None = field(
        default=None,
        metadata=about("as the camera calls it", values="Mono8, Mono12p, BayerRG8, BGR8 ..."),
    )
    exposure: float | None = field(
        default=None, metadata=about("exposure time, automatic exposure off", unit="ms")
    )
    gain: float | None = field(
        default=None, metadata=about("gain, automatic gain off", unit="the camera's, mostly dB")
    )
    trigger: str | None = field(
        default=None,
        metadata=about(
            "what exposes: free runs, software gives a frame for each that is read; or the line it comes by",
            values="free, software, Line1 ...",
            default="free, unless settings say",
        ),
    )


def set_up(
    nodes: NodeMap, settings: CameraSettings, options: NodeOptions, own: Mapping[str, object]
) -> PixelFormat:
    """Set all that was asked for, and return the pixel format that frames will have.

    Parameters
    ----------
    own : values of nodes by name, set in this order after the pixel format and before all else.

    Raises SettingError for what the camera does not take.
    """
    if options.settings is not None:
        load_nodes(nodes, read_node_file(Path(options.settings))).check()
    pixel_format = _set_pixel_format(nodes, options.pixel_format, colour=settings.colour)
    for name, value in own.items():
        write_node(get_node(nodes, name), value, tolerance=_ROUNDING)
    if "PixelFormat" in own:
        pixel_format = parse_pixel_format(str(get_node(nodes, "PixelFormat").read()))
    if settings.size is not None:
        _set_size(nodes, settings.size)
    if options.exposure is not None:
        _set_number(
            nodes, options.exposure * 1000, "exposure", "ExposureAuto", "ExposureTime", "ExposureTimeAbs"
        )
    if options.gain is not None:
        _set_number(nodes, options.gain, "gain", "GainAuto", "Gain", "GainRaw")
    keep_trigger = options.trigger is None and (options.settings is not None or "TriggerMode" in own)
    if not keep_trigger:
        _set_trigger(nodes, options.trigger or "free")
    if settings.rate is not None:
        _set_rate(nodes, settings.rate)
    return pixel_format


def read_main_nodes(nodes: NodeMap, more: Iterable[str] = ()) -> dict[str, object]:
    """Return the values of the main nodes, and of others, as far as they can be read."""
    found: dict[str, object] = {}
    for name in dict.fromkeys((*MAIN_NODES, *more)):
        node = nodes.find(name)
        if node is not None and node.kind != "command" and node.readable:
            found[name] = node.read()
    return found


def _set_pixel_format(nodes: NodeMap, asked: str | None, *, colour: bool) -> PixelFormat:
    """Set the pixel format that was asked for, else keep the camera's if it is fit, else find one."""
    node = get_node(nodes, "PixelFormat")
    current = str(node.read())
    if asked is None:
        asked = current if _fits(current, colour=colour) else _best(node.choices, colour=colour)
    if asked is None:
        raise SettingError(
            f"{nodes.identity.model} gives frames as {', '.join(node.choices)}; none of them can be read"
        )
    pixel_format = parse_pixel_format(asked)
    write_node(node, asked)
    return pixel_format


def _fits(name: str, *, colour: bool) -> bool:
    return is_known(name) and parse_pixel_format(name).has_colour == colour


def _best(choices: Iterable[str], *, colour: bool) -> str | None:
    """Return the pixel format that costs least: what was asked for, in 8 bits, else any that is known."""
    known = [name for name in choices if is_known(name)]
    wanted = _COLOURS if colour else ("Mono8",)
    first = [name for name in wanted if name in known]
    second = [name for name in known if _fits(name, colour=colour)]
    return next(iter([*first, *second, *known]), None)


def _set_size(nodes: NodeMap, size: tuple[int, int]) -> None:
    """Set rows and columns; an offset that leaves no room for them is given up."""
    for name, offset_name, value in (("Height", "OffsetY", size[0]), ("Width", "OffsetX", size[1])):
        node, offset = get_node(nodes, name), nodes.find(offset_name)
        limits = node.limits
        if offset is not None and offset.writable and limits is not None and value > limits[1]:
            write_node(offset, 0)
        write_node(node, value)


def _set_number(nodes: NodeMap, value: float, what: str, automatic: str, *names: str) -> None:
    """Set a number, as near as the device has it, and switch off what would set it again."""
    auto, node = nodes.find(automatic), first_node(nodes, *names)
    if auto is not None and auto.writable:
        write_node(auto, "Off")
    if node is None:
        raise SettingError(f"{nodes.identity.model} has no {what} that can be set ({', '.join(names)})")
    write_node(node, round(value) if node.kind == "int" else value, tolerance=_ROUNDING)


def _set_rate(nodes: NodeMap, rate: float) -> None:
    for name, value in (("AcquisitionFrameRateAuto", "Off"), ("AcquisitionFrameRateEnable", True)):
        switch = nodes.find(name)
        if switch is not None and switch.writable:
            write_node(switch, value)
    node = first_node(nodes, "AcquisitionFrameRate", "AcquisitionFrameRateAbs")
    if node is None:
        raise SettingError(f"{nodes.identity.model} has no rate that can be set; leave the rate out")
    write_node(node, rate, tolerance=_ROUNDING)
    real = first_node(nodes, "ResultingFrameRate", "ResultingFrameRateAbs")
    got = real.read() if real is not None and real.readable else rate
    if isinstance(got, int | float) and got < rate * (1 - _ROUNDING):
        raise SettingError(
            f"{nodes.identity.model} was asked for {rate:g} frames per second and comes to {got:.4g}; "
            "ask for less, a shorter exposure or a smaller size"
        )


def _set_trigger(nodes: NodeMap, trigger: str) -> None:
    """Let frames come by themselves, when they are read, or by a line."""
    mode = nodes.find("TriggerMode")
    if mode is None:
        if trigger != "free":
            raise SettingError(f"{nodes.identity.model} has no trigger; leave the trigger out")
        return
    for _ in selector_states(nodes, mode):
        if mode.writable:
            write_node(mode, "Off")
    if trigger == "free":
        return
    selector = nodes.find("TriggerSelector")
    if selector is not None and selector.writable and "FrameStart" in selector.choices:
        write_node(selector, "FrameStart")
    write_node(get_node(nodes, "TriggerSource"), "Software" if trigger == "software" else trigger)
    write_node(mode, "On")
