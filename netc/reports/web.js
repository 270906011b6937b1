"use strict";
// #steps=200 in the address trains so many steps at once; #sample=3 shows the net that test image.
const D = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const LEVELS = 16, SIDE = 8, MOST_STEPS = 8, TURN = 24; // steps and ms between two looks at the page
let net, x, y, weight, running = false, step = 0, until = Infinity, order = [], losses = [], tests = [], levels = null, shown = -1;

// ---- data: the level of each pixel is a letter; an image is resized as netc does, by a matrix, and normalised

const images = Array.from({ length: D.labels.length }, (_, n) =>
  Uint8Array.from(D.images.slice(n * 64, n * 64 + 64), (c) => c.charCodeAt(0) - 97));
const labels = Array.from(D.labels, Number);

// a sum of bytes by weights of 22 binary places, as Pillow rounds it
function byte(sum) { return Math.max(0, Math.min(255, Math.floor((sum + 2 ** 21) / 2 ** 22))); }

function input(image) {
  const { height, width, channels, mean, std } = D, out = new Float32Array(height * width * channels);
  const wide = new Float64Array(SIDE * width);
  for (let r = 0; r < SIDE; r++)
    for (let c = 0; c < width; c++) {
      let sum = 0;
      for (let k = 0; k < SIDE; k++) sum += D.columns[c][k] * Math.round(image[r * SIDE + k] * 255 / LEVELS);
      wide[r * width + c] = byte(sum);
    }
  for (let r = 0; r < height; r++)
    for (let c = 0; c < width; c++) {
      let sum = 0;
      for (let k = 0; k < SIDE; k++) sum += D.rows[r][k] * wide[k * width + c];
      for (let q = 0; q < channels; q++) out[(r * width + c) * channels + q] = (byte(sum) / 255 - mean[q]) / std[q];
    }
  return out;
}

const inputs = images.map(input), pixels = inputs[0].length;

// ---- the net

function fill(numbers) {
  for (let i = 0; i < D.batch; i++) {
    const n = numbers[Math.min(i, numbers.length - 1)];
    x.set(inputs[n], i * pixels);
    y[i] = labels[n];
    weight[i] = i < numbers.length ? 1 : 0;
  }
}

function said(count) { return new Float32Array(net.memory.buffer, net.said(), count); }

function shuffled(epoch) { // the first epoch is in the order of the data
  const numbers = Array.from({ length: D.train }, (_, n) => n);
  let word = D.seed * 65537 + epoch;
  for (let i = epoch ? numbers.length - 1 : 0; i > 0; i--) {
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator
    const j = Math.floor(word / 4294967296 * (i + 1));
    [numbers[i], numbers[j]] = [numbers[j], numbers[i]];
  }
  return numbers;
}

const each = Math.floor(D.train / D.batch);

function train() {
  if (step % each === 0) order = shuffled(step / each);
  fill(order.slice(step % each * D.batch, (step % each + 1) * D.batch));
  net.train(Number(at("rate").value));
  losses.push(said(1)[0]);
  step++;
  if (step % each === 0) tests.push([step, accuracy()]);
}

function accuracy() {
  let right = 0;
  for (let n = D.train; n < images.length; n += D.batch) {
    fill(Array.from({ length: Math.min(D.batch, images.length - n) }, (_, i) => n + i));
    net.evaluate();
    right += said(3)[1];
  }
  return right / (images.length - D.train);
}

function chances(image) {
  x.fill(0);
  x.set(input(image));
  net.predict();
  const logits = new Float32Array(net.memory.buffer, net.logits(), 10), most = Math.max(...logits);
  const powers = Array.from(logits, (v) => Math.exp(v - most)), sum = powers.reduce((a, b) => a + b);
  return powers.map((p) => p / sum);
}

// ---- the page

function turn() {
  const end = performance.now() + TURN;
  for (let n = 0; n < MOST_STEPS && step < until && running; n++) {
    train();
    if (performance.now() > end) break;
  }
  if (step >= until) stop();
  show();
  if (running) setTimeout(turn);
}

function start() { running = true; at("run").textContent = "Pause"; setTimeout(turn); }
function stop() { running = false; until = Infinity; at("run").textContent = "Train"; }

function again() {
  net.init(D.seed);
  step = 0; losses = []; tests = [];
  show();
}

function show() {
  const loss = losses.at(-1), test = tests.at(-1);
  at("said").textContent = loss === undefined ? "Not trained yet." :
    `Step ${step}, epoch ${Math.floor(step / each)}: loss ${loss.toFixed(4)}` +
    (test ? `; ${(100 * test[1]).toFixed(1)} % of the test digits right` : "");
  document.body.dataset.step = step;
  document.body.dataset.losses = losses.slice(0, 5).join(" ");
  document.body.dataset.test = test ? test[1] : "";
  curve();
  answer();
}

function curve() {
  const c = at("curve"), g = c.getContext("2d"), style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const [left, top, w, h] = [56, 14, c.width - 116, c.height - 44], low = -3, high = 1; // loss: 10^low to 10^high
  const X = (n) => left + w * n / Math.max(losses.length, 100);
  const Y = (v) => top + h * (1 - (Math.min(high, Math.max(low, Math.log10(v))) - low) / (high - low));
  g.clearRect(0, 0, c.width, c.height);
  g.font = "15px system-ui, sans-serif";
  g.lineWidth = 1;
  for (let p = low; p <= high; p++) {
    g.strokeStyle = colour("--line"); g.fillStyle = colour("--c0"); g.textAlign = "right";
    g.beginPath(); g.moveTo(left, Y(10 ** p)); g.lineTo(left + w, Y(10 ** p)); g.stroke();
    g.fillText(String(10 ** p), left - 6, Y(10 ** p) + 5);
    g.fillStyle = colour("--c1"); g.textAlign = "left";
    g.fillText(`${25 * (p - low)} %`, left + w + 6, Y(10 ** p) + 5);
  }
  g.fillStyle = colour("--c0"); g.fillText("loss", left, c.height - 8);
  g.fillStyle = colour("--c1"); g.fillText("test digits right", left + 60, c.height - 8);
  g.fillStyle = colour("--quiet"); g.textAlign = "right"; g.fillText(`${Math.max(losses.length, 100)} steps`, left + w, c.height - 8);
  g.strokeStyle = colour("--c0"); g.lineWidth = 2; g.beginPath();
  const stride = Math.max(1, Math.floor(losses.length / w));
  for (let n = 0; n < losses.length; n += stride) g.lineTo(X(n), Y(losses[n]));
  g.stroke();
  g.strokeStyle = g.fillStyle = colour("--c1"); g.beginPath();
  for (const [n, share] of tests) g.lineTo(X(n), top + h * (1 - share));
  g.stroke();
  for (const [n, share] of tests.slice(-40)) g.fillRect(X(n) - 3, top + h * (1 - share) - 3, 6, 6);
}

function answer() {
  if (!levels || !net) return;
  const found = chances(levels), best = found.indexOf(Math.max(...found));
  at("answer").innerHTML = `The net says <b>${best}</b>` +
    (shown >= 0 ? `; the digit is a ${labels[shown]}` : "") + (step ? "." : ", but has not learnt yet.");
  document.body.dataset.answer = best;
  [...at("chances").querySelectorAll("tr")].forEach((row, n) => {
    row.querySelector("span").style.width = `${(100 * found[n]).toFixed(1)}%`;
    row.lastChild.textContent = `${(100 * found[n]).toFixed(1)} %`;
  });
}

function see(image, number) {
  levels = image; shown = number;
  const g = at("seen").getContext("2d"), drawn = g.createImageData(SIDE, SIDE);
  image.forEach((v, n) => drawn.data.set([0, 0, 0, v * 255 / LEVELS], n * 4));
  g.putImageData(drawn, 0, 0);
  answer();
}

// ---- drawing

const pad = at("pad"), pen = pad.getContext("2d", { willReadFrequently: true });
let last = null;

function wipe() {
  pen.clearRect(0, 0, pad.width, pad.height);
  at("seen").getContext("2d").clearRect(0, 0, SIDE, SIDE);
  levels = null; shown = -1;
  at("answer").textContent = "Draw large, or take a test digit.";
}

function place(e) {
  const box = pad.getBoundingClientRect();
  return [(e.clientX - box.left) * pad.width / box.width, (e.clientY - box.top) * pad.height / box.height];
}

function stroke(e) {
  const here = place(e);
  pen.lineWidth = 20; pen.lineCap = "round";
  pen.beginPath(); pen.moveTo(...(last || here)); pen.lineTo(...here); pen.stroke();
  last = here;
}

function fitted() { // the ink's box, as large as 32 x 32 allows, in its middle; each 4 x 4 counted
  const { data } = pen.getImageData(0, 0, pad.width, pad.height);
  let [a, b, c, d] = [pad.width, pad.height, -1, -1];
  for (let n = 0; n < pad.width * pad.height; n++)
    if (data[4 * n + 3] > 127) {
      const col = n % pad.width, row = Math.floor(n / pad.width);
      a = Math.min(a, col); c = Math.max(c, col); b = Math.min(b, row); d = Math.max(d, row);
    }
  if (c < 0) return null;
  const small = document.createElement("canvas"), w = c - a + 1, h = d - b + 1, scale = 32 / Math.max(w, h);
  small.width = small.height = 32;
  const g = small.getContext("2d");
  g.imageSmoothingQuality = "high";
  g.drawImage(pad, a, b, w, h, 16 - w * scale / 2, 16 - h * scale / 2, w * scale, h * scale);
  const ink = g.getImageData(0, 0, 32, 32).data, image = new Uint8Array(SIDE * SIDE);
  for (let n = 0; n < 1024; n++) image[Math.floor(n / 128) * SIDE + Math.floor(n % 32 / 4)] += ink[4 * n + 3] > 127;
  return image;
}

pad.addEventListener("pointerdown", (e) => {
  if (shown >= 0) wipe();
  try { pad.setPointerCapture(e.pointerId); } catch { /* a pointer that is none */ }
  last = null; stroke(e);
});
pad.addEventListener("pointermove", (e) => { if (last) stroke(e); });
for (const name of ["pointerup", "pointercancel"])
  pad.addEventListener(name, () => { last = null; const image = fitted(); if (image) see(image, -1); });

// ---- begin

at("clear").onclick = wipe;
at("sample").onclick = () => { wipe(); const n = D.train + Math.floor(Math.random() * (images.length - D.train)); see(images[n], n); };
at("run").onclick = () => running ? stop() : start();
at("again").onclick = () => { stop(); again(); };
for (const rate of [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]) at("rate").add(new Option(rate, rate, false, rate === D.rate));
for (let n = 0; n < 10; n++) {
  const row = at("chances").tBodies[0].insertRow();
  row.innerHTML = `<th>${n}</th><td class="bar"><span style="width:0"></span></td><td class="n"></td>`;
}

const bytes = Uint8Array.from(atob(D.wasm), (c) => c.charCodeAt(0));
const env = Object.fromEntries(D.maths.map((name) => [name, Math[name.replace(/f$/, "")]]));
WebAssembly.instantiate(bytes, { env }).then(({ instance }) => {
  net = instance.exports;
  x = new Float32Array(net.memory.buffer, net.x(), D.batch * pixels);
  y = new Int32Array(net.memory.buffer, net.y(), D.batch);
  weight = new Float32Array(net.memory.buffer, net.weight(), D.batch);
  const words = new URLSearchParams(location.hash.slice(1));
  again();
  if (words.has("sample")) { const n = D.train + Number(words.get("sample")) % (images.length - D.train); see(images[n], n); }
  if (words.has("steps")) { until = Number(words.get("steps")); start(); }
}).catch((error) => { at("said").textContent = `This browser does not run the page's WebAssembly: ${error.message}`; });
