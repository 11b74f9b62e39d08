"""A record is its bytes: same content, same digest; any change, another."""

import msgspec
import pytest

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.nouns import NOUNS, read_record
from jupyter_mlprod.core.policy import Policy, Rule
from jupyter_mlprod.core.record import canonical, digest, digest_bytes, short, with_digest

POLICY = Policy(name="release", rules=(Rule(measure="accuracy", at_least=0.9, where={"a": "1", "b": "2"}),))


def test_the_digest_is_the_sha256_of_the_canonical_bytes() -> None:
    assert digest(POLICY) == digest_bytes(canonical(POLICY))
    assert digest_bytes(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_order_of_keys_does_not_change_the_digest() -> None:
    other = Policy(name="release", rules=(Rule(measure="accuracy", at_least=0.9, where={"b": "2", "a": "1"}),))
    assert list(other.rules[0].where) != list(POLICY.rules[0].where)
    assert digest(other) == digest(POLICY)


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(POLICY, name="nightly"),
        msgspec.structs.replace(POLICY, rules=()),
        msgspec.structs.replace(POLICY, rules=POLICY.rules * 2),
        msgspec.structs.replace(POLICY, rules=(msgspec.structs.replace(POLICY.rules[0], at_least=0.9000000000000001),)),
    ],
)
def test_any_change_changes_the_digest(other: Policy) -> None:
    assert digest(other) != digest(POLICY)


def test_the_digest_of_a_known_record_never_changes() -> None:
    listing = Listing(title="t", columns=("a",), rows=((1,), (None,)), total=2)
    text = b'{"columns":["a"],"note":"","rows":[[1],[null]],"schema":"listing/1","title":"t","total":2}'
    assert canonical(listing) == text
    assert digest(listing) == digest_bytes(text)


def test_what_is_printed_leads_with_schema_and_digest_and_reads_back() -> None:
    printed = with_digest(POLICY)
    assert list(printed)[:2] == ["schema", "digest"]
    assert printed["schema"] == "policy/1"
    assert printed.pop("digest") == digest(POLICY)
    assert msgspec.convert(printed, Policy) == POLICY


def test_a_digest_is_shown_by_its_first_twelve_digits() -> None:
    assert short("sha256:" + "ab" * 32) == "sha256:" + "ab" * 6


def test_every_noun_names_a_schema_and_version_of_its_own() -> None:
    tags = [str(kind.__struct_config__.tag) for kind in NOUNS]
    assert len(set(tags)) == len(tags)
    assert all(tag.rpartition("/")[2].isdecimal() for tag in tags)
    assert all(kind.__struct_config__.frozen and kind.__struct_config__.forbid_unknown_fields for kind in NOUNS)


def test_a_stored_record_reads_back_as_its_own_type() -> None:
    assert read_record(canonical(POLICY), digest=digest(POLICY)) == POLICY


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="no schema"),
        pytest.param(canonical(POLICY).replace(b"policy/1", b"policy/2"), id="another version"),
        pytest.param(canonical(POLICY).replace(b'"name"', b'"more":1,"name"'), id="an unknown field"),
        pytest.param(canonical(POLICY)[:-1], id="cut off"),
        pytest.param(b"[" * 100_000, id="nested 100,000 deep"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
    ],
)
def test_bytes_that_are_no_record_are_refused(data: bytes) -> None:
    with pytest.raises(MlprodError) as caught:
        read_record(data, digest=digest_bytes(data))
    assert caught.value.code is Code.BAD_RECORD


def test_changed_bytes_are_refused() -> None:
    with pytest.raises(MlprodError, match="other bytes than its digest says"):
        read_record(canonical(POLICY).replace(b"0.9", b"0.1"), digest=digest(POLICY))


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        POLICY.name = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Measure(name="a", value=1, unit="1", n=1).value = 2  # type: ignore[misc]
