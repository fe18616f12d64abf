"""Chooses from all instances of a study what the model reads, and says of every other one why not.

One bad instance never costs its neighbours: it is named in `Selection.faulty`, and the rest is read.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from model.errors import GeometryError, ImagingError, PixelError
from model.imaging.decoding import describe_pixels, stored_frames
from model.imaging.elements import integer, text, values
from model.imaging.header_rules import NO_PRIMARY_PICTURE, judge_header
from model.imaging.pixels import planar_image_from_dataset
from model.imaging.series import FEWEST_SLICES, is_axial, tilt_degrees, volume_from_slices
from model.imaging.slices import Slice, slices_of
from model.imaging.stacks import stacks_of
from model.imaging.views import states_hanging
from model.reading import Modality
from model.volume import PlanarImage, View, Volume

MOST_VIEWS = 4
"""Images of one chest study that are read at most."""

SIDE_UNKNOWN = "The header does not state the patient's orientation; sides assume the standard hanging."


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One instance that is not read."""

    sop_instance_uid: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What of a study is read."""

    modality: Modality | None
    """None if nothing is."""
    images: tuple[PlanarImage | Volume, ...]
    left_out: tuple[Exclusion, ...] = ()
    """Sound instances that the model does not judge."""
    faulty: tuple[Exclusion, ...] = ()
    """Instances that cannot become pixels, to be quarantined."""
    caveats: tuple[str, ...] = ()
    """Sentences for the reader of the result."""
    reason: str = ""
    """Why nothing is read."""


@dataclass(slots=True)
class _Ledger:
    """Keeps account of what happens to each instance while a study is sorted."""

    candidates: dict[Modality, list[Dataset]] = field(default_factory=dict[Modality, list[Dataset]])
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    faulty: dict[str, str] = field(default_factory=dict[str, str])
    uncertain: dict[str, str] = field(default_factory=dict[str, str])
    views: dict[str, View] = field(default_factory=dict[str, View])
    every_view: bool = False

    def leave_out(self, datasets: Iterable[Dataset], reason: str) -> None:
        self.left_out.update({_uid(ds): reason for ds in datasets if _uid(ds) not in self.faulty})

    def reason(self) -> str:
        """The most frequent reason, for a study of which nothing is read."""
        counted = Counter([*self.left_out.values(), *self.faulty.values()])
        return max(counted, key=counted.__getitem__, default="no images")


_Found = tuple[tuple[PlanarImage | Volume, ...], tuple[str, ...]]
"""Images and caveats."""


def select_images(datasets: Iterable[Dataset], *, every_view: bool = False) -> Selection:
    """Choose the images of one study: a CT volume, else a frontal chest radiograph, else a skin photograph.

    With `every_view` a chest study yields its frontal images, then its lateral ones, up to `MOST_VIEWS`.
    `datasets` are all instances of the study with their pixel data, in any order. Never raises for what an
    instance holds: each is read, left out or faulty, with a reason.
    """
    ledger = _Ledger(every_view=every_view)
    seen: set[str] = set()
    for ds in datasets:
        if _uid(ds) not in seen or not _uid(ds):
            seen.add(_uid(ds))
            _sort_in(ds, ledger)
    for modality, find in _FINDERS.items():
        images, caveats = find(ledger.candidates.get(modality, []), ledger)
        if images:
            return _selection(modality, images, caveats, ledger)
    return _selection(None, (), (), ledger)


def _sort_in(ds: Dataset, ledger: _Ledger) -> None:
    verdict = judge_header(ds)
    if verdict.modality is None:
        ledger.left_out[_uid(ds)] = verdict.reason
        return
    try:
        describe_pixels(ds)
    except PixelError as exc:
        ledger.faulty[_uid(ds)] = str(exc)
        return
    if not _uid(ds):
        ledger.faulty[""] = "no SOP Instance UID"
        return
    ledger.candidates.setdefault(verdict.modality, []).append(ds)
    ledger.views[_uid(ds)] = verdict.view
    if verdict.uncertain:
        ledger.uncertain[_uid(ds)] = verdict.uncertain


def _selection(
    modality: Modality | None,
    images: tuple[PlanarImage | Volume, ...],
    caveats: tuple[str, ...],
    ledger: _Ledger,
) -> Selection:
    read = {uid for image in images for uid in _uids(image)}
    for other, datasets in ledger.candidates.items():
        rest = [ds for ds in datasets if _uid(ds) not in read and _uid(ds) not in ledger.left_out]
        ledger.leave_out(rest, f"the study is read as {modality}" if other != modality else "not chosen")
    doubts = dict.fromkeys(ledger.uncertain[uid] for uid in sorted(read) if uid in ledger.uncertain)
    left_out = {uid: reason for uid, reason in ledger.left_out.items() if uid not in read}
    return Selection(
        modality,
        images,
        tuple(Exclusion(uid, reason) for uid, reason in left_out.items()),
        tuple(Exclusion(uid, reason) for uid, reason in ledger.faulty.items()),
        (*caveats, *doubts),
        "" if images else ledger.reason(),
    )


def _find_radiographs(candidates: Sequence[Dataset], ledger: _Ledger) -> _Found:
    """The frontal image and, where every view is wanted, the other frontal and the lateral ones."""
    ranked = sorted(candidates, key=lambda ds: _radiograph_rank(ds, ledger.views[_uid(ds)]))
    frontal = [ds for ds in ranked if ledger.views[_uid(ds)] is not View.LATERAL]
    lateral = [ds for ds in ranked if ledger.views[_uid(ds)] is View.LATERAL]
    if not ledger.every_view:
        ledger.leave_out(lateral, "not a frontal view")
        return _planar(frontal, ledger)
    images, caveats = _planar(_distinct(frontal, ledger), ledger, most=MOST_VIEWS)
    if not images:
        ledger.leave_out(lateral, "not a frontal view")
        return (), ()
    more, notes = _planar(_distinct(lateral, ledger), ledger, most=MOST_VIEWS - len(images))
    return images + more, tuple(dict.fromkeys((*caveats, *notes)))


def _find_photograph(candidates: Sequence[Dataset], ledger: _Ledger) -> _Found:
    return _planar(sorted(candidates, key=_instance_order), ledger, colour=True)


def _planar(
    ranked: Sequence[Dataset], ledger: _Ledger, *, colour: bool = False, most: int = 1
) -> tuple[tuple[PlanarImage, ...], tuple[str, ...]]:
    """Render the first `most` instances that can be; the others are left out."""
    images: list[PlanarImage] = []
    caveats: list[str] = []
    for ds in ranked:
        if len(images) == most:
            ledger.leave_out([ds], "another image of this study was read")
            continue
        try:
            image = planar_image_from_dataset(ds, view=ledger.views[_uid(ds)])
        except PixelError as exc:
            ledger.faulty[_uid(ds)] = str(exc)
            continue
        if (image.pixels.ndim == 3) != colour:
            ledger.leave_out([ds], "a photograph without colour" if colour else "a radiograph in colour")
            continue
        images.append(image)
        frames = integer(ds, "NumberOfFrames") or 1
        caveats += [f"Only the first of {frames} frames was read."] if frames > 1 else []
        if not colour and image.view is not View.LATERAL:
            caveats += [] if states_hanging(values(ds, "PatientOrientation")) else [SIDE_UNKNOWN]
    return tuple(images), tuple(caveats)


def _find_volume(candidates: Sequence[Dataset], ledger: _Ledger) -> _Found:
    slices: list[Slice] = []
    for ds in candidates:
        try:
            for one in slices_of(ds):
                unfit = NO_PRIMARY_PICTURE & set(one.frame_type)
                if unfit:
                    ledger.leave_out([ds], f"frame type {min(unfit)}")
                else:
                    slices.append(one)
        except PixelError as exc:
            ledger.faulty[_uid(ds)] = str(exc)
        except GeometryError as exc:
            ledger.leave_out([ds], str(exc))
    stacks = stacks_of(slices)
    for n, stack in enumerate(stacks):
        try:
            volume = _volume(stack, ledger)
        except ImagingError as exc:
            ledger.leave_out((one.ds for one in stack), str(exc))
            continue
        used = {frame.sop_instance_uid for frame in volume.frames}
        for other in stacks[n + 1 :]:
            rest = [one.ds for one in other if _uid(one.ds) not in used]
            ledger.leave_out(rest, "another series of this study was read")
        return (volume,), _volume_caveats(volume)
    return (), ()


def _volume(stack: Sequence[Slice], ledger: _Ledger) -> Volume:
    """Assemble a stack; if an instance in it cannot be decoded, name it and try without it."""
    if len(stack) < FEWEST_SLICES:
        raise GeometryError(f"too few slices for a volume: {len(stack)}")
    if not is_axial(stack[0]):
        raise GeometryError("slices are not axial")
    try:
        return volume_from_slices(stack)
    except PixelError:
        sound = [one for one in stack if _decodes(one, ledger)]
        if len(sound) == len(stack):
            raise
        return volume_from_slices(sound)


def _decodes(one: Slice, ledger: _Ledger) -> bool:
    try:
        for _ in stored_frames(one.ds, [one.frame_index]):
            pass
    except PixelError as exc:
        ledger.faulty[_uid(one.ds)] = str(exc)
        return False
    return True


def _volume_caveats(volume: Volume) -> tuple[str, ...]:
    tilt = tilt_degrees(volume)
    return (f"The slices are tilted by {tilt:.1f} degrees.",) if tilt > 1 else ()


def _radiograph_rank(ds: Dataset, view: View) -> tuple[bool, bool, int, int, str]:
    """Presentation before processing, a stated view before none, PA before AP, then as numbered."""
    position = {"PA": 0, "AP": 1}.get(text(ds, "ViewPosition").upper()[:2], 2)
    return (_is_for_processing(ds), view is View.UNKNOWN, position, *_instance_order(ds))


def _distinct(ranked: Sequence[Dataset], ledger: _Ledger) -> list[Dataset]:
    """Leave out the images for processing, where those for presentation were made of them."""
    shown = [ds for ds in ranked if not _is_for_processing(ds)]
    if not shown:
        return list(ranked)
    ledger.leave_out((ds for ds in ranked if _is_for_processing(ds)), "the image for presentation was read")
    return shown


def _is_for_processing(ds: Dataset) -> bool:
    return text(ds, "SOPClassUID") == DigitalXRayImageStorageForProcessing


def _instance_order(ds: Dataset) -> tuple[int, str]:
    number = integer(ds, "InstanceNumber")
    return (number if number is not None else 2**31, _uid(ds))


def _uid(ds: Dataset) -> str:
    return text(ds, "SOPInstanceUID")


def _uids(image: PlanarImage | Volume) -> list[str]:
    frames = [image.frame] if isinstance(image, PlanarImage) else image.frames
    return [frame.sop_instance_uid for frame in frames]


_FINDERS: Mapping[Modality, Callable[[Sequence[Dataset], _Ledger], _Found]] = {
    Modality.CT: _find_volume,
    Modality.CXR: _find_radiographs,
    Modality.DERM: _find_photograph,
}
"""By precedence: a CT study that also holds a radiograph is read as CT."""
