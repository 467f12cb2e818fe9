"""What is looked at before a training starts: photos, their sizes, boxes, classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_passd import boxes as geometry
from edge_passd.errors import BadInput
from edge_passd.samples import DataSet, Sample
from quant.data.photos import PhotoCache, Progress

_LISTED = 10  # offenders named in a message
_ROUNDING = 0.5  # pixels: a box that reaches this little beyond its photo is not worth counting


@dataclass(frozen=True)
class CheckReport:
    """What a check found in one split. Counts are of boxes unless they say photos.

    clipped: cut to their photo. outside: dropped, nothing with an area lay inside the photo.
    not_finite: dropped, a coordinate was NaN or infinite. per_class: boxes kept.
    """

    name: str
    photos: int
    photos_without_boxes: int
    boxes: int
    difficult: int
    crowd: int
    clipped: int
    outside: int
    not_finite: int
    per_class: dict[str, int]

    def __str__(self) -> str:
        """One line for a person."""
        counts = ", ".join(f"{name} {count}" for name, count in self.per_class.items())
        text = (
            f"{self.name}: {self.photos} photos ({self.photos_without_boxes} without boxes), "
            f"{self.boxes} boxes ({self.difficult} difficult, {self.crowd} crowd): {counts}"
        )
        repairs = (
            (self.clipped, "clipped to their photo"),
            (self.outside, "dropped (outside their photo or without area)"),
            (self.not_finite, "dropped (not finite)"),
        )
        return "; ".join([text, *(f"{count} {what}" for count, what in repairs if count)])


def check(
    dataset: DataSet, cache: PhotoCache, progress: Progress | None = None
) -> tuple[DataSet, CheckReport]:
    """The data set with its boxes repaired, and what was found; every photo is decoded once.

    The decoded photos stay in `cache` as far as they fit. Raises BadInput for photos that are
    missing or unreadable, photos of another size than annotated, and a split without a box to
    learn from.
    """
    name = dataset.name
    if not dataset.samples:
        raise BadInput(f"{name}: the split has no photos; add photos and their boxes")
    sizes, problems = cache.fill([sample.path for sample in dataset.samples], progress)
    if problems:
        raise BadInput(
            f"{name}: {len(problems)} of {len(dataset.samples)} photos cannot be read: "
            f"{_listed(list(problems.values()))}; "
            "replace them or take them out of the annotations"
        )
    wrong = [
        f"{sample.path} is {found[0]}x{found[1]}, annotated {sample.width}x{sample.height}"
        for sample in dataset.samples
        if (found := sizes[sample.path]) != (sample.width, sample.height)
    ]
    if wrong:
        raise BadInput(
            f"{name}: {len(wrong)} of {len(dataset.samples)} photos have another size than their "
            f"annotation (width x height, as stored): {_listed(wrong)}; their boxes would be "
            "misplaced, so annotate the stored photos"
        )

    repaired = [_repair(sample) for sample in dataset.samples]
    checked = replace(dataset, samples=tuple(sample for sample, _ in repaired))
    clipped, outside, not_finite = map(sum, zip(*(counts for _, counts in repaired), strict=True))
    labels = np.concatenate([sample.labels for sample in checked.samples])
    if all(sample.ignored.all() for sample in checked.samples):
        raise BadInput(
            f"{name}: none of {len(checked.samples)} photos has a box to learn from "
            f"({outside} boxes lie outside their photo or have no area, {not_finite} are not "
            f"finite, {len(labels)} are difficult or crowd); check the annotations"
        )
    report = CheckReport(
        name=name,
        photos=len(checked.samples),
        photos_without_boxes=sum(not len(sample.labels) for sample in checked.samples),
        boxes=len(labels),
        difficult=sum(int(sample.difficult.sum()) for sample in checked.samples),
        crowd=sum(int(sample.crowd.sum()) for sample in checked.samples),
        clipped=clipped,
        outside=outside,
        not_finite=not_finite,
        per_class={c: int((labels == label).sum()) for label, c in enumerate(dataset.classes)},
    )
    return checked, report


def check_classes(train: DataSet, val: DataSet) -> None:
    """Raises BadInput when the two splits do not have the same classes in the same order."""
    if train.classes != val.classes:
        raise BadInput(
            f"the splits have different classes: {train.name} has {', '.join(train.classes)}; "
            f"{val.name} has {', '.join(val.classes)}; make them the same, in the same order"
        )


def _repair(sample: Sample) -> tuple[Sample, tuple[int, int, int]]:
    """The sample with clipped boxes, and how many were clipped, outside and not finite."""
    finite = np.isfinite(sample.boxes).all(axis=1)
    boxes = geometry.clip(sample.boxes, sample.width, sample.height)
    has_area = geometry.area(boxes) > 0
    moved = (np.abs(boxes - sample.boxes) > _ROUNDING).any(axis=1)
    kept = finite & has_area
    counts = int((kept & moved).sum()), int((finite & ~has_area).sum()), int((~finite).sum())
    repaired = replace(
        sample,
        boxes=boxes[kept],
        labels=sample.labels[kept],
        difficult=sample.difficult[kept],
        crowd=sample.crowd[kept],
    )
    return repaired, counts


def _listed(offenders: Sequence[str]) -> str:
    more = len(offenders) - _LISTED
    return " | ".join(offenders[:_LISTED]) + (f" and {more} more" if more > 0 else "")
