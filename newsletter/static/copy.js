// A button beside each code that is to be pasted elsewhere: puts it on the clipboard, and says so. Without this the code
// is selected and copied by hand.
(() => {
  "use strict";
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const from = document.getElementById(button.dataset.copy);
    const said = button.parentElement.querySelector("[role=status]");
    if (!from || !said) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(from.value);
        said.textContent = "Copied.";
      } catch {
        from.focus();
        from.select();
        said.textContent = "It is selected; copy it with the keyboard.";
      }
    });
  }
})();
