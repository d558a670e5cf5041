// Particles that follow velocity fields over the cells of a map; one canvas pair a panel.
// Everything drawn comes with the data; no name from data is ever read as HTML.

const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);
const PER_FIELD = 1.1; // particles for each field of the grid that has cells, at density 1
const MOST = 3000; // particles a panel
const MEDIAN_STEP = 0.05; // widths of the map a second, at the median speed
const LARGEST_STEP = 0.35; // and at most

class Panel {
  constructor(data) {
    this.data = data;
    this.points = floats(data.points);
    this.colors = bytes(data.colors);
    this.lines = data.lines ? floats(data.lines) : new Float32Array(0);
    this.heads = data.heads ? floats(data.heads) : new Float32Array(0);
    this.field = data.field ? floats(data.field) : null;
    this.figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const title = document.createElement("strong");
    title.textContent = data.title;
    const worth = document.createElement("span");
    worth.textContent = data.caption;
    caption.append(title, worth);
    this.stage = document.createElement("div");
    this.stage.className = "stage";
    this.stage.setAttribute("role", "img");
    this.stage.setAttribute("aria-label", data.description);
    this.cells = document.createElement("canvas");
    this.front = document.createElement("canvas");
    this.front.className = "flow";
    this.stage.append(this.cells, this.front);
    if (data.message) {
      const message = document.createElement("p");
      message.className = "message";
      message.textContent = data.message;
      this.stage.append(message);
    }
    this.figure.append(caption, this.stage);
    this.frames = 0;
    if (this.field) this.prepare();
  }

  prepare() {
    const { nx, ny } = this.data;
    const known = [];
    const speeds = [];
    for (let i = 0; i < nx * ny; i += 1) {
      const speed = Math.hypot(this.field[2 * i], this.field[2 * i + 1]);
      if (speed > 0) {
        known.push(i);
        speeds.push(speed);
      }
    }
    this.known = known;
    speeds.sort((a, b) => a - b);
    const median = speeds.length ? speeds[Math.floor(speeds.length / 2)] : 1;
    const largest = speeds.length ? speeds[speeds.length - 1] : 1;
    const width = Math.max(this.data.dx * (nx - 1), this.data.dy * (ny - 1));
    this.factor = Math.min((MEDIAN_STEP * width) / median, (LARGEST_STEP * width) / largest);
  }

  // Velocity at a place of the map, bilinear; false where there are no cells.
  at(x, y, out) {
    const { x0, y0, dx, dy, nx, ny } = this.data;
    const column = (x - x0) / dx;
    const row = (y - y0) / dy;
    const i = Math.floor(column);
    const j = Math.floor(row);
    if (i < 0 || j < 0 || i >= nx - 1 || j >= ny - 1) return false;
    const a = column - i;
    const b = row - j;
    let u = 0;
    let v = 0;
    for (let corner = 0; corner < 4; corner += 1) {
      const right = corner & 1;
      const up = corner >> 1;
      const at = 2 * ((j + up) * nx + i + right);
      const weight = (right ? a : 1 - a) * (up ? b : 1 - b);
      u += weight * this.field[at];
      v += weight * this.field[at + 1];
    }
    if (!Number.isFinite(u) || !Number.isFinite(v) || (u === 0 && v === 0)) return false;
    out[0] = u;
    out[1] = v;
    return true;
  }

  born(k, first) {
    const { x0, y0, dx, dy, nx } = this.data;
    const at = this.known[Math.floor(Math.random() * this.known.length)];
    this.x[k] = x0 + ((at % nx) + Math.random() - 0.5) * dx;
    this.y[k] = y0 + (Math.floor(at / nx) + Math.random() - 0.5) * dy;
    this.life[k] = (first ? Math.random() : 0.4 + 0.6 * Math.random()) * 3;
  }

  fill(density) {
    const wanted = this.field ? Math.round(this.known.length * PER_FIELD * density) : 0;
    const n = Math.min(wanted, MOST);
    this.x = new Float32Array(n);
    this.y = new Float32Array(n);
    this.life = new Float32Array(n);
    for (let k = 0; k < n; k += 1) this.born(k, true);
  }

  // Fit the map into the stage, both axes at one scale, and draw the cells.
  layout(ink) {
    const width = this.stage.clientWidth;
    const height = this.stage.clientHeight;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    for (const canvas of [this.cells, this.front]) {
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
    }
    const [left, right, low, high] = this.data.extent;
    const scale = 0.94 * Math.min(width / (right - left || 1), height / (high - low || 1));
    this.scale = scale;
    this.px = (x) => width / 2 + (x - (left + right) / 2) * scale;
    this.py = (y) => height / 2 - (y - (low + high) / 2) * scale;
    this.ink = ink;
    const pen = this.cells.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.globalAlpha = this.field || this.lines.length ? 0.75 : 0.35;
    const n = this.points.length / 2;
    const size = Math.min(7, Math.max(1.6, 60 / Math.sqrt(n))) + 0.6;
    for (let i = 0; i < n; i += 1) {
      const x = this.px(this.points[2 * i]);
      const y = this.py(this.points[2 * i + 1]);
      pen.fillStyle = `rgb(${this.colors[3 * i]},${this.colors[3 * i + 1]},${this.colors[3 * i + 2]})`;
      pen.beginPath();
      pen.arc(x, y, size / 2, 0, 2 * Math.PI);
      pen.fill();
    }
    const flow = this.front.getContext("2d");
    flow.setTransform(ratio, 0, 0, ratio, 0, 0);
    flow.lineCap = "round";
    this.width = width;
    this.height = height;
  }

  clear() {
    this.front.getContext("2d").clearRect(0, 0, this.width, this.height);
  }

  // Stream lines with arrow heads, for those who ask for less motion.
  still() {
    const pen = this.front.getContext("2d");
    this.clear();
    pen.globalCompositeOperation = "source-over";
    pen.strokeStyle = this.ink;
    pen.fillStyle = this.ink;
    pen.lineWidth = 1.3;
    pen.beginPath();
    let open = false;
    for (let i = 0; i < this.lines.length; i += 2) {
      const x = this.lines[i];
      if (Number.isNaN(x)) {
        open = false;
        continue;
      }
      const place = [this.px(x), this.py(this.lines[i + 1])];
      if (open) pen.lineTo(...place);
      else pen.moveTo(...place);
      open = true;
    }
    pen.stroke();
    for (let i = 0; i < this.heads.length; i += 4) {
      const x = this.px(this.heads[i]);
      const y = this.py(this.heads[i + 1]);
      const angle = Math.atan2(-this.heads[i + 3], this.heads[i + 2]);
      pen.beginPath();
      for (const [turn, far] of [[0, 6], [2.5, 5], [-2.5, 5]]) {
        pen.lineTo(x + far * Math.cos(angle + turn), y + far * Math.sin(angle + turn));
      }
      pen.fill();
    }
  }

  step(seconds) {
    const pen = this.front.getContext("2d");
    // What was drawn fades, so that each particle has a tail.
    pen.globalCompositeOperation = "destination-out";
    pen.fillStyle = `rgba(0,0,0,${1 - Math.exp(-4 * seconds)})`;
    pen.fillRect(0, 0, this.width, this.height);
    pen.globalCompositeOperation = "source-over";
    pen.strokeStyle = this.ink;
    pen.lineWidth = 1.2;
    pen.beginPath();
    const out = [0, 0];
    for (let k = 0; k < this.x.length; k += 1) {
      this.life[k] -= seconds;
      if (this.life[k] <= 0 || !this.at(this.x[k], this.y[k], out)) {
        this.born(k, false);
        continue;
      }
      const x = this.x[k] + out[0] * this.factor * seconds;
      const y = this.y[k] + out[1] * this.factor * seconds;
      pen.moveTo(this.px(this.x[k]), this.py(this.y[k]));
      pen.lineTo(this.px(x), this.py(y));
      this.x[k] = x;
      this.y[k] = y;
    }
    pen.stroke();
    this.frames += 1;
    this.front.dataset.frames = this.frames;
  }
}

class Flow {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.less = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.wanted = !this.less.matches;
    this.seen = false;
    this.last = 0;
    this.box = root.querySelector(".panels");
    this.button = root.querySelector("button");
    this.words = root.querySelector(".words");
    this.panels = data.panels.map((panel) => new Panel(panel));
    this.box.replaceChildren(...this.panels.map((panel) => panel.figure));
    this.box.style.setProperty("--columns", data.columns);
    this.box.style.setProperty("--height", `${data.height}px`);
    this.legend(data.legend);
    for (const panel of this.panels) panel.fill(data.density);
    this.button.onclick = () => {
      this.wanted = !this.wanted;
      this.told();
    };
    this.changed = () => {
      this.wanted = !this.less.matches;
      this.told();
    };
    this.turned = () => this.told();
    this.less.addEventListener("change", this.changed);
    document.addEventListener("visibilitychange", this.turned);
    this.sizes = new ResizeObserver(() => this.layout());
    this.sizes.observe(this.box);
    this.sight = new IntersectionObserver((entries) => {
      this.seen = entries.some((entry) => entry.isIntersecting);
      this.told();
    });
    this.sight.observe(this.box);
    this.tick = (now) => this.frame(now);
    this.layout();
    this.told();
  }

  legend(legend) {
    const place = this.root.querySelector(".legend");
    place.replaceChildren();
    const title = document.createElement("span");
    title.className = "title";
    title.textContent = legend.title;
    place.append(title);
    if (legend.names) {
      for (const [name, color] of legend.names) {
        const item = document.createElement("span");
        const dot = document.createElement("i");
        dot.style.background = color;
        item.append(dot, document.createTextNode(name));
        place.append(item);
      }
    } else {
      const bar = document.createElement("i");
      bar.className = "bar";
      bar.style.background = `linear-gradient(to right, ${legend.scale.join(",")})`;
      place.append(document.createTextNode(legend.low), bar, document.createTextNode(legend.high));
    }
  }

  ink() {
    const styles = getComputedStyle(this.box);
    return styles.getPropertyValue("--st-text-color").trim() || styles.color;
  }

  layout() {
    const ink = this.ink();
    for (const panel of this.panels) {
      panel.layout(ink);
      if (!this.wanted && this.less.matches) panel.still();
    }
  }

  // Decide whether to run, and say so on the button and to the tests.
  told() {
    const runs = this.wanted && this.seen && !document.hidden;
    const lined = !this.wanted && this.less.matches;
    this.box.dataset.state = lined ? "still" : runs ? "playing" : "paused";
    this.button.textContent = this.wanted ? "Pause" : "Play";
    this.button.setAttribute("aria-pressed", String(this.wanted));
    this.words.textContent = lined
      ? "Your system asks for less motion, so stream lines are drawn instead of moving particles."
      : "Particles follow the mean velocity; their pace is relative to each panel and no time.";
    if (lined) for (const panel of this.panels) panel.still();
    if (runs && !this.request) {
      if (this.wasLined) for (const panel of this.panels) panel.clear();
      this.last = 0;
      this.request = requestAnimationFrame(this.tick);
    } else if (!runs && this.request) {
      cancelAnimationFrame(this.request);
      this.request = 0;
    }
    this.wasLined = lined;
  }

  frame(now) {
    // A page that was away must not jump.
    const seconds = this.last ? Math.min((now - this.last) / 1000, 0.05) : 0.016;
    this.last = now;
    // The theme may have changed meanwhile.
    if (this.panels.length && this.panels[0].frames % 60 === 0) {
      const ink = this.ink();
      for (const panel of this.panels) panel.ink = ink;
    }
    for (const panel of this.panels) if (panel.field) panel.step(seconds);
    this.request = requestAnimationFrame(this.tick);
  }

  end() {
    if (this.request) cancelAnimationFrame(this.request);
    this.request = 0;
    this.less.removeEventListener("change", this.changed);
    document.removeEventListener("visibilitychange", this.turned);
    this.sizes.disconnect();
    this.sight.disconnect();
  }
}

const running = new WeakMap();

export default function (component) {
  const { data, parentElement } = component;
  const before = running.get(parentElement);
  if (before && before.data.id === data.id) return () => stop(parentElement, before);
  if (before) before.end();
  const flow = new Flow(parentElement, data);
  running.set(parentElement, flow);
  return () => stop(parentElement, flow);
}

function stop(parentElement, flow) {
  flow.end();
  if (running.get(parentElement) === flow) running.delete(parentElement);
}
