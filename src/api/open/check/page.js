"use strict";
const expected = location.hash.slice(1);
const known = /^[0-9a-f]{64}$/.test(expected);
const shown = document.getElementById("digest");
if (known) shown.textContent = expected;
document.getElementById("file").addEventListener("change", async (event) => {
  const file = event.target.files[0];
  if (!file) return;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  const digest = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  document.getElementById("result").textContent = digest;
  document.getElementById("same").hidden = !(known && digest === expected);
  document.getElementById("other").hidden = !(known && digest !== expected);
});
