#!/usr/bin/env node
// Positive controls: breaks one guard of the contract at a time and demands that a test notices.
// Run after contracts/check (which installs the tools); takes some minutes. Arguments select mutants by name.
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');
const { spawnSync } = require('child_process');

const anvil = path.join(__dirname, '..', 'anvil');
const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
const forge = path.join(anvil, 'node_modules', '@foundry-rs', `forge-${platform}`, 'bin', 'forge');
const source = fs.readFileSync(path.join(__dirname, 'src', 'AnchorRegistry.sol'), 'utf8');

// [name, text that occurs exactly once, its replacement]
const MUTANTS = [
  ['constructor takes zero addresses', 'if (owner_ == address(0) || publisher_ == address(0)) revert ZeroAddress();', ''],
  ['constructor takes a zero publisher', 'if (owner_ == address(0) || publisher_ == address(0))', 'if (owner_ == address(0))'],
  ['constructor takes first number 0', 'if (firstNumber_ == 0) revert ZeroFirstNumber();', ''],
  ['constructor starts one late', 'lastNumber = firstNumber_ - 1;', 'lastNumber = firstNumber_;'],
  ['anybody anchors', 'if (msg.sender != publisher) revert NotPublisher(msg.sender);', ''],
  ['owner anchors too', 'if (msg.sender != publisher) revert', 'if (msg.sender != publisher && msg.sender != owner) revert'],
  ['zero root', 'if (root == bytes32(0)) revert ZeroRoot();', ''],
  ['size 1', 'if (size < 2)', 'if (size < 1)'],
  ['repeat under another number is a no-op', 'if (record.number != number) revert RootAlreadyAnchored(root, record.number);', ''],
  ['repeat with another size is a no-op', 'if (storedSize != size) revert SizeMismatch(root, storedSize, size);', ''],
  ['repeat is not a no-op', '            return;\n', ''],
  ['repeat tells again', '            return;\n', '            emit Anchored(root, number, size, msg.sender);\n            return;\n'],
  ['a taken number is taken again', 'if (number >= firstNumber) revert NumberTaken(number, last);\n                revert OutOfOrder(number, last + 1);', ''],
  ['numbers before the first are told taken', 'if (number >= firstNumber) revert', 'if (number >= 1) revert'],
  ['holes', 'if (number - 1 != last) revert OutOfOrder(number, last + 1);', ''],
  ['number 0 after the last possible one', 'if (number <= last) {', 'if (number <= last && number >= firstNumber) {'],
  ['lastNumber stands still', '        lastNumber = number;\n', ''],
  ['wrong time', 'record.timestamp = uint64(block.timestamp)', 'record.timestamp = uint64(block.timestamp - 1)'],
  ['wrong block', 'record.blockNumber = uint64(block.number)', 'record.blockNumber = uint64(block.number - 1)'],
  ['size and number exchanged', 'record.size = size;\n        record.number = number;', 'record.size = number;\n        record.number = size;'],
  ['silent anchoring', '        emit Anchored(root, number, size, msg.sender);\n', ''],
  ['packing order', '        uint64 timestamp;\n        /// Number of that block.\n        uint64 blockNumber;', '        uint64 blockNumber;\n        uint64 timestamp;'],
  ['state order', '    address public publisher;\n', '    uint256 private spare;\n    address public publisher;\n'],
  ['firstNumber in the code', 'uint64 public firstNumber;', 'uint64 public immutable firstNumber;'],
  ['index not bounded', 'if (index >= stored.size) return 0;', 'if (stored.size == 0) return 0;'],
  ['index bounded one late', 'if (index >= stored.size)', 'if (index > stored.size)'],
  ['surplus path', 'if (sn == 0) return 0;', 'if (sn == 0) break;'],
  ['short path', 'if (sn != 0 || hash != root) return 0;', 'if (hash != root) return 0;'],
  ['root not compared', 'if (sn != 0 || hash != root) return 0;', 'if (sn != 0) return 0;'],
  ['size taken one too large', 'uint64 sn = stored.size - 1;', 'uint64 sn = stored.size;'],
  ['leaf prefix', 'sha256(abi.encodePacked(bytes1(0x00), entry))', 'sha256(abi.encodePacked(bytes1(0x01), entry))'],
  ['no leaf prefix', 'sha256(abi.encodePacked(bytes1(0x00), entry))', 'sha256(entry)'],
  ['node prefix', 'bytes1(0x01), path[i], hash', 'bytes1(0x00), path[i], hash'],
  ['children exchanged', 'bytes1(0x01), hash, path[i]', 'bytes1(0x01), path[i], hash'],
  ['no promotion', 'while (fn & 1 == 0 && fn != 0)', 'while (false)'],
  ['edge ignored', 'if (fn & 1 == 1 || fn == sn)', 'if (fn & 1 == 1)'],
  ['present time', 'return stored.timestamp;', 'return uint64(block.timestamp);'],
  ['anybody is owner', 'if (msg.sender != owner) revert NotOwner(msg.sender);', ''],
  ['transfer open to all', 'transferOwnership(address newOwner) external onlyOwner', 'transferOwnership(address newOwner) external'],
  ['proposal open to all', 'proposePublisher(address newPublisher) external onlyOwner', 'proposePublisher(address newPublisher) external'],
  ['revocation open to all', 'revokePublisher() external onlyOwner', 'revokePublisher() external'],
  ['ownership in one step', '        pendingOwner = newOwner;\n', '        pendingOwner = newOwner;\n        owner = newOwner;\n'],
  ['anybody accepts ownership', 'if (msg.sender != pendingOwner) revert NotPendingOwner(msg.sender);', ''],
  ['ownership offer stays open', '        pendingOwner = address(0);\n', ''],
  ['publishing in one step', '        pendingPublisher = newPublisher;\n', '        pendingPublisher = newPublisher;\n        publisher = newPublisher;\n'],
  ['anybody accepts publishing', 'if (msg.sender != pendingPublisher) revert NotPendingPublisher(msg.sender);', ''],
  ['publishing offer stays open', '        pendingPublisher = address(0);\n', ''],
  ['acceptance forgets history', '        pendingPublisher = address(0);\n', '        pendingPublisher = address(0);\n        lastNumber = firstNumber - 1;\n'],
  ['revocation does nothing', '        publisher = address(0);\n', ''],
  ['revocation forgets history', '        publisher = address(0);\n', '        publisher = address(0);\n        lastNumber = 0;\n'],
];

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'registry-mutants-'));
fs.cpSync(path.join(__dirname, 'test'), path.join(dir, 'test'), { recursive: true });
fs.copyFileSync(path.join(__dirname, 'foundry.toml'), path.join(dir, 'foundry.toml'));
fs.mkdirSync(path.join(dir, 'src'));

// The older pipeline compiles many times faster; gas, which differs there, is not what mutants are about.
const env = {
  ...process.env,
  FOUNDRY_SOLC: path.join(anvil, 'solc'),
  FOUNDRY_VIA_IR: 'false',
  FOUNDRY_DENY: 'never',
  FOUNDRY_FUZZ_RUNS: '256',
  FOUNDRY_INVARIANT_RUNS: '32',
  FOUNDRY_INVARIANT_DEPTH: '64',
};

/** Runs the tests on `text`; gives the names of the failed ones. */
function run(text) {
  fs.writeFileSync(path.join(dir, 'src', 'AnchorRegistry.sol'), text);
  const { status, stdout, stderr } = spawnSync(
    forge, ['test', '--root', dir, '--match-contract', 'InvariantTest'], { env, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (!/Suite result/.test(stdout)) throw new Error(`did not compile or run:\n${stdout}${stderr}`);
  const failed = [...stdout.matchAll(/^(?:\[FAIL.*\])? (\w+)\(/gm)].map((m) => m[1]);
  return { red: status !== 0, failed: [...new Set(failed)] };
}

try {
  const wanted = process.argv.slice(2);
  const chosen = MUTANTS.filter(([name]) => wanted.length === 0 || wanted.includes(name));
  for (const [name, from] of chosen) {
    if (source.split(from).length !== 2) throw new Error(`"${name}": its text must occur exactly once`);
  }
  if (run(source).red) throw new Error('the unbroken contract is red already');
  let survived = 0;
  for (const [name, from, to] of chosen) {
    const { red, failed } = run(source.replace(from, () => to));
    if (!red) survived += 1;
    console.log(`${red ? 'red ' : 'SURVIVED'}  ${name}: ${failed.slice(0, 4).join(', ')}${failed.length > 4 ? ` and ${failed.length - 4} more` : ''}`);
  }
  console.log(`${chosen.length - survived} of ${chosen.length} broken guards were noticed`);
  process.exitCode = survived === 0 ? 0 : 1;
} finally {
  fs.rmSync(dir, { recursive: true, force: true });
}
