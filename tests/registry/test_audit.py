"""Whatever somebody does to the log straight in the database, or to its export, is found and named."""

import json
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import signing_key

from tests.registry.project import (
    acts,
    alias,
    database,
    delete,
    following,
    loaded,
    log,
    move_alias,
    opened,
    promote,
    promoted,
    recover,
    register,
    rollback,
    use,
)
from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.params.registry import FormerKey
from wattline.registry import auditing, promotion
from wattline.registry.audit import Head
from wattline.signing import entry as entries
from wattline.signing.keys import PrivateKey

Row = dict[str, object]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def chain(project: Path) -> int:
    """Entries: register 1, promote 1, register 2, promote 2."""
    promoted(b"second")
    return len(log())


def verify() -> Head:
    return auditing.verify(loaded())


def rows() -> list[Row]:
    with database() as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM wattline_audit ORDER BY sequence")]


def write(changed: list[Row]) -> None:
    """The whole table anew, as who can drop the triggers may do."""
    with database() as connection:
        connection.execute("DELETE FROM wattline_audit")
        for row in changed:
            names = ", ".join(row)
            places = ", ".join(f":{name}" for name in row)
            connection.execute(f"INSERT INTO wattline_audit ({names}) VALUES ({places})", row)


def resigned(row: Row, key: PrivateKey, **changed: object) -> Row:
    """The row, edited and signed anew, with columns that fit."""
    entry = entries.peek(str(row["envelope"]).encode()).model_copy(update=changed)
    columns = {name: getattr(entry, name) for name in ("sequence", "hash", "model", "action", "version", "digest")}
    return columns | {"envelope": entries.seal(entry, key).decode()}


def test_a_log_that_nobody_touched_holds_and_says_where_it_ends(chain: int):
    assert verify() == Head(sequence=4, hash=log()[-1].hash)
    assert [entry.sequence for entry in log()] == [1, 2, 3, 4]


def test_an_empty_log_holds(project: Path):
    assert verify() == Head(sequence=0, hash="0" * 64)


@pytest.mark.parametrize("change", ["UPDATE wattline_audit SET action = 'sign'", "DELETE FROM wattline_audit"])
def test_the_database_itself_refuses_to_change_or_drop_an_entry(chain: int, change: str):
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), database(triggers=True) as connection:
        connection.execute(change)
    assert verify().sequence == chain


@pytest.mark.parametrize("dropped", [1, 2, 3, 4])
def test_a_dropped_entry_is_found_wherever_it_stood(chain: int, dropped: int):
    write([row for row in rows() if row["sequence"] != dropped])
    found = {1: "entry 2 follows entry 0", 2: "entry 3 follows entry 1", 3: "entry 4 follows entry 2", 4: "dropped"}
    with pytest.raises(IntegrityError, match=found[dropped]):
        verify()


def test_a_dropped_tail_is_found_by_who_looked_before_and_by_the_entry_beside_the_champion(chain: int):
    verify()
    write(rows()[:2])
    with pytest.raises(IntegrityError, match=r"ends with entry 2, this machine knows 4 entries"):
        verify()
    Path(".wattline/audit.json").unlink()
    with pytest.raises(IntegrityError, match="points to version 2, the audit log says 1: entries were dropped"):
        verify()
    move_alias("1")
    verify()


def test_a_dropped_end_that_no_alias_tells_of_is_found_by_an_earlier_export(chain: int):
    following(b"third")
    auditing.export(loaded(), Path("earlier.jsonl"), at=NOW)
    Path(".wattline/audit.json").unlink()
    write(rows()[:4])
    assert verify().sequence == 4
    with pytest.raises(IntegrityError, match=r"earlier\.jsonl knows 5 entries; the last ones were dropped"):
        auditing.verify(loaded(), against=Path("earlier.jsonl"))


def test_a_log_that_goes_on_from_an_earlier_export_holds_against_it(chain: int):
    auditing.export(loaded(), Path("earlier.jsonl"), at=NOW)
    rollback()
    assert auditing.verify(loaded(), against=Path("earlier.jsonl")).sequence == 5


def swapped(found: list[Row]) -> None:
    found[1]["sequence"], found[2]["sequence"] = found[2]["sequence"], found[1]["sequence"]


def edited(found: list[Row]) -> None:
    envelope = json.loads(str(found[1]["envelope"]))
    content = b64decode(envelope["payload"]).replace(b'"reason":""', b'"reason":"x"')
    found[1]["envelope"] = json.dumps(envelope | {"payload": b64encode(content).decode()}) + "\n"


def signed_by_another(found: list[Row]) -> None:
    found[1] = resigned(found[1], signing_key(1), reason="x")


def signed_again(found: list[Row]) -> None:
    """By who has the key: the next entry names the one that was there."""
    found[1] = resigned(found[1], signing_key(), reason="x")


def inserted(found: list[Row]) -> None:
    found.append(resigned(found[3], signing_key(1), sequence=5, previous=found[3]["hash"]))


def repeated(found: list[Row]) -> None:
    found.append(found[1] | {"sequence": 5, "hash": "f" * 64})


def emptied(found: list[Row]) -> None:
    found[0]["envelope"] = ""


DAMAGES = [
    (swapped, "entry 3 follows entry 1: entries were dropped"),
    (edited, "the entry after 1 was edited"),
    (signed_by_another, "the entry after 1 was edited, or signed by a key that is not trusted"),
    (signed_again, "entry 3 does not belong behind entry 2 as it is"),
    (inserted, "the entry after 4 was edited, or signed by a key that is not trusted"),
    (repeated, "entry 2 follows entry 4: entries were reordered or repeated"),
    (emptied, "the entry after 0 was edited"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_what_was_edited_reordered_signed_anew_or_inserted_is_found(
    chain: int, damage: Callable[[list[Row]], None], message: str
):
    found = rows()
    damage(found)
    write(found)
    with pytest.raises(IntegrityError, match=message):
        verify()


@pytest.mark.parametrize(
    ("column", "value"),
    [("action", "refuse"), ("version", "7"), ("digest", "f" * 64), ("model", "other"), ("hash", "0")],
)
def test_a_column_that_says_something_else_than_was_signed_is_found(chain: int, column: str, value: str):
    with database() as connection:
        connection.execute(f"UPDATE wattline_audit SET {column} = ? WHERE sequence = 2", [value])
    with pytest.raises(IntegrityError, match=f"column {column} of entry 2 is '{value}'"):
        verify()


def test_a_token_that_went_back_is_found(chain: int):
    found = rows()
    found.append(resigned(found[3], signing_key(), sequence=5, previous=found[3]["hash"], token=1))
    write(found)
    with pytest.raises(IntegrityError, match="entry 5 was written under a lock that was somebody else's by then"):
        verify()


@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_an_entry_that_only_a_column_makes_a_promotion_moves_no_alias(chain: int, action: str):
    following(b"third")
    with database() as connection:
        connection.execute("UPDATE wattline_audit SET action = ? WHERE sequence = 5", [action])
    for act in (recover, promote, rollback):
        with pytest.raises(IntegrityError, match="entry 5 of the audit log does not stand where it was signed for"):
            act()
    with opened() as found:
        assert str(found.client.get_model_version_by_alias("anomaly", "champion").version) == "2"


def test_a_version_that_only_a_column_makes_registered_is_not_promoted(project: Path):
    register()
    with opened() as found:
        one = found.client.get_model_version("anomaly", "1")
        found.client.create_model_version("anomaly", one.source, one.run_id, tags=one.tags)
    with database() as connection:
        connection.execute("UPDATE wattline_audit SET version = '2'")
    with pytest.raises(IntegrityError, match="version 2 of anomaly is not in the audit log"):
        promote("2")
    assert alias() is None


@pytest.mark.parametrize("to", ["1", None])
def test_an_alias_that_was_moved_by_hand_is_found(chain: int, to: str | None):
    move_alias(to)
    with pytest.raises(IntegrityError, match=rf"version {to or 'none'}, the audit log says 2: .*moved by hand"):
        verify()
    recover()
    assert verify().sequence == chain + 1


def test_a_champion_that_was_deleted_is_found(chain: int):
    delete("2")
    with pytest.raises(IntegrityError, match=r"the audit log says 2: .*the version was deleted"):
        verify()


def test_entries_of_a_key_that_signs_no_more_count_as_long_as_it_is_named(chain: int):
    files.write_bytes(Path("old.pem"), signing_key(0).public.pem())
    use(signing_key(1))
    Path(".wattline/keys/public.pem").write_bytes(signing_key(1).public.pem())
    with pytest.raises(IntegrityError, match="the entry after 0 was edited, or signed by a key that is not trusted"):
        verify()
    assert auditing.verify(loaded(former_keys=(FormerKey(file="old.pem", until=chain),))).sequence == chain


def test_an_export_is_the_log_and_says_where_it_ends(chain: int):
    path = Path("log.jsonl")
    head = auditing.export(loaded(), path, at=NOW)
    assert len(path.read_bytes().splitlines()) == chain + 1
    assert auditing.verify(loaded(), file=path) == head == verify()
    assert [json.loads(line)["payloadType"] for line in path.read_text().splitlines()].count(entries.PAYLOAD_TYPE) == 4


def test_an_export_that_was_truncated_at_any_byte_is_refused(project: Path):
    register()
    promote()
    whole, path, cut = Path("log.jsonl"), Path("cut.jsonl"), loaded()
    auditing.export(cut, whole, at=NOW)
    content = whole.read_bytes()
    vouching = auditing.trusted(cut)
    from wattline.registry import audit

    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises((InputError, IntegrityError), match=r"cut\.jsonl was cut off"):
            audit.read_export(path, *vouching)
    path.write_bytes(content)
    assert len(audit.read_export(path, *vouching)[0]) == 2


@pytest.mark.parametrize("line", [0, 1, 3])
def test_an_export_without_one_of_its_lines_is_refused(chain: int, line: int):
    path = Path("log.jsonl")
    auditing.export(loaded(), path, at=NOW)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:line], *lines[line + 1 :]]))
    with pytest.raises(IntegrityError):
        auditing.verify(loaded(), file=path)


def test_an_export_of_somebody_else_is_refused(chain: int):
    path = Path("log.jsonl")
    auditing.export(loaded(), path, at=NOW)
    Path(".wattline/keys/public.pem").write_bytes(signing_key(1).public.pem())
    with pytest.raises(IntegrityError, match="none by a trusted key"):
        auditing.verify(loaded(), file=path)
    with pytest.raises(InputError, match=r"nowhere\.jsonl cannot be read"):
        auditing.verify(loaded(), file=Path("nowhere.jsonl"))


def test_every_entry_is_one_line_that_a_person_reads(chain: int):
    with opened() as found:
        promotion.rollback(found, reason="false alarms")
    lines = auditing.lines(auditing.read(loaded()))
    assert len(lines) == len(acts()) == 5
    assert "rollback  anomaly 1  by " in lines[-1]
    assert lines[-1].endswith(": false alarms")
