// Shows the forms with data-passkey, and fills in what the browser returns for a passkey. The browser asks for the
// finger, face or PIN. `webauthnJSON` is allauth's: it converts between JSON and bytes.

const CANCELLED = "No passkey was used. Try again, or choose another way.";
const MESSAGES = {
  InvalidStateError: "This device already has a passkey for your account.",
  SecurityError: "Passkeys don't work at this web address. They need https and a name, not a number.",
  NetworkError: "The server could not be reached. Check your connection and try again.",
};

async function optionsFor(form) {
  const given = document.getElementById("passkey-options");
  if (given) return JSON.parse(given.textContent);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) throw new DOMException("", "NetworkError");
  return (await answer.json()).request_options;
}

async function send(form) {
  const button = form.querySelector("button");
  const alert = form.querySelector(".bad-text");
  alert.hidden = button.disabled = true;
  try {
    const credential = await webauthnJSON[form.dataset.passkey](await optionsFor(form));
    form.elements.credential.value = JSON.stringify(credential);
    form.submit();
  } catch (error) {
    alert.textContent = MESSAGES[error.name] ?? CANCELLED;
    alert.hidden = button.disabled = false;
    button.focus();
  }
}

const isSupported = isSecureContext && webauthnJSON.supported();
for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.hidden = !isSupported;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}
for (const note of document.querySelectorAll("[data-passkey-unsupported]")) note.hidden = isSupported;
