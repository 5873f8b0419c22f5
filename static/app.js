// Everything works without this file. It closes menus and reports failed requests.
"use strict";

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A period and dates exclude each other: whichever was changed last counts.
document.addEventListener("change", ({ target }) => {
  const { period, since, until } = target.form?.elements ?? {};
  if (!period || !since) return;
  if (target === since || target === until) period.value = "";
  if (target === period && period.value) since.value = until.value = "";
  if (target === period && !period.value && "unfolds" in period.dataset) period.form.querySelector(".more").open = true;
});

// A choice among many (forms/searchable_select.html): the field above the choices narrows them down, Enter in it takes
// the first one, and a click on one closes the list.
document.addEventListener("input", ({ target }) => {
  const list = target.type === "search" && target.closest("[data-searchable]");
  if (!list) return;
  const wanted = target.value.trim().toLowerCase();
  for (const label of list.querySelectorAll("label")) label.hidden = !label.textContent.toLowerCase().includes(wanted);
  for (const group of list.querySelectorAll(".choice-group")) group.hidden = !group.querySelector("label:not([hidden])");
  list.querySelector("[role=status]").hidden = Boolean(list.querySelector("label:not([hidden])"));
});
document.addEventListener("keydown", (event) => {
  const list = event.key === "Enter" && event.target.closest?.("[data-searchable]");
  if (!list) return;
  event.preventDefault();
  if (event.target.type === "search") list.querySelector("label:not([hidden]) input")?.click();
  list.hidePopover();
});
document.addEventListener("click", ({ target }) => {
  if (target.matches("[data-searchable] label, [data-searchable] label > span")) target.closest("[popover]").hidePopover();
});
document.addEventListener("change", (event) => {
  const list = event.target.closest("[data-searchable]");
  if (!list) return;
  if (event.target.type === "search") event.stopPropagation(); // htmx would ask for the list again
  else list.parentElement.querySelector("[data-chosen]").textContent = event.target.parentElement.textContent.trim();
}, true);
// Before it opens, not after: "toggle" fires later, and would clear what is typed meanwhile.
document.addEventListener("beforetoggle", ({ target, newState }) => {
  if (newState !== "open" || !target.matches("[data-searchable]")) return;
  const search = target.querySelector("[type=search]");
  search.value = "";
  search.dispatchEvent(new Event("input", { bubbles: true }));
}, true);

// A form with data-autosubmit reloads a filtered view as soon as its select changes. For a select that saves something,
// see quick_select.js.
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form?.matches("[data-autosubmit][method=get]")) form.requestSubmit();
  if (event.target.matches("[data-tick-all]")) {
    for (const box of document.querySelectorAll(`input[name="${event.target.dataset.tickAll}"]`)) box.checked = event.target.checked;
  }
});

// "All that match", not only those on this page, stays selected only while all on this page are selected.
document.addEventListener("change", ({ target }) => {
  const all = document.querySelector(".all-matching input");
  if (all && target.matches(".tick input") && !target.checked) all.checked = false;
});

// In a text of several lines, Enter starts a new line: Ctrl+Enter, or Cmd+Enter on a Mac, submits the form.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  if (event.target.matches("[data-ctrl-enter]")) event.target.form.requestSubmit();
});

// A detail that is edited in its row: Escape cancels, and Enter saves, even in a select.
document.addEventListener("keydown", (event) => {
  const form = event.target.closest?.("form[data-in-place]");
  if (!form) return;
  if (event.key === "Escape") form.querySelector("a").click();
  if (event.key === "Enter" && event.target.matches("select")) form.requestSubmit();
});

// A response that redraws the page leaves the rows being edited as they are, except the one whose request it answers.
// They are taken out of the document meanwhile, so that htmx doesn't clean them up.
let edited = [];
document.addEventListener("htmx:beforeSwap", ({ detail, target }) => {
  if (!detail.shouldSwap) return;
  edited = [...target.querySelectorAll(".editing")].filter((row) => !row.contains(detail.requestConfig.elt));
  edited.forEach((row) => row.remove());
});
document.addEventListener("htmx:afterSwap", () => {
  for (const row of edited.splice(0)) document.getElementById(row.id)?.replaceWith(row);
});

// If the session has ended, a request for suggestions doesn't reload the page, which would lose what was typed into the
// form. The form itself is submitted later, and filled in again.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (event.target.matches("input[list]") && event.detail.xhr.getResponseHeader("HX-Refresh")) event.preventDefault();
});

// Fills in what was typed into a form whose session had ended.
function fill(form, values) {
  for (const [name, given] of Object.entries(values)) {
    for (const field of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (field.type === "hidden") continue;
      if (field.type === "checkbox" || field.type === "radio") field.checked = given.includes(field.value);
      else field.value = given[0];
    }
  }
  for (const box of form.querySelectorAll("[type=checkbox]")) if (!(box.name in values)) box.checked = false;
}
const typed = JSON.parse(document.getElementById("typed")?.textContent ?? "null");
const forms = typed ? [...document.querySelectorAll("form[method=post]:not([data-quick-select])")] : [];
const typedInto = forms.find((form) => new URL(form.action, location).pathname === typed.action);
if (typedInto) {
  fill(typedInto, typed.values);
  document.getElementById("typed-note").hidden = false;
}

// Other requests lead to the sign-in page. There, and on the page after it, a note says that the change is not saved.
// The address carries that along: its fragment survives redirects, and never leaves the browser.
const SAVES_NOTHING = ".filters, .palette form, .doctor form, .rule-tools form";
const UNSAVED = "#unsaved";
document.addEventListener("htmx:beforeOnLoad", ({ target, detail: { xhr, requestConfig } }) => {
  const isKept = "X-Keep-Typed" in requestConfig.headers;
  if (!xhr.getResponseHeader("HX-Refresh") || requestConfig.verb !== "post" || isKept) return;
  if (!target.matches(SAVES_NOTHING)) location.hash = UNSAVED;
});
if (location.hash === UNSAVED) {
  const isSigningIn = document.body.matches(".alone");
  const note = document.createElement("p");
  note.id = "unsaved-note";
  note.className = "note wait";
  note.setAttribute("role", "status");
  note.textContent = `Your session had ended, so your last change was not saved. ${isSigningIn ? "Sign in, then make" : "Make"} it again.`;
  document.getElementById("main").prepend(note);
  if (isSigningIn) {
    for (const form of document.querySelectorAll("form[method=post]")) form.action += UNSAVED;
  } else {
    history.replaceState(null, "", location.pathname + location.search);
  }
}

// On a phone, the current tab may be out of view. (After scrollIntoView, Tab would begin there instead of at the top.)
const tab = document.querySelector(".tabs [aria-current]");
if (tab) tab.parentElement.scrollLeft = tab.getBoundingClientRect().right - tab.parentElement.getBoundingClientRect().right;

document.addEventListener("reset", ({ target }) => {
  if (target.matches(".bulk-bar")) document.querySelector("[data-tick-all]")?.focus({ preventScroll: true });
});

// Only the browser knows its time zone.
const zone = document.querySelector("select[data-guess-time-zone]");
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && [...zone.options].some((option) => option.value === own)) zone.value = own;

// Browsers don't scroll to an element whose edge is visible: on a phone, Tab would move through the second column of the
// board, the filters and the tabs with most of it out of view. Taps and clicks don't set :focus-visible, so nothing jumps
// under a finger.
document.addEventListener("focusin", ({ target }) => {
  if (target.parentElement?.closest(".scroll, .filters, .tabs") && target.matches(":focus-visible")) {
    target.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
});

// Live sections don't refresh while the page is hidden, or while the user has scrolled down, selected text, or checked
// or focused something in them.
document.addEventListener("htmx:beforeRequest", (event) => {
  const live = event.target;
  if (!live.matches?.("[data-live]")) return;
  const busy = live.contains(document.activeElement) || live.querySelector("input:checked") || !getSelection().isCollapsed || live.getBoundingClientRect().top < 0;
  if (document.hidden || busy) event.preventDefault();
});

function showError(text) {
  // Otherwise a section that refreshes every second would add the same error every second.
  const place = document.querySelector("#question[open] #question-errors") ?? document.getElementById("messages");
  for (const shown of place?.querySelectorAll(".note.bad") ?? []) if (shown.firstChild?.data === text) shown.remove();
  const note = document.createElement("div");
  note.className = "note bad";
  note.textContent = text;
  place?.append(note);
}
document.addEventListener("htmx:responseError", ({ detail: { xhr, requestConfig } }) => {
  const page = new DOMParser().parseFromString(xhr.responseText, "text/html"); // it may say what happened
  showError(page.querySelector("[data-toast]")?.textContent ?? (xhr.status === 403
    ? "You may not do that, or the page is out of date. Reload it and try again."
    : requestConfig.verb === "get" ? "This part of the page could not be shown. Reload the page."
    : "That did not work and nothing was changed. Reload the page and try again."));
});
document.addEventListener("htmx:sendError", () => showError("The server could not be reached. Check your connection and try again."));
