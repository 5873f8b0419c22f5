// Keys for the whole product, and the palette that finds leads, deals, pages and actions (crm/finding/_palette.html).
// The server sends the list; here the arrows move in it. Without scripts, the search in the top bar leads to a page.

const palette = document.getElementById("palette");
const keys = document.getElementById("keys");
const field = document.getElementById("palette-search");
const list = document.getElementById("palette-list");
const options = () => [...list.querySelectorAll("[role=option]")];
const active = () => list.querySelector("[aria-selected=true]");

function open() {
  palette.showModal();
  field.select();
  field.dispatchEvent(new Event("input", { bubbles: true })); // lists the pages and actions, or what is still typed
}

function choose(option) {
  active()?.setAttribute("aria-selected", "false");
  if (option) {
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", option.id);
  } else {
    field.removeAttribute("aria-activedescendant");
  }
}

function move(step) {
  const all = options();
  if (all.length) choose(all.at((all.indexOf(active()) + step) % all.length));
}

const actions = {
  "/": open,
  "?": () => keys.showModal(),
  c: () => { if (palette.dataset.addLead) location.assign(palette.dataset.addLead); },
};

// None works while someone types, nor with a modifier: those combinations belong to the browser, but for Ctrl-K, and for
// Ctrl-Z where there is no text to undo. After a choice in a select, which takes letters, the select has the focus.
const isTyping = (target) => target.closest?.("input, textarea, select, [contenteditable]");
const hasText = (target) => target.closest?.("input:not([type=checkbox], [type=radio]), textarea, [contenteditable]");
const withCtrl = {
  k: () => open,
  z: (target) => !hasText(target) && lastUndo(),
};

// That of the last toast that offers one (toasts.js): by Tab, it is far from what has just been changed. If there is none
// any more, that of the newest change in the history that still waits.
function lastUndo() {
  const inToast = [...document.querySelectorAll("#messages [data-undo]:enabled")].at(-1);
  const button = inToast ?? document.querySelector("#timeline [data-undo]:enabled");
  return button && (() => button.click());
}

if (palette) { // standalone pages have none
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.repeat || document.querySelector("dialog[open]")) return;
    const isCtrl = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    const hasModifier = event.ctrlKey || event.metaKey || event.altKey;
    const action = isCtrl
      ? withCtrl[event.key?.toLowerCase()]?.(event.target)
      : !hasModifier && !isTyping(event.target) && actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens-palette]");
    if (!opener || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });

  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(active() ? -1 : 0);
    else if (event.key === "Enter" && active()) active().click();
    else return;
    event.preventDefault();
  });
  palette.addEventListener("htmx:afterSwap", () => choose(field.value ? options()[0] : null));
  for (const dialog of [palette, keys]) {
    dialog.addEventListener("click", ({ target }) => { if (target === dialog) dialog.close(); }); // a click outside it
  }
  addEventListener("pageshow", ({ persisted }) => { if (persisted) palette.close(); });
}
