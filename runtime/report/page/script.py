"""The pages' scripts, and the policy that lets a page run its own and no other.

Without them a page says the same: slices are then the middle ones, and the index is not sorted.
"""

from __future__ import annotations

import base64
import hashlib

SLICES = """
"use strict";
(() => {
  const root = document.getElementById("slices");
  const views = [...root.querySelectorAll(".view")].map((box) => ({
    box, facts: JSON.parse(box.dataset.facts), range: box.parentNode.querySelector("input"),
    says: box.parentNode.querySelector("output"), layers: [...box.querySelectorAll("i")],
  }));
  const part = (i, n) => (n > 1 ? (100 * i) / (n - 1) : 0) + "%";
  const place = {};
  const draw = () => {
    for (const {box, facts, range, says, layers} of views) {
      const i = Number(range.value), row = Math.floor(i / facts.columns);
      const at = part(i % facts.columns, facts.columns) + " " + part(row, facts.rows);
      for (const layer of layers) layer.style.backgroundPosition = at;
      says.textContent = facts.axis + " = " + (Math.round(facts.mm[i]) || 0) + " mm";
      range.setAttribute("aria-valuetext", says.textContent);
      place[facts.axis] = facts.mm[i];
    }
    for (const {box, facts} of views) {
      const [across, up] = facts.others;
      box.querySelector(".v").style.left =
        (100 * (facts.left - place[across])) / facts.width + "%";
      box.querySelector(".h").style.top = (100 * (facts.top - place[up])) / facts.height + "%";
    }
  };
  const nearest = (list, mm) =>
    list.reduce((best, v, i) => (Math.abs(v - mm) < Math.abs(list[best] - mm) ? i : best), 0);
  const go = (axis, mm) => {
    const view = views.find((v) => v.facts.axis === axis);
    view.range.value = nearest(view.facts.mm, mm);
  };
  for (const {box, facts, range} of views) {
    range.addEventListener("input", draw);
    box.addEventListener("click", (event) => {
      const size = box.getBoundingClientRect();
      const x = (event.clientX - size.left) / size.width;
      const y = (event.clientY - size.top) / size.height;
      go(facts.others[0], facts.left - x * facts.width);
      go(facts.others[1], facts.top - y * facts.height);
      range.focus({preventScroll: true});
      draw();
    });
  }
  for (const choice of root.querySelectorAll("fieldset input")) {
    choice.addEventListener("change", () => {
      for (const layer of root.querySelectorAll("i[data-layer]"))
        layer.hidden = layer.dataset.layer !== choice.value;
      for (const text of root.querySelectorAll("div[data-layer]"))
        text.hidden = text.dataset.layer !== choice.value;
    });
  }
  root.hidden = false;
  draw();
})();
"""

INDEX = """
"use strict";
(() => {
  const table = document.querySelector(".list"), body = table.tBodies[0];
  const rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const text = document.getElementById("find"), verdict = document.getElementById("verdict");
  const order = document.getElementById("order"), count = document.getElementById("count");
  const filter = () => {
    const words = text.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const said = row.textContent.toLowerCase();
      row.hidden = !(words.every((w) => said.includes(w)) &&
        (!verdict.value || row.dataset.verdict === verdict.value));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = shown + " of " + rows.length + " scans";
  };
  const sort = (column, down) => {
    const key = (row) => row.cells[column].dataset.key;
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const [p, q] = [Number(x), Number(y)];
      const by = Number.isNaN(p) || Number.isNaN(q)
        ? x.localeCompare(y, undefined, {numeric: true}) : p - q;
      return down ? -by : by;
    };
    body.append(...rows.sort(compare));
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    order.value = column + (down ? "d" : "a");
  };
  heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () =>
    sort(i, head.getAttribute("aria-sort") === "ascending")));
  text.addEventListener("input", filter);
  verdict.addEventListener("change", filter);
  order.addEventListener("change", () =>
    sort(parseInt(order.value, 10), order.value.endsWith("d")));
  document.querySelector(".tools").hidden = false;
  filter();
})();
"""


def policy(*scripts: str) -> str:
    """A content security policy: pictures inside the page, its styles, these scripts; no more."""
    rules = ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"]
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    if digests:
        rules.append("script-src " + " ".join(f"'sha256-{digest}'" for digest in digests))
    return "; ".join([*rules, "base-uri 'none'", "form-action 'none'"])
