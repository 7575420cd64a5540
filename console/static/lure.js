// Tells that a hand moved: a machine that follows links has none. Nothing else is sent.
"use strict";
(() => {
  const path = document.body.dataset.hand;
  let told = !path;
  const tell = (e) => {
    if (told || !e.isTrusted) return;
    told = true;
    fetch(path, { method: "POST", keepalive: true, credentials: "omit" }).catch(() => {});
  };
  for (const what of ["pointermove", "pointerdown", "touchstart", "keydown", "wheel"]) addEventListener(what, tell, { passive: true });
})();
