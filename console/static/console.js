// What changes while one looks. The page is whole without this file.
"use strict";
(() => {
  const table = document.getElementById("live-table");
  if (!table || !window.EventSource) return;
  const body = table.tBodies[0];
  const chart = document.getElementById("live-chart");
  const alarm = document.getElementById("live-alert");
  const empty = document.getElementById("live-empty");
  const state = document.getElementById("live-state");
  const most = Number(table.dataset.rows);
  const show = (kind) => {
    state.textContent = state.dataset[kind];
    state.className = "state " + kind;
  };
  // The rows come from this server's own templates, in which every value is
  // escaped; the policy of the page allows no script in them.
  const place = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const rows = [...holder.content.querySelectorAll("tr")];
    for (const row of rows.reverse()) {
      const old = document.getElementById(row.id);
      if (old) {
        old.replaceWith(row);
        continue;
      }
      row.classList.add("fresh");
      body.prepend(row);
    }
    while (body.rows.length > most) body.deleteRow(-1);
    empty.hidden = body.rows.length > 0;
  };
  const events = new EventSource(table.dataset.events);
  events.addEventListener("hello", () => show("live"));
  events.addEventListener("accesses", (e) => {
    const data = JSON.parse(e.data);
    place(data.rows);
    chart.innerHTML = data.chart;
    const badge = document.getElementById("waiting");
    if (badge) {
      badge.textContent = data.waiting;
      badge.hidden = !data.waiting;
    }
    if (alarm.innerHTML !== data.alert) alarm.innerHTML = data.alert;
  });
  events.addEventListener("ended", () => {
    events.close();
    show("ended");
  });
  events.onerror = () => show(events.readyState === EventSource.CLOSED ? "ended" : "lost");
})();

// The incident room: each block is put into place when it changed, unless
// somebody is at work in it.
(() => {
  const room = document.getElementById("room");
  if (!room || !window.EventSource) return;
  const state = document.getElementById("room-state");
  const show = (kind) => {
    state.textContent = state.dataset[kind];
    state.className = "state noprint " + kind;
  };
  const busy = (block) =>
    block.contains(document.activeElement) ||
    block.querySelector("details[open]") !== null ||
    [...block.querySelectorAll("input:not([type=hidden]):not([type=radio]):not([type=checkbox]), textarea")].some((f) => f.value !== f.defaultValue);
  const later = new Map();
  const place = (name, html) => {
    const block = document.getElementById("room-" + name);
    if (!block) return;
    if (busy(block)) {
      later.set(name, html);
      return;
    }
    later.delete(name);
    if (block.innerHTML !== html) block.innerHTML = html;
  };
  const events = new EventSource(room.dataset.events);
  events.addEventListener("hello", () => show("live"));
  events.addEventListener("room", (e) => {
    for (const [name, html] of Object.entries(JSON.parse(e.data))) place(name, html);
  });
  events.addEventListener("beat", () => {
    for (const [name, html] of [...later]) place(name, html);
  });
  events.addEventListener("ended", () => {
    events.close();
    show("ended");
  });
  events.onerror = () => show(events.readyState === EventSource.CLOSED ? "ended" : "lost");
})();

// A part of a page that the server keeps up to date.
(() => {
  const part = document.querySelector("[data-stream]");
  if (!part || !window.EventSource) return;
  const events = new EventSource(part.dataset.stream);
  events.addEventListener("part", (e) => {
    part.innerHTML = JSON.parse(e.data);
  });
})();

// Copies a text. Without a script a click on the text selects all of it.
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.classList.add("copied");
  });
}
