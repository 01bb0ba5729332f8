"""Whatever happens to an archive on its way, it is refused, or it says what it said before."""

import shutil
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.archive.site import TRUSTED, Version, content, forged, members, named, signed, stated, whole
from wattline.errors import WattlineError
from wattline.registry.archive import unpacked
from wattline.registry.archive.faults import UnfitError
from wattline.registry.archive.layout import PART, check_name

MANY = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
SOME = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
PIECES = st.sampled_from(
    [
        "..",
        ".",
        "",
        "/",
        "\\",
        "C:",
        "cards",
        "candidate",
        "reports",
        "a.md",
        "a.json",
        "a.pkl",
        "é.md",
        "A.MD",
        " ",
        "\n",
    ]
)
NAMES = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=5).map("/".join))


def let_in(archive: bytes, folder: Path) -> dict[str, bytes] | None:
    """What a reader gets; None for a refusal."""
    path = folder / "a.tar"
    path.write_bytes(archive)
    try:
        with unpacked(path, TRUSTED) as found:
            return {
                one.relative_to(found.folder).as_posix(): one.read_bytes()
                for one in found.folder.rglob("*")
                if one.is_file()
            }
    except WattlineError:
        return None


@MANY
@given(data=st.data())
def test_a_changed_byte_anywhere_is_refused(good: bytes, tmp_path: Path, private: Path, data: st.DataObject):
    place = data.draw(st.integers(0, len(good) - 1))
    change = data.draw(st.integers(1, 255))
    damaged = bytearray(good)
    damaged[place] ^= change
    assert let_in(bytes(damaged), tmp_path) is None


def test_a_changed_byte_in_each_block_is_refused(good: bytes, tmp_path: Path, private: Path):
    for start in range(0, len(good), 512):
        damaged = bytearray(good)
        damaged[start + (start // 512 * 37) % 512] ^= 0x20
        assert let_in(bytes(damaged), tmp_path) is None, start


def test_a_changed_byte_anywhere_in_the_manifest_is_refused(good: bytes, tmp_path: Path, private: Path):
    for place in range(0, len(members(good)[0]), 11):
        damaged = bytearray(good)
        damaged[place] ^= 0x01
        assert let_in(bytes(damaged), tmp_path) is None, place


@SOME
@given(data=st.data())
def test_a_part_that_is_cut_out_or_put_in_is_noticed(good: bytes, tmp_path: Path, private: Path, data: st.DataObject):
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, len(good)))
    inserted = data.draw(st.binary(max_size=2000))
    damaged = good[:start] + inserted + good[end:]
    if damaged != good:
        assert let_in(damaged, tmp_path) is None


@SOME
@given(blocks=st.permutations(range(6)))
def test_files_in_another_order_are_refused(good: bytes, tmp_path: Path, private: Path, blocks: list[int]):
    parts = members(good)
    shuffled = whole([*(parts[place] for place in blocks), *parts[6:]])
    assert (let_in(shuffled, tmp_path) is None) == (shuffled != good)


@SOME
@given(content=st.binary(max_size=3000))
def test_any_other_bytes_are_no_archive(tmp_path: Path, private: Path, content: bytes):
    assert let_in(content, tmp_path) is None


@MANY
@given(name=NAMES, inside=st.binary(max_size=600))
def test_no_name_gets_a_file_into_a_signed_archive(
    good: bytes, tmp_path: Path, private: Path, name: str, inside: bytes
):
    first, *rest = members(good)
    assert let_in(whole([first, named(name, inside), *rest]), tmp_path) is None


@MANY
@given(name=NAMES)
def test_no_name_gets_out_of_the_folder_even_with_a_trusted_key(good: bytes, tmp_path: Path, private: Path, name: str):
    files = {one: inside for one, inside in content(good).items() if one != "manifest.dsse.json"}
    # Not in the statement, so even a harmless name is refused; a harmful one is refused before anything is written.
    assert let_in(forged({name: b"x"} | files), tmp_path) in (None, files)
    assert {one.name for one in tmp_path.iterdir()} == {"a.tar", "private"}


@MANY
@given(name=NAMES)
def test_a_name_that_passes_is_a_plain_one_in_a_known_folder(name: str):
    try:
        check_name(name)
    except UnfitError:
        return
    assert name.isascii()
    assert name.count("/") <= 1
    assert all(PART.fullmatch(part) for part in name.split("/"))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\t"), max_size=2000))
def test_whatever_a_card_says_arrives(exporter: Version, tmp_path: Path, private: Path, text: str):
    folder = tmp_path / "version"
    shutil.copytree(exporter.folder, folder, dirs_exist_ok=True)
    (folder / "cards" / "anomaly.md").write_bytes(text.encode())
    version = replace(exporter, folder=folder, statement=signed(stated(folder)))
    found = let_in(version.exported(tmp_path / "b.tar").read_bytes(), tmp_path)
    assert found is not None
    assert found["cards/anomaly.md"] == text.encode()
