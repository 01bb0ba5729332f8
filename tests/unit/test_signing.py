"""signing: a statement says what was signed by whom it is trusted to, or it is refused in one sentence."""

import contextlib
import json
from base64 import b64decode, b64encode, urlsafe_b64encode

import pytest
from builders import (
    decision,
    evaluation,
    measurement,
    signing_key,
    statement,
    write_candidate,
    write_record,
    write_served,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wattline import files, signing
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.records import Candidate, Champion, Score
from wattline.signing import dsse
from wattline.signing.statement import Statement

KEY, OTHER = signing_key(0), signing_key(1)
TRUSTED = (KEY.public,)
KIND = "application/vnd.in-toto+json"
CANDIDATE = Candidate(
    task="anomaly",
    model="mean-abs",
    files={"model.onnx": "a" * 64, "signature.json": "b" * 64},
    data="d" * 64,
    dataset="simulator",
    params_sha256="e" * 64,
    parameters=4,
    parity_max_abs=1e-7,
    parity_windows=100,
)
ENVELOPE = signing.sign(statement(CANDIDATE), KEY)

patient = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture
def candidate(tmp_path):
    return write_candidate(tmp_path / "candidate")


@pytest.fixture
def envelope(candidate):
    return signing.sign(statement(candidate), KEY)


@pytest.fixture
def served(tmp_path):
    """A folder with everything that the server wants."""
    write_served(tmp_path / "served", KEY)
    return tmp_path / "served"


def edited(envelope, **fields):
    return json.dumps(json.loads(envelope) | fields).encode()


def payload(envelope):
    return b64decode(json.loads(envelope)["payload"])


def sealed(content):
    """Any payload, signed by the trusted key."""
    return dsse.seal(content, KEY, kind=KIND)


def refused(envelope, trusted=TRUSTED, *, match):
    with pytest.raises(WattlineError, match=match) as caught:
        signing.verify(envelope, trusted)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return caught.value


def folder_refused(folder, *, match, trusted=TRUSTED, **expected):
    found = files.read_record(folder / "candidate.json", Candidate)
    with pytest.raises(WattlineError, match=match) as caught:
        signing.verify_folder(folder, trusted, candidate=found, **expected)
    assert "\n" not in str(caught.value)


class TestStatement:
    def test_it_comes_back_as_it_was_signed(self, candidate, envelope):
        found = signing.verify(envelope, TRUSTED)
        assert found == statement(candidate)
        assert found.files == candidate.files
        assert found.candidate == candidate
        assert found.predicate.verdicts[0].outcome == "PASS"
        assert found.predicate.energy_per_1000.provenance == "estimated"

    def test_it_has_the_form_of_in_toto_in_dsse(self, candidate, envelope):
        outer = json.loads(envelope)
        assert outer.keys() == {"payload", "payloadType", "signatures"}
        assert outer["payloadType"] == KIND
        inner = json.loads(payload(envelope))
        assert inner["_type"] == "https://in-toto.io/Statement/v1"
        assert inner["predicateType"] == "urn:wattline:model:v1"
        assert {one["name"]: one["digest"]["sha256"] for one in inner["subject"]} == candidate.files

    def test_equal_inputs_give_equal_bytes(self, candidate, envelope):
        reordered = candidate.model_copy(update={"files": dict(reversed(candidate.files.items()))})
        assert signing.sign(statement(reordered), KEY) == envelope

    def test_the_signature_is_over_the_encoding_that_dsse_prescribes(self, envelope):
        # The test vector of protocol.md
        assert dsse.encoded(b"hello world", "http://example.com/HelloWorld") == (
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        )
        signature = b64decode(json.loads(envelope)["signatures"][0]["sig"])
        assert KEY.public.verifies(signature, dsse.encoded(payload(envelope), KIND))

    def test_an_undefined_figure_is_signed_as_null(self, candidate):
        said = statement(candidate)
        score = Score(value=float("nan"), low=float("nan"), high=float("nan"), units=0)
        changed = said.predicate.model_copy(update={"metrics": {"vus_pr": score}})
        found = signing.verify(signing.sign(said.model_copy(update={"predicate": changed}), KEY), TRUSTED)
        assert str(found.predicate.metrics["vus_pr"]) == "undefined"

    @pytest.mark.parametrize("figure", [float("inf"), float("nan")])
    def test_an_energy_that_is_no_number_is_not_signed(self, candidate, figure):
        said = statement(candidate)
        energy = said.predicate.energy_per_1000.model_copy(update={"interval": (0.0, figure)})
        changed = said.predicate.model_copy(update={"energy_per_1000": energy})
        with pytest.raises(InputError, match="infinite"):
            signing.sign(said.model_copy(update={"predicate": changed}), KEY)

    def test_a_statement_that_nobody_would_read_is_not_signed(self, candidate):
        said = statement(candidate)
        card = said.predicate.card.model_copy(update={"purpose": "long " * 300_000})
        changed = said.predicate.model_copy(update={"card": card})
        with pytest.raises(InputError, match="at most 1048576 are read"):
            signing.sign(said.model_copy(update={"predicate": changed}), KEY)

    def test_it_repeats_what_the_reports_say(self, candidate):
        said = statement(candidate).predicate
        assert [verdict.name for verdict in said.verdicts] == [one.name for one in decision(candidate).verdicts]
        assert said.metrics == evaluation(candidate).contenders["candidate"]
        assert said.energy_per_1000 == measurement(candidate).candidate.energy_per_1000
        assert said.training_energy == measurement(candidate).training_energy
        assert said.params_sha256 == candidate.params_sha256


class TestEnvelope:
    def test_an_edited_payload_is_refused(self, envelope):
        changed = payload(envelope).replace(b'"version":"1"', b'"version":"2"')
        assert changed != payload(envelope)
        error = refused(edited(envelope, payload=b64encode(changed).decode()), match="none by a trusted key")
        assert isinstance(error, IntegrityError)

    def test_any_flipped_bit_of_the_signature_is_refused(self):
        envelope = sealed(b"{}")
        signature = b64decode(json.loads(envelope)["signatures"][0]["sig"])
        for place in range(8 * len(signature)):
            forged = bytearray(signature)
            forged[place // 8] ^= 1 << place % 8
            refused(edited(envelope, signatures=[{"sig": b64encode(forged).decode()}]), match="none by a trusted key")

    @patient
    @given(place=st.integers(0), byte=st.integers(1, 255))
    def test_any_changed_byte_is_refused_or_changes_nothing_that_was_said(self, place, byte):
        forged = bytearray(ENVELOPE)
        forged[place % len(forged)] ^= byte
        with contextlib.suppress(InputError, IntegrityError):
            assert signing.verify(bytes(forged), TRUSTED).to_bytes() == payload(ENVELOPE)

    @pytest.mark.parametrize("length", [0, 1, 63, 65, 1000])
    def test_a_signature_of_another_length_is_refused(self, envelope, length):
        forged = b64encode(b"\x01" * length).decode()
        refused(edited(envelope, signatures=[{"sig": forged}]), match="none by a trusted key")

    def test_another_key_is_refused(self, candidate, envelope):
        refused(signing.sign(statement(candidate), OTHER), match="none by a trusted key")
        refused(envelope, (OTHER.public,), match="none by a trusted key")

    def test_the_name_of_a_trusted_key_is_no_signature_of_it(self, candidate):
        forged = json.loads(signing.sign(statement(candidate), OTHER))
        forged["signatures"][0]["keyid"] = KEY.public.id
        refused(json.dumps(forged).encode(), match="none by a trusted key")

    @pytest.mark.parametrize("keyid", [{}, {"keyid": ""}, {"keyid": None}, {"keyid": OTHER.public.id}])
    def test_a_wrong_or_absent_name_of_the_key_takes_nothing_from_a_good_signature(self, candidate, envelope, keyid):
        signature = {"sig": json.loads(envelope)["signatures"][0]["sig"]}
        assert signing.verify(edited(envelope, signatures=[signature | keyid]), TRUSTED) == statement(candidate)

    def test_an_algorithm_cannot_be_chosen_by_the_envelope(self, envelope):
        signature = json.loads(envelope)["signatures"][0] | {"alg": "none"}
        refused(edited(envelope, signatures=[signature]), match="alg")

    def test_without_a_signature_nothing_is_true(self, envelope):
        refused(edited(envelope, signatures=[]), match="0 signatures, none by a trusted key")

    def test_one_trusted_signature_among_others_is_enough(self, candidate, envelope):
        foreign = json.loads(signing.sign(statement(candidate), OTHER))["signatures"]
        both = edited(envelope, signatures=foreign + json.loads(envelope)["signatures"])
        assert signing.verify(both, TRUSTED) == statement(candidate)
        assert signing.verify(both, (signing_key(2).public, OTHER.public)) == statement(candidate)

    def test_signatures_without_end_are_not_tried(self, envelope):
        refused(edited(envelope, signatures=json.loads(envelope)["signatures"] * 17), match="signatures")

    def test_nobody_is_trusted_by_default(self, envelope):
        refused(envelope, (), match="trusted_keys")

    @pytest.mark.parametrize("kind", ["application/json", "", "APPLICATION/VND.IN-TOTO+JSON", f"{KIND} "])
    def test_another_payload_type_is_refused_even_when_signed(self, candidate, kind):
        refused(dsse.seal(statement(candidate).to_bytes(), KEY, kind=kind), match="another type")

    def test_a_signature_does_not_move_from_one_type_to_another(self, candidate):
        other = dsse.seal(statement(candidate).to_bytes(), KEY, kind="text/plain")
        refused(edited(other, payloadType=KIND), match="none by a trusted key")

    def test_url_safe_base64_is_read_and_a_mixture_is_not(self, candidate, envelope):
        content = b'{"\xfb\xef\xbe\xff"}'
        signed = sealed(content)
        safe = edited(signed, payload=urlsafe_b64encode(content).decode())
        assert dsse.unseal(safe, TRUSTED, kind=KIND) == content
        refused(edited(signed, payload="+/-_"), match="no base64")

    @pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s + "=", lambda s: s + "\n", lambda s: " " + s])
    @pytest.mark.parametrize("field", ["payload", "signature"])
    def test_base64_has_one_spelling(self, envelope, change, field):
        outer = json.loads(envelope)
        if field == "payload":
            changed = edited(envelope, payload=change(outer["payload"]))
        else:
            changed = edited(envelope, signatures=[{"sig": change(outer["signatures"][0]["sig"])}])
        refused(changed, match=f"the {field} in the envelope is no base64")

    def test_bits_that_base64_ignores_are_not_ignored(self, envelope):
        signature = json.loads(envelope)["signatures"][0]["sig"]
        assert signature.endswith("==")
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        twin = signature[:-3] + last[last.index(signature[-3]) + 1] + "=="
        assert b64decode(twin) == b64decode(signature)
        refused(edited(envelope, signatures=[{"sig": twin}]), match="no base64")

    @pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
    def test_a_truncated_envelope_is_refused(self, envelope, share):
        refused(envelope.rstrip()[: int(len(envelope) * share)], match="envelope is not what")

    @pytest.mark.parametrize("more", [b"{}", b"x", b"\x00", b"]", b'{"payload":""}'])
    def test_what_follows_the_envelope_is_refused(self, envelope, more):
        refused(envelope + more, match="envelope is not what")

    @pytest.mark.parametrize("name", ["payload", "payloadType", "signatures"])
    def test_a_key_that_stands_twice_is_refused(self, envelope, name):
        value = json.dumps(json.loads(envelope)[name]).encode()
        twice = b'{"%b":%b,' % (name.encode(), value) + envelope[1:]
        assert json.loads(twice) == json.loads(envelope)
        refused(twice, match="twice")

    def test_an_unknown_field_is_refused(self, envelope):
        refused(edited(envelope, comment="hello"), match="comment")

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"null",
            b"[]",
            b"7",
            b"NaN",
            b"\xff\xfe{}",
            b"[" * 500_000,
            b'{"a":' * 100_000,
            b"1" * 10_000,
            '{"payload":"\ud800"}'.encode("utf-8", "surrogatepass"),
            b'\xef\xbb\xbf{"payload": ""}',
            '{"payload": "", "payloadType": "", "signatures": []}'.encode("utf-16"),
        ],
        ids=range(12),
    )
    def test_garbage_is_refused(self, content):
        refused(content, match="envelope is not what")

    @patient
    @given(content=st.binary(max_size=200))
    def test_no_bytes_do_more_than_be_refused(self, content):
        refused(content, match="envelope is not what")

    def test_a_huge_envelope_is_refused_unread(self, envelope):
        refused(envelope + b" " * 100_000_000, match="larger than 1048576 bytes")
        refused(edited(envelope, payload="A" * 100_000_000), match="larger than 1048576 bytes")


class TestPayload:
    """Content that a trusted key has signed and that is no statement all the same."""

    @pytest.mark.parametrize("content", [b"", b"{}", b"null", b"[]", b'"hello"', b"\xff"])
    def test_what_is_no_statement_is_refused(self, content):
        refused(sealed(content), match="statement is not what")

    @pytest.mark.parametrize(
        ("old", "new", "match"),
        [
            (b"in-toto.io/Statement/v1", b"in-toto.io/Statement/v0.1", "_type"),
            (b"urn:wattline:model:v1", b"urn:wattline:model:v2", "predicateType"),
            (b'"version":"1"', b'"version":"latest"', "version"),
            (b'"version":"1"', b'"version":1', "version"),
            (b'"version":"1"', b'"version":"1","version":"1"', "twice"),
            (b'"version":"1"', b'"version":"1","more":2', "more"),
            (b'"dirty":false,', b"", "dirty"),
            (b'"joules":12.0', b'"joules":NaN', "no number"),
            (b'"name":"model.onnx"', b'"name":"signature.json"', "same name"),
            (b'"name":"model.onnx"', b'"name":"model2.onnx"', "digest does not fit"),
            (b'"subject":[{', b'"subject":[],"ignored":[{', "subject|ignored"),
        ],
    )
    def test_what_was_changed_before_it_was_signed_is_named(self, candidate, old, new, match):
        content = statement(candidate).to_bytes()
        assert old in content
        refused(sealed(content.replace(old, new, 1)), match=match)


class TestFolder:
    def test_a_promoted_folder_is_accepted_with_what_was_said_of_it(self, served):
        found = files.read_record(served / "candidate.json", Candidate)
        said = signing.verify_folder(served, TRUSTED, candidate=found, name="anomaly", version="1")
        assert isinstance(said, Statement)
        assert said.predicate.digest == found.digest
        assert said.predicate.name == "anomaly"

    def test_without_champion_json_files_and_signature_still_count(self, served):
        (served / "champion.json").unlink()
        found = files.read_record(served / "candidate.json", Candidate)
        assert signing.verify_folder(served, TRUSTED, candidate=found).predicate.version == "1"
        folder_refused(served, match="version", version="2")

    def test_an_unsigned_folder_is_refused(self, served):
        (served / signing.FILE).unlink()
        folder_refused(served, match=r"no signed statement.*wattline promote")
        (served / signing.FILE).mkdir()
        folder_refused(served, match="no signed statement")

    def test_an_untrusted_folder_is_refused(self, served):
        folder_refused(served, trusted=(OTHER.public,), match="none by a trusted key")

    def test_a_huge_statement_is_not_read_into_memory(self, served):
        with (served / signing.FILE).open("wb") as stream:
            stream.truncate(1 << 40)
        folder_refused(served, match="larger than")

    @pytest.mark.parametrize("name", ["model.onnx", "signature.json", "weights.safetensors"])
    def test_a_swapped_file_is_refused_even_with_a_record_that_fits_it(self, served, name):
        path = served / name
        path.write_bytes(path.read_bytes() + b" ")
        folder_refused(served, match=f"{name} is not the file that was signed")
        keep_only_candidate(served)
        folder_refused(served, match=f"{name} is recorded with SHA-256")

    def test_two_files_that_changed_places_are_refused(self, served):
        one, two = served / "model.onnx", served / "weights.safetensors"
        contents = one.read_bytes(), two.read_bytes()
        two.write_bytes(contents[0])
        one.write_bytes(contents[1])
        keep_only_candidate(served)
        folder_refused(served, match="is recorded with SHA-256")

    @pytest.mark.parametrize("name", ["model.onnx.data", "more/hook.json", ".hidden"])
    def test_an_added_file_is_refused_recorded_or_not(self, served, name):
        files.write_text(served / name, "{}")
        folder_refused(served, match="was not signed")
        keep_only_candidate(served)
        folder_refused(served, match="was not signed")

    def test_a_file_that_was_taken_from_the_record_is_missed(self, served):
        (served / "weights.safetensors").unlink()
        keep_only_candidate(served)
        folder_refused(served, match=r"weights\.safetensors was signed and is not recorded")

    @pytest.mark.parametrize("field", ["task", "model", "dataset", "data", "params_sha256", "parameters"])
    def test_a_record_that_says_something_else_than_was_signed_is_refused(self, served, field):
        found = files.read_record(served / "candidate.json", Candidate)
        changed = found.model_copy(update={field: 5 if field == "parameters" else "other"})
        files.write_text(served / "candidate.json", changed.to_json())
        folder_refused(served, match=r"candidate\.json says something else")

    def test_the_statement_of_one_version_is_refused_on_another(self, served, tmp_path):
        later = write_served(tmp_path / "later", KEY, version="2", weights=b"later")
        (tmp_path / "later" / signing.FILE).write_bytes((served / signing.FILE).read_bytes())
        folder_refused(tmp_path / "later", match="is recorded with SHA-256")
        same = Champion(version="2", digest=later.digest, name="anomaly")
        files.write_text(served / "champion.json", same.to_json())
        folder_refused(served, match="version '1'.*version '2'")

    def test_the_statement_of_one_model_is_refused_on_another(self, served):
        champion = files.read_record(served / "champion.json", Champion)
        files.write_text(served / "champion.json", champion.model_copy(update={"name": "other"}).to_json())
        folder_refused(served, match="model 'anomaly'.*model 'other'")

    def test_what_the_caller_asked_for_decides_whatever_the_folder_says(self, served):
        folder_refused(served, match="what was asked for is model 'other'", name="other")
        folder_refused(served, match="what was asked for is version '2'", version="2")

    @pytest.mark.parametrize("champion", [Champion(), Champion(version="1"), Champion(version="1", digest="0" * 64)])
    def test_a_record_of_the_champion_that_names_no_or_another_candidate_is_refused(self, served, champion):
        files.write_text(served / "champion.json", champion.to_json())
        folder_refused(served, match=r"champion\.json is not about")


def keep_only_candidate(folder):
    """Make candidate.json anew for whatever lies there now, as one who can write there would."""
    kept = {name: (folder / name).read_bytes() for name in ("champion.json", signing.FILE)}
    for name in kept:
        (folder / name).unlink()
    write_record(folder)
    for name, content in kept.items():
        (folder / name).write_bytes(content)
