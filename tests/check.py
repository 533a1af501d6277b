#!/usr/bin/env python3
"""Checks a Sceau receipt offline. Written from verifier/SPEC.md alone, with the standard library only.
One file from top to bottom, to be read beside that text; what it says of promises is in check_promise.py.

    check.py FILE RECEIPT [--block-hash 0x…]… [--registry 0x…] [--chain eip155:N] [--json]
    check.py --digest HEX RECEIPT …      RECEIPT may be a certificate (PDF) that holds one
    check.py --promise PROMISE --keys KEYS [FILE | --digest HEX] [--receipt RECEIPT] …
    check.py --vectors DIR

Exit status: 0 verified, 1 invalid, 2 usage or unreadable file, 3 not yet, 4 cannot tell.
"""

import calendar
import hashlib
import json
import re
import sys
import time
from pathlib import Path

import check_promise

MAX_INTEGER = 2**53 - 1
MAX_BYTES = 1 << 20
MAX_PDF_BYTES = 16 << 20
MAX_DECISIONS = 16
STATUS = {"verified": 0, "invalid": 1, "not_yet": 3, "cannot_tell": 4}
STEPS = {
    "ok": 0, "receipt_malformed": 1, "document_mismatch": 2, "batch_header_malformed": 3, "batch_header_mismatch": 4,
    "entry_not_included": 5, "batch_header_not_included": 6, "no_anchor": 7, "block_header_hash": 8,
    "block_header_malformed": 9, "block_header_mismatch": 10, "account_not_proven": 11, "record_not_proven": 12,
    "record_mismatch": 13, "transaction_hash": 14, "transaction_not_proven": 15, "transaction_malformed": 16,
    "transaction_mismatch": 17, "chain_mismatch": 18, "registry_mismatch": 18, "no_evidence": 19, "no_trusted_block": 19,
    "block_not_trusted": 19, "decision_malformed": 25, "decision_mismatch": 26, "decision_receipt_invalid": 27,
    "decision_not_proven": 28, "decision_not_final": 28, "decision_not_checked": 28, **check_promise.STEPS,
}
VERDICTS = {
    "ok": "verified", "no_anchor": "not_yet", "no_evidence": "not_yet", "no_trusted_block": "cannot_tell",
    "decision_not_final": "not_yet", "decision_not_checked": "cannot_tell", **check_promise.VERDICTS,
}
PRECEDENCE = ["no_trusted_block", "no_evidence", "block_not_trusted", "registry_mismatch", "chain_mismatch"]


class Failed(Exception):
    """A step that did not pass."""

    def __init__(self, code, detail=""):
        super().__init__(code)
        self.code, self.detail = code, detail


# Hashes


def sha256(data):
    return hashlib.sha256(data).digest()


def keccak256(data):
    """Keccak-256 as Ethereum uses it: padding 0x01, not the 0x06 of SHA3-256."""
    mask = (1 << 64) - 1

    def rotate(value, count):
        count %= 64
        return ((value << count) | (value >> (64 - count))) & mask

    def permute(a):
        lfsr = 1
        for _ in range(24):
            c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
            d = [c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1) for x in range(5)]
            a = [[lane ^ d[x] for lane in a[x]] for x in range(5)]
            x, y, current = 1, 0, a[1][0]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                current, a[x][y] = a[x][y], rotate(current, (t + 1) * (t + 2) // 2)
            for y in range(5):
                row = [a[x][y] for x in range(5)]
                for x in range(5):
                    a[x][y] = row[x] ^ (~row[(x + 1) % 5] & mask & row[(x + 2) % 5])
            for j in range(7):
                lfsr = ((lfsr << 1) ^ ((lfsr >> 7) * 0x71)) % 256
                if lfsr & 2:
                    a[0][0] ^= 1 << ((1 << j) - 1)
        return a

    rate = 136
    padded = bytearray(data) + bytearray(rate - len(data) % rate)
    padded[len(data)] ^= 0x01
    padded[-1] ^= 0x80
    state = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), rate):
        for i in range(rate // 8):
            state[i % 5][i // 5] ^= int.from_bytes(padded[start + 8 * i : start + 8 * i + 8], "little")
        state = permute(state)
    return b"".join(state[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


# Step 1: the receipt


def canonical(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def unique(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a repeated field")
    return result


def refuse(text):
    raise ValueError(f"{text} is not an integer of a receipt")


def read_json(text):
    """Strict JSON: no repeated field, no fraction, no exponent, no NaN."""
    return json.loads(text, object_pairs_hook=unique, parse_float=refuse, parse_constant=refuse)


def integer(low=0):
    def check(value):
        # bool is a kind of int in Python.
        if type(value) is not int or not low <= value <= MAX_INTEGER:
            raise ValueError(f"{value!r} is not an integer in range")

    return check


def text(pattern):
    compiled = re.compile(pattern)

    def check(value):
        if type(value) is not str or not compiled.fullmatch(value):
            raise ValueError(f"not {pattern}")

    return check


def anything(value):
    if type(value) is not str:
        raise ValueError("not a string")


def length(low, high):
    """A string of so many characters (Unicode code points)."""

    def check(value):
        anything(value)
        if not low <= len(value) <= high:
            raise ValueError(f"not {low} to {high} characters")

    return check


def chain_reference(value):
    text(r"eip155:[1-9][0-9]{0,19}")(value)
    if int(value[7:]) >= 2**64:
        raise ValueError("chain id out of range")


def list_of(check):
    def check_list(value):
        if type(value) is not list:
            raise ValueError("not a list")
        for item in value:
            check(item)

    return check_list


def fields(optional=(), **checks):
    def check(value):
        if type(value) is not dict:
            raise ValueError("not an object")
        wanted = [name for name in checks if name in value or name not in optional]
        if list(value) != wanted:
            raise ValueError(f"fields {list(value)} are not {wanted}")
        for name in wanted:
            checks[name](value[name])

    return check


HASH, SALT = text("[0-9a-f]{64}"), text("[0-9a-f]{32}")
HASH_0X, ADDRESS, BYTES = text("0x[0-9a-f]{64}"), text("0x[0-9a-f]{40}"), text("0x([0-9a-f]{2})*")

EVIDENCE = fields(
    header=BYTES,
    account_proof=list_of(BYTES),
    storage_proof=list_of(BYTES),
    transaction=fields(index=integer(), raw=BYTES, proof=list_of(BYTES)),
)
ANCHOR = fields(
    optional=("evidence",),
    chain=chain_reference,
    registry=ADDRESS,
    tx_hash=HASH_0X,
    block_number=integer(),
    block_hash=HASH_0X,
    block_time=integer(),
    evidence=EVIDENCE,
)
MOMENT = text("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
PARTS = {
    "format": text("sceau-receipt/1"),
    "document": fields(digest=HASH),
    "entry": fields(salt=SALT, index=integer(1)),
    "tree": fields(size=integer(2), root=HASH, path=list_of(HASH)),
    "batch": fields(number=integer(), header=anything, path=list_of(HASH)),
    "anchors": list_of(ANCHOR),
}
DECISIONS = list_of(fields(statement=anything, receipt=fields(**PARTS)))
RECEIPT = fields(optional=("decisions",), **PARTS, decisions=DECISIONS)
STATEMENT = fields(
    format=text("sceau-decision/1"),
    document=HASH,
    account=length(1, 100),
    validator=length(1, 100),
    decision=text("approved|refused"),
    comment=length(0, 1000),
    decided_at=MOMENT,
    nonce=SALT,
)
HEADER = fields(
    v=integer(1),
    origin=text("[A-Za-z0-9._:/-]{1,100}"),
    number=integer(),
    previous_root=HASH,
    sealed_at=MOMENT,
    count=integer(1),
)


def ascending(order, what):
    if any(a >= b for a, b in zip(order, order[1:])):
        raise ValueError(f"{what} out of order")


def parse_receipt(data):
    try:
        if len(data) > MAX_BYTES:
            raise ValueError("longer than 1 MiB")
        body = data[:-1] if data.endswith(b"\n") else data
        receipt = read_json(body.decode("utf-8"))
        RECEIPT(receipt)
        decisions = receipt.get("decisions", [])
        if "decisions" in receipt and not 1 <= len(decisions) <= MAX_DECISIONS:
            raise ValueError(f"{len(decisions)} decisions")
        for part in [receipt] + [decision["receipt"] for decision in decisions]:
            ascending([(anchor["chain"], anchor["registry"]) for anchor in part["anchors"]], "anchors")
        nested = [decision["receipt"] for decision in decisions]
        ascending([(part["batch"]["number"], part["entry"]["index"]) for part in nested], "decisions")
        if canonical(receipt).encode("utf-8") != body:
            raise ValueError("not the canonical bytes")
        return receipt
    except (ValueError, RecursionError) as error:
        raise Failed("receipt_malformed", str(error)[:200]) from None


# Steps 3 to 6: the batch


def real_moment(value):
    moment = time.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
    # strptime accepts the leap seconds 60 and 61; printing back does not.
    if time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(calendar.timegm(moment))) != value or moment.tm_year < 1970:
        raise ValueError("not a moment")


def parse_header(line):
    try:
        header = read_json(line)
        HEADER(header)
        if header["v"] != 1:
            raise ValueError("v is not 1")
        real_moment(header["sealed_at"])
        if canonical(header) != line:
            raise ValueError("not the canonical bytes")
        return header
    except (ValueError, RecursionError) as error:
        raise Failed("batch_header_malformed", str(error)[:200]) from None


def included(leaf, index, size, path, root):
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = sha256(b"\x01" + p + r)
            if not fn & 1:
                while True:
                    fn, sn = fn >> 1, sn >> 1
                    if fn & 1 or fn == 0:
                        break
        else:
            r = sha256(b"\x01" + r + p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def check_batch(receipt):
    tree, batch = receipt["tree"], receipt["batch"]
    header = parse_header(batch["header"])
    if header["number"] != batch["number"] or header["count"] != tree["size"] - 1:
        raise Failed("batch_header_mismatch")
    root = bytes.fromhex(tree["root"])
    entry = bytes.fromhex(receipt["document"]["digest"]) + bytes.fromhex(receipt["entry"]["salt"])
    path = [bytes.fromhex(p) for p in tree["path"]]
    if not included(sha256(b"\x00" + entry), receipt["entry"]["index"], tree["size"], path, root):
        raise Failed("entry_not_included")
    path = [bytes.fromhex(p) for p in batch["path"]]
    if not included(sha256(b"\x00" + batch["header"].encode()), 0, tree["size"], path, root):
        raise Failed("batch_header_not_included")


# RLP and tries


class Item:
    """One RLP item: `raw` with its prefix, `payload` without."""

    def __init__(self, raw, payload, is_list):
        self.raw, self.payload, self.is_list = raw, payload, is_list

    def string(self, length=None):
        if self.is_list or length is not None and len(self.payload) != length:
            raise ValueError("not a string of this length")
        return self.payload

    def integer(self, width=32):
        data = self.string()
        if len(data) > width or data[:1] == b"\x00":
            raise ValueError("not an integer")
        return int.from_bytes(data, "big")

    def list(self):
        if not self.is_list:
            raise ValueError("not a list")
        items, rest = [], self.payload
        while rest:
            item, rest = rlp_next(rest)
            items.append(item)
        return items


def rlp_next(data):
    if not data:
        raise ValueError("nothing to read")
    first = data[0]
    is_list = first >= 0xC0
    base = 0xC0 if is_list else 0x80
    if first < 0x80:
        start, length = 0, 1
    elif first - base < 56:
        start, length = 1, first - base
    else:
        width = first - base - 55
        digits = data[1 : 1 + width]
        if len(digits) < width or digits[0] == 0:
            raise ValueError("a bad length")
        start, length = 1 + width, int.from_bytes(digits, "big")
        if length < 56:
            raise ValueError("a short length spelled long")
    if start + length > len(data):
        raise ValueError("cut off")
    payload = data[start : start + length]
    if first == 0x81 and payload[0] < 0x80:
        raise ValueError("a small byte spelled long")
    return Item(data[: start + length], payload, is_list), data[start + length :]


def rlp_exact(data):
    item, rest = rlp_next(data)
    if rest:
        raise ValueError("bytes after the end")
    return item


def rlp_integer(value):
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return data if len(data) == 1 and data[0] < 0x80 else bytes([0x80 + len(data)]) + data


def nibbles(data):
    return [half for byte in data for half in (byte >> 4, byte & 15)]


def trie_value(root, key, nodes):
    """The value that a list of nodes proves; ValueError where it proves none."""
    rest, listed = nibbles(key), iter(nodes)

    def fetch(digest):
        node = next(listed, None)
        if node is None or keccak256(node) != digest:
            raise ValueError("a node is missing or another one")
        return rlp_exact(node)

    node = fetch(root)
    while True:
        items = node.list()
        if len(items) == 2:
            path = nibbles(items[0].string())
            if not path or path[0] > 3 or not path[0] & 1 and path[1] != 0:
                raise ValueError("a bad path")
            flag, path = path[0], path[1:] if path[0] & 1 else path[2:]
            if flag < 2 and not path:
                raise ValueError("an extension without a path")
            if rest[: len(path)] != path:
                raise ValueError("absent")
            rest = rest[len(path) :]
            if flag >= 2:
                if rest:
                    raise ValueError("absent")
                value = items[1].string()
                break
            child = items[1]
        elif len(items) == 17:
            if not rest:
                value = items[16].string()
                break
            child, rest = items[rest[0]], rest[1:]
        else:
            raise ValueError("neither 2 nor 17 items")
        if child.is_list:
            if len(child.raw) >= 32:
                raise ValueError("a long child inside its parent")
            node = child
        else:
            node = fetch(child.string(32))
    if not value:
        raise ValueError("absent")
    if next(listed, None) is not None:
        raise ValueError("nodes are left over")
    return value


# Steps 8 to 17: evidence


def unhex(value):
    return bytes.fromhex(value[2:])


def word(number):
    return number.to_bytes(32, "big")


class Step:
    """Turns every ValueError inside into the step's code."""

    def __init__(self, code):
        self.code = code

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and issubclass(kind, ValueError):
            raise Failed(self.code, str(error)) from None


def check_evidence(receipt, anchor):
    evidence, transaction = anchor["evidence"], anchor["evidence"]["transaction"]
    root, size, number = bytes.fromhex(receipt["tree"]["root"]), receipt["tree"]["size"], receipt["batch"]["number"]
    registry = unhex(anchor["registry"])

    header = unhex(evidence["header"])
    if keccak256(header) != unhex(anchor["block_hash"]):
        raise Failed("block_header_hash")
    with Step("block_header_malformed"):
        items = rlp_exact(header).list()
        if len(items) < 15:
            raise ValueError("fewer than 15 fields")
        state_root, transactions_root = items[3].string(32), items[4].string(32)
        block_number, block_time = items[8].integer(8), items[11].integer(8)
    if (block_number, block_time) != (anchor["block_number"], anchor["block_time"]):
        raise Failed("block_header_mismatch")

    with Step("account_not_proven"):
        account = rlp_exact(trie_value(state_root, keccak256(registry), map(unhex, evidence["account_proof"]))).list()
        if len(account) != 4:
            raise ValueError("not an account")
        account[0].integer(8)
        account[1].integer()
        storage_root = account[2].string(32)
        account[3].string(32)
    with Step("record_not_proven"):
        key = keccak256(keccak256(root + word(0)))
        record = rlp_exact(trie_value(storage_root, key, map(unhex, evidence["storage_proof"]))).integer()
    if record != number << 192 | size << 128 | block_number << 64 | block_time:
        raise Failed("record_mismatch")

    raw = unhex(transaction["raw"])
    if keccak256(raw) != unhex(anchor["tx_hash"]):
        raise Failed("transaction_hash")
    with Step("transaction_not_proven"):
        if trie_value(transactions_root, rlp_integer(transaction["index"]), map(unhex, transaction["proof"])) != raw:
            raise ValueError("another transaction")
    with Step("transaction_malformed"):
        if raw[:1] != b"\x02":
            raise ValueError("not an EIP-1559 transaction")
        items = rlp_exact(raw[1:]).list()
        if len(items) != 12:
            raise ValueError("not 12 fields")
        chain_id, nonce, tip, fee, gas, to, value, data, access, parity, r, s = items
        chain_id, to, value, data = chain_id.integer(8), to.string(20), value.integer(), data.string()
        for field in (nonce, gas):
            field.integer(8)
        for field in (tip, fee, r, s):
            field.integer()
        if parity.integer() > 1:
            raise ValueError("a bad parity")
        access.list()
    call = keccak256(b"anchor(uint64,bytes32,uint64)")[:4] + word(number) + root + word(size)
    if (f"eip155:{chain_id}", to, value, data) != (anchor["chain"], registry, 0, call):
        raise Failed("transaction_mismatch")


# Steps 25 to 27: decisions


def parse_statement(line):
    try:
        statement = read_json(line)
        STATEMENT(statement)
        real_moment(statement["decided_at"])
        if canonical(statement) != line:
            raise ValueError("not the canonical bytes")
        return statement
    except (ValueError, RecursionError) as error:
        raise Failed("decision_malformed", str(error)[:200]) from None


def check_own(receipt):
    check_batch(receipt)
    for anchor in receipt["anchors"]:
        if "evidence" in anchor:
            check_evidence(receipt, anchor)


def check_decision(receipt, decision):
    statement, nested = parse_statement(decision["statement"]), decision["receipt"]
    digest = sha256(decision["statement"].encode("utf-8"))
    if statement["document"] != receipt["document"]["digest"] or statement["decision"] != "approved":
        raise Failed("decision_mismatch", "not an approval of this document")
    if nested["document"]["digest"] != digest.hex():
        raise Failed("decision_mismatch", "the receipt of another statement")
    if nested["entry"]["salt"] != sha256(b"sceau-decision/1\x00" + digest).hex()[:32]:
        raise Failed("decision_mismatch", "not sealed as a decision")
    try:
        check_own(nested)
    except Failed as failed:
        raise Failed("decision_receipt_invalid", f"{failed.code} {failed.detail}") from None


# Steps 18 and 19, 28, and the verdict


def check_trust(anchor, trust):
    if trust["chain"] is not None and trust["chain"] != anchor["chain"]:
        return "chain_mismatch"
    if trust["registry"] is not None and trust["registry"] != anchor["registry"]:
        return "registry_mismatch"
    if "evidence" not in anchor:
        return "no_evidence"
    if not trust["block_hashes"]:
        return "no_trusted_block"
    return "ok" if anchor["block_hash"] in trust["block_hashes"] else "block_not_trusted"


def conclude(receipt, trust):
    """Step 7 and §5.1: the code, the anchor that gave it, and every place where the receipt is proven."""
    anchors = receipt["anchors"]
    if not anchors:
        return "no_anchor", None, set()
    codes = [check_trust(anchor, trust) for anchor in anchors]
    proven = {(anchor["chain"], anchor["registry"]) for anchor, code in zip(anchors, codes) if code == "ok"}
    for code in ["ok"] + PRECEDENCE:
        if code in codes:
            return code, anchors[codes.index(code)], proven
    raise AssertionError("every anchor has a code")


def weigh(nested, trust, proven):
    code, _, places = conclude(nested, trust)
    if code == "ok":
        return "ok" if places & proven else "decision_not_proven"
    if code == "block_not_trusted" or verdict(code) == "cannot_tell":
        return "decision_not_checked"
    return "decision_not_final" if verdict(code) == "not_yet" else "decision_not_proven"


def verify(digest, data, trust):
    """The code and a detail for receipt bytes, a document's digest (hex) and the auditor's trust."""
    try:
        receipt = parse_receipt(data)
        decisions = receipt.get("decisions", [])
        if receipt["document"]["digest"] != digest:
            raise Failed("document_mismatch", f"the receipt is about {receipt['document']['digest']}")
        check_own(receipt)
        for decision in decisions:
            check_decision(receipt, decision)
    except Failed as failed:
        return failed.code, failed.detail
    code, anchor, proven = conclude(receipt, trust)
    if anchor is None:
        return code, ""
    detail = f"block {anchor['block_number']} {anchor['block_hash']}, registry {anchor['registry']}"
    if code == "ok" and decisions:
        codes = [weigh(decision["receipt"], trust, proven) for decision in decisions]
        codes = [code for code in codes if code != "ok"]
        code = next(iter(sorted(codes, key=lambda code: verdict(code) != "invalid")), "ok")
        names = [parse_statement(decision["statement"])["validator"] for decision in decisions]
        detail += f", approved by {names!a}"
    return code, detail


def verdict(code):
    return VERDICTS.get(code, "invalid")


# Command line


def usage(message):
    print(f"check.py: {message}", file=sys.stderr)
    sys.exit(2)


def run_vectors(folder):
    files = sorted(folder.glob("*.json"))
    wrong = counted = 0
    for file in files:
        vector = json.loads(file.read_text("utf-8"))
        if "keys" in vector:
            wrong += run_promise(file, vector)
            counted += 1
            continue
        if "receipt" not in vector and "receipt_hex" not in vector:
            if vector.get("kind") == "trees":
                wrong += run_trees(file, vector)
                counted += 1
            continue
        counted += 1
        data = vector["receipt"].encode() if "receipt" in vector else bytes.fromhex(vector["receipt_hex"])
        trust = {"registry": None, "chain": None, **vector["trust"]}
        code, _ = verify(vector["document_digest"], data, trust)
        found = {"verdict": verdict(code), "code": code}
        if found != vector["expect"]:
            wrong += 1
            print(f"{file.name}: expected {vector['expect']}, found {found}")
    print(f"{counted} vectors, {wrong} disagreements")
    if not counted:
        usage(f"no vectors in {folder}")
    return 1 if wrong else 0


class Receipts:
    """What the steps on promises need of those on receipts."""

    Failed = Failed
    parse_receipt = staticmethod(parse_receipt)

    def __init__(self, trust):
        self.trust = {"block_hashes": [], "registry": None, "chain": None, **trust}

    def verify_receipt(self, digest, data):
        code, detail = verify(digest, data, self.trust)
        anchors = parse_receipt(data)["anchors"] if code == "ok" else []
        return code, detail, [anchor["block_time"] for anchor in anchors if check_trust(anchor, self.trust) == "ok"]


def run_promise(file, vector):
    data = vector["promise"].encode() if "promise" in vector else bytes.fromhex(vector["promise_hex"])
    receipt = vector["receipt"].encode() if "receipt" in vector else None
    receipts = Receipts(vector.get("trust", {}))
    code, _, outcome = check_promise.judge(data, vector["keys"], vector.get("document_digest"), receipt, receipts)
    found = {"verdict": verdict(code), "code": code, "outcome": outcome}
    if found != vector["expect"]:
        print(f"{file.name}: expected {vector['expect']}, found {found}")
    return found != vector["expect"]


def tree_hash(leaves):
    """RFC 9162 §2.1.1, over leaf hashes, in its recursive form."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + tree_hash(leaves[:split]) + tree_hash(leaves[split:]))


def run_trees(file, vector):
    wrong = 0
    leaves = [sha256(b"\x00" + i.to_bytes(8, "big")) for i in range(len(vector["roots"]))]
    for size, root in enumerate(vector["roots"], 1):
        if tree_hash(leaves[:size]).hex() != root:
            wrong = 1
            print(f"{file.name}: another root for {size} leaves")
    for path in vector["paths"]:
        leaf, root = bytes.fromhex(path["leaf"]), bytes.fromhex(vector["roots"][path["size"] - 1])
        if not included(leaf, path["index"], path["size"], [bytes.fromhex(p) for p in path["path"]], root):
            wrong = 1
            print(f"{file.name}: leaf {path['index']} of {path['size']} is not included")
    return wrong


def receipt_of_certificate(data):
    """§2.5"""
    if len(data) > MAX_PDF_BYTES:
        usage("the PDF is longer than 16 MiB")
    found = re.findall(rb'(?<=stream)\r?\n(\{"format":"sceau-receipt/1",[^\r\n]*)(?=(\r\n|\r|\n|\Z)(endstream)?)', data)
    if len(found) != 1:
        usage(f"the PDF has {len(found)} receipts, not one")
    receipt, _, end = found[0]
    if not end or len(receipt) > MAX_BYTES:
        usage("the receipt in the PDF does not end")
    return receipt


def main(arguments):
    positional, hashes, single = [], [], {}
    as_json = False
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        name, equals, value = argument.partition("=")
        if argument in ("--help", "-h"):
            print(__doc__.strip())
            return 0
        if argument == "--json":
            as_json = True
        elif name in ("--block-hash", "--registry", "--chain", "--digest", "--vectors", "--promise", "--keys", "--receipt"):
            if not equals:
                if not queue:
                    usage(f"{name} needs a value")
                value = queue.pop(0)
            if name == "--block-hash":
                hashes.append(value.lower())
            elif name in single:
                usage(f"{name} is given twice")
            else:
                single[name] = value
        elif argument.startswith("-") and argument != "-":
            usage(f"unknown option {argument}")
        else:
            positional.append(argument)
    if "--vectors" in single:
        return run_vectors(Path(single["--vectors"]))

    registry, digest = single.get("--registry"), single.get("--digest")
    try:
        for value in hashes:
            HASH_0X(value)
        if registry is not None:
            registry = registry.lower()
            ADDRESS(registry)
        if "--chain" in single:
            chain_reference(single["--chain"])
        if digest is not None:
            digest = digest.lower().removeprefix("0x")
            HASH(digest)
    except ValueError as error:
        usage(str(error))
    promise = single.get("--promise")
    if (promise is None) != (single.get("--keys") is None) or "--receipt" in single and promise is None:
        usage("--promise and --keys go together, and --receipt with them")
    if promise is not None:
        if len(positional) > (0 if digest else 1):
            usage("give FILE alone, or --digest HEX: a receipt is named by --receipt")
    elif len(positional) != (1 if digest else 2) or positional == ["-", "-"]:
        usage("give FILE and RECEIPT, or --digest HEX and RECEIPT")

    def read(name, limit=-1):
        try:
            if name == "-":
                return sys.stdin.buffer.read(limit)
            with open(name, "rb") as file:
                return file.read(limit)
        except OSError as error:
            usage(f"cannot read {name}: {error.strerror}")

    def receipt_of(name):
        data = read(name, MAX_PDF_BYTES + 1)
        return receipt_of_certificate(data) if data.startswith(b"%PDF-") else data

    trust = {"block_hashes": hashes, "registry": registry, "chain": single.get("--chain")}
    more = {}
    if promise is not None:
        try:
            keys = json.loads(read(single["--keys"]))
            if type(keys) is not dict or type(keys.get("keys")) is not list:
                raise ValueError("not a JWK Set")
        except ValueError as error:
            usage(f"{single['--keys']}: {error}")
        if positional:
            digest = sha256(read(positional[0])).hex()
        receipt = receipt_of(single["--receipt"]) if "--receipt" in single else None
        data = read(promise, check_promise.MAX_BYTES + 1)
        code, detail, outcome = check_promise.judge(data, keys, digest, receipt, Receipts(trust))
        more = {"outcome": outcome}
    else:
        data = receipt_of(positional[-1])
        digest = digest or sha256(read(positional[0])).hex()
        code, detail = verify(digest, data, trust)
    if as_json:
        step = STEPS[code] or None
        print(json.dumps({"verdict": verdict(code), "code": code, "step": step, "detail": detail, "document": digest, **more}))
    else:
        outcome = f" {more['outcome']}" if more.get("outcome") else ""
        print(f"{verdict(code).upper().replace('_', ' ')} {code}{outcome} {detail}".rstrip())
    return STATUS[verdict(code)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
