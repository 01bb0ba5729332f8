from wattline.records import Check

from ..cases import Asked

GOOD = Check(name="data/raw", expected="a" * 64, found="a" * 64)
CHANGED = Check(name="models/candidate/model.onnx", expected="b" * 64, found="c" * 64)
ABSENT = Check(name="data/prepared/test/n0.parquet", expected="d" * 64, found="")
UNRECORDED = Check(name="data/prepared/manifest.json", expected="", found="")

CASES = (
    Asked("records that match pass", "integrity", ((GOOD, GOOD),), "PASS", 0, 0, ("records that match: 2 of 2",)),
    Asked("no list of comparisons fails", "integrity", (None,), "FAIL", says=("dvc repro decide",)),
    Asked("an empty list of comparisons fails", "integrity", ((),), "FAIL", says=("no bytes were compared",)),
    Asked(
        "one changed file fails, and is named with both digests",
        "integrity",
        ((GOOD, CHANGED),),
        "FAIL",
        1,
        0,
        (f"first {CHANGED.name}: expected {'b' * 12}, found {'c' * 12};",),
    ),
    Asked(
        "of three broken records the first is named, and all are counted",
        "integrity",
        ((GOOD, ABSENT, CHANGED, UNRECORDED),),
        "FAIL",
        3,
        0,
        (f"records that do not match: 3, first {ABSENT.name}: expected {'d' * 12}, found nothing;",),
    ),
    Asked(
        "two empty digests are not equal",
        "integrity",
        ((UNRECORDED,),),
        "FAIL",
        1,
        0,
        ("nothing is recorded", "manifest.json"),
    ),
)
