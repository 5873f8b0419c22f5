// A quick select (_parts/quick_select.html) is saved when a choice is made, and not while somebody is choosing: what is
// Won for a moment goes to LinkedIn. Keys only choose; Enter or leaving the select saves, Escape brings the saved value
// back. A choice by mouse or touch is saved at once. Where no script runs there is a Save button.
// What each browser does is in docs/decisions/selects-save-when-chosen.md.

const quickSelect = (node) => (node.matches?.("[data-quick-select] select") ? node : null);
const saved = (select) => [...select.options].find((option) => option.defaultSelected);
const isUnsaved = (select) => select.value !== saved(select).value;

const LIST_CLOSED_MS = 500; // longer than anybody holds Escape down
let opener = null; // what touched a select last: "key", "mouse", "touch" or "pen"; null for another thing
let atKey = false; // in the very turn of a key
let undecided = null; // the select whose list has just closed on another option
let sent = null; // the select whose request is under way, and its value
const next = new Set(); // ids of selects that are saved after it: an answer draws all anew, and must know each change

// Browsers report a change at each key on a closed select, while they handle the key (a letter at its keypress). An open
// list reports one when it closes. Which keys open it differs (Space, Alt+Down, on a Mac the arrows), so what counts is
// the turn, not the key.
for (const kind of ["keydown", "keypress", "pointerdown"]) {
  document.addEventListener(kind, ({ target, pointerType = "key" }) => {
    opener = quickSelect(target) && pointerType;
    undecided = null;
    atKey = pointerType === "key";
    setTimeout(() => { atKey = false; });
  }, true);
}

document.addEventListener("change", ({ target }) => {
  const select = quickSelect(target);
  if (!select) return;
  next.delete(select.id);
  if (sent?.select === select) select.value = sent.value;
  else if (atKey) showHint(select);
  else if (opener === "key" || opener === "mouse") listClosed(select);
  else save(select); // phones report one change at the end; a dragged deal or a voice opens no list
});

// Chromium's list keeps its option on Escape too. Unlike Enter and the mouse it sends no click then, and the page hears of
// Escape only as it is let go. Other browsers take Escape back, and not all send a click.
function listClosed(select) {
  undecided = select;
  showHint(select);
  if (opener === "mouse") setTimeout(() => undecided === select && save(select), LIST_CLOSED_MS);
}

document.addEventListener("click", ({ target }) => {
  if (undecided && undecided === target) save(target);
});

document.addEventListener("keyup", ({ target, key }) => {
  if (!undecided || undecided !== target) return;
  if (key === "Enter") save(target);
  if (key === "Escape") restore(target);
});

document.addEventListener("keydown", (event) => {
  const select = quickSelect(event.target);
  if (!select || !isUnsaved(select)) return;
  if (event.key === "Enter") save(select);
  else if (event.key === "Escape" && sent?.select !== select) restore(select);
  else return;
  event.preventDefault();
});

document.addEventListener("focusout", ({ target }) => {
  const select = quickSelect(target);
  // Where it stays the active element the whole window has lost the focus: somebody looks something up.
  if (select && document.activeElement !== select) save(select);
});

// Every way of sending a form passes here, Chromium's own at Enter too.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-quick-select]")) return;
  const select = event.target.querySelector("select");
  if (isUnsaved(select) && !sent) {
    sent = { select, value: select.value };
    select.form.setAttribute("aria-busy", "true");
  } else {
    event.preventDefault();
    event.stopPropagation();
    if (isUnsaved(select) && sent.select !== select) next.add(select.id);
  }
  showHint(select);
}, true);

function save(select) {
  undecided = null;
  if (isUnsaved(select)) select.form.requestSubmit();
}

function restore(select) {
  undecided = null;
  next.delete(select.id);
  saved(select).selected = true;
  showHint(select);
}

function showHint(select) {
  const hint = document.getElementById(select.getAttribute("aria-describedby"));
  const isWanted = isUnsaved(select) && sent?.select !== select && !next.has(select.id);
  if (hint.hidden !== isWanted) return; // read out once, and not with each key
  hint.hidden = !isWanted;
  document.getElementById("quick-select-says").textContent = isWanted ? hint.textContent : "";
}

// An answer draws more than the one select anew. What is being chosen in another one stays, and so does the focus.
let kept = [];
let focused = [];
document.addEventListener("htmx:beforeSwap", ({ detail, target }) => {
  if (!detail.shouldSwap) return;
  const selects = [...target.querySelectorAll("[data-quick-select] select")];
  const unsaved = selects.filter((select) => isUnsaved(select) && select !== sent?.select);
  kept = unsaved.map((select) => ({ id: select.id, value: select.value, from: saved(select).value }));
  unsaved.forEach((select) => { saved(select).selected = true; }); // what goes is reported as left, in Chromium
  const isOurs = detail.requestConfig.elt.matches("[data-quick-select]");
  focused = isOurs && target.contains(document.activeElement) ? placesOf(document.activeElement, target) : [];
});
document.addEventListener("htmx:afterSwap", () => {
  for (const { id, value, from } of kept.splice(0)) {
    const select = document.getElementById(id);
    if (!select || saved(select).value !== from) continue; // gone, or changed by somebody else
    select.value = value;
    showHint(select);
  }
  if (focused.length) focusAt(focused.splice(0));
});

// htmx finds the focus again by the element's id. Not all have one, and a row that leaves its list takes its own along:
// then it is the same place in the row, or in the list, which the next row has moved up to.
function placesOf(element, target) {
  const areas = [element.parentElement.closest("[id]"), target];
  return areas.map((area) => ({ id: area.id, index: stops(area).indexOf(element) }));
}

function focusAt(places) {
  if (document.activeElement === document.body) {
    const [stop] = places.map(({ id, index }) => stopAt(document.getElementById(id), index)).filter(Boolean);
    stop?.focus();
  }
  // A deal may have gone to a column that is out of sight. Who uses a mouse would see the page jump.
  if (opener === "key") document.activeElement.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function stopAt(area, index) {
  return area && (stops(area)[index] ?? stops(area).at(-1));
}

function stops(area) {
  const all = [...area.querySelectorAll("a[href], button, input, select, summary")];
  return all.filter((element) => element.getClientRects().length > 0);
}

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const { select } = sent ?? {};
  if (!select || detail.requestConfig.elt !== select.form) return; // detail.elt is another where an answer replaced it
  sent = null;
  select.form.removeAttribute("aria-busy");
  if (!detail.successful) {
    restore(select);
    saveNext();
  }
});
document.addEventListener("htmx:afterSettle", saveNext); // before it htmx does not know the new forms

function saveNext() {
  const ids = [...next];
  next.clear(); // those that have to wait once more come back into it
  for (const id of ids) {
    const select = document.getElementById(id);
    if (select) save(select);
  }
}

// Back to a page that was kept as it was left.
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted || !sent) return;
  const { select } = sent;
  sent = null;
  restore(select);
});
