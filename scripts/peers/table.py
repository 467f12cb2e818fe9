"""The peers there are. To add one: a file with its class, and a row here."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_passd.bench.artefact import Candidate
from edge_passd.errors import BadInput
from peers.darknet import Darknet
from peers.fastestdet import FastestDet
from peers.nanodet import NanoDet
from peers.peer import COCO, COCO_WITH_GAPS, VOC, Peer, Published
from peers.ssd_mobilenet import SsdMobileNet
from peers.yolo_fastestv2 import YoloFastestV2

_ON_NCNN: dict[str, Any] = {"engine": "ncnn", "library": "ncnn"}
_ON_OPENCV: dict[str, Any] = {"engine": "opencv", "library": "cv2"}
_COCO: dict[str, Any] = {"data": "COCO", "known": COCO}


def _darknet(name: str, folder: str, stem: str, **data: Any) -> Published:
    return Published(
        name=name,
        folder=folder,
        files=(f"{stem}.cfg", f"{stem}.weights"),
        kind=Darknet,
        input_size=320,
        nms_iou=0.45,
        **_ON_OPENCV,
        **data,
    )


PEERS = (
    Published(
        name="NanoDet-m",
        folder="nanodet_m_coco_ncnn",
        files=("nanodet-m.param", "nanodet-m.bin"),
        kind=NanoDet,
        input_size=320,
        resize="letterbox",
        nms_iou=0.6,
        **_ON_NCNN,
        **_COCO,
    ),
    Published(
        name="FastestDet",
        folder="fastestdet_coco",
        files=("FastestDet.onnx",),
        kind=FastestDet,
        engine="onnxruntime",
        library="onnxruntime",
        input_size=352,
        nms_iou=0.45,
        **_COCO,
    ),
    Published(
        name="SSD-MobileNet-v1 0.75",
        folder="ssd_mobilenet_v1_coco_quant",
        files=("detect.tflite",),
        kind=SsdMobileNet,
        engine="tflite",
        library="ai_edge_litert",
        input_size=300,
        data="COCO",
        known=COCO_WITH_GAPS,
        nms_iou=1.0,  # the graph has suppressed them
        precision="int8",
    ),
    Published(
        name="Yolo-FastestV2",
        folder="yolo_fastestv2_coco_ncnn",
        files=("yolo-fastestv2-opt.param", "yolo-fastestv2-opt.bin"),
        kind=YoloFastestV2,
        input_size=352,
        nms_iou=0.4,
        **_ON_NCNN,
        **_COCO,
    ),
    _darknet("Yolo-Fastest-1.1", "yolo_fastest_1.1_coco", "yolo-fastest-1.1", **_COCO),
    _darknet("Yolo-Fastest-1.1-xl", "yolo_fastest_1.1_xl_coco", "yolo-fastest-1.1-xl", **_COCO),
    _darknet(
        "MobileNetV2-YOLOv3-Nano",
        "mobilenetv2_yolov3_nano_coco",
        "MobileNetV2-YOLOv3-Nano-coco",
        **_COCO,
    ),
    _darknet(
        "MobileNetV2-YOLOv3-Nano VOC",
        "mobilenetv2_yolov3_nano_voc",
        "MobileNetV2-YOLOv3-Nano-voc",
        data="VOC",
        known=VOC,
    ),
)


def files_of(published: Published, folder: Path) -> tuple[Path, ...]:
    """Its files; folder: that of all the peers."""
    return tuple(folder / published.folder / name for name in published.files)


def peer_candidate(published: Published, folder: Path, classes: tuple[str, ...]) -> Candidate:
    """The peer, for `edge_passd.bench`; its `open` raises BadInput where its library lacks."""
    files = files_of(published, folder)
    opener = partial(_open, published, files, classes)
    return Candidate(files[-1], opener, published.library, published.name)


def _open(
    published: Published, files: tuple[Path, ...], classes: tuple[str, ...], threads: int | None
) -> Peer:
    if find_spec(published.library) is None:
        raise BadInput(
            f"{published.name} needs {published.library}, which is not installed; run "
            "scripts/setup_peers and measure with .peers/bin/python"
        )
    return published.kind(published, files, classes, threads)
