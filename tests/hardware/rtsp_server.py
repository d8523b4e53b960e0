"""Serves a video file by RTSP, to every client from its beginning, at its own pace; prints its port.

Run by the system's Python, which has GStreamer; ends with MISSING if it has not.
"""

import sys

MISSING = 77


def main() -> None:
    """Serve the file named on the command line, for ever."""
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstRtspServer", "1.0")
        from gi.repository import GLib, Gst, GstRtspServer
    except (ImportError, ValueError) as exc:
        print(f"no gst-rtsp-server: {exc}", flush=True)
        sys.exit(MISSING)
    Gst.init(None)
    for element in ("qtdemux", "rtph264pay"):
        if Gst.ElementFactory.find(element) is None:
            print(f"GStreamer has no {element}", flush=True)
            sys.exit(MISSING)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( filesrc location={sys.argv[1]} ! qtdemux ! rtph264pay name=pay0 pt=96 )")
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
