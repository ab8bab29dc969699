"""Foreign judges of exported records: securesystemslib verifies the DSSE envelopes, in-toto-attestation parses the
statements inside.

Usage: dsse.py FOLDER, with keys.json, {"keyid": "public key in hexadecimal digits", ...}, and *.dsse.json. Each
envelope must verify with all of its keys, must not with a byte changed, and is written again by securesystemslib
as *.theirs.json.
"""

import copy
import json
import pathlib
import sys

from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

folder = pathlib.Path(sys.argv[1])
keys = {
    keyid: SSlibKey(keyid, "ed25519", "ed25519", {"public": public})
    for keyid, public in json.loads((folder / "keys.json").read_text()).items()
}

judged = of_platform = 0
for path in sorted(folder.glob("*.dsse.json")):
    data = json.loads(path.read_text())
    envelope = Envelope.from_dict(copy.deepcopy(data))
    signed_by = [keys[signature["keyid"]] for signature in data["signatures"]]
    accepted = envelope.verify(signed_by, len(signed_by))
    assert len(accepted) == len(signed_by), path

    for change in (
        lambda e: setattr(e, "payload", e.payload.replace(b"vendor", b"vandor", 1)),
        lambda e: setattr(e, "payload_type", "application/json"),
    ):
        changed = Envelope.from_dict(copy.deepcopy(data))
        change(changed)
        try:
            changed.verify(signed_by, 1)
        except VerificationError:
            pass
        else:
            raise AssertionError(f"{path}: a changed envelope verifies")

    parsed = json_format.Parse(envelope.payload, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    assert parsed.predicate_type.startswith("urn:indelible:"), parsed.predicate_type
    for ours, read in zip(json.loads(envelope.payload)["subject"], parsed.subject, strict=True):
        annotations = json_format.MessageToDict(read.annotations)
        assert annotations == ours.get("annotations", {}), read
        of_platform += "platform" in annotations

    theirs = path.with_name(path.name.replace(".dsse.json", ".theirs.json"))
    theirs.write_text(json.dumps(envelope.to_dict(), indent=2))
    judged += 1

print(f"{judged} records, {of_platform} artifacts of a platform")
