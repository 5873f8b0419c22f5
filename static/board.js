// The board of deals. A card is dragged by mouse, or by touch after holding it for a moment. Dropping it changes the
// select on the card, so that there is one way to move a deal (quick_select.js), and the card moves as soon as that
// sends its request. Keyboard users use the select itself.

const HOLD_MS = 350; // a finger that moves earlier scrolls
const START_PX = 5; // less is a click
const EDGE_PX = 48; // this close to its edge, the board scrolls under a dragged card
const STEP_PX = 12; // per frame

const frame = () => document.querySelector(".board-frame"); // an undo redraws it
const cardOf = (node) => node.closest?.("[data-draggable]");
const stageOf = (node) => node?.closest("[data-stage]");

// A card that moves: to the top of its new stage, as the response will show it, and back if the request fails.

document.addEventListener("htmx:beforeSend", ({ target: form, detail }) => {
  const card = cardOf(form);
  if (!card) return;
  const place = document.createComment("");
  card.before(place);
  const select = form.querySelector("select");
  card.setAttribute("aria-busy", "true");
  moveTo(card, () => frame().querySelector(`[data-stage="${select.value}"] .deals`).prepend(card));
  detail.xhr.addEventListener("loadend", () => {
    if (detail.successful) return;
    // The move was refused, or a question comes first: the deal has not been moved yet.
    moveTo(card, () => place.replaceWith(card));
    card.removeAttribute("aria-busy");
  });
});

function moveTo(card, move) {
  const focused = card.contains(document.activeElement) && document.activeElement;
  move();
  if (focused) focused.focus({ preventScroll: true }); // moving a node makes it lose the focus
}

// Further cards of a column replace the link to them, and the first one gets its focus. The address keeps their number
// for anything that redraws the board: a response to a move or an undo, or a reload.

document.addEventListener("htmx:afterSwap", ({ target: card, detail }) => {
  const isFirst = detail.requestConfig?.elt.matches("[data-more]") && document.activeElement === document.body;
  if (isFirst) card.querySelector("a")?.focus();
});

document.addEventListener("htmx:afterOnLoad", ({ target: cards, detail }) => {
  const { more: stage } = detail.requestConfig.elt.dataset;
  if (!stage || !detail.successful) return;
  const url = new URL(location);
  const others = url.searchParams.getAll("shown").filter((each) => !each.startsWith(`${stage}.`));
  url.searchParams.delete("shown");
  for (const each of [...others, `${stage}.${cards.querySelectorAll(".deal").length}`]) url.searchParams.append("shown", each);
  history.replaceState(history.state, "", url);
});

// Dragging

let press = null; // the pointer that is down on a card: its id, type, start and position, and the id of the card
let dragImage = null; // what follows the pointer, once the card is dragged

document.addEventListener("pointerdown", (event) => {
  const card = cardOf(event.target);
  if (!card || card.hasAttribute("aria-busy") || event.button !== 0 || event.target.closest("select")) return;
  const { pointerId, pointerType, clientX: x, clientY: y } = event;
  press = { pointerId, pointerType, cardId: card.id, start: { x, y }, at: { x, y } };
  if (pointerType === "touch") press.hold = setTimeout(lift, HOLD_MS);
});

document.addEventListener("pointermove", (event) => {
  if (event.pointerId !== press?.pointerId) return;
  press.at = { x: event.clientX, y: event.clientY };
  if (dragImage) follow();
  else if (Math.hypot(press.at.x - press.start.x, press.at.y - press.start.y) < START_PX) return;
  else if (press.pointerType === "touch") drop();
  else lift();
});

document.addEventListener("pointerup", (event) => {
  if (event.pointerId !== press?.pointerId) return;
  const card = dragImage && document.getElementById(press.cardId);
  const stage = dragImage && stageUnderPointer();
  drop();
  if (!card || !stage || stage === stageOf(card)) return;
  const select = card.querySelector("select");
  select.value = stage.dataset.stage;
  select.dispatchEvent(new Event("change", { bubbles: true }));
});

document.addEventListener("pointercancel", drop);
addEventListener("blur", drop);
document.addEventListener("keydown", (event) => event.key === "Escape" && drop());

// Until a card is dropped, nothing else may start under the pointer: a selection, a menu, or scrolling, which only a
// listener that is not passive can prevent.
document.addEventListener("selectstart", (event) => press && event.preventDefault());
document.addEventListener("contextmenu", (event) => press?.pointerType === "touch" && event.preventDefault());
document.addEventListener("touchmove", (event) => dragImage && event.preventDefault(), { passive: false });

function lift() {
  const card = document.getElementById(press.cardId);
  const { left, top, width, height } = card.getBoundingClientRect();
  dragImage = card.cloneNode(true);
  dragImage.removeAttribute("id");
  dragImage.inert = true;
  dragImage.classList.add("drag-image");
  Object.assign(dragImage.style, { left: `${left}px`, top: `${top}px`, inlineSize: `${width}px`, blockSize: `${height}px` });
  document.body.append(dragImage);
  document.addEventListener("click", preventClick, { capture: true, once: true });
  follow();
  requestAnimationFrame(scrollAtEdge);
}

function preventClick(event) {
  event.preventDefault();
  event.stopPropagation();
}

function follow() {
  dragImage.style.translate = `${press.at.x - press.start.x}px ${press.at.y - press.start.y}px`;
  const card = document.getElementById(press.cardId);
  card?.classList.add("dragging"); // again, because a response may have redrawn the board
  const stage = stageUnderPointer();
  for (const each of frame().querySelectorAll("[data-stage]")) {
    each.classList.toggle("over", each === stage && each !== stageOf(card));
  }
}

function stageUnderPointer() {
  return stageOf(document.elementFromPoint(press.at.x, press.at.y));
}

function scrollAtEdge() {
  if (!dragImage) return;
  const { left, right, top, bottom } = frame().getBoundingClientRect();
  frame().scrollBy(towards(press.at.x, left, right), towards(press.at.y, top, bottom));
  follow();
  requestAnimationFrame(scrollAtEdge);
}

function towards(at, from, to) {
  if (at < from + EDGE_PX) return -STEP_PX;
  return at > to - EDGE_PX ? STEP_PX : 0;
}

function drop() {
  clearTimeout(press?.hold);
  dragImage?.remove();
  press = dragImage = null;
  for (const each of document.querySelectorAll(".over, .dragging")) each.classList.remove("over", "dragging");
  setTimeout(() => document.removeEventListener("click", preventClick, { capture: true }));
}
