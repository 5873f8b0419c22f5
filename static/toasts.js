// Messages are toasts, fixed to the window. They stay long enough to be read, and longer while they are pointed at or
// have the focus; errors stay until they are dismissed. Without scripts, messages are notes at the top of the page.

const SECONDS = 8;
const SECONDS_AFTER_HOVER = 2;
const SHOWN_AT_MOST = 3;
const WANTED = ":hover, :focus-within";

const toasts = document.getElementById("messages");

function show(toast) {
  toast.append(closeButton(toast));
  if (toast.dataset.seconds) toast.prepend(countdown());
  if (!toast.matches(".bad")) dismissLater(toast);
  const dated = [...toasts.children].filter((each) => !each.matches(`.bad, ${WANTED}`));
  dated.slice(0, -SHOWN_AT_MOST).forEach((each) => each.remove());
}

function closeButton(toast) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "close";
  button.ariaLabel = "Dismiss";
  button.addEventListener("click", () => dismiss(toast));
  return button;
}

// The stylesheet draws the seconds: if they were text, a screen reader would read out each of them.
function countdown() {
  const ring = document.createElement("span");
  ring.className = "countdown";
  ring.ariaHidden = "true";
  return ring;
}

function dismissLater(toast) {
  const total = Number(toast.dataset.seconds ?? 0);
  const began = Date.now();
  let stay = Math.max(total, SECONDS);
  const ring = toast.querySelector(".countdown");
  const tick = () => {
    if (!toast.isConnected) return clearInterval(timer);
    const isWanted = document.hidden || toast.matches(WANTED);
    stay = isWanted ? Math.max(stay - 1, SECONDS_AFTER_HOVER) : stay - 1;
    drawCountdown(ring, total - (Date.now() - began) / 1000, total);
    if (stay <= 0) dismiss(toast);
  };
  const timer = setInterval(tick, 1000);
  drawCountdown(ring, total, total);
}

function drawCountdown(ring, left, total) {
  if (!ring) return;
  ring.dataset.left = Math.max(0, Math.round(left));
  ring.style.setProperty("--left", Math.max(0, left / total));
}

function dismiss(toast) {
  const hadFocus = toast.contains(document.activeElement);
  toast.remove();
  if (hadFocus) focusMain();
}

function focusMain() {
  document.getElementById("main").focus({ preventScroll: true });
}

if (toasts) {
  // What has been undone can't be undone again, whether by its toast or in the history.
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const forms = [...toasts.querySelectorAll("form")];
    const toast = forms.find((form) => form.getAttribute("action") === detail.requestConfig.path)?.closest(".note");
    if (!detail.successful || !toast) return;
    toast.remove();
    if (document.activeElement === document.body) focusMain(); // the button had the focus
  });
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) [...addedNodes].filter((node) => node.matches?.(".note")).forEach(show);
  }).observe(toasts, { childList: true });
  toasts.append(...toasts.children); // screen readers read out added messages, not those that were there on load
}
