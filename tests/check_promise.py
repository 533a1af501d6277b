"""Checks a signed promise: SPEC.md §2.6 and steps 29 to 37. Written from that text alone, with the standard library only."""

import base64
import calendar
import hashlib
import json
import re
import time

MAX_BYTES = 16 << 20
MAX_INTEGER = 2**53 - 1
DEEPEST = 64
STEPS = {
    "promise_malformed": 29, "promise_type": 30, "promise_key_unknown": 31, "promise_signature": 32, "promise_payload": 33,
    "promise_records": 34, "promise_records_missing": 35, "promise_other_document": 35, "promise_other_entry": 36,
    "promise_broken": 37,
}
VERDICTS = {"promise_key_unknown": "cannot_tell", "promise_records_missing": "cannot_tell"}


class Failed(Exception):
    """A step that did not pass, and what had become of the promise by then."""

    def __init__(self, code, detail="", outcome=None):
        super().__init__(code)
        self.code, self.detail, self.outcome = code, detail, outcome


# Ed25519 (RFC 8032 §5.1), verification only: not for secrets, since nothing here takes the same time each time.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add(a, b):
    x = (a[1] - a[0]) * (b[1] - b[0]) % P
    y = (a[1] + a[0]) * (b[1] + b[0]) % P
    t, z = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = y - x, z - t, z + t, y + x
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point(data):
    """A point from its one spelling, or none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def small(a):
    return same(multiply(8, a), (0, 1, 1, 0))


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed_by(key, message, signature):
    """No second spelling of key, point or scalar, no point of small order, and the equation without the cofactor."""
    r, s = point(signature[:32]), int.from_bytes(signature[32:], "little")
    a = point(key)
    if r is None or a is None or s >= L or small(r) or small(a):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return same(multiply(s, BASE), add(r, multiply(k, a)))


# Readers


def read_json(data):
    """Strict: UTF-8, no repeated member, integers from 0 to 2^53−1, 64 levels."""

    def unique(pairs):
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("a repeated member")
        return result

    def refuse(text):
        raise ValueError(f"{text} is not an integer in range")

    def integer(text):
        if len(text) > 16 or text.startswith("-") or int(text) > MAX_INTEGER:
            refuse(text)
        return int(text)

    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=unique, parse_float=refuse, parse_constant=refuse, parse_int=integer
        )
        # Half of a surrogate pair cannot be written.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("nested too deep") from None
    level, below = 0, [value]
    while below:
        below = [v for v in below if type(v) in (dict, list)]
        level += bool(below)
        below = [inner for v in below for inner in (v.values() if type(v) is dict else v)]
    if level > DEEPEST:
        raise ValueError("nested too deep")
    return value


def base64url(text):
    if not re.fullmatch("[A-Za-z0-9_-]*", text, re.ASCII):
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != text:
        raise ValueError("bits are left over")
    return data


def text(value, pattern=None):
    if type(value) is not str or pattern and not re.fullmatch(pattern, value, re.ASCII):
        raise ValueError("not such a text")
    return value


def integer(value, low=0):
    if type(value) is not int or not low <= value <= MAX_INTEGER:
        raise ValueError("not an integer in range")
    return value


def micros(value):
    """A moment in its one spelling, as microseconds since 1970."""
    found = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.([0-9]{0,5}[1-9]))?Z", text(value), re.ASCII)
    if not found:
        raise ValueError("not a moment")
    # strptime takes second 60 and 61.
    if found[1][17:19] > "59":
        raise ValueError("no such second")
    seconds = calendar.timegm(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S"))
    if seconds < 0:
        raise ValueError("before 1970")
    return seconds * 1_000_000 + int((found[3] or "0").ljust(6, "0"))


def record(members, accepted_at="accepted_at"):
    return {
        "digest": text(members.get("digest"), "[0-9a-f]{64}"),
        "salt": text(members.get("salt"), "[0-9a-f]{32}"),
        "number": integer(members.get("number"), 1),
        "batch": integer(members.get("batch")),
        "accepted_at": micros(members.get(accepted_at)),
        "anchor_by": micros(members.get("anchor_by")),
    }


def packed(one):
    numbers = (one["number"], one["batch"], one["accepted_at"], one["anchor_by"])
    return bytes.fromhex(one["digest"] + one["salt"]) + b"".join(number.to_bytes(8, "big") for number in numbers)


# Steps


def read_file(data):
    """Step 29: the JWS, and the records of the answer around it."""
    if len(data) > MAX_BYTES:
        raise ValueError("longer than 16 MiB")
    body = data[:-1] if data.endswith(b"\n") else data
    if not body.startswith(b"{"):
        return body.decode("utf-8"), None
    answer = read_json(body)
    if type(answer.get("proofs")) is not list:
        raise ValueError("no proofs")
    records = []
    for item in answer["proofs"]:
        if type(item) is not dict:
            raise ValueError("an item is no object")
        if "anchor_by" in item:
            records.append(record(item, "received_at"))
    return text(answer.get("promise")), records


def read_payload(data):
    """Step 33: what is signed, and how it is compared with records."""
    payload = read_json(data)
    if type(payload) is not dict:
        raise ValueError("not an object")
    one = "proof" in payload
    wanted = {"format", "iss", "iat", "account"} | ({"proof"} if one else {"count", "records"})
    if set(payload) != wanted or payload["format"] != "sceau-promise/1":
        raise ValueError("other members, or another format")
    text(payload["iss"]), text(payload["account"]), integer(payload["iat"])
    if not one:
        return payload, None, (integer(payload["count"], 2), text(payload["records"], "[0-9a-f]{64}"))
    members = payload["proof"]
    if type(members) is not dict or set(members) != {"digest", "salt", "number", "batch", "accepted_at", "anchor_by"}:
        raise ValueError("the proof has other members")
    return payload, record(members), None


def key_named(keys, kid):
    for jwk in keys["keys"]:
        if type(jwk) is not dict or (jwk.get("kty"), jwk.get("crv"), jwk.get("kid")) != ("OKP", "Ed25519", kid):
            continue
        try:
            data = base64url(text(jwk.get("x")))
        except ValueError:
            continue
        if len(data) == 32 and point(data):
            return data
    raise Failed("promise_key_unknown", f"there is no key {kid!a}")


def open_promise(jws, keys):
    """Steps 30 to 33."""
    try:
        header, body, signature = jws.split(".")
        head, payload, signature = read_json(base64url(header)), base64url(body), base64url(signature)
        if type(head) is not dict or set(head) != {"alg", "kid", "typ"} or len(signature) != 64:
            raise ValueError("another header, or a signature of another length")
        alg, kid, typ = text(head["alg"]), text(head["kid"]), text(head["typ"])
    except ValueError as error:
        raise Failed("promise_malformed", str(error)[:200]) from None
    if (alg, typ) != ("EdDSA", "sceau-promise+jwt"):
        raise Failed("promise_type", f"type {typ!a}, algorithm {alg!a}")
    if not signed_by(key_named(keys, kid), f"{header}.{body}".encode(), signature):
        raise Failed("promise_signature")
    try:
        return read_payload(payload)
    except ValueError as error:
        raise Failed("promise_payload", str(error)[:200]) from None


def judge(data, keys, document, receipt, check):
    """The code, a detail and what became of the promise. `receipt` are bytes or none; `check` reads one and gives, for a
    digest, its code, a detail, and the times of the blocks that count."""
    try:
        return judge_or_fail(data, keys, document, receipt, check)
    except Failed as failed:
        return failed.code, failed.detail, failed.outcome


def judge_or_fail(data, keys, document, receipt, check):
    try:
        jws, records = read_file(data)
    except ValueError as error:
        raise Failed("promise_malformed", str(error)[:200]) from None
    payload, one, several = open_promise(jws, keys)
    if records is not None:
        signed = hashlib.sha256(b"".join(map(packed, records))).hexdigest()
        if records != [one] if one else (len(records), signed) != several:
            raise Failed("promise_records", "the answer's items are not those that were signed")
    elif one:
        records = [one]
    parsed, unreadable = None, None
    if receipt is not None:
        try:
            parsed = check.parse_receipt(receipt)
        except check.Failed as failed:
            unreadable = Failed(failed.code, failed.detail, "given")
    digest = document or (parsed and parsed["document"]["digest"])
    found = None
    if digest:
        if records is None:
            raise Failed("promise_records_missing", "", "given")
        found = next((r for r in records if r["digest"] == digest), None)
        if found is None:
            raise Failed("promise_other_document", digest, "given")
    if unreadable:
        raise unreadable
    said = f"promised to {payload['account']!a} by {payload['iss']!a}"
    if parsed is None:
        return "ok", said, "given"
    code, detail, times = check.verify_receipt(found["digest"], receipt)
    if code != "ok":
        raise Failed(code, detail, "given")
    if parsed["entry"]["salt"] != found["salt"]:
        raise Failed("promise_other_entry", "its salt differs", "given")
    if parsed["batch"]["number"] != found["batch"]:
        raise Failed("promise_broken", f"batch {parsed['batch']['number']}, not {found['batch']}", "broken")
    if min(times) * 1_000_000 > found["anchor_by"]:
        raise Failed("promise_broken", f"in a block of second {min(times)}", "broken")
    return "ok", said, "kept"
