"""What may be asked of a camera or a stream."""

from __future__ import annotations

from dataclasses import dataclass

# Longer than a camera or a stream's reconnection takes to come back by itself.
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class CameraOptions:
    """None leaves the choice to the camera.

    width, height: px, and fps: frames per second, to ask a camera for; a pipe of pictures takes fps
    as its rate. mjpg: ask a camera for MJPG, which USB carries at more pixels and frames than raw
    pictures. timeout_s: so long without a frame, and the source counts as lost. give_up_s: so long
    lost, and the run ends; None tries for ever. udp: carry RTSP over UDP, where a lost packet costs
    a smear and not a pause.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    mjpg: bool = False
    timeout_s: float = TIMEOUT_S
    give_up_s: float | None = None
    udp: bool = False
