// OpenZeppelin's trees over the same entries as verifier/benches/peers.rs: tree.mjs FOLDER KIND LEAVES prints one JSON object.
// FOLDER has the installed package. KIND: standard (StandardMerkleTree as it comes: keccak-256, values encoded by the ABI), or
// simple (SimpleMerkleTree over SHA-256 leaf hashes, with SHA-256 of node:crypto for its nodes). Both order the children of a
// node, so their roots are not those of RFC 9162.
import * as crypto from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [folder, kind, count] = process.argv.slice(2);
const require = createRequire(path.resolve(folder, 'package.json'));
const { SimpleMerkleTree, StandardMerkleTree } = require('@openzeppelin/merkle-tree');
const { version } = JSON.parse(readFileSync(path.resolve(folder, 'node_modules/@openzeppelin/merkle-tree/package.json'), 'utf8'));
const leaves = Number(count);
const PATHS = 1000;

const sha256 = (bytes) => '0x' + (crypto.hash ? crypto.hash('sha256', bytes) : crypto.createHash('sha256').update(bytes).digest('hex'));

function entry(n) {
  const bytes = Buffer.alloc(48, 7);
  bytes.writeBigUInt64BE(BigInt(n));
  return bytes;
}

const KINDS = {
  standard: {
    value: (n) => { const hex = entry(n).toString('hex'); return ['0x' + hex.slice(0, 64), '0x' + hex.slice(64)]; },
    build: (values) => StandardMerkleTree.of(values, ['bytes32', 'bytes16']),
    verify: (root, value, proof) => StandardMerkleTree.verify(root, ['bytes32', 'bytes16'], value, proof),
  },
  simple: {
    value: (n) => sha256(Buffer.concat([Buffer.from([0]), entry(n)])),
    build: (values) => SimpleMerkleTree.of(values, { nodeHash }),
    verify: (root, value, proof) => SimpleMerkleTree.verify(root, value, proof, nodeHash),
  },
};

function nodeHash(a, b) {
  return sha256(Buffer.from('01' + (a < b ? a.slice(2) + b.slice(2) : b.slice(2) + a.slice(2)), 'hex'));
}

const indices = Array.from({ length: PATHS }, (_, n) => (n * 2654435761) % leaves);

function timed(work) {
  const started = performance.now();
  const result = work();
  return [(performance.now() - started) / 1000, result];
}

// The fastest of the rounds that fit into a second, twenty at most; `first` is the time of the first one.
function fastest(first, work) {
  let [best, total] = [first, first];
  for (let round = 1; round < 20 && total <= 1; round += 1) {
    const [took] = timed(work);
    best = Math.min(best, took);
    total += took;
  }
  return best;
}

const peak = () => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0);

const { value, build, verify } = KINDS[kind];
const idle = peak();
const works = {
  build: () => build(Array.from({ length: leaves }, (_, n) => value(n))),
  prove: () => indices.map((index) => tree.getProof(index)),
  verify: () => indices.every((index, n) => verify(tree.root, value(index), proofs[n])),
};
const [built, tree] = timed(works.build);
const [proven, proofs] = timed(works.prove);
const [verified, held] = timed(works.verify);
const peak_kib = peak();
if (!held) throw new Error('a proof does not prove its entry');
if (verify(tree.root, value(indices[0] + 1), proofs[0])) throw new Error('a proof proves another entry');
const [build_s, prove_s, verify_s] = [fastest(built, works.build), fastest(proven, works.prove), fastest(verified, works.verify)];
console.log(JSON.stringify({
  tree: kind === 'standard' ? 'OpenZeppelin StandardMerkleTree' : 'OpenZeppelin SimpleMerkleTree', version,
  runtime: `Node.js ${process.versions.node}`, leaves, paths: PATHS, build_s, prove_s, verify_s, root: tree.root.slice(2),
  peak_kib, idle_kib: idle,
}));
