// Solves the small sum of a page that asks for a proof of work, in slices, so that the page stays alive, and sends the
// form when it is done. SHA-256 (FIPS 180-4) is our own because crypto.subtle is missing on pages without https.
(() => {
  "use strict";
  const SLICE_MS = 12;
  const AT_ONCE = 50;

  const primes = [];
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime)) primes.push(n);
  const fraction = (root) => ((root - Math.floor(root)) * 2 ** 32) | 0;
  const K = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)));
  const START = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
  const words = new Int32Array(64);
  const turned = (x, by) => (x >>> by) | (x << (32 - by));

  const addBlock = (state, octets, at) => {
    for (let i = 0; i < 16; i += 1) {
      const j = at + 4 * i;
      words[i] = (octets[j] << 24) | (octets[j + 1] << 16) | (octets[j + 2] << 8) | octets[j + 3];
    }
    for (let i = 16; i < 64; i += 1) {
      const x = words[i - 15];
      const y = words[i - 2];
      const small = turned(x, 7) ^ turned(x, 18) ^ (x >>> 3);
      const large = turned(y, 17) ^ turned(y, 19) ^ (y >>> 10);
      words[i] = words[i - 16] + small + words[i - 7] + large;
    }
    let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (let i = 0; i < 64; i += 1) {
      const choice = (e & f) ^ (~e & g);
      const first = (h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + choice + K[i] + words[i]) | 0;
      const majority = (a & b) ^ (a & c) ^ (b & c);
      const second = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + majority;
      h = g;
      g = f;
      f = e;
      e = (d + first) | 0;
      d = c;
      c = b;
      b = a;
      a = (first + second) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  };

  const state = new Int32Array(8);
  const encoder = new TextEncoder();

  // The digest of a text as eight words, good until the next call.
  const sha256 = (text) => {
    const plain = encoder.encode(text);
    const octets = new Uint8Array(((plain.length + 72) >> 6) << 6);
    octets.set(plain);
    octets[plain.length] = 0x80;
    for (let i = 1, bits = plain.length * 8; bits; i += 1, bits >>>= 8) octets[octets.length - i] = bits;
    state.set(START);
    for (let at = 0; at < octets.length; at += 64) addBlock(state, octets, at);
    return state;
  };

  const form = document.querySelector("form[data-challenge]");
  const asked = JSON.parse(form.dataset.challenge);
  const wanted = Int32Array.from(asked.challenge.match(/.{8}/g), (word) => parseInt(word, 16));
  const progress = form.querySelector("progress");
  const button = form.querySelector("button");
  let number = 0;

  const send = () => {
    const answer = { algorithm: asked.algorithm, challenge: asked.challenge, number, salt: asked.salt };
    form.elements.altcha.value = btoa(JSON.stringify({ ...answer, signature: asked.signature }));
    const said = document.querySelector("[data-solved]");
    said.textContent = said.dataset.solved;
    form.submit();
  };

  const slice = () => {
    const until = performance.now() + SLICE_MS;
    while (performance.now() < until) {
      for (let i = 0; i < AT_ONCE && number <= asked.maxnumber; i += 1, number += 1) {
        const found = sha256(asked.salt + number);
        if (wanted.every((word, place) => word === found[place])) return send();
      }
      if (number > asked.maxnumber) {
        button.disabled = false; // not a sum of ours; the button asks for another
        return undefined;
      }
    }
    progress.value = (100 * number) / asked.maxnumber;
    return setTimeout(slice);
  };

  button.disabled = true;
  form.classList.add("proof-at-work");
  slice();
})();
