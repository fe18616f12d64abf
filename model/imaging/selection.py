"""Chooses from all instances of a study what the model reads, and says of every other one why not.

One bad instance never costs its neighbours: it is named in `Selection.faulty`, and the rest is read.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from model.errors import GeometryError, ImagingError, PixelError
from model.imaging.decoding import describe_pixels, stored_frames
from model.imaging.elements import integer, text, values
from model.imaging.header_rules import judge_header
from model.imaging.pixels import planar_image_from_dataset, states_hanging
from model.imaging.series import FEWEST_SLICES, is_axial, same_plane, tilt_degrees, volume_from_slices
from model.imaging.slices import Slice, slices_of
from model.reading import Modality
from model.volume import PlanarImage, Volume

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

    def leave_out(self, datasets: Iterable[Dataset], reason: str) -> None:
        self.left_out.update({_uid(ds): reason for ds in datasets if _uid(ds) not in self.faulty})

    def reason(self) -> str:
        """The most frequent reason, for a study of which nothing is read."""
        counted = Counter([*self.left_out.values(), *self.faulty.values()])
        return max(counted, key=counted.__getitem__, default="no images")


_Found = tuple[tuple[PlanarImage | Volume, ...], tuple[str, ...]]
"""Images and caveats."""


def select_images(datasets: Iterable[Dataset]) -> Selection:
    """Choose the images of one study: a CT volume, else a frontal chest radiograph, else a skin photograph.

    `datasets` are all instances of the study with their pixel data, in any order. Never raises for what an
    instance holds: each is read, left out or faulty, with a reason.
    """
    ledger = _Ledger()
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


def _find_radiograph(candidates: Sequence[Dataset], ledger: _Ledger) -> _Found:
    images, caveats = _first_planar(sorted(candidates, key=_radiograph_rank), ledger, colour=False)
    for image in images:
        ds = next(ds for ds in candidates if _uid(ds) == image.frame.sop_instance_uid)
        if not states_hanging(values(ds, "PatientOrientation")):
            caveats = (*caveats, SIDE_UNKNOWN)
    return images, caveats


def _find_photograph(candidates: Sequence[Dataset], ledger: _Ledger) -> _Found:
    return _first_planar(sorted(candidates, key=_instance_order), ledger, colour=True)


def _first_planar(
    ranked: Sequence[Dataset], ledger: _Ledger, *, colour: bool
) -> tuple[tuple[PlanarImage, ...], tuple[str, ...]]:
    """Render the first instance that can be; the others are left out."""
    for n, ds in enumerate(ranked):
        try:
            image = planar_image_from_dataset(ds)
        except PixelError as exc:
            ledger.faulty[_uid(ds)] = str(exc)
            continue
        if (image.pixels.ndim == 3) != colour:
            ledger.leave_out([ds], "a photograph without colour" if colour else "a radiograph in colour")
            continue
        ledger.leave_out(ranked[n + 1 :], "another image of this study was read")
        frames = integer(ds, "NumberOfFrames") or 1
        caveats = (f"Only the first of {frames} frames was read.",) if frames > 1 else ()
        return (image,), caveats
    return (), ()


def _find_volume(candidates: Sequence[Dataset], ledger: _Ledger) -> _Found:
    slices: list[Slice] = []
    for ds in candidates:
        try:
            slices += slices_of(ds)
        except PixelError as exc:
            ledger.faulty[_uid(ds)] = str(exc)
        except GeometryError as exc:
            ledger.leave_out([ds], str(exc))
    stacks = sorted(stacks_of(slices), key=_stack_rank)
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


def stacks_of(slices: Iterable[Slice]) -> list[list[Slice]]:
    """Split slices into stacks: one series, one plane, one grid; phases apart where positions repeat."""
    series: dict[str, list[Slice]] = {}
    for one in slices:
        series.setdefault(text(one.ds, "SeriesInstanceUID"), []).append(one)
    stacks: list[list[Slice]] = []
    for members in series.values():
        for plane in _grouped(members):
            stacks += _phases(plane)
    return stacks


def _grouped(slices: Sequence[Slice]) -> list[list[Slice]]:
    groups: list[list[Slice]] = []
    for one in slices:
        home = next((group for group in groups if same_plane(group[0], one)), None)
        if home is None:
            groups.append([one])
        else:
            home.append(one)
    return groups


def _phases(plane: Sequence[Slice]) -> list[list[Slice]]:
    positions = {tuple(one.position_mm.round(2)) for one in plane}
    if len(positions) == len(plane):
        return [list(plane)]
    phases: dict[str, list[Slice]] = {}
    for one in plane:
        phases.setdefault(one.acquisition, []).append(one)
    return [_without_twins(phase) for phase in phases.values()]


def _without_twins(slices: Sequence[Slice]) -> list[Slice]:
    """Drop slices sent twice under two UIDs: same place, same bytes."""
    kept: dict[tuple[object, ...], Slice] = {}
    for one in slices:
        kept.setdefault((*one.position_mm.round(2), one.frame_index, bytes(one.ds.PixelData)), one)
    return list(kept.values())


_SHARP_KERNEL = re.compile(r"LUNG|BONE|EDGE|SHARP|^[BHUQ][RLPV]?[5-9]\d|^FC[358]\d|^Y[CDE]|^[LD]$")


def _stack_rank(stack: Sequence[Slice]) -> tuple[bool, bool, bool, int, str]:
    """Axial before other planes, original before reformatted, soft kernel before sharp, many before few."""
    ds = stack[0].ds
    return (
        not is_axial(stack[0]),
        bool({"DERIVED", "REFORMATTED"} & set(values(ds, "ImageType"))),
        bool(_SHARP_KERNEL.search(text(ds, "ConvolutionKernel").upper())),
        -len(stack),
        text(ds, "SeriesInstanceUID"),
    )


def _radiograph_rank(ds: Dataset) -> tuple[bool, int, int, str]:
    """Presentation before processing, PA before AP before unknown, then as numbered."""
    view = {"PA": 0, "AP": 1}.get(text(ds, "ViewPosition").upper()[:2], 2)
    for_processing = text(ds, "SOPClassUID") == DigitalXRayImageStorageForProcessing
    return (for_processing, view, *_instance_order(ds))


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
    Modality.CXR: _find_radiograph,
    Modality.DERM: _find_photograph,
}
"""By precedence: a CT study that also holds a radiograph is read as CT."""
