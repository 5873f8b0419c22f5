// The order of a list in the company settings. An entry is dragged by its handle, or moved by the arrow keys on it; both
// send its new place with the form of its row. Without this file, the form's buttons move it one place at a time.

const listOf = (node) => node.closest("[data-reorder]");
const rowOf = (node) => node.closest?.("[data-handle]") && node.closest("[data-reorder] > li");
const placeOf = (row) => [...listOf(row).children].indexOf(row);

let dragged = null; // the row, and its former place

document.addEventListener("pointerdown", (event) => {
  const row = event.button === 0 && rowOf(event.target);
  if (!row) return;
  dragged = { row, from: placeOf(row) };
  row.classList.add("dragging");
});

document.addEventListener("pointermove", ({ clientY }) => {
  if (!dragged) return;
  const { row } = dragged;
  const isBelow = (each) => {
    const { top, height } = each.getBoundingClientRect();
    return each !== row && clientY < top + height / 2;
  };
  const next = [...listOf(row).children].find(isBelow) ?? null;
  if (next !== row.nextElementSibling) listOf(row).insertBefore(row, next);
});

document.addEventListener("pointerup", () => drop());
document.addEventListener("pointercancel", () => drop({ cancelled: true }));
// Until an entry is dropped, nothing else may start under the pointer: neither a selection nor, by touch, scrolling.
document.addEventListener("selectstart", (event) => dragged && event.preventDefault());
document.addEventListener("touchmove", (event) => dragged && event.preventDefault(), { passive: false });

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") drop({ cancelled: true });
  const row = rowOf(event.target);
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!row || !step || dragged) return;
  event.preventDefault();
  const place = placeOf(row) + step;
  if (place >= 0 && place < listOf(row).children.length) send(row, place);
});

function drop({ cancelled = false } = {}) {
  if (!dragged) return;
  const { row, from } = dragged;
  dragged = null;
  row.classList.remove("dragging");
  const place = placeOf(row);
  if (cancelled) putBack(row, from);
  else if (place !== from) send(row, place);
}

function putBack(row, place) {
  const list = listOf(row);
  row.remove();
  list.insertBefore(row, list.children[place] ?? null);
}

function send(row, place) {
  const form = row.querySelector("[data-move]");
  form.elements.to.value = place;
  form.requestSubmit();
}
