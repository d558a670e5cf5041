// Says how wide the column is and how high the window, when either differs from what the page was
// drawn for. Sizes are rounded down, so that a scroll bar or a keyboard draws nothing again.

const STEPS = [20, 40];
const PATIENCE = 250; // milliseconds without a change

const down = (value, step) => Math.floor(value / step) * step;
const watched = new WeakMap();

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const ruler = parentElement.querySelector(".ruler");
  const before = watched.get(parentElement);
  if (before) before();
  let waits = 0;
  let said = `${data.width} ${data.height}`;
  const measure = () => {
    const width = down(ruler.clientWidth, STEPS[0]);
    const height = down(window.innerHeight, STEPS[1]);
    // A hidden page, such as a closed tab, has no width.
    if (width < STEPS[0] || `${width} ${height}` === said) return;
    said = `${width} ${height}`;
    setStateValue("size", { width, height });
  };
  const later = () => {
    clearTimeout(waits);
    waits = setTimeout(measure, PATIENCE);
  };
  const sizes = new ResizeObserver(later);
  sizes.observe(ruler);
  window.addEventListener("resize", later);
  measure();
  const end = () => {
    clearTimeout(waits);
    sizes.disconnect();
    window.removeEventListener("resize", later);
    watched.delete(parentElement);
  };
  watched.set(parentElement, end);
  return end;
}
