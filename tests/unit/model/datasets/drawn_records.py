"""Draws records for hypothesis: anything that the form allows."""

from hypothesis import strategies as st

from model.reading import Modality
from model.training.datasets.record import (
    SPLITS,
    Record,
    RecordBox,
    RecordImage,
    RecordMask,
    RecordQuestion,
    RunLengths,
)

words = st.text(max_size=30)
maybe = st.none() | words
sizes = st.tuples(st.integers(1, 50), st.integers(1, 50))
edges = st.floats(0, 1, allow_subnormal=False)
images = st.builds(
    RecordImage,
    path=st.text(min_size=1, max_size=40),
    view=maybe,
    size=st.none() | sizes,
    spacing_mm=st.none() | st.tuples(st.floats(1e-3, 10), st.floats(1e-3, 10)),
)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    x1, x2 = sorted(draw(st.lists(edges, min_size=2, max_size=2, unique=True)))
    y1, y2 = sorted(draw(st.lists(edges, min_size=2, max_size=2, unique=True)))
    return x1, y1, x2, y2


@st.composite
def run_lengths(draw: st.DrawFn) -> RunLengths:
    size = draw(sizes)
    runs: list[int] = []
    while (left := size[0] * size[1] - sum(runs)) > 0:
        runs.append(draw(st.integers(1, left)))
    return RunLengths(size, tuple(runs))


@st.composite
def records(draw: st.DrawFn) -> Record:
    shown = draw(st.lists(images, min_size=1, max_size=3))
    priors = draw(st.lists(images, max_size=2))
    index = st.integers(0, len(shown) + len(priors) - 1)
    return Record(
        dataset=draw(words),
        record_id=draw(words),
        subject=draw(words),
        study=draw(words),
        split=draw(st.sampled_from(SPLITS)),
        modality=draw(st.sampled_from(Modality)),
        images=tuple(shown),
        priors=tuple(priors),
        age=draw(st.none() | st.floats(0, 120)),
        sex=draw(st.sampled_from((None, "M", "F", "O"))),
        indication=draw(maybe),
        comparison=draw(maybe),
        findings=draw(maybe),
        impression=draw(maybe),
        labels=draw(st.dictionaries(words, st.none() | st.booleans(), max_size=3)),
        boxes=tuple(
            draw(st.lists(st.builds(RecordBox, words, index, boxes(), maybe, st.booleans()), max_size=3))
        ),
        masks=tuple(
            draw(
                st.lists(
                    st.builds(
                        RecordMask,
                        words,
                        index,
                        st.text(min_size=1, max_size=9),
                        st.none(),
                        st.none() | st.integers(0, 9),
                    )
                    | st.builds(RecordMask, words, index, st.none(), run_lengths()),
                    max_size=3,
                )
            )
        ),
        questions=tuple(
            draw(
                st.lists(
                    st.builds(
                        RecordQuestion,
                        words,
                        words,
                        st.lists(index, min_size=1, max_size=2).map(tuple),
                        words,
                    ),
                    max_size=3,
                )
            )
        ),
        change=draw(maybe),
        diagnosis=draw(maybe),
    )
