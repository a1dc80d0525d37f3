// The page of one session: draws what the server tells, and tells it what the person does. No other library.

const byId = (id) => document.getElementById(id);
const socket = new WebSocket(new URL("live", location.href.replace(/^http/, "ws")));
socket.binaryType = "arraybuffer";
const tell = (command) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(command));

const PLOT_ENV_STEPS = 240; // length of the histories
let run = null; // what is watched, as the server described it
let state = { playing: true, speed: 1, takenOver: false };
let values = [], memory = [], episode = 0;
let rows = []; // of the table of actions

// --- numbers ---

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1e7 || (size > 0 && size < 1e-3)) return value.toExponential(1);
  const digits = size >= 1e4 ? 0 : size >= 100 ? 1 : size >= 1 || size === 0 ? 2 : 4;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function count(value) {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (value >= size) return `${+(value / size).toPrecision(3)}${unit}`;
  }
  return String(value);
}

function share(value, low, high) {
  if ([value, low, high].some((one) => one === null) || high <= low) return 0.5;
  return Math.min(1, Math.max(0, (value - low) / (high - low)));
}

const known = (numbers) => numbers.filter((one) => one !== null);

function range(numbers) {
  let low = Infinity, high = -Infinity;
  for (const one of known(numbers)) { low = Math.min(low, one); high = Math.max(high, one); }
  return low <= high ? [low, high] : [null, null];
}

const axis = ([low, high]) => (low === null ? "" : `${number(low)} .. ${number(high)}`);

// --- drawing ---

function svg(parent, name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

function canvasOf(id) {
  const box = byId(id), { width, height } = box.getBoundingClientRect();
  box.replaceChildren();
  box.setAttribute("viewBox", `0 0 ${width} ${height}`);
  return [box, width, height];
}

/** A path through points, broken where a number is missing. */
function path(xs, ys) {
  let text = "", down = false;
  ys.forEach((y, index) => {
    if (y !== null) text += `${down ? "L" : "M"}${xs[index].toFixed(1)} ${y.toFixed(1)}`;
    down = y !== null;
  });
  return text;
}

function drawValues() {
  const [box, width, height] = canvasOf("values");
  const limits = range(values);
  byId("valuesAxis").textContent = axis(limits);
  if (limits[0] === null) return;
  const xs = values.map((_, index) => 6 + ((width - 12) * index) / (PLOT_ENV_STEPS - 1));
  const ys = values.map((value) => (value === null ? null : height - 8 - (height - 16) * share(value, ...limits)));
  svg(box, "path", { d: path(xs, ys), fill: "none", stroke: "var(--bar)", "stroke-width": 1.5 });
  const y = ys.at(-1);
  if (y !== null) svg(box, "circle", { cx: xs.at(-1), cy: y, r: 3, fill: "var(--chosen)" });
}

function drawReturns(returns) {
  byId("returnsPanel").hidden = !returns;
  if (!returns) return;
  const [box, width, height] = canvasOf("returns");
  byId("returnsTitle").textContent = returns.title;
  byId("returnsAxis").textContent = axis(returns.limits);
  const highest = Math.max(1e-12, range(returns.shares)[1] ?? 0);
  const step = (width - 12) / returns.shares.length;
  returns.shares.forEach((part, index) => {
    const tall = ((height - 12) * (part ?? 0)) / highest;
    const bar = { x: 6 + index * step, y: height - 6 - tall, width: Math.max(1, step - 1), height: tall };
    svg(box, "rect", { ...bar, fill: "var(--chosen)" });
  });
}

function drawMemory() {
  const box = byId("memory");
  byId("memoryPanel").hidden = memory.length === 0;
  if (memory.length === 0) return;
  const size = memory[0].length;
  byId("memoryAxis").textContent = `${size} numbers, blue -1 .. orange 1`;
  box.width = PLOT_ENV_STEPS;
  box.height = size;
  const image = box.getContext("2d").createImageData(memory.length, size);
  const [ground, below, above] = [[46, 51, 61], [86, 180, 233], [230, 159, 0]];
  memory.forEach((column, x) => column.forEach((one, y) => {
    const strength = Math.min(1, Math.abs(one ?? 0)), ink = (one ?? 0) < 0 ? below : above;
    for (let part = 0; part < 3; part += 1) {
      image.data[4 * (y * memory.length + x) + part] = ground[part] + strength * (ink[part] - ground[part]);
    }
    image.data[4 * (y * memory.length + x) + 3] = 255;
  }));
  box.getContext("2d").putImageData(image, 0, 0);
}

function drawCurve(curve) {
  byId("curvePanel").hidden = false;
  const [box, width, height] = canvasOf("curve");
  byId("curveTitle").textContent = curve.title;
  byId("curveAxis").textContent = axis(range([...curve.low, ...curve.high]));
  const scaled = (value) => (!curve.isLoss ? value : value > 0 ? Math.log10(value) : null);
  const [low, high] = range([...curve.low, ...curve.high].map(scaled));
  const end = curve.at.at(-1), newest = known(curve.middle).at(-1) ?? null;
  const left = document.createElement("span"), right = document.createElement("span");
  const over = curve.seeds > 1 ? `, IQM of ${curve.seeds} seeds with 95 % band` : "";
  left.textContent = `newest ${number(newest)}${curve.isLoss ? ", logarithmic" : ""}${over}`;
  right.textContent = `${count(end)} ${curve.unit}`;
  byId("curveEnds").replaceChildren(left, right);
  if (low === null) return;
  const xs = curve.at.map((at) => 6 + (width - 12) * (end ? at / end : 1));
  const place = (value) =>
    scaled(value) === null ? null : height - 8 - (height - 16) * share(scaled(value), low, high);
  const whole = curve.at
    .map((_, index) => index)
    .filter((index) => place(curve.low[index]) !== null && place(curve.high[index]) !== null);
  const there = whole.map((index) => `${xs[index]} ${place(curve.low[index])}`);
  const back = whole.map((index) => `${xs[index]} ${place(curve.high[index])}`).reverse();
  svg(box, "polygon", { points: [...there, ...back].join(" "), fill: "var(--bar)", opacity: 0.25 });
  svg(box, "path", { d: path(xs, curve.middle.map(place)), fill: "none", stroke: "var(--bar)", "stroke-width": 1.5 });
  if (newest !== null) svg(box, "circle", { cx: xs.at(-1), cy: place(newest), r: 3, fill: "var(--chosen)" });
}

// --- the table of actions ---

function element(parent, tag, name = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  parent.append(made);
  return made;
}

function layActions() {
  const { names, isChoice, isWhole, low, high } = run.actions;
  byId("actions").replaceChildren();
  rows = names.map((name, index) => {
    const row = element(byId("actions"), "div", "action");
    const key = element(row, "kbd");
    key.textContent = keyOf(index);
    key.hidden = !key.textContent;
    if (key.hidden) element(row, "span", "nokey");
    const label = element(row, "span", "name");
    label.textContent = label.title = name;
    const track = element(row, "span", "track"), fill = element(track, "span", "fill");
    const mark = element(track, "span", "mark"), text = element(row, "span", "number");
    mark.hidden = true;
    let slider = null;
    if (!isChoice) {
      slider = element(row, "input");
      slider.type = "range";
      const [least, most] = bounds(index);
      Object.assign(slider, { min: least, max: most, step: isWhole ? 1 : (most - least) / 200, hidden: true });
      slider.setAttribute("aria-label", `your ${name}`);
      slider.oninput = () => { mine[index] = +slider.value; act(); };
    } else {
      row.onclick = () => state.takenOver && choose(index);
    }
    return { row, fill, mark, text, slider, low: low[index], high: high[index] };
  });
}

function drawActions(action) {
  byId("actionTitle").textContent = state.takenOver ? `${action.title}: what the agent would do` : action.title;
  byId("actionAxis").textContent = run.actions.isChoice ? `axis ${axis(action.limits)}` : "";
  rows.forEach(({ row, fill, mark, text, slider, low, high }, index) => {
    const value = action.values[index], chosen = run.actions.isChoice && index === action.chosen;
    row.classList.toggle("chosen", chosen);
    row.dataset.value = value;
    text.textContent = number(value);
    if (run.actions.isChoice) {
      fill.style.left = "0";
      fill.style.width = `${100 * share(value, ...action.limits)}%`;
      row.classList.toggle("person", state.personActed !== null && state.personActed[0] === index);
      row.setAttribute("aria-label", `${run.actions.names[index]} ${number(value)}${chosen ? ", chosen" : ""}`);
    } else {
      const place = 100 * share(value, low, high), middle = 100 * share(0, low, high);
      fill.style.left = `${Math.min(place, middle)}%`;
      fill.style.width = `${Math.max(1, Math.abs(place - middle))}%`;
      mark.hidden = !state.personActed;
      if (state.personActed) mark.style.left = `${100 * share(state.personActed[index], low, high)}%`;
      slider.hidden = !state.takenOver;
    }
  });
}

// --- taking over ---

const ARROWS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
const WORDS = {
  ArrowLeft: /\bleft|\bwest|\bback\b/i,
  ArrowRight: /\bright|\beast|\bahead/i,
  ArrowUp: /\bup\b|\bnorth/i,
  ArrowDown: /\bdown\b|\bsouth/i,
};
let mine = []; // the person's action
let held = []; // the arrows that are down

function bounds(index) {
  const { low, high } = run.actions;
  return [low[index] ?? Math.min(-1, (high[index] ?? 1) - 2), high[index] ?? Math.max(1, (low[index] ?? -1) + 2)];
}

/** The arrow that stands for a discrete action: the first whose name says so and no other. */
function arrowOf(index) {
  const names = run.actions.names, fits = (name) => Object.keys(WORDS).filter((arrow) => WORDS[arrow].test(name));
  const own = fits(names[index]);
  return own.length === 1 && names.findIndex((name) => fits(name).join() === own.join()) === index ? own[0] : null;
}

function keyOf(index) {
  if (!run.actions.isChoice) return ["← →", "↓ ↑"][index] ?? "";
  return ARROWS[arrowOf(index)] ?? (index < 10 ? String(index) : "");
}

/** What a person does who presses nothing. */
function idle() {
  const { names, isChoice, isWhole } = run.actions;
  if (isChoice) return [Math.max(0, names.findIndex((name) => /^no|coast/i.test(name)))];
  return names.map((_, index) => {
    const [low, high] = bounds(index), middle = low <= 0 && high >= 0 ? 0 : (low + high) / 2;
    return isWhole ? Math.round(middle) : middle;
  });
}

/** Do what the person's hand says: while it plays in every env step to come, else for one env step now. */
function act() {
  if (state.playing) tell({ do: "take over", action: mine });
  else tell({ do: "step", action: mine });
}

function choose(index) {
  mine = [index];
  act();
}

function takeOver() {
  if (!run) return;
  if (state.takenOver) {
    tell({ do: "take over", action: null });
  } else {
    mine = idle();
    tell({ do: "pause" }); // until the person is ready
    tell({ do: "take over", action: mine });
  }
}

function press(arrow) {
  if (!held.includes(arrow)) held.push(arrow);
  if (run.actions.isChoice) {
    const index = run.actions.names.findIndex((_, one) => arrowOf(one) === arrow);
    if (index >= 0) choose(index);
  } else {
    const index = arrow === "ArrowLeft" || arrow === "ArrowRight" ? 0 : 1;
    if (index >= mine.length) return;
    const [low, high] = bounds(index);
    set(index, arrow === "ArrowLeft" || arrow === "ArrowDown" ? low : high);
    act();
  }
}

function release(arrow) {
  held = held.filter((one) => one !== arrow);
  if (!state.takenOver || held.length > 0) return;
  const still = idle();
  if (run.actions.isChoice) {
    if (!/^no|coast/i.test(run.actions.names[still[0]])) return; // no way to do nothing: go on as before
    mine = still;
  } else {
    still.slice(0, 2).forEach((value, index) => set(index, value));
  }
  if (state.playing) act();
}

function set(index, value) {
  mine[index] = value;
  rows[index].slider.value = value;
}

// --- what the server tells ---

function showRun(message) {
  run = message;
  [values, memory, episode] = [[], [], 0];
  document.title = `${run.heading} – rlsuite`;
  byId("heading").textContent = run.heading;
  byId("name").textContent = run.name;
  byId("problem").hidden = true;
  const options = (id, all, chosen) =>
    byId(id).replaceChildren(...all.map((one) => new Option(one, one, false, one === chosen)));
  options("checkpoint", run.checkpoints, run.checkpoint);
  options("seed", run.seeds, run.seed);
  layActions();
}

let shown = null; // address of the picture

function showFrame(message, picture) {
  state = message;
  if (message.episode !== episode) [values, memory, episode] = [[], [], message.episode];
  values = [...values, ...message.values].slice(-PLOT_ENV_STEPS);
  if (message.memory) memory = [...memory, ...message.memory].slice(-PLOT_ENV_STEPS);

  const image = byId("picture"), address = URL.createObjectURL(picture), before = shown;
  image.onload = () => image.classList.toggle("crisp", Math.max(image.naturalWidth, image.naturalHeight) <= 256);
  image.src = shown = address;
  image.hidden = false;
  if (before) URL.revokeObjectURL(before);
  image.alt = `The environment at env step ${message.envStep}`;
  document.body.dataset.envStep = message.envStep;
  document.body.dataset.episode = message.episode;
  byId("note").textContent = message.note;
  byId("note").hidden = !message.note;

  byId("facts").replaceChildren(...Object.entries(message.facts).map(([name, fact]) => {
    const pair = document.createElement("div");
    element(pair, "dt").textContent = name;
    element(pair, "dd").textContent = fact;
    return pair;
  }));
  document.body.classList.toggle("takenOver", message.takenOver);
  drawActions(message.action);
  drawReturns(message.returns);
  drawMemory();
  byId("valuesPanel").hidden = values.length === 0;
  byId("valuesTitle").textContent = message.valueTitle;
  if (values.length > 0) drawValues();

  byId("play").textContent = message.playing ? "Pause" : "Play";
  byId("speed").textContent = message.speed < 1 ? `1/${1 / message.speed} ×` : `${message.speed} ×`;
  byId("person").setAttribute("aria-pressed", message.takenOver);
  byId("person").textContent = message.takenOver ? "Give back" : "Take over";
  byId("temperature").disabled = !(run.actions.isChoice && message.action.title !== "action");
  byId("keys").textContent = message.takenOver
    ? "Your keys are beside the actions: each takes one env step, or steers while it plays (space). t gives back."
    : "space plays and pauses, . steps, + and - change the speed, n begins another episode, t takes over";
}

function showFigures({ heading, name, figures }) {
  byId("heading").textContent = heading;
  byId("name").textContent = name;
  for (const id of ["keys", "controls", "actionPanel", "facts"]) byId(id).hidden = true;
  byId("figures").hidden = false;
  document.body.classList.add("plots");
  byId("note").textContent = "its figures are not written yet";
  byId("frame").hidden = figures.length > 0;
  byId("note").hidden = figures.length > 0;
  byId("picture").hidden = true;
  byId("figures").replaceChildren(...figures.map(([file, stamp]) => {
    const figure = document.createElement("figure"), image = element(figure, "img");
    image.src = `figures/${encodeURIComponent(file)}?${stamp}`;
    image.alt = file;
    element(figure, "figcaption").textContent = file;
    return figure;
  }));
}

const ago = (seconds) => {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
};

socket.onmessage = ({ data }) => {
  if (typeof data !== "string") {
    const length = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    showFrame(head, new Blob([new Uint8Array(data, 4 + length)]));
    return;
  }
  const message = JSON.parse(data);
  if (message.kind === "run") showRun(message);
  else if (message.kind === "curve") drawCurve(message);
  else if (message.kind === "figures") showFigures(message);
  else if (message.kind === "saved") byId("saved").textContent = `saved ${ago(message.secondsAgo)} ago`;
  else if (message.kind === "problem") {
    byId("problem").textContent = message.text;
    byId("problem").hidden = false;
  }
};
socket.onopen = () => { byId("connection").textContent = "connected"; };
socket.onclose = () => {
  byId("connection").textContent = "connection lost: load the page again";
  byId("connection").className = "lost";
};

// --- what the person does ---

const play = () => tell({ do: state.playing ? "pause" : "play" });
const step = () => tell(state.takenOver ? { do: "step", action: mine } : { do: "step" });
const speed = (factor) => tell({ do: "speed", value: state.speed * factor });
const restart = () => tell({ do: "episode" });
const watch = () => tell({ do: "watch", checkpoint: byId("checkpoint").value, seed: +byId("seed").value });

function deviate({ target }) {
  byId(`${target.id}Value`).textContent = target.value;
  tell({ do: target.id, value: +target.value });
}

byId("play").onclick = play;
byId("step").onclick = step;
byId("episode").onclick = restart;
byId("person").onclick = takeOver;
byId("slower").onclick = () => speed(1 / 2);
byId("faster").onclick = () => speed(2);
byId("checkpoint").onchange = byId("seed").onchange = watch;
byId("epsilon").oninput = byId("temperature").oninput = deviate;

const KEYS = {
  " ": play, ".": step, n: restart, t: takeOver,
  "+": () => speed(2), "=": () => speed(2), "-": () => speed(1 / 2),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !run) return;
  if (event.target.matches("select, input") && event.key !== "Escape") return;
  if (state.takenOver && event.key in ARROWS) {
    event.preventDefault();
    if (!event.repeat || !state.playing) press(event.key);
  } else if (state.takenOver && run.actions.isChoice && /^\d$/.test(event.key) && +event.key < rows.length) {
    choose(+event.key);
  } else if (event.key === "ArrowRight" && !state.takenOver) {
    step();
  } else if (event.key in KEYS) {
    event.preventDefault(); // a focused button would be pressed too
    KEYS[event.key]();
  }
});
addEventListener("keyup", (event) => event.key in ARROWS && release(event.key));
