// Draws boxes, the valence-arousal plane and curves; none of it keeps anything.

// Pixels beside a curve.
export const LEFT = 34, RIGHT = 4;
const BOTTOM = 18;
// Seconds between two times that a curve shows.
const STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600];

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
  // Setting a size clears the canvas, which takes time.
  if (canvas.width !== columns) canvas.width = columns;
  if (canvas.height !== rows) canvas.height = rows;
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.lineJoin = context.lineCap = "round";
  context.lineWidth = 1;
  context.textAlign = "left";
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
  context.fillText("↑ arousal", middle + 6, 0.07 * size);
  context.textAlign = "right";
  context.fillText("valence →", 0.98 * size, middle - 6);
  const limit = (value) => Math.max(-1.2, Math.min(1.2, value));
  const point = ({ smooth }) => {
    const [valence, arousal] = columns.map((column) => limit(smooth[column]));
    return [middle + radius * valence, middle - radius * arousal];
  };
  const now = frames.at(-1)?.time;
  for (const { id } of frames.at(-1)?.faces ?? []) {
    const trail = frames
      .filter(({ time }) => time > now - model.trail_seconds)
      .map(({ time, faces }) => [time, faces.find((face) => face.id === id)])
      .filter(([, face]) => face && face.smooth[columns[0]] !== null);
    context.strokeStyle = context.fillStyle = colour(model, id);
    context.lineWidth = 2.5;
    context.lineCap = "butt"; // Round ends of transparent pieces would show.
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

// Draws one target of all faces over a span of time; marks the time `cursor` of a recording. A
// camera has no cursor: its times are shown as seconds ago.
export function curve(canvas, model, frames, column, [from, to], cursor) {
  const [context, width, height] = cleared(canvas);
  const x = (time) => LEFT + ((time - from) / (to - from)) * (width - LEFT - RIGHT);
  const limit = (value) => Math.max(-1.1, Math.min(1.1, value));
  const y = (value) => (height - BOTTOM) * (0.5 - 0.42 * limit(value));
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = style("--soft");
  context.strokeStyle = style("--line");
  context.textAlign = "right";
  for (const value of [-1, 0, 1]) {
    context.fillText(`${value}`.replace("-", "−"), LEFT - 6, y(value) + 4);
    line([[LEFT, y(value)], [width - RIGHT, y(value)]]);
  }
  const step = STEPS.find((seconds) => (to - from) / seconds <= 6) ?? STEPS.at(-1);
  const origin = cursor === undefined ? to : 0;
  context.textAlign = "center";
  for (let k = Math.ceil((from - origin) / step); k * step + origin < to; k++)
    if (x(k * step + origin) < width - 20)
      context.fillText(`${k * step} s`.replace("-", "−"), x(k * step + origin), height - 3);
  if (cursor === undefined) context.fillText("now", width - 16, height - 3);
  // More points than pixels cannot be seen.
  const stride = Math.ceil(frames.length / (2 * width)) || 1;
  for (const [kind, thickness, opacity] of [["values", 0.8, 0.45], ["smooth", 2, 1]]) {
    const curves = new Map();
    for (let k = 0; k < frames.length; k += stride) {
      const seen = new Map();
      for (const face of frames[k].faces) if (face.box) seen.set(face.id, face[kind][column]);
      for (const id of seen.keys()) if (!curves.has(id)) curves.set(id, []);
      for (const [id, points] of curves)
        points.push(seen.has(id) ? [x(frames[k].time), y(seen.get(id))] : null);
    }
    context.globalAlpha = opacity;
    context.lineWidth = thickness;
    for (const [id, points] of curves) {
      context.strokeStyle = colour(model, id);
      line(points);
    }
  }
  context.globalAlpha = context.lineWidth = 1;
  if (cursor === undefined) return;
  context.strokeStyle = style("--ink");
  line([[x(cursor), 2], [x(cursor), height - BOTTOM]]);

  // Leaves a gap where a point is null.
  function line(points) {
    context.beginPath();
    points.forEach((point, k) => {
      if (point) points[k - 1] ? context.lineTo(...point) : context.moveTo(...point);
    });
    context.stroke();
  }
}
