"""The page's script: sends what is dropped, follows the jobs, shows a report in place.

Nothing of a scan is kept in the browser, and the token for as long as the tab is open. All that
others wrote is put into the page as text; a report runs in a frame without an origin.
"""

SCRIPT = """
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const root = $("page").dataset.root, stages = JSON.parse($("page").dataset.stages);
  const words = {queued: "Waiting", running: "Running", done: "Done", failed: "Failed"};
  let token = sessionStorage.getItem("fmtool-token") || "";
  let mine = "", busy = false, timer = 0;

  const say = (text, bad = false) => {
    if ($("said").textContent !== text) $("said").textContent = text;
    $("said").classList.toggle("bad", bad);
  };
  const headers = () => (token ? {Authorization: "Bearer " + token} : {});
  const locked = (wrong) => {
    $("login").hidden = false;
    say(wrong ? "The token is wrong: enter the service's token." :
      "The service asks for its token.", wrong);
    $("token").focus();
  };
  const refused = (status, text) => {
    let detail = "";
    try { detail = JSON.parse(text).detail; } catch {}
    return new Error(typeof detail === "string" && detail ? detail :
      "the service answered " + status);
  };
  const ask = async (path) => {
    let answer;
    try {
      answer = await fetch(root + path, {headers: headers(), cache: "no-store"});
    } catch {
      throw new Error("the service does not answer; trying again");
    }
    if (answer.status === 401) {
      locked(token !== "");
      throw null;
    }
    if (!answer.ok) throw refused(answer.status, await answer.text());
    return answer;
  };

  const row = (job) => {
    let line = $("job-" + job.id);
    if (!line) {
      line = $("line").content.firstElementChild.cloneNode(true);
      line.id = "job-" + job.id;
      line.querySelector("button").addEventListener("click", () => show(job.id, true));
    }
    const [time, state, text, button] = line.children;
    time.dateTime = job.added;
    time.textContent = new Date(job.added).toLocaleString();
    state.textContent = words[job.state];
    state.className = "chip " + ({done: "ok", failed: "bad"}[job.state] || "");
    text.textContent = job.error || (job.state === "running" && stages[job.stage]) || "";
    button.hidden = job.state !== "done";
    button.setAttribute("aria-label", "Read the report of " + time.textContent);
    return line;
  };
  const steps = (job) => {
    const names = Object.keys(stages), at = names.indexOf(job.stage);
    $("steps").hidden = job.state !== "running";
    [...$("steps").children].forEach((item, i) => {
      item.className = "chip " + (i < at ? "ok" : i === at ? "warn" : "");
      if (i === at) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
  };
  const refresh = async () => {
    clearTimeout(timer);
    let wait = 0;
    try {
      const {jobs} = await (await ask("/v1/scans")).json();
      const lines = jobs.map(row), list = $("list");
      // In place, so that the focus stays where it is.
      for (const old of [...list.children]) if (!lines.includes(old)) old.remove();
      lines.forEach((line, i) => {
        if (list.children[i] !== line) list.insertBefore(line, list.children[i] || null);
      });
      $("none").hidden = jobs.length > 0;
      $("login").hidden = true;
      const job = jobs.find((one) => one.id === mine);
      if (job && !busy) {
        steps(job);
        if (job.state === "done" || job.state === "failed") mine = "";
        if (job.state === "done") await show(job.id, false);
        else say(job.state === "failed" ? "Failed: " + job.error :
          job.state === "running" ? "Running: " + (stages[job.stage] || "begun") :
          "Waiting for its turn.", job.state === "failed");
      } else if ($("said").textContent.endsWith("trying again")) say("");
      if (jobs.some((one) => one.state === "queued" || one.state === "running")) wait = 700;
    } catch (error) {
      if (error) {
        say(error.message, true);
        wait = 2000;
      }
    }
    if (wait) timer = setTimeout(refresh, wait);
  };
  const show = async (id, focus) => {
    try {
      $("frame").srcdoc = await (await ask("/v1/scans/" + id + "/report")).text();
      $("report").hidden = false;
      if (focus) $("answer").focus();
      else say("Done: the report is below.");
    } catch (error) {
      if (error) say(error.message, true);
    }
  };

  const crcs = Uint32Array.from({length: 256}, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n >>> 0;
  });
  const crc32 = (bytes) => {
    let crc = -1;
    for (const byte of bytes) crc = (crc >>> 8) ^ crcs[(crc ^ byte) & 255];
    return ~crc >>> 0;
  };
  const numbers = (...pairs) => {
    const view = new DataView(new ArrayBuffer(pairs.reduce((sum, [, size]) => sum + size, 0)));
    let at = 0;
    for (const [value, size] of pairs) {
      size === 4 ? view.setUint32(at, value, true) : view.setUint16(at, value, true);
      at += size;
    }
    return view;
  };
  // A zip of stored files, called by their numbers: names may say who the patient is.
  const zip = async (files) => {
    const total = files.reduce((sum, file) => sum + file.size, 0);
    if (files.length > 65000 || total > 4e9) throw new Error("the folder is too large: send a zip");
    const parts = [], index = [];
    let offset = 0;
    for (const [i, file] of files.entries()) {
      const name = new TextEncoder().encode(i + 1 + ".dcm");
      const crc = crc32(new Uint8Array(await file.arrayBuffer()));
      const about = [[20, 2], [0, 2], [0, 2], [0, 2], [33, 2], [crc, 4], [file.size, 4],
        [file.size, 4], [name.length, 2], [0, 2]];
      parts.push(numbers([0x04034b50, 4], ...about), name, file);
      index.push(numbers([0x02014b50, 4], [20, 2], ...about, [0, 2], [0, 2], [0, 2], [0, 4],
        [offset, 4]), name);
      offset += 30 + name.length + file.size;
    }
    const size = index.reduce((sum, part) => sum + part.byteLength, 0), n = files.length;
    const end = numbers([0x06054b50, 4], [0, 2], [0, 2], [n, 2], [n, 2], [size, 4], [offset, 4],
      [0, 2]);
    return new Blob([...parts, ...index, end]);
  };
  const files = async (entry) => {
    if (entry.isFile) return [await new Promise((good, bad) => entry.file(good, bad))];
    const reader = entry.createReader(), found = [];
    for (;;) {  // a reader gives a hundred at a time
      const some = await new Promise((good, bad) => reader.readEntries(good, bad));
      if (!some.length) return found;
      for (const one of some) found.push(...(await files(one)));
    }
  };
  const post = (body) => new Promise((good, bad) => {
    const request = new XMLHttpRequest();
    request.open("POST", root + "/v1/scans");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      $("sent").value = event.loaded / event.total;
    };
    request.onload = () => request.status === 202 ? good(JSON.parse(request.responseText).id) :
      request.status === 401 ? (locked(token !== ""), bad(null)) :
      bad(refused(request.status, request.responseText));
    request.onerror = () => bad(new Error("the service went away; send it again"));
    request.send(body);
  });
  const send = async (found) => {
    if (busy) return;
    busy = true;
    mine = "";
    $("steps").hidden = true;
    try {
      const all = (await found).filter((file) => file.size && !file.name.startsWith("."));
      if (!all.length) throw new Error("there is no file in it");
      $("sent").value = 0;
      $("sent").hidden = false;
      say("Sending.");
      mine = await post(all.length === 1 ? all[0] : await zip(all));
      say("Sent.");
    } catch (error) {
      if (error) say("Not taken: " + error.message, true);
    }
    $("sent").hidden = true;
    busy = false;
    if (mine) await refresh();
  };

  for (const name of ["file", "folder"]) {
    $(name).addEventListener("change", (event) => {
      const chosen = [...event.target.files];
      event.target.value = "";  // the same again is a change, too
      if (chosen.length) send(chosen);
    });
  }
  const over = (event) => {
    event.preventDefault();  // or the browser opens the file
    $("drop").classList.toggle("over", event.type === "dragover");
  };
  for (const kind of ["dragover", "dragleave", "drop"]) addEventListener(kind, over);
  addEventListener("drop", (event) => {
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry());
    const every = entries.filter(Boolean).map(files);
    if (every.length) send(Promise.all(every).then((lists) => lists.flat()));
  });
  $("login").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = $("token").value.trim();
    if (!/^[!-~]+$/.test(given)) return locked(true);
    token = given;
    sessionStorage.setItem("fmtool-token", token);
    $("token").value = "";
    say("");
    refresh();
  });
  $("page").hidden = false;
  refresh();
})();
"""
