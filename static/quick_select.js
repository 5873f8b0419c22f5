// A quick select (_parts/quick_select.html) saves when the user has made a choice, not while they are choosing: a deal
// that is Won for a moment is sent to LinkedIn. Keys only choose; Enter or leaving the select saves, Escape restores
// the saved value. A choice by mouse or touch is saved at once. Without scripts there is a Save button.
// docs/decisions/inline-selects.md describes the behaviour of each browser.

const quickSelect = (node) => (node.matches?.("[data-quick-select] select") ? node : null);
const saved = (select) => [...select.options].find((option) => option.defaultSelected);
const isUnsaved = (select) => select.value !== saved(select).value;
const isWholePage = (select) => !select.form.hasAttribute("hx-post"); // that of the company
const isSent = (select) => select.id === sent?.select.id; // a response to something else may have redrawn it

const LIST_CLOSED_MS = 500; // longer than anyone holds Escape down
let opener = null; // the last input on a select: "key", "mouse", "touch" or "pen"; null if it was on another element
let undecided = null; // the select on which a key or its list has just chosen another option
let sent = null; // the select whose request is pending, and its value
const next = new Set(); // ids of selects to save after it: a response redraws them all, and must include each change

// On a closed select, browsers fire a change for each key. An open list fires one when it closes. Which keys open it
// differs (Space, Alt+Down, on a Mac the arrows), and on a busy machine the list closes before a timer fires that its
// first key has set. So the event after the change decides, not the key and not the time.
for (const kind of ["keydown", "keypress", "pointerdown"]) {
  document.addEventListener(kind, ({ target, pointerType = "key" }) => {
    opener = quickSelect(target) && pointerType;
    undecided = null;
  }, true);
}

document.addEventListener("change", ({ target }) => {
  const select = quickSelect(target);
  if (!select) return;
  next.delete(select.id);
  if (isSent(select)) select.value = sent.value;
  else if (opener === "key" || opener === "mouse") chosen(select);
  else save(select); // phones fire one change at the end; a dragged deal or voice control opens no list
});

// In Chromium, Escape also closes the list on the chosen option. Unlike after Enter or the mouse there is no click, and
// the page only gets the keyup of Escape. Other browsers revert on Escape, and not all of them fire a click. The keyup
// of any other key comes from a closed select, on which only a keydown decides.
function chosen(select) {
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
  else if (key === "Escape") restore(target);
  else if (opener === "key") undecided = null;
});

document.addEventListener("keydown", (event) => {
  const select = quickSelect(event.target);
  if (!select || !isUnsaved(select)) return;
  if (event.key === "Enter") save(select);
  else if (event.key === "Escape" && !isSent(select)) restore(select);
  else return;
  event.preventDefault();
});

document.addEventListener("focusout", ({ target }) => {
  const select = quickSelect(target);
  // If it is still the active element, the whole window has lost the focus: the user is looking something up.
  if (select && document.activeElement !== select) save(select);
});

// All submissions pass through here, including Chromium's implicit one on Enter.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-quick-select]")) return;
  const select = event.target.querySelector("select");
  if (isUnsaved(select) && !sent && !isLeaving) {
    sent = { select, value: select.value };
    questions.delete(event.target.getAttribute("action")); // it is chosen again
    setBusy(select.form, true);
    if (isWholePage(select)) leave(true);
  } else {
    event.preventDefault();
    event.stopPropagation();
    if (isUnsaved(select) && sent && !isSent(select)) next.add(select.id);
  }
  showHint(select);
}, true);

// The row or card says so too.
function setBusy(form, isBusy) {
  const row = form.parentElement.closest("[id]"); // none for the choice of a company
  for (const element of row ? [form, row] : [form]) element.ariaBusy = isBusy ? "true" : null;
}

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
  const isWanted = isUnsaved(select) && !isSent(select) && !next.has(select.id);
  if (hint?.hidden !== isWanted) return; // so that screen readers read it once, not for each key
  hint.hidden = !isWanted;
  hint.classList.remove("at-end");
  hint.classList.toggle("at-end", hint.getBoundingClientRect().right > document.documentElement.clientWidth);
  document.getElementById("quick-select-says").textContent = isWanted ? hint.textContent : "";
}

// A response redraws more than the one select. Keep unsaved choices in the others, and the focus. A select that waits to
// be saved may not be in the response: the row no longer matches a search, or is among further cards. Its form is kept.
let kept = [];
let focused = [];
const outOfSight = () => document.querySelectorAll("#main > [data-quick-select][hidden] select");
document.addEventListener("htmx:beforeSwap", ({ detail, target }) => {
  if (!detail.shouldSwap) return;
  const { elt } = detail.requestConfig;
  const isAnswer = elt.closest("#question form") && detail.target !== dialogBody;
  if (isAnswer) dialog.close(); // the focus goes back to where it was
  const selects = new Set([...target.querySelectorAll("[data-quick-select] select"), ...outOfSight()]);
  const unsaved = [...selects].filter((select) => isUnsaved(select) && !isSent(select));
  kept = unsaved.map((select) => ({ id: select.id, value: select.value, from: saved(select).value, form: select.form }));
  unsaved.forEach((select) => { saved(select).selected = true; }); // Chromium fires focusout for a removed element
  kept.filter(({ form }) => form.hidden).forEach(({ form }) => form.remove());
  const isOurs = isAnswer || (elt.id && elt.id === target.id) || elt.matches("[data-quick-select], .bulk-bar, .filters");
  focused = isOurs && target.contains(document.activeElement) ? placesOf(document.activeElement, target) : [];
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  for (const { id, value, form, from } of kept.splice(0)) {
    const select = document.getElementById(id) ?? (next.has(id) && keepOutOfSight(form));
    if (!select || saved(select).value !== from) continue; // removed, or changed by another user
    select.value = value;
    showHint(select);
  }
  const pending = sent && sent.select.form !== detail.requestConfig.elt && document.getElementById(sent.select.id);
  if (pending) {
    pending.value = sent.value;
    setBusy(pending.form, true);
  }
  if (focused.length) focusAt(focused.splice(0));
});

function keepOutOfSight(form) {
  form.hidden = true;
  document.getElementById("main").append(form); // htmx looks for all parts of the page from its place
  return form.querySelector("select");
}

// htmx restores the focus by the element's id. Some elements have none, and a row may leave its list. The focus then
// goes to the same position in the row, or in the list, where the next row has moved up.
function placesOf(element, target) {
  const areas = [element.parentElement.closest("[id]"), target];
  return areas.map((area) => ({ id: area.id, index: stops(area).indexOf(element) }));
}

function focusAt(places) {
  if (document.activeElement === document.body) {
    const [stop] = places.map(({ id, index }) => stopAt(document.getElementById(id), index)).filter(Boolean);
    stop?.focus({ preventScroll: true });
  }
  // A deal may have moved to a column that is out of view. For mouse users the page would jump.
  if (opener === "key") document.activeElement.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function stopAt(area, index) {
  return area && (stops(area)[index] ?? stops(area).at(-1));
}

function stops(area) {
  const all = [...area.querySelectorAll("a[href], button, input, select, summary")];
  return all.filter((element) => element.getClientRects().length > 0);
}

// Each response is waited for on its request: an undo or a filter may redraw the page meanwhile, and what happens to a
// removed form doesn't reach the document. The response goes to what is in the place of a removed target.
document.addEventListener("htmx:beforeSend", ({ target: form, detail }) => {
  form.addEventListener("htmx:beforeOnLoad", keepQuestion);
  detail.xhr.addEventListener("readystatechange", ({ target: xhr }) => {
    if (xhr.readyState !== xhr.DONE) return;
    if (sent?.select.form === form && !form.isConnected) keepOutOfSight(form);
    if (!detail.target.isConnected) detail.target = document.getElementById(detail.target.id) ?? detail.target;
  });
  detail.xhr.addEventListener("loadend", () => {
    answered(form, detail);
    if (form.hidden && form.matches("[data-quick-select]")) form.remove();
  });
});

function answered(form, { successful, xhr, target, requestConfig }) {
  if (sent?.select.form === form) end(successful);
  if (xhr.status) ask(); // without a connection, there is no other page to go to
  if (!successful || !target.id) return;
  const { next: address } = requestConfig.parameters;
  if (address && address !== here()) outdated.add(target.id);
  else outdated.delete(target.id);
  if (!sent && !isLeaving) redrawOutdated();
}

function end(successful) {
  const { select } = sent;
  sent = null;
  for (const each of new Set([select, document.getElementById(select.id) ?? select])) {
    setBusy(each.form, false);
    if (!successful) restore(each); // also if a question comes first: nothing has been saved yet
  }
  saveNext(); // htmx knows the new forms: it has no settle delay (_parts/head.html)
}

function saveNext() {
  const selects = [...next].map((id) => document.getElementById(id)).filter(Boolean);
  next.clear(); // saving adds those that have to wait again
  for (const select of selects.sort((one, other) => isWholePage(one) - isWholePage(other))) {
    htmx.process(select.form); // it forgets a form that it removes, even if it is kept out of sight
    save(select);
  }
}

// A search, a filter or further cards change the address of the page. A form that was drawn before leads back to the page
// as it is now. If it changes during the request, the response shows it as it was, so that part is requested again.
const outdated = new Set(); // ids
const here = () => location.pathname + location.search;

document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.parameters.next) detail.parameters.next = here();
});

function redrawOutdated() {
  for (const id of outdated) {
    const source = document.getElementById(id);
    if (source) htmx.ajax("GET", here(), { source, target: source, select: `#${id}`, swap: "outerHTML" });
  }
  outdated.clear();
}

// A response may lead to a page with a question. Asking it at once would lose the other unsaved choices, so these are
// saved first. They may have questions of their own, which are asked one after the other: that of a select in a dialog
// over the page, any other on its page.

const isSelect = (form) => form.matches("[data-quick-select]");
const questions = new Map(); // what was requested, its form and the address of its question
const dialog = document.getElementById("question"); // standalone pages have none, and no such select
const dialogBody = document.getElementById("question-body");
let asked = null; // the form whose question the dialog asks, from the request for it on
let isLeaving = false;

function keepQuestion(event) {
  const { xhr, pathInfo } = event.detail;
  const question = xhr.getResponseHeader("HX-Redirect");
  if (!question) return;
  event.preventDefault();
  event.detail.keepIndicators = !isSelect(event.target); // as htmx does: on the way to a page, buttons stay disabled
  questions.set(pathInfo.requestPath, { form: event.target, question });
}

function ask() {
  if (sent || asked || !questions.size) return;
  const [path, first] = [...questions].find(([, { form }]) => isSelect(form)) ?? [];
  if (first) {
    questions.delete(path);
    askHere(first);
    return;
  }
  const pages = [...questions.values()].map(({ question }) => question);
  const address = pages.reduceRight((after, question) => {
    const url = new URL(question, location.href);
    url.searchParams.set("next", after);
    return url.pathname + url.search;
  });
  questions.clear();
  leave(true);
  location.assign(address);
}

// The form in the dialog replaces the same parts of the page as that of the select would have done.
const REPLACES = ["hx-target", "hx-select", "hx-swap", "hx-select-oob"];

async function askHere({ form, question }) {
  asked = form;
  await htmx.ajax("GET", question, { source: dialog, target: dialogBody, select: "#loss" }).catch(() => {});
  if (dialogBody.querySelector("form")) {
    dialog.showModal();
  } else { // it can't be asked here, or need not be asked any more
    leave(true);
    location.assign(question);
  }
}

dialogBody?.addEventListener("htmx:afterSwap", () => {
  const answer = dialogBody.querySelector("form");
  if (!answer) return;
  for (const name of REPLACES) answer.setAttribute(name, asked.getAttribute(name));
  answer.setAttribute("hx-post", answer.getAttribute("action"));
  htmx.process(answer);
});

dialog?.addEventListener("click", (event) => {
  if (!event.target.matches("[data-cancels]")) return;
  event.preventDefault();
  dialog.close();
});

dialog?.addEventListener("close", () => {
  asked = null;
  for (const part of dialog.children) part.replaceChildren();
  ask();
});

function leave(really) {
  isLeaving = really;
  document.getElementById("main").inert = isLeaving; // choices made from now on would be lost
}

// When the browser restores the page from its back/forward cache.
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  leave(false);
  if (sent) end(false);
});

// What waits would be lost with the page.
addEventListener("beforeunload", (event) => next.size && !isLeaving && event.preventDefault());
