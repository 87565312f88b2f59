// The page: a camera's pictures, or a video, and what the server predicts for them.

import * as drawing from "./drawing.js";

// Length of the curves of a camera, and how long a face may be away before the page says so.
const LIVE_SECONDS = 60, AWAY_SECONDS = 2;
// Raw pixels take a browser longer to send than JPEG takes to encode, send and decode.
const JPEG_QUALITY = 0.9;
const RECONNECT_MS = 1000;
// Answers that the shown speed is computed from.
const SPEED_ANSWERS = 100;
// Frames whose faces can be chosen before a recording is complete.
const LATEST_FRAMES = 50;

const $ = {};
for (const element of document.querySelectorAll("[id]")) $[element.id] = element;
const picture = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

let model; // What the server says of its model when the page connects.
let connected = false;
let notice = "Ready."; // What is said when the page is connected.
let socket; // The connection for a camera's pictures, open as long as the page is.
let frames = []; // The answers: of the last minute, or of the whole recording.
let camera = null; // The camera's stream while it is on.
let recording = null; // The video that is shown: { name, abort, done }.
let shown = null; // The frame that is shown.

// ---- The server

function connect() {
  socket = new WebSocket(`ws://${location.host}/live`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    const answer = JSON.parse(data);
    if (answer.targets) greet(answer);
    else receive(answer);
  };
  socket.onclose = () => {
    if (connected) say("The program has stopped. Trying to connect …");
    [connected, notice] = [false, notice === "Ready." ? "Connected again." : notice];
    enable();
    setTimeout(connect, RECONNECT_MS);
  };
}

function greet(greeting) {
  connected = true;
  if (JSON.stringify(model) !== JSON.stringify(greeting)) present(greeting);
  if (camera) begin();
  say(notice);
  notice = "Ready.";
  enable();
}

// Makes room for a model's numbers.
function present(greeting) {
  closeRecording();
  model = greeting;
  $.step.textContent = `${model.time_step} s`;
  const signed = model.targets.map((name) => row(name));
  $.numbers.tBodies[0].replaceChildren(...signed);
  $.expressions.tBodies[0].replaceChildren(...model.expressions.map((name) => row(name)));
  $.expressions.hidden = !model.expressions.length;
  $.plane.hidden = !["valence", "arousal"].every((name) => model.targets.includes(name));
  $.curves.replaceChildren(...model.targets.map((name) => {
    const part = document.createElement("div");
    part.className = "curve";
    part.innerHTML = '<h3></h3><canvas role="img"></canvas>';
    part.firstChild.textContent = name;
    part.lastChild.setAttribute("aria-label", `${name} over time; the table has the numbers`);
    part.lastChild.onclick = (event) => recording?.done && seek(timeAt(event));
    return part;
  }));
  show(null);
}

function row(name) {
  const result = document.createElement("tr");
  result.innerHTML = `<th scope="row"></th>
    <td class="bar"><div aria-hidden="true"><i></i></div></td><td>–</td>`;
  result.cells[0].textContent = name;
  return result;
}

function say(text) {
  if ($.status.textContent !== text) $.status.textContent = text;
}

function enable() {
  const busy = Boolean(recording && !recording.done);
  $.camera.disabled = $.file.disabled = !connected || busy;
  $.play.textContent = $.video.paused ? "▶" : "❚❚";
  $.play.setAttribute("aria-label", $.video.paused ? "Play" : "Pause");
  $.camera.textContent = camera ? "Stop the camera" : "Start the camera";
  $.cancel.hidden = $.progress.hidden = !busy;
  $.player.hidden = $.downloads.hidden = !recording?.done;
  $.hint.hidden = Boolean(camera || recording);
  $.stage.classList.toggle("mirrored", Boolean(camera));
}

// ---- A camera

let fresh = 0; // When the newest picture came that was not sent, in ms; 0 if there is none.
let sent = 0; // When the picture came that is being predicted; 0 if there is none.
let answers = []; // When the last answers came, and how old their pictures were, in ms.
let lastSeen = 0; // When the last face was seen, in seconds.

async function startCamera() {
  $.camera.disabled = true;
  try {
    const [width, height] = model.max_size;
    camera = await navigator.mediaDevices.getUserMedia({ video: { width, height }, audio: false });
  } catch (error) {
    const denied = error.name === "NotAllowedError";
    say(denied ? "The browser does not allow this page to use the camera."
      : "There is no camera, or another program uses it. You can choose a video instead.");
    return enable();
  }
  closeRecording();
  camera.getVideoTracks()[0].onended = stopCamera;
  $.video.srcObject = camera;
  await $.video.play();
  frame($.video.videoWidth, $.video.videoHeight);
  begin();
  $.video.requestVideoFrameCallback(watch);
  say("The camera is on.");
  enable();
}

function stopCamera() {
  camera?.getTracks().forEach((track) => track.stop());
  camera = $.video.srcObject = null;
  $.speed.textContent = "";
  say("The camera is off.");
  show(shown && { ...shown, faces: [] });
  enable();
}

// Tells the server that the next picture is the first of a recording.
function begin() {
  frames = [];
  [fresh, sent, answers, lastSeen] = [0, 0, [], performance.now() / 1000];
  socket.send(new ArrayBuffer(0));
}

function watch(now) {
  if (!camera) return;
  fresh = now;
  $.video.requestVideoFrameCallback(watch);
  send();
}

// Sends the newest picture, unless the server has not answered the last one yet.
function send() {
  if (!camera || !fresh || sent || !connected) return;
  [sent, fresh] = [fresh, 0];
  const { videoWidth, videoHeight } = $.video;
  const scale = Math.min(1, model.max_size[0] / videoWidth, model.max_size[1] / videoHeight);
  const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
  if (picture.canvas.width !== width || picture.canvas.height !== height)
    [picture.canvas.width, picture.canvas.height] = [width, height];
  picture.drawImage($.video, 0, 0, width, height);
  const current = sent;
  picture.canvas.toBlob((jpeg) => {
    if (sent === current) socket.send(new Blob([new Float64Array([current / 1000]), jpeg]));
  }, "image/jpeg", JPEG_QUALITY);
}

function receive(answer) {
  const from = sent;
  // The answer to a picture from before the camera was stopped, and started again.
  if (!camera || !from || ("time" in answer && answer.time !== from / 1000)) return;
  sent = 0;
  send();
  if (answer.error) return say(answer.error);
  frames.push(answer);
  while (frames[0].time < answer.time - LIVE_SECONDS) frames.shift();
  show(answer);
  if (answer.faces.some((face) => face.box)) lastSeen = answer.time;
  const away = answer.time - lastSeen > AWAY_SECONDS;
  say(`The camera is on.${away ? " There is no face in the picture." : ""}`);
  const now = performance.now();
  answers = [...answers.slice(1 - SPEED_ANSWERS), { now, age: now - from }];
  // For tools/check_page.py.
  window.dispatchEvent(new CustomEvent("answer", { detail: answers.at(-1) }));
  if (answers.length === SPEED_ANSWERS && frames.length % 25 === 0) {
    const rate = (1000 * (SPEED_ANSWERS - 1)) / (now - answers[0].now);
    const ages = answers.map(({ age }) => age).sort((a, b) => a - b);
    const [half, most] = [0.5, 0.95].map((part) => ages[part * SPEED_ANSWERS].toFixed(0));
    $.speed.textContent =
      `${rate.toFixed(0)} answers a second: half within ${half} ms, 95 % within ${most} ms`;
  }
}

// ---- A recording

async function predict(file) {
  if (file.size > model.max_bytes)
    return say(`${file.name} has more than ${model.max_bytes / 1e9} GB (--max_upload).`);
  if (camera) stopCamera();
  closeRecording();
  const current = { name: file.name, abort: new AbortController(), done: false };
  recording = current;
  $.video.src = URL.createObjectURL(file);
  $.progress.removeAttribute("value");
  enable();
  say(`Copying ${file.name} …`);
  try {
    const response = await fetch(`/recording?name=${encodeURIComponent(file.name)}`,
      { method: "POST", body: file, signal: current.abort.signal });
    if (!response.ok) throw new Error(await response.text());
    for await (const line of lines(response.body)) take(current, line);
    if (!current.done) throw new TypeError("The answer has no end");
  } catch (error) {
    const reasons = { AbortError: "Cancelled. The copy of the video was deleted.",
      TypeError: `The program stopped before ${file.name} was predicted. Choose the video again.` };
    const reason = reasons[error.name] ?? error.message;
    closeRecording();
    show(null);
    say(reason);
    if (error.name === "TypeError") notice = reason; // After "Trying to connect".
  }
  enable();
}

async function* lines(body) {
  let rest = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part; !(part = await reader.read()).done; ) {
    const pieces = (rest + part.value).split("\n");
    rest = pieces.pop();
    yield* pieces.map((piece) => JSON.parse(piece));
  }
}

function take(current, line) {
  if (line.error) throw new Error(line.error);
  if (line.waiting) say("Waiting for another video that is being predicted …");
  if ("total" in line) current.total = line.total;
  if (line.frames) {
    frames.push(...line.frames);
    const part = Math.min(1, frames.length / (current.total || Infinity));
    if (current.total) $.progress.value = part;
    say(`Predicting ${current.name}: ${current.total ? `${10 * Math.floor(10 * part)} %` : ""}`);
    show(frames.at(-1));
  }
  if (!line.table) return;
  const stem = current.name.replace(/\.[^.]*$/, "");
  offer($.table, `${stem}_predictions.csv`, new Blob([line.table], { type: "text/csv" }));
  const png = Uint8Array.from(atob(line.figure), (character) => character.charCodeAt(0));
  offer($.figure, `${stem}_figure.png`, new Blob([png], { type: "image/png" }));
  $.slider.max = frames.at(-1).time;
  current.ids = idsOf(frames);
  const faces = current.ids.length;
  say(`${current.name}: ${frames.length} frames, ${faces} ${faces === 1 ? "face" : "faces"}.` +
    ($.video.error ? " This browser cannot play the video; its figures are complete." : ""));
  current.done = true;
  seek(0);
}

function offer(link, name, content) {
  URL.revokeObjectURL(link.href);
  Object.assign(link, { href: URL.createObjectURL(content), download: name });
}

function closeRecording() {
  if (recording) URL.revokeObjectURL($.video.src);
  $.video.removeAttribute("src");
  $.video.load();
  [recording, frames] = [null, []];
}

function seek(time) {
  $.video.currentTime = time;
  showTime(time);
}

// The time under the mouse in a curve.
function timeAt({ offsetX, target }) {
  const part = (offsetX - drawing.LEFT) / (target.clientWidth - drawing.LEFT - drawing.RIGHT);
  return Math.max(0, Math.min(1, part)) * $.slider.max;
}

function showTime(time) {
  let [first, end] = [0, frames.length];
  while (end - first > 1) {
    const middle = (first + end) >> 1;
    if (frames[middle].time <= time + 1e-3) first = middle;
    else end = middle;
  }
  $.slider.value = time;
  $.slider.setAttribute("aria-valuetext", `${time.toFixed(1)} seconds`);
  $.clock.textContent = `${time.toFixed(1)} s`;
  show(frames[first]);
}

function play() {
  if (!recording?.done) return;
  showTime($.video.currentTime);
  if (!$.video.paused) requestAnimationFrame(play);
}

// ---- What is shown

// Gives the stage the shape of a picture.
function frame(width, height) {
  $.stage.style.setProperty("--ratio", width / height);
}

function show(now) {
  shown = now;
  if (!model) return;
  choose();
  const size = camera ? [picture.canvas.width, picture.canvas.height]
    : [$.video.videoWidth, $.video.videoHeight];
  drawing.boxes($.boxes, model, now, size);
  const end = frames.lastIndexOf(now) + 1;
  let first = end;
  while (first && frames[first - 1].time > now.time - model.trail_seconds) first--;
  if (!$.plane.hidden) drawing.plane($.plane, model, frames.slice(first, end));
  const face = now?.faces.find(({ id }) => id === Number($.face.value));
  const shade = drawing.colour(model, Number($.face.value));
  [...$.numbers.rows].forEach((cells, k) => fill(cells, face?.smooth[k], shade, true));
  [...$.expressions.rows].forEach((cells, k) => fill(cells, face?.expressions[k], shade, false));
  const to = recording?.done ? frames.at(-1).time : now?.time ?? 0;
  const from = recording ? 0 : to - LIVE_SECONDS;
  const cursor = recording ? now?.time : undefined;
  [...$.curves.querySelectorAll("canvas")].forEach((canvas, column) =>
    drawing.curve(canvas, model, frames, column, [from, Math.max(to, from + 1)], cursor));
}

// Offers the faces in the answers, if there are several.
function choose() {
  const ids = recording?.done ? recording.ids : idsOf(frames.slice(-LATEST_FRAMES));
  if (ids.join() !== [...$.face.options].map(({ value }) => value).join()) {
    const chosen = $.face.value;
    $.face.replaceChildren(...ids.map((id) => new Option(`${id}`, id)));
    if (ids.includes(Number(chosen)) && chosen !== "") $.face.value = chosen;
  }
  $.chooser.hidden = ids.length < 2;
}

function idsOf(some) {
  return [...new Set(some.flatMap(({ faces }) => faces.map(({ id }) => id)))].sort((a, b) => a - b);
}

// Fills in a row: its number, and a bar from the left, or from the middle if it has a sign.
function fill(cells, value, shade, signed) {
  const known = value !== undefined && value !== null;
  const bar = cells.querySelector("i");
  const width = known ? Math.min(1, Math.abs(value)) * (signed ? 50 : 100) : 0;
  bar.style.width = `${width}%`;
  bar.style.marginLeft = signed ? `${value < 0 ? 50 - width : 50}%` : "0";
  bar.style.background = shade;
  const text = known ? Math.abs(value).toFixed(2) : "–";
  cells.cells[2].textContent = known && signed ? `${value < 0 ? "−" : "+"}${text}` : text;
}

// ---- What the user does

$.camera.onclick = () => (camera ? stopCamera() : startCamera());
$.file.onchange = () => {
  if ($.file.files.length) predict($.file.files[0]);
  $.file.value = "";
};
$.cancel.onclick = () => recording?.abort.abort();
$.face.onchange = () => show(shown);
$.play.onclick = () => ($.video.paused ? $.video.play() : $.video.pause());
$.slider.oninput = () => seek(Number($.slider.value));
$.video.onplay = $.video.onpause = () => {
  enable();
  play();
};
$.video.onloadedmetadata = () => frame($.video.videoWidth, $.video.videoHeight);
window.ondragover = (event) => {
  event.preventDefault();
  $.stage.classList.add("over");
};
window.ondragleave = () => $.stage.classList.remove("over");
window.ondrop = (event) => {
  event.preventDefault();
  $.stage.classList.remove("over");
  if (event.dataTransfer.files.length && !$.file.disabled) predict(event.dataTransfer.files[0]);
};
window.onresize = () => show(shown);
matchMedia("(prefers-color-scheme: dark)").onchange = () => show(shown);

enable();
connect();
