"""What a stock OpenTimestamps calendar does with a digest, asked by many connections: ots_calendar.py CONNECTIONS SECONDS INTERVAL
prints one JSON object with the answers a second. INTERVAL is a second in the stock one.

The calendar server (opentimestamps-server) is in no package registry. Its submit path is short, and most of it is in the library
that is (opentimestamps): so the steps are done here again, in its order, on the same HTTP server of Python's own library (a thread and
a connection a request): a nonce for each digest; after each interval all that wait are one Merkle tree, whose root gets the time, a MAC and
a pending attestation, is appended to a journal and synced; then everybody who waits is answered with his path. What is left out
is the part that writes to Bitcoin, which no request waits for."""
import asyncio
import hashlib
import http.server
import json
import multiprocessing
import os
import queue
import socketserver
import struct
import sys
import tempfile
import threading
import time
from importlib.metadata import version

from opentimestamps.core.notary import PendingAttestation
from opentimestamps.core.op import OpAppend, OpPrepend
from opentimestamps.core.serialize import BytesDeserializationContext, BytesSerializationContext
from opentimestamps.core.timestamp import Timestamp, make_merkle_tree
from opentimestamps.timestamp import nonce_timestamp


def key_of(key, index, bits=32):
    """The MAC key of a second: 32 hashes down a binary tree of keys."""
    for bit in reversed(range(bits)):
        key = hashlib.sha256(key + (b"\xff" if index >> bit & 1 else b"\x00")).digest()
    return key


class Calendar:
    """Takes digests, gives each its path to a root that is on disk."""

    def __init__(self, folder, interval):
        self.interval = interval
        self.journal = open(os.path.join(folder, "journal"), "ab")
        self.key = os.urandom(32)
        self.waiting = queue.Queue()
        threading.Thread(target=self.seal_again_and_again, daemon=True).start()

    def submit(self, digest):
        """Returns when the digest's root is synced."""
        stamp, done = Timestamp(digest), threading.Event()
        self.waiting.put((nonce_timestamp(stamp), done))
        done.wait()
        return stamp

    def seal_again_and_again(self):
        while True:
            time.sleep(self.interval)
            taken = []
            while not self.waiting.empty():
                taken.append(self.waiting.get_nowait())
            if not taken:
                continue
            root = make_merkle_tree([nonced for nonced, _ in taken])
            now = int(time.time())
            timed = root.ops.add(OpPrepend(struct.pack(">L", now)))
            sealed = timed.ops.add(OpAppend(hashlib.sha256(timed.msg + key_of(self.key, now)).digest()[:8]))
            sealed.attestations.add(PendingAttestation("http://localhost"))
            self.journal.write(sealed.msg)
            self.journal.flush()
            os.fsync(self.journal.fileno())
            for _, done in taken:
                done.set()


class Handler(http.server.BaseHTTPRequestHandler):
    """POST /digest, the digest's bytes as the body."""

    def do_POST(self):
        context = BytesSerializationContext()
        self.server.calendar.submit(self.rfile.read(int(self.headers["Content-Length"]))).serialize(context)
        body = context.getbytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """The log is not what is measured."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A thread a connection."""

    daemon_threads = True
    # The stock one keeps Python's 5; connections beyond it are tried again by the client's kernel, a second later.
    request_queue_size = 4096


def serve(ports, interval):
    with tempfile.TemporaryDirectory() as folder, Server(("127.0.0.1", 0), Handler) as server:
        server.calendar = Calendar(folder, interval)
        ports.put(server.server_address[1])
        server.serve_forever()


async def ask(port, until, answers):
    """Asks on one connection after the other, as the server closes each, until the time is over."""
    while time.monotonic() < until:
        digest = os.urandom(32)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /digest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 32\r\n\r\n" + digest)
        answer = await reader.read()
        writer.close()
        answers.append((digest, answer))


async def ask_all(port, connections, seconds):
    """The answers, and the seconds until the last of them."""
    answers, started = [], time.monotonic()
    await asyncio.gather(*(ask(port, started + seconds, answers) for _ in range(connections)))
    return answers, time.monotonic() - started


def check(digest, answer):
    """An answer is a path from the digest to a pending attestation."""
    head, body = answer.split(b"\r\n\r\n", 1)
    stamp = Timestamp.deserialize(BytesDeserializationContext(body), digest)
    found = [attestation for _, attestation in stamp.all_attestations()]
    if not head.startswith(b"HTTP/1.0 200") or not any(isinstance(one, PendingAttestation) for one in found):
        sys.exit("a digest was not answered with a pending attestation")


def main():
    connections, seconds, interval = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    ports = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(ports, interval), daemon=True)
    server.start()
    answers, took = asyncio.run(ask_all(ports.get(timeout=30), connections, seconds))
    server.terminate()
    server.join()
    for digest, answer in answers:
        check(digest, answer)
    print(json.dumps({"connections": connections, "seconds": took, "interval_s": interval, "rate": len(answers) / took,
                      "version": version("opentimestamps"), "runtime": f"Python {sys.version.split()[0]}"}))


main()
