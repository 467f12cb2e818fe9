"""An RTSP server on loopback, run by the system's Python: rtsp_server.py CODEC WIDTH HEIGHT PORT.

Serves a test picture at /cam, 15 times a second, and writes a line once it listens.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

ENCODERS = {
    "jpeg": "jpegenc ! rtpjpegpay name=pay0",
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0",
}


def main() -> None:
    codec, width, height, port = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
    factory = GstRtspServer.RTSPMediaFactory(shared=True)
    caps = f"video/x-raw, format=I420, width={width}, height={height}, framerate=15/1"
    factory.set_launch(f"( videotestsrc is-live=true ! {caps} ! {ENCODERS[codec]} )")
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    print(f"listening on {server.get_bound_port()}", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
