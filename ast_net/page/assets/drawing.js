// Draws boxes, the valence-arousal plane and curves; none of it keeps anything.

// Pixels beside a curve.
export const LEFT = 34, RIGHT = 4;
const BOTTOM = 18;

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A face's colour, as in annotated videos; darker on a light page.
export function colour(model, id) {
  const [red, green, blue] = model.colours[id % model.colours.length];
  return `color-mix(in srgb, rgb(${red} ${green} ${blue}) ${style("--shade")}, black)`;
}

// Gives a canvas the screen's resolution; returns its context, in CSS pixels, and its size.
function cleared(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio;
  const [columns, rows] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== columns || canvas.height !== rows) [canvas.width, canvas.height] = [columns, rows];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.lineJoin = context.lineCap = "round";
  return [context, width, height];
}

// Draws the corners of each face's box; `size` is the picture's width and height in its pixels.
export function boxes(canvas, model, frame, size) {
  const [context, width, height] = cleared(canvas);
  for (const { id, box } of frame?.faces ?? []) {
    if (!box) continue;
    const [x, y, w, h] = box.map((value, k) => (value * [width, height][k % 2]) / size[k % 2]);
    const length = 0.22 * Math.min(w, h);
    context.strokeStyle = colour(model, id);
    context.lineWidth = 3;
    for (const [left, across] of [[x, length], [x + w, -length]])
      for (const [top, down] of [[y, length], [y + h, -length]]) {
        context.beginPath();
        context.moveTo(left + across, top);
        context.lineTo(left, top);
        context.lineTo(left, top + down);
        context.stroke();
      }
  }
}

// Draws the plane, with a dot for each face of the last frame and a trail of the frames before it.
export function plane(canvas, model, frames) {
  const [context, size] = cleared(canvas);
  const columns = ["valence", "arousal"].map((name) => model.targets.indexOf(name));
  const [middle, radius] = [size / 2, 0.4 * size];
  context.strokeStyle = style("--line");
  context.beginPath();
  context.arc(middle, middle, radius, 0, 2 * Math.PI);
  context.moveTo(0.04 * size, middle);
  context.lineTo(0.96 * size, middle);
  context.moveTo(middle, 0.04 * size);
  context.lineTo(middle, 0.96 * size);
  context.stroke();
  context.fillStyle = style("--soft");
  context.font = `${Math.max(11, 0.045 * size)}px system-ui, sans-serif`;
  context.fillText("arousal →", ...[middle + 6, 0.07 * size]);
  context.textAlign = "right";
  context.fillText("valence →", 0.98 * size, middle - 6);
  const limit = (value) => Math.max(-1.2, Math.min(1.2, value));
  const point = ({ smooth }) => [middle + radius * limit(smooth[columns[0]]), middle - radius * limit(smooth[columns[1]])];
  const now = frames.at(-1)?.time;
  for (const { id } of frames.at(-1)?.faces ?? []) {
    const trail = frames
      .filter(({ time }) => time > now - model.trail_seconds)
      .map(({ time, faces }) => [time, faces.find((face) => face.id === id)])
      .filter(([, face]) => face && face.smooth[columns[0]] !== null);
    context.strokeStyle = context.fillStyle = colour(model, id);
    context.lineWidth = 2.5;
    for (let k = 1; k < trail.length; k++) {
      context.globalAlpha = 1 - (now - trail[k][0]) / model.trail_seconds;
      context.beginPath();
      context.moveTo(...point(trail[k - 1][1]));
      context.lineTo(...point(trail[k][1]));
      context.stroke();
    }
    context.globalAlpha = 1;
    if (!trail.length) continue;
    context.beginPath();
    context.arc(...point(trail.at(-1)[1]), 7, 0, 2 * Math.PI);
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = style("--card");
    context.stroke();
  }
}

// Draws one target of all faces from one time to another; `cursor` is a time to mark, if any.
export function curve(canvas, model, frames, column, from, to, cursor) {
  const [context, width, height] = cleared(canvas);
  const x = (time) => LEFT + ((time - from) / (to - from)) * (width - LEFT - RIGHT);
  const y = (value) => (height - BOTTOM) * (0.5 - 0.46 * Math.max(-1.05, Math.min(1.05, value)));
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = style("--soft");
  context.strokeStyle = style("--line");
  context.lineWidth = 1;
  for (const value of [-1, 0, 1]) {
    context.textAlign = "right";
    context.fillText(`${value}`.replace("-", "−"), LEFT - 6, y(value) + 4);
    line([[LEFT, y(value)], [width - RIGHT, y(value)]]);
  }
  const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600].find((s) => (to - from) / s <= 8) ?? 7200;
  context.textAlign = "center";
  for (let time = Math.ceil(from / step) * step; time <= to; time += step)
    context.fillText(cursor === undefined ? `${Math.round(time - to)} s` : `${time} s`, Math.max(LEFT + 10, Math.min(x(time), width - 18)), height - 3);
  // More points than pixels cannot be seen.
  const stride = Math.ceil(frames.length / (2 * width)) || 1;
  for (const [kind, thickness, opacity] of [["values", 0.8, 0.45], ["smooth", 2, 1]]) {
    const pieces = new Map();
    for (let k = 0; k < frames.length; k += stride) {
      for (const [id, piece] of pieces) if (!frames[k].faces.some((face) => face.id === id && face.box)) piece.push(null);
      for (const face of frames[k].faces) {
        if (!face.box || face[kind][column] === null) continue;
        if (!pieces.has(face.id)) pieces.set(face.id, []);
        pieces.get(face.id).push([x(frames[k].time), y(face[kind][column])]);
      }
    }
    context.globalAlpha = opacity;
    context.lineWidth = thickness;
    for (const [id, piece] of pieces) {
      context.strokeStyle = colour(model, id);
      line(piece);
    }
  }
  context.globalAlpha = 1;
  if (cursor !== undefined) {
    context.strokeStyle = style("--ink");
    context.lineWidth = 1;
    line([[x(cursor), 2], [x(cursor), height - BOTTOM]]);
  }

  // A point that is null leaves a gap.
  function line(points) {
    let drawing = false;
    context.beginPath();
    for (const point of points) {
      if (point) drawing ? context.lineTo(...point) : context.moveTo(...point);
      drawing = point !== null;
    }
    context.stroke();
  }
}
