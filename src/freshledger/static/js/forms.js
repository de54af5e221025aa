/* Forms, popovers, dialogs and messages. All listeners stand on the document, so that rows
   that are fetched again need no set-up.

     form                       cannot be sent twice; data-autosubmit sends on every change,
                                data-clean leaves empty fields out of the address
     data-open="id"             opens a <dialog>;  data-close closes the nearest
     data-confirm="sentence"    asks before a button's form is sent
     data-toggle="id"           shows and hides, with aria-expanded on the button
     data-options-filter        an input that narrows the [data-option] of its popover
     event "toast"              detail {text, kind}: a passing message
     event "announce"           detail text: for screen readers only */
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  /* Messages */

  const toast = (text, kind = "good") => {
    const node = $("#toast-template").content.firstElementChild.cloneNode(true);
    node.classList.add(`toast--${kind}`);
    $(".toast__text", node).textContent = text;
    if (kind === "bad") {
      const mark = $("use", node);
      mark.setAttribute("href", mark.getAttribute("href").replace(/#.*/, "#error"));
    } else {
      setTimeout(() => node.remove(), 5000);
    }
    $("#toasts").append(node);
  };

  const announce = (text) => {
    const node = document.createElement("span");
    node.className = "visually-hidden";
    node.textContent = text;
    $("#toasts").append(node);
    setTimeout(() => node.remove(), 2000);
  };

  document.addEventListener("toast", (event) => toast(event.detail.text, event.detail.kind));
  document.addEventListener("announce", (event) => announce(event.detail));

  /* Keys: a form that is sent again is done once, another edit is another one. What was sent
     last is remembered until an answer to it was seen, also over a page that never came. */

  const PENDING = "freshledger-pending";
  const used = new Set();

  const newKey = () =>
    [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  const pending = (value) => {
    try {
      if (value === undefined) return JSON.parse(sessionStorage.getItem(PENDING));
      if (value) sessionStorage.setItem(PENDING, JSON.stringify(value));
      else sessionStorage.removeItem(PENDING);
    } catch {
      // no storage in this browser: a key lasts as long as its page
    }
    return null;
  };

  // Text may be private: only its sum is remembered (cyrb53, 53 bits).
  const sumOf = (text) => {
    let [a, b] = [0xdeadbeef, 0x41c6ce57];
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      a = Math.imul(a ^ code, 2654435761);
      b = Math.imul(b ^ code, 1597334677);
    }
    a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
    b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
    return 4294967296 * (2097151 & b) + (a >>> 0);
  };

  const contentOf = (form, submitter) => {
    const action = submitter?.getAttribute("formaction") ?? form.getAttribute("action") ?? "";
    const fields = [...new FormData(form, submitter)]
      .filter(([name]) => name !== "idempotency_key" && name !== "csrf_token")
      .map(([name, value]) => [name, value instanceof File ? [value.name, value.size, value.lastModified] : value]);
    return sumOf(JSON.stringify([new URL(action, location.href).href, fields]));
  };

  const giveKey = (form, submitter) => {
    const field = $("input[name=idempotency_key]", form);
    if (!field) return;
    const content = contentOf(form, submitter);
    const last = pending();
    if (last?.content === content) field.value = last.key;
    else if (!field.value || used.has(field.value)) field.value = newKey();
    used.add(field.value);
    pending($("input[type=password]", form) ? null : { content, key: field.value });
  };

  const renewKey = (form) => {
    const field = $("input[name=idempotency_key]", form);
    if (field) field.value = newKey();
  };

  // A page came: what was sent before it was answered, unless one went back from where none did.
  const [visit] = performance.getEntriesByType("navigation");
  if (visit?.type !== "back_forward" && !$("form[data-pending]")) pending(null);

  /* Sending */

  const busy = (form, on) => {
    form.toggleAttribute("data-busy", on);
    if (on) form._submitter?.setAttribute("aria-busy", "true");
    else for (const button of all("[aria-busy]", document)) button.removeAttribute("aria-busy");
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm;
    if (form.hasAttribute("data-busy") || (question && !confirm(question))) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    if (form.method !== "post") return;
    giveKey(form, event.submitter);
    form._submitter = event.submitter;
    busy(form, true);
    setTimeout(() => busy(form, false), 10_000); // a download answers without a new page
    // Where something else took the form over (htmx), its answer ends the wait.
    setTimeout(() => {
      if (event.defaultPrevented && !event.target.closest("[hx-post], [hx-put], [hx-delete], [hx-boost=true]")) {
        busy(form, false);
      }
    });
  }, true);

  // A page that the browser brings back must not stay locked.
  addEventListener("pageshow", (event) => {
    for (const form of all("form[data-busy]")) busy(form, false);
    if (event.persisted) for (const form of all("form")) renewKey(form);
  });

  document.addEventListener("formdata", (event) => {
    if (!event.target.hasAttribute("data-clean")) return;
    for (const [name, value] of [...event.formData]) {
      // The bounds of several periods belong together by their order, the empty ones too.
      const paired = /^(not\.)?(from|to|min_amount|max_amount)$/.test(name);
      if (value !== "" || (paired && event.formData.getAll(name).length > 1)) continue;
      const kept = event.formData.getAll(name).filter((other) => other !== "");
      event.formData.delete(name);
      for (const other of kept) event.formData.append(name, other);
    }
  });

  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (!form?.hasAttribute("data-autosubmit") || event.target.closest("[data-no-autosubmit]")) return;
    form.requestSubmit();
  });

  /* htmx */

  document.addEventListener("htmx:configRequest", (event) => {
    // A boosted link or form that aims at a part of the page wants that part alone.
    if (event.detail.boosted && event.detail.target !== document.body) {
      delete event.detail.headers["HX-Boosted"];
    }
    const token = $('meta[name="csrf-token"]')?.content;
    if (token && event.detail.verb !== "get") event.detail.headers["X-CSRF-Token"] = token;
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.target.closest?.("form");
    if (!form) return;
    busy(form, false);
    const { status } = event.detail.xhr;
    if (status < 200 || status >= 500 || form.method !== "post") return; // no answer to what was sent
    pending(null);
    renewKey(form);
  });

  const said = (request) => {
    try {
      const { detail = "", title = "", field } = JSON.parse(request.responseText);
      const text = detail.startsWith(`${field}: `) ? detail.slice(field.length + 2) : detail;
      return text ? text[0].toUpperCase() + text.slice(1) : title;
    } catch {
      return null; // not a problem document
    }
  };

  // A problem is told, never shown in the place of what it is about.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const type = event.detail.xhr.getResponseHeader("Content-Type") ?? "";
    if (!type.startsWith("application/problem+json")) return;
    event.detail.shouldSwap = false;
    event.detail.isError = true;
  });

  document.addEventListener("htmx:responseError", (event) => {
    const request = event.detail.xhr;
    if (request.status === 401) location.reload();
    toast(said(request) || `That did not work (${request.status}). Nothing was changed.`, "bad");
  });
  document.addEventListener("htmx:sendError", () => {
    toast("The server cannot be reached. Nothing was changed.", "bad");
  });

  /* What is open or being typed stays so when a fresher page is merged in. */
  const morphing = globalThis.Idiomorph?.defaults?.callbacks;
  if (morphing) {
    // data-keep names what is shown: the same name is the same content, which stays.
    morphing.beforeNodeMorphed = (node, fresh) =>
      !(node.dataset?.keep && node.dataset.keep === fresh.dataset?.keep);
    morphing.beforeAttributeUpdated = (name, node) =>
      !(name === "open" && ["DETAILS", "DIALOG"].includes(node.tagName)) &&
      !(name === "aria-expanded" || name === "data-shown");
  }

  /* Popovers: one at a time; outside, Escape and leaving with Tab close them. */

  const popovers = () => all("details.popover[open]");

  const close = (popover, focus) => {
    popover.open = false;
    if (focus) $("summary", popover).focus();
  };

  const place = (popover) => {
    delete popover.dataset.flip;
    const panel = $(".popover__panel", popover);
    const box = panel.getBoundingClientRect();
    const above = popover.getBoundingClientRect().top;
    const flips = [];
    if (getComputedStyle(panel).position === "fixed") return;
    if (box.right > document.documentElement.clientWidth - 4 || box.left < 4) flips.push("x");
    if (box.bottom > innerHeight - 4 && above > box.height + 8) flips.push("y");
    if (flips.length) popover.dataset.flip = flips.join(" ");
  };

  document.addEventListener("toggle", (event) => {
    const popover = event.target;
    if (!popover.matches?.("details.popover") || !popover.open) return;
    for (const other of popovers()) if (!other.contains(popover)) close(other);
    place(popover);
    $("[autofocus], [data-autofocus]", popover)?.focus();
  }, true);

  document.addEventListener("pointerdown", (event) => {
    for (const popover of popovers()) {
      const backdrop = event.target === $("summary", popover) && innerWidth < 720;
      if (!popover.contains(event.target) && !backdrop) close(popover);
    }
  });

  document.addEventListener("focusin", (event) => {
    for (const popover of popovers()) if (!popover.contains(event.target)) close(popover);
  });

  const step = (items, by) => {
    const at = items.indexOf(document.activeElement);
    items.at(at === -1 ? (by > 0 ? 0 : -1) : (at + by) % items.length)?.focus();
  };

  document.addEventListener("keydown", (event) => {
    const popover = event.target.closest?.("details.popover[open]");
    if (event.key === "Escape" && popover) {
      event.preventDefault();
      event.stopImmediatePropagation();
      close(popover, true);
    } else if (popover && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      const menu = $(".menu, .options", popover);
      if (!menu || event.target.matches("select, textarea, [type=radio], [list]")) return;
      event.preventDefault();
      const items = all("a, button, input:not([type=hidden])", menu).filter((i) => i.offsetParent && !i.matches(".option__not"));
      step(items, event.key === "ArrowDown" ? 1 : -1);
    }
  });

  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-options-filter]")) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const option of all("[data-option]", event.target.closest(".popover__panel"))) {
      option.hidden = !option.textContent.toLowerCase().includes(wanted);
    }
  });

  /* An option cannot be wanted and unwanted. */
  document.addEventListener("change", (event) => {
    const option = event.target.closest("[data-option]");
    if (!option || !event.target.checked) return;
    for (const box of all("input[type=checkbox]", option)) {
      if (box !== event.target) box.checked = false;
    }
  }, true);

  /* Dialogs and disclosures */

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open]");
    if (opener) {
      for (const popover of popovers()) close(popover);
      document.getElementById(opener.dataset.open)?.showModal();
      return;
    }
    const toggler = event.target.closest("[data-toggle]");
    if (toggler) {
      const shown = document.getElementById(toggler.dataset.toggle)?.toggleAttribute("data-shown");
      toggler.setAttribute("aria-expanded", String(Boolean(shown)));
      return;
    }
    if (event.target.closest("[data-close]")) {
      const holder = event.target.closest("dialog, details.popover");
      if (holder?.matches("dialog")) holder.close();
      else if (holder) close(holder, true);
      return;
    }
    if (event.target.closest("[data-dismiss]")) event.target.closest(".toast, .notice").remove();
    if (event.target.matches("dialog")) event.target.close(); // its backdrop
  });

  /* / and ? */

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select")) return;
    if ($("dialog[open]")) return;
    if (event.key === "/") {
      const search = $("[data-search], input[type=search]");
      if (!search) return;
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "?") {
      event.preventDefault();
      $("#shortcuts")?.showModal();
    }
  });
})();
