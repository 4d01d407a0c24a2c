"use strict";
// Choosers, tooltips, the legend of the maps, sorting and the theme. The page is complete and legible without it.
(() => {
  const root = document.documentElement;
  const tip = document.getElementById("tip");
  const rows = JSON.parse(document.getElementById("map-rows").textContent);
  root.classList.add("scripted");

  // ---- theme ----
  const theme = document.getElementById("theme");
  const isDark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
  nameTheme();

  // ---- choosers: the value of the control is the id of the panel to show ----
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-choice]")) return;
    const chosen = document.getElementById(event.target.value);
    for (const panel of chosen.parentElement.children) {
      if (panel.classList.contains("panel")) panel.classList.toggle("chosen", panel === chosen);
    }
    hide();
  });

  // ---- tooltips ----
  function write(mark) {
    tip.replaceChildren();
    if (mark.dataset.row === undefined) {
      tip.textContent = mark.dataset.tip;
      return;
    }
    const row = rows[Number(mark.dataset.row)];
    if (row.label !== null) tip.appendChild(document.createElement("b")).textContent = row.label;
    if (row.png) {
      const picture = tip.appendChild(document.createElement("img"));
      picture.alt = "";
      picture.addEventListener("load", () => picture.classList.toggle("fine", picture.naturalWidth > 88));
      picture.src = `data:image/png;base64,${row.png}`;
    }
    tip.append(row.text ?? (row.label === null && !row.png ? `row ${mark.dataset.row}` : ""));
  }

  function unmark() {
    for (const mark of document.querySelectorAll("svg .on")) mark.classList.remove("on");
  }

  // A plot that loses the focus must not take away the tooltip of the plot that was touched.
  let owner = null;
  function show(mark) {
    unmark();
    owner = mark.closest(".plot") ?? mark;
    if (mark.dataset.row !== undefined) ringEverywhere(mark.dataset.row);
    else if (mark.closest("svg")) mark.classList.add("on");
    write(mark);
    tip.hidden = false;
    const box = mark.getBoundingClientRect();
    const width = tip.offsetWidth, height = tip.offsetHeight;
    const left = Math.min(Math.max(8, box.left + box.width / 2 - width / 2), root.clientWidth - width - 8);
    const above = box.top - height - 12;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 50 ? above : box.bottom + 12}px`;
  }

  function hide() {
    unmark();
    tip.hidden = true;
  }

  // The same row is ringed in every map, so that the eye can follow it from model to model.
  function ringEverywhere(row) {
    for (const map of document.querySelectorAll("svg.map")) {
      const mark = map.querySelector(`[data-row="${row}"]`);
      if (!mark) continue;
      const ring = map.querySelector(".ring");
      ring.setAttribute("cx", mark.getAttribute("cx"));
      ring.setAttribute("cy", mark.getAttribute("cy"));
      ring.classList.add("on");
    }
  }

  const REACH = 26; // pixels: about a fingertip
  function nearest(marks, x, y) {
    let best = null, least = REACH;
    for (const mark of marks) {
      if (mark.classList.contains("dim")) continue;
      const box = mark.getBoundingClientRect();
      const across = Math.max(box.left - x, 0, x - box.right), down = Math.max(box.top - y, 0, y - box.bottom);
      const distance = Math.hypot(across, down) + Math.hypot(x - box.left - box.width / 2, y - box.top - box.height / 2) / 1e3;
      if (distance < least) { best = mark; least = distance; }
    }
    return best;
  }

  // Left and right walk by where marks lie across, up and down by where they lie in height.
  function neighbour(marks, current, key) {
    const across = key === "ArrowLeft" || key === "ArrowRight";
    const place = (mark) => {
      const box = mark.getBoundingClientRect();
      return across ? box.left : -box.top;
    };
    const order = [...marks].sort((a, b) => place(a) - place(b));
    const step = key === "ArrowRight" || key === "ArrowUp" ? 1 : -1;
    return order[Math.min(order.length - 1, Math.max(0, order.indexOf(current) + step))];
  }

  for (const plot of document.querySelectorAll(".plot[tabindex]")) {
    const marks = plot.querySelectorAll("[data-tip], [data-row]");
    let current = marks[0];
    const point = (event) => {
      const found = nearest(marks, event.clientX, event.clientY);
      if (found) { current = found; show(found); } else hide();
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    plot.addEventListener("focus", () => { if (plot.matches(":focus-visible")) show(current); });
    plot.addEventListener("blur", () => { if (owner === plot) hide(); });
    plot.addEventListener("keydown", (event) => {
      if (!event.key.startsWith("Arrow")) return;
      event.preventDefault();
      current = neighbour(marks, current, event.key);
      show(current);
    });
  }
  for (const word of document.querySelectorAll("button[data-tip]")) {
    word.addEventListener("pointerenter", () => show(word));
    word.addEventListener("pointerleave", hide);
    word.addEventListener("focus", () => show(word));
    word.addEventListener("blur", () => { if (owner === word) hide(); });
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest(".plot, [data-tip]")) hide(); });
  document.addEventListener("scroll", hide, { passive: true, capture: true });

  // Small images keep hard pixels; images that are shown smaller than they are must be smoothed.
  addEventListener("load", () => {
    for (const image of document.images) image.classList.toggle("fine", image.naturalWidth > 52);
  });

  // ---- the legend of the maps: press a class to single it out, press again to let all back ----
  for (const key of document.querySelectorAll("[data-only]")) {
    key.addEventListener("click", () => {
      const single = key.getAttribute("aria-pressed") !== "true";
      for (const other of document.querySelectorAll("[data-only]")) {
        other.setAttribute("aria-pressed", String(single && other === key));
      }
      for (const mark of document.querySelectorAll(".map [data-row]")) {
        mark.classList.toggle("dim", single && mark.classList.value.replace(" dim", "") !== key.dataset.only);
      }
    });
  }

  // ---- sorting: numbers by value, what has no number always last ----
  const table = document.getElementById("all-numbers");
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => {
      const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      const value = (row) => {
        const shown = row.cells[column].dataset.value;
        return shown === undefined ? Infinity : direction * Number(shown);
      };
      for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => value(a) - value(b) || 0));
    });
  });
})();
