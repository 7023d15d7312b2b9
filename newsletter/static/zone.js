// Tells the sign-up form the browser's time zone, and marks the slot whose clock is nearest to the visitor's.
(() => {
  "use strict";
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  for (const field of document.querySelectorAll("input[name=zone]")) field.value = zone;

  const now = new Date();
  const minutesAt = (name) => {
    const there = new Date(now.toLocaleString("en-US", { timeZone: name }));
    return (there - new Date(now.toLocaleString("en-US", { timeZone: "UTC" }))) / 60000;
  };
  const distance = (option) => {
    if (option.dataset.zone === zone) return -1;
    return Math.abs(minutesAt(option.dataset.zone) + now.getTimezoneOffset());
  };
  for (const choice of document.querySelectorAll("select[data-guess]")) {
    delete choice.dataset.guess; // once; what the visitor chooses stays
    try {
      const shown = choice.selectedOptions[0];
      const nearest = [...choice.options].sort((a, b) => distance(a) - distance(b))[0];
      if (distance(nearest) < distance(shown)) choice.value = nearest.value;
    } catch {
      // a zone that this browser does not know: the default stays
    }
  }
})();
