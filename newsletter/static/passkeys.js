// Shows the forms that a passkey fills in, where the browser knows passkeys, and fills them in when they are pressed.
(() => {
  "use strict";
  if (!window.PublicKeyCredential || !navigator.credentials) return;

  const octets = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-")
      .replace(/\//g, "_")
      .replace(/=+$/, "");
  const known = (list) => (list || []).map((one) => ({ ...one, id: octets(one.id) }));

  const asked = (prompt, create) => {
    const options = { ...prompt, challenge: octets(prompt.challenge) };
    if (!create) return { publicKey: { ...options, allowCredentials: known(prompt.allowCredentials) } };
    const user = { ...prompt.user, id: octets(prompt.user.id) };
    return { publicKey: { ...options, user, excludeCredentials: known(prompt.excludeCredentials) } };
  };

  const answered = (credential) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
      if (credential.response[name]) response[name] = text(credential.response[name]);
    return JSON.stringify({
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      response,
      clientExtensionResults: {},
    });
  };

  const words = {
    NotAllowedError: "Nothing came from the passkey. Nothing was changed; press again when you are ready.",
    InvalidStateError: "This device has a passkey for you already. Nothing was changed.",
    SecurityError: "This page is not at the address that passkeys are for. Nothing was changed.",
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const create = form.dataset.passkey === "create";
    const field = form.elements.passkey || form.elements.proof_passkey;
    const failed = form.querySelector("[data-failed]");
    const button = form.querySelector("button");
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      failed.hidden = true;
      button.disabled = true;
      try {
        const options = asked(JSON.parse(form.dataset.prompt), create);
        field.value = answered(await navigator.credentials[create ? "create" : "get"](options));
        form.submit();
      } catch (error) {
        failed.textContent = words[error.name] || "That did not work in this browser. Nothing was changed.";
        failed.hidden = false;
        button.disabled = false;
      }
    });
  }
  for (const notice of document.querySelectorAll("[data-without-passkeys]")) notice.hidden = true;
})();
