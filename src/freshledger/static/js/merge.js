/* merge(frame, fresh): makes the open page's #frame what the server just rendered, and keeps what
   somebody is doing in it: focus, caret, scroll, what is open, what is typed.

     data-keep="name"      stays as it is
     tr[id], [data-card]   what is marked for a moment where it changed (data-fresh)
     form                  one in which something is typed keeps its hidden fields too: its version
                           is the one that was edited, by which the server sees a lost edit

   What holds typed text and is gone from the fresh page stays, marked data-gone.
   Returns {added, changed, gone}: elements.

   parse(html) makes the fresh frame. A row that comes as it came before, and a menu that is kept, up to
   its <!--/keep-->, is not made anew: merging costs what has changed, not what is shown. */
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const MARKED = "tr[id], [data-card]";
  const SHOWN = 2500; // milliseconds a change stays marked
  const TOP = 48; // pixels: what begins below is read
  const STATE = new Set([
    "aria-busy", "data-active", "data-busy", "data-checking", "data-complete", "data-copied",
    "data-flip", "data-fresh", "data-selected", "inert",
  ]);

  /* What is typed */

  const differs = (control) => {
    if (control.matches("select")) {
      const options = [...control.options];
      if (!options.some((option) => option.defaultSelected)) return control.selectedIndex > 0;
      return options.some((option) => option.selected !== option.defaultSelected);
    }
    if (["checkbox", "radio"].includes(control.type)) return control.checked !== control.defaultChecked;
    if (control.type === "file") return control.files.length > 0;
    if (control.type === "hidden") return false;
    if (control.value === control.defaultValue || control.matches("textarea")) return control.value !== control.defaultValue;
    const given = control.cloneNode();
    given.value = control.defaultValue; // as the browser writes it: a time without its seconds
    return control.value !== given.value;
  };

  const group = (control, controls) =>
    control.type === "radio"
      ? controls.filter((other) => other.type === "radio" && other.name === control.name && other.form === control.form)
      : [control];

  /* Controls whose value is not the one that the server gave. */
  const typed = (within) => {
    const controls = all("input, select, textarea", within);
    const marked = controls.filter((control) => control.closest("[data-dirty]") && control.type !== "hidden");
    return new Set([...marked, ...controls.filter(differs).flatMap((control) => group(control, controls))]);
  };

  const isText = (control) =>
    !control.matches("[data-select], [data-select-all], [type=checkbox], [type=radio], form[method=get] *");

  /* What somebody would miss: texts, in forms that post. */
  const written = (within) => [...typed(within)].filter(isText);

  /* What must not jump: focus, caret, and the row that is read */

  const holdFocus = () => {
    const held = document.activeElement;
    const row = held?.closest(MARKED);
    const after = [];
    for (let next = row?.nextElementSibling; next; next = next.nextElementSibling) after.push(next);
    const caret = [held?.selectionStart, held?.selectionEnd, held?.selectionDirection];
    return () => {
      if (!held || held === document.body) return;
      if (held.isConnected) {
        if (document.activeElement !== held) held.focus({ preventScroll: true });
        const moved = caret[0] !== held.selectionStart || caret[1] !== held.selectionEnd;
        if (moved && typeof caret[0] === "number") held.setSelectionRange(...caret);
      } else {
        after.find((other) => other.isConnected)?.focus({ preventScroll: true });
      }
    };
  };

  const holdScroll = () => {
    const root = document.documentElement;
    const seen = scrollY > 0 && all("main tr[id], main section, main form").find((element) => {
      const box = element.getBoundingClientRect();
      return box.top >= TOP && box.height > 0;
    });
    const before = seen && seen.getBoundingClientRect().top;
    root.style.overflowAnchor = "none";
    return () => {
      if (seen?.isConnected) scrollBy({ top: seen.getBoundingClientRect().top - before, behavior: "instant" });
      root.style.overflowAnchor = "";
    };
  };

  /* A choice that nothing but its place made must not become another one when options come. */
  const holdChoices = (frame) => {
    const chosen = all("select", frame)
      .filter((select) => select.name && ![...select.options].some((option) => option.defaultSelected))
      .map((select) => [select, select.value]);
    return () => {
      for (const [select, value] of chosen) {
        if ([...select.options].some((option) => option.value === value)) select.value = value;
      }
    };
  };

  /* Marks */

  const mark = (elements, kind) => {
    for (const element of elements) element.removeAttribute("data-fresh");
    if (elements.length) void document.body.offsetWidth; // begins the animation anew
    for (const element of elements) {
      element.setAttribute("data-fresh", kind);
      clearTimeout(element._fresh);
      element._fresh = setTimeout(() => element.removeAttribute("data-fresh"), SHOWN);
    }
  };

  /* Parsing. The texts of the rows that were merged last, by id; whoever changes a row otherwise
     must forget them. Texts are escaped, so that these marks are the server's alone. */
  const ROW = /<tr id="(row-\d+)"[^]*?<\/tr>/g;
  const MENU = /(data-keep="(menu-\w+)">)[^]*?<!--\/keep-->/g;
  let rows = new Map();
  const forget = () => {
    rows = new Map();
  };

  const isShown = (id) => document.getElementById(id)?.matches("tr:not([data-gone])");

  const parse = (html) => {
    const texts = new Map();
    const slim = html
      .replace(ROW, (text, id) => {
        texts.set(id, text);
        return rows.get(id) === text && isShown(id) ? `<tr id="${id}" data-same></tr>` : text;
      })
      .replace(MENU, (all, head, name) => (document.querySelector(`[data-keep="${name}"]`) ? head : all));
    const template = document.createElement("template");
    template.innerHTML = slim;
    const fresh = $("#frame", template.content);
    if (fresh) fresh.rowTexts = texts;
    return { fresh, title: $("title", template.content)?.textContent };
  };

  // A row that was shown when it was parsed and is not there any more.
  const fill = (frame, texts) => {
    for (const row of all("tr[data-same]", frame)) row.outerHTML = texts.get(row.id);
  };

  const callbacks = (frame, found) => {
    const before = globalThis.Idiomorph.defaults.callbacks;
    const held = typed(frame);
    const forms = new Set([...held].filter(isText).map((control) => control.form).filter(Boolean));

    const touch = (node) => {
      const element = node?.nodeType === Node.ELEMENT_NODE ? node : node?.parentElement;
      if (element?.closest("noscript, datalist, select, [data-keep]")) return;
      const row = element?.closest(MARKED);
      if (row && frame.contains(row)) found.changed.add(row);
    };

    const isKept = (node) =>
      held.has(node) ||
      (node.matches("input[type=hidden]") && node.name !== "csrf_token" && forms.has(node.form));

    return {
      beforeNodeMorphed(node, fresh) {
        if (before.beforeNodeMorphed(node, fresh) === false) return false;
        if (node.nodeType === Node.ELEMENT_NODE) {
          if (fresh.hasAttribute("data-same") || node.isEqualNode(fresh)) return false;
          node.removeAttribute("data-gone");
          return !isKept(node);
        }
        if (node.nodeValue.trim() !== fresh.nodeValue?.trim()) touch(node);
        return true;
      },
      beforeAttributeUpdated(name, node) {
        if (before.beforeAttributeUpdated(name, node) === false || STATE.has(name)) return false;
        if (name === "hidden" && node.matches("[data-option]")) return false;
        if (name === "class") touch(node);
        if (name.startsWith("hx-")) found.active.add(node);
        return true;
      },
      afterNodeAdded(node) {
        if (node.nodeType !== Node.ELEMENT_NODE) return;
        found.active.add(node);
        if (node.matches(MARKED)) found.added.add(node);
        else touch(node.parentNode);
      },
      beforeNodeRemoved(node) {
        if (node.nodeType !== Node.ELEMENT_NODE) return true;
        const kept = node.matches("[data-editor]") || node.querySelector("[data-editor]");
        if (kept || [...held].some((control) => node.contains(control) && isText(control))) {
          if (!node.matches("[data-editor]")) {
            node.setAttribute("data-gone", "");
            found.gone.add(node);
          }
          return false;
        }
        touch(node.parentNode);
        return true;
      },
    };
  };

  const merge = (frame, fresh) => {
    const found = { added: new Set(), changed: new Set(), gone: new Set(), active: new Set() };
    const restore = [holdChoices(frame), holdFocus(), holdScroll()];
    // An element with an id of its own is never made into another one.
    for (const editor of all("[data-editor]", frame)) editor.id ||= "row-editor";
    globalThis.Idiomorph.morph(frame, [...fresh.childNodes], {
      morphStyle: "innerHTML",
      callbacks: callbacks(frame, found),
    });
    fill(frame, fresh.rowTexts);
    rows = fresh.rowTexts;
    for (const [name, value] of Object.entries(fresh.dataset)) frame.dataset[name] = value;
    for (const node of found.active) if (node.isConnected) globalThis.htmx.process(node);
    document.dispatchEvent(new CustomEvent("htmx:afterSettle", { detail: { merged: true } }));
    for (const search of all("[data-options-filter]", frame)) {
      if (search.value) search.dispatchEvent(new Event("input", { bubbles: true }));
    }
    for (const put of restore) put();
    const changed = [...found.changed].filter((row) => row.isConnected && !found.added.has(row));
    const added = [...found.added].filter((row) => row.isConnected);
    mark(changed, "changed");
    mark(added, "new");
    return { added, changed, gone: [...found.gone] };
  };

  globalThis.merging = { parse, merge, written, forget };
})();
