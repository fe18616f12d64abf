"""Chapters 8.1 and 8.3 of the conformance statement: which objects are made, and in which codes."""

from structured_reports.codes import CONCEPTS, LOCAL, LOCAL_SCHEME, LOCAL_SCHEME_NAME
from structured_reports.headers import IDENTITY, NOT_COPIED
from structured_reports.products import PRODUCTS, products_of
from structured_reports.profiles import PROFILES
from structured_reports.provenance import CONTENT_QUALIFICATION, DISCLAIMER, MANUFACTURER
from worker.conformance_statement.markdown import Chapter, named
from worker.output_profiles import AUTO, CHOICES


def contents(chapter: Chapter) -> None:
    """Say what is in the objects (PS3.2: IOD Contents)."""
    chapter.section("1", "IOD contents")
    chapter.section("1.1", "Created SOP instances")
    chapter.table(
        ("object", "SOP class", "series", "follows", "what it says"),
        (
            (
                name,
                ", ".join(named(uid) for uid in product.sop_classes),
                f"{product.modality} {product.series_number}",
                product.clause,
                product.content,
            )
            for name, product in PRODUCTS.items()
        ),
    )
    chapter.say("A destination's `profile` chooses among them:")
    chapter.table(
        ("profile", "objects", "SOP class of the report"),
        (
            (
                f"`{profile.value}`",
                ", ".join(products_of(outputs.writers, has_report=outputs.report_class is not None)),
                outputs.report_class.value if outputs.report_class else "none",
            )
            for profile, outputs in PROFILES.items()
        ),
    )
    chapter.say(
        f"`auto` proposes SOP classes to a destination of kind `dicom` and takes the first of {_choices()}",
        "of which it stores all, the last if there is none. One that does not answer, and one of kind",
        "`dicomweb`, gets `air`, a folder `full`. `label-map` asks likewise, and is `air` where label maps",
        "are not stored.",
    )
    _attributes(chapter)


def _choices() -> str:
    return ", ".join(f"`{profile.value}`" for profile in CHOICES[AUTO])


def _attributes(chapter: Chapter) -> None:
    chapter.section("1.2", "Attributes of all created instances")
    chapter.table(
        ("attribute", "value"),
        (
            ("Study Instance UID and the Patient, General Study modules", "of the source, as they are there"),
            (", ".join(IDENTITY), "letter by letter of the source, also where they are not legal"),
            (", ".join(NOT_COPIED), "never copied"),
            ("SOP and Series Instance UID", "2.25.…, from the content: the same reading has the same UIDs"),
            ("Series Description", "begins with `AI`, ends with `(RESEARCH)`"),
            ("Series, Content, Instance Creation Date and Time", "of the job, in the source's time zone"),
            ("Manufacturer", MANUFACTURER),
            ("Software Versions", "of this software; name and version of the weights"),
            ("Contributing Equipment Sequence", "the model, its family and the SHA-256 of its weights"),
            ("Content Qualification", CONTENT_QUALIFICATION),
            ("Verification Flag, Preliminary Flag (SR)", "UNVERIFIED, PRELIMINARY"),
        ),
    )
    chapter.say(f'Every report says: "{DISCLAIMER}"')
    chapter.section("1.3", "Usage of attributes of received instances")
    chapter.say(
        "Study, Series and SOP Instance UID, SOP Class UID and Patient ID with its issuer place an instance.",
        "Pixel data are read by way of the modality and VOI transformations, geometry by Image Position and",
        "Orientation (Patient), or by the functional groups of enhanced objects. Other attributes are passed",
        "on as above, or not used.",
    )


def coded_terminology(chapter: Chapter) -> None:
    """Say which codes are used (PS3.2: Coded Terminology and Templates)."""
    chapter.section("3", "Coded terminology and templates")
    schemes: dict[str, int] = {}
    for concept in CONCEPTS.values():
        schemes[concept.code.scheme_designator] = schemes.get(concept.code.scheme_designator, 0) + 1
    chapter.say(
        f"{len(CONCEPTS)} labels of the model have a reviewed code",
        f"({', '.join(f'{count} {scheme}' for scheme, count in sorted(schemes.items()))});",
        f"any other gets a code of scheme {LOCAL_SCHEME} ({LOCAL_SCHEME_NAME}) that follows from its words.",
        "Each report declares that scheme. Sides are always given in a code of their own. Templates stand in",
        "8.1.1. The labels with the source of each code:",
    )
    chapter.table(
        ("label", "scheme", "value", "meaning", "side", "looked up in"),
        (
            (
                label,
                concept.code.scheme_designator,
                concept.code.value,
                concept.code.meaning,
                concept.laterality.value if concept.laterality else "",
                "this software" if concept.verified_in == LOCAL else concept.verified_in,
            )
            for label, concept in CONCEPTS.items()
        ),
    )
