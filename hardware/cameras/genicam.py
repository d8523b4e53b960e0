"""GenICam cameras (GigE Vision, USB3 Vision, CoaXPress ...), through the GenTL producer of any maker."""

from hardware.camera import CameraIdentity, CameraSettings, FoundCamera
from hardware.errors import SourceError
from hardware.gentl import Device, choose_device, find_devices, list_producers
from hardware.options import parse_options
from hardware.vision import GenICamOptions, VisionCamera, split_options


def open_genicam(address: str, settings: CameraSettings) -> VisionCamera:
    """Make the camera of `genicam:SERIAL`, `genicam:MODEL` or `genicam:INDEX`."""
    if not address:
        raise SourceError("genicam: needs a serial number, a model or a place, as in genicam:0")
    settings.allow("a GenICam camera", "size", "rate", "colour", "realtime", "options")
    name = f"genicam:{address}"
    ours, _ = split_options(GenICamOptions, settings.options)
    producer = parse_options(GenICamOptions, ours, name).producer

    def open_device() -> Device:
        return Device(choose_device(find_devices(list_producers(producer)), address))

    return VisionCamera("genicam", name, open_device, settings, GenICamOptions)


def find_genicam() -> list[FoundCamera]:
    """Return all cameras that the producers of this machine know. Raises HardwareError if there is none."""
    devices = find_devices(list_producers())
    serials = [device.serial for device in devices]
    return [
        FoundCamera(
            f"genicam:{device.serial if device.serial and serials.count(device.serial) == 1 else device.id}",
            CameraIdentity("genicam", f"{device.vendor} {device.model}".strip(), device.serial),
        )
        for device in devices
    ]
