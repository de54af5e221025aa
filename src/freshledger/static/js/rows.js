/* Tables whose rows can be walked and selected.

     table[data-rows]                 its <tr data-row="id"> are walked with j and k
     input[data-select]               a row's checkbox; Shift selects a range
     input[data-select-all]           all rows of the page
     #bulk (.bulkbar)                 shown while rows are selected; [data-bulk-count] tells how many
     input[data-bulk-every]           "all N matches" instead of the selected rows
     a[data-row-link]                 what Enter opens
     a[data-edit="label"]             puts <template id="edit-label">, a popover, into its row; the
                                      row's address, version, txid… are filled in. In a row that
                                      has the focus its first letter does the same
     input[data-known="id"]           completed by that <datalist>, fetched from its data-from

   The selection is kept by row id and put back after rows were fetched again. */
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const chosen = new Set();
  let last = null;

  const boxes = () => all("input[data-select]");
  const rowOf = (node) => node.closest("tr[data-row]");

  const show = () => {
    const present = boxes();
    for (const box of present) rowOf(box)?.toggleAttribute("data-selected", box.checked);
    const on = present.filter((box) => box.checked).length;
    for (const box of all("input[data-select-all]")) {
      box.checked = on > 0 && on === present.length;
      box.indeterminate = on > 0 && on < present.length;
    }
    const bar = $("#bulk");
    if (!bar) return;
    const every = $("input[data-bulk-every]", bar);
    if (every && on < present.length) every.checked = false;
    bar.toggleAttribute("data-active", on > 0);
    bar.toggleAttribute("data-complete", on > 0 && on === present.length);
    for (const text of all("[data-bulk-count]", bar)) {
      text.textContent = every?.checked ? every.dataset.bulkEvery : String(on);
    }
  };

  const keep = (box) => {
    if (box.checked) chosen.add(box.value);
    else chosen.delete(box.value);
  };

  const range = (box) => {
    const present = boxes();
    const [from, to] = [present.indexOf(last), present.indexOf(box)].sort((a, b) => a - b);
    for (const other of present.slice(Math.max(from, 0), to + 1)) {
      other.checked = box.checked;
      keep(other);
    }
  };

  const clear = () => {
    chosen.clear();
    for (const box of boxes()) box.checked = false;
    show();
  };

  const restore = () => {
    const present = boxes();
    for (const box of present) box.checked = chosen.has(box.value);
    chosen.clear();
    for (const box of present) if (box.checked) chosen.add(box.value);
    show();
  };

  document.addEventListener("click", (event) => {
    const box = event.target.closest("input[data-select]");
    if (box) {
      if (event.shiftKey && last?.isConnected) range(box);
      keep(box);
      last = box;
      show();
    } else if (event.target.closest("[data-bulk-clear]")) {
      clear();
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("input[data-select-all]")) {
      for (const box of boxes()) {
        box.checked = event.target.checked;
        keep(box);
      }
      show();
    } else if (event.target.matches("input[data-bulk-every]")) {
      show();
    }
  });

  document.addEventListener("htmx:afterSettle", restore);
  addEventListener("pageshow", () => {
    for (const box of boxes()) keep(box);
    show();
  });

  /* Editors: a link of a row opens a popover in its place; without a script it is a link. */

  const closeEditors = () => {
    for (const popover of all("[data-editor]")) popover.remove();
  };

  const urlOf = (row) => `${row.closest("table").dataset.base}/${row.dataset.row}`;

  // What a row is about, as it is shown in it; undefined where it has none.
  const PARTS = {
    txid: (row) => row.dataset.txid ?? $(".txid > .hash", row)?.textContent,
    counterparty: (row) => $(".address[title]", row)?.title ?? $(".address > .hash", row)?.textContent,
    contract: (row) => $(".m-asset > .copy", row)?.dataset.copy,
    group: (row) => row.dataset.group,
  };

  const fillForm = (form, row) => {
    form.setAttribute("action", `${urlOf(row)}/${form.dataset.part}`);
    const { csrf_token: token, version, back, note, contact } = form.elements;
    const given = $("#row-act").elements;
    token.value = given.csrf_token.value;
    back.value = given.back.value;
    version.value = row.dataset.version;
    if (note) note.value = $(".note", row)?.textContent ?? "";
    if (contact) contact.value = $(".address__contact", row)?.textContent ?? "";
  };

  const fillMenu = (menu, row) => {
    const list = row.closest("table").dataset.base;
    for (const item of all("[data-part]", menu)) {
      const part = item.dataset.part;
      const name = part.replace("same-", "");
      if (part === "open") item.href = urlOf(row);
      else if (name !== part) item.href = `${list}?${new URLSearchParams({ [name]: PARTS[name](row) })}`;
      else item.dataset.copy = PARTS[part](row);
    }
  };

  const openEditor = (link) => {
    const template = $(`#edit-${CSS.escape(link.dataset.edit)}`);
    const row = rowOf(link);
    if (!template || !row) return false;
    const opened = link.nextElementSibling?.matches("[data-editor]");
    closeEditors();
    if (opened) return true;
    const popover = template.content.firstElementChild.cloneNode(true);
    popover.dataset.editor = link.dataset.edit;
    for (const part of all("[data-if]", popover)) {
      if (PARTS[part.dataset.if](row) === undefined) part.remove();
    }
    for (const form of all("form", popover)) fillForm(form, row);
    if (popover.matches(".rowmenu")) fillMenu(popover, row);
    link.after(popover);
    globalThis.htmx?.process(popover);
    $("[data-autofocus]", popover)?.focus(); // what is typed next belongs here
    return true;
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-edit]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (openEditor(link)) event.preventDefault();
  });

  document.addEventListener("toggle", (event) => {
    const popover = event.target;
    if (!popover.matches?.("[data-editor]") || popover.open) return;
    const link = popover.previousElementSibling;
    const held = popover.contains(document.activeElement);
    popover.remove();
    if (held) link?.focus();
  }, true);

  /* Names that go with what is being typed. */

  let typed = 0;
  document.addEventListener("input", async (event) => {
    const list = document.getElementById(event.target.dataset?.known ?? "");
    if (!list?.dataset.from) return;
    typed += 1;
    const mine = typed;
    const answer = await fetch(`${list.dataset.from}?${new URLSearchParams({ q: event.target.value })}`);
    if (answer.ok && mine === typed) list.innerHTML = await answer.text();
  });

  /* The number of all matches, once it is known. */

  const tellMatches = () => {
    const count = $("[data-count]")?.dataset.count;
    const every = $("input[data-bulk-every]");
    if (!count || !every) return;
    every.dataset.bulkEvery = count.replace(/ .*/, "");
    const text = every.nextElementSibling;
    text.textContent = `All ${every.dataset.bulkEvery} matches`;
  };
  document.addEventListener("htmx:afterSettle", tellMatches);
  document.addEventListener("DOMContentLoaded", tellMatches);

  /* Keys */

  const walk = (by) => {
    const rows = all("table[data-rows] tr[data-row]");
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement.closest?.("tr[data-row]"));
    const next = rows[at === -1 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)];
    next.tabIndex = -1;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };

  const press = (row, key) => {
    const link = all("a[data-edit]", row).find(({ dataset }) => dataset.edit !== "more" && dataset.edit.startsWith(key));
    link?.click();
    return Boolean(link);
  };

  const act = (row, key) => {
    if (key === "x") $("input[data-select]", row)?.click();
    else if (key === "Enter") $("a[data-row-link]", row)?.click();
    else return press(row, key);
    return true;
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input:not([type=checkbox]), textarea, select")) return;
    if ($("dialog[open], details.popover[open]")) return;
    if (event.key === "j" || event.key === "k") {
      event.preventDefault();
      walk(event.key === "j" ? 1 : -1);
    } else if (event.key === "Escape" && chosen.size) {
      clear();
    } else if (event.target.matches("tr[data-row]") && act(event.target, event.key)) {
      event.preventDefault();
    }
  });

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", show);
  else show();
})();
