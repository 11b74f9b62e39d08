"""Manifests written by earlier versions keep their bytes and their digests."""

from pathlib import Path

import msgspec

from jupyter_mlprod.core.bundle import Bundle, OperatingPoint
from jupyter_mlprod.core.record import canonical, digest

WRITTEN_BY_0_1_0 = Path(__file__).with_name("bundle-1.json")


def test_a_manifest_written_before_members_were_added_is_read_and_has_its_digest() -> None:
    data = WRITTEN_BY_0_1_0.read_bytes()
    old = msgspec.json.decode(data, type=Bundle)
    assert canonical(old) == data
    assert digest(old) == "sha256:3cea4b2094d4bcc6c7e8c9336b1e4780ac43e589c755acdb745273addc673a2d"
    assert old.functions == ("prepare",)
    assert not old.operating_point


def test_a_member_that_is_set_changes_the_digest() -> None:
    old = msgspec.json.decode(WRITTEN_BY_0_1_0.read_bytes(), type=Bundle)
    assert digest(msgspec.structs.replace(old, operating_point=OperatingPoint(temperature=2))) != digest(old)
