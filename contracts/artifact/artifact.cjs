#!/usr/bin/env node
// Reduces forge's build output to what users of the contract need and prints it, byte for byte the same every time.
'use strict';

const path = require('path');

const NAME = 'AnchorRegistry';
const built = require(path.join(__dirname, '..', 'out', `${NAME}.sol`, `${NAME}.json`));
const { compiler, settings } = built.metadata;

for (const part of ['bytecode', 'deployedBytecode']) {
  if (Object.keys(built[part].linkReferences).length > 0) throw new Error(`${part} needs linking`);
}
if (Object.keys(built.deployedBytecode.immutableReferences ?? {}).length > 0) {
  throw new Error('immutables: the runtime code would differ between deployments');
}

process.stdout.write(JSON.stringify({
  contractName: NAME,
  abi: built.abi,
  bytecode: built.bytecode.object,
  deployedBytecode: built.deployedBytecode.object,
  compiler: {
    version: compiler.version,
    settings: {
      evmVersion: settings.evmVersion,
      optimizer: settings.optimizer,
      viaIR: settings.viaIR ?? false,
      metadata: settings.metadata,
    },
  },
}, null, 2) + '\n');
