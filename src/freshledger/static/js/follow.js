/* What the open page shows, what it should show, and how it gets there: it fetches its own
   address, the body alone, and merges it. Never two fetches at once.

     #frame data-version, data-epoch    what was shown first; none outside of a ledger
            data-held                   the answer to a form: it is never overwritten
     #transactions data-anchor          the cursor of the page that begins with its first row */
(() => {
  "use strict";
  const $ = (selector, within = document) => within.querySelector(selector);
  const TRIES = 12; // fetches in a row that may come out too old, before it counts as failed
  const QUICK = 150; // milliseconds: sums that are made in less come with the page
  const LIMIT = 20_000; // milliseconds for one fetch

  const frame = () => $("#frame");
  const version = Number(frame()?.dataset.version ?? 0);
  const now = {
    shown: version, wanted: version, swaps: 0, held: false, forced: false, totals: false, tag: null, change: null,
  };
  const inserted = { ids: new Set(), unknown: false, above: new Set() };
  let running = null;
  let stop = new AbortController();

  /** A fetch was answered with `status`, which is no page; `after` is in how many seconds it may be asked for again. */
  class Refused extends Error {
    constructor(status, after = 0) {
      super(`the page was answered ${status}`);
      this.status = status;
      this.after = after;
    }
  }

  /* The place in a list */

  const list = () => $("#transactions[data-anchor]");
  const place = () => new URL(location.href).searchParams;
  const isPlaced = () => place().has("cursor") || place().has("at");

  const isScrolled = () => {
    const first = $("tbody tr[data-row]", list() ?? document.createElement("div"));
    return Boolean(first) && scrollY > 0 && first.getBoundingClientRect().bottom < 0;
  };

  const topAddress = () => {
    const url = new URL(location.href);
    for (const name of ["cursor", "at"]) url.searchParams.delete(name);
    url.hash = "";
    return url;
  };

  const areSumsQuick = () => {
    const last = performance.getEntriesByType("resource").findLast(({ name }) => name.includes("/transactions/totals"));
    return last && last.duration < QUICK && !$(".summary--waiting");
  };

  const address = () => {
    const url = new URL(location.href);
    url.hash = "";
    if (!list()) return url;
    if (!isPlaced() && isScrolled()) url.searchParams.set("cursor", list().dataset.anchor);
    if (now.totals || $("#sums")?.open || areSumsQuick()) url.searchParams.set("totals", "1");
    return url;
  };

  /* Fetching */

  const get = async (url, tag) => {
    const headers = { "HX-Request": "true", "HX-Target": "frame", Accept: "text/html" };
    if (tag) headers["If-None-Match"] = tag;
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(LIMIT)]);
    const answer = await fetch(url, { headers, cache: "no-store", signal });
    const isPage = answer.headers.get("Content-Type")?.startsWith("text/html");
    if (answer.status === 304) return { answer };
    if (answer.redirected || !isPage || ![200, 422].includes(answer.status)) {
      throw new Refused(answer.status, answer.status === 503 ? Number(answer.headers.get("Retry-After")) : 0);
    }
    const { fresh, title } = globalThis.merging.parse(await answer.text());
    if (!fresh) throw new Refused(answer.status);
    return { answer, fresh, title };
  };

  const fetchOnce = async () => {
    const { swaps, wanted } = now;
    now.forced = false;
    const url = address();
    now.totals = false;
    const known = now.tag?.url === url.href ? now.tag.value : null;
    const { answer, fresh, title } = await get(url, known).catch((error) => {
      now.forced = true;
      throw error;
    });
    if (swaps !== now.swaps) {
      now.forced = true; // another part of the page came meanwhile
      return;
    }
    const given = Number(answer.headers.get("Ledger-Version") ?? wanted);
    if (fresh) {
      document.title = title ?? document.title;
      const found = globalThis.merging.merge(frame(), fresh);
      $('meta[name="csrf-token"]').content = $("#act [name=csrf_token]")?.value ?? "";
      now.tag = { url: url.href, value: answer.headers.get("ETag") };
      tell(found);
    }
    now.shown = given;
    await lookAbove(url);
  };

  const isBehind = () => now.forced || now.shown < now.wanted;
  const isHeld = () => now.held || frame().hasAttribute("data-held");

  // All pages of a ledger ask at the same moment: one that finds the server busy comes again when it is told to, and not with all the others.
  const patiently = (error) => {
    if (!error.after) throw error;
    return error.after * (500 + Math.random() * 1000);
  };

  const run = async () => {
    for (let tries = 1; isBehind() && !isHeld(); tries += 1) {
      if (tries > TRIES) throw new Refused(0);
      const pause = (await fetchOnce().catch(patiently)) ?? tries * tries * 10;
      if (isBehind()) await new Promise((done) => setTimeout(done, pause));
    }
  };

  /** Resolves when the page shows what is known to be there; rejects where a fetch failed. */
  const catchUp = () => {
    running ??= run().finally(() => {
      running = null;
    });
    return running;
  };

  /* New rows above the place that is read are announced, not pushed in. */

  const lookAbove = async (url) => {
    if (!url.searchParams.has("cursor") && !isPlaced()) {
      inserted.above.clear();
      inserted.ids.clear();
      inserted.unknown = false;
    } else if (inserted.ids.size || inserted.unknown) {
      const { fresh } = await get(topAddress());
      for (const row of fresh.querySelectorAll("tr[data-row]")) { // those not shown as they are
        const isNew = inserted.unknown || inserted.ids.has(row.dataset.row);
        if (isNew && !document.getElementById(row.id)) inserted.above.add(row.dataset.row);
      }
      inserted.ids.clear();
    }
    showAbove();
  };

  const showAbove = () => {
    const pill = $("#above");
    if (!pill) return;
    const count = inserted.above.size;
    pill.hidden = !count;
    pill.href = topAddress().href;
    const text = `${inserted.unknown ? "New" : count} ${inserted.unknown ? "" : "new "}transaction${count === 1 ? "" : "s"} above`;
    $("span", pill).textContent = text;
    if (count && count !== inserted.told) say(text);
    inserted.told = count;
  };

  document.addEventListener("click", (event) => {
    if (!event.target.closest("#above") || isPlaced()) return;
    event.preventDefault();
    scrollTo({ top: 0 });
    again();
  });

  addEventListener("scrollend", () => {
    if (inserted.above.size && !isPlaced() && !isScrolled()) again();
  });

  const again = () => {
    now.forced = true;
    document.dispatchEvent(new CustomEvent("behind"));
  };

  /* Telling those who do not see it, not more than every few seconds */

  const news = { added: 0, changed: 0, timer: null };

  const say = (text) => document.dispatchEvent(new CustomEvent("announce", { detail: text }));

  const tell = ({ added, changed, gone }) => {
    news.added += added.length;
    news.changed += changed.length;
    if (gone.length) say("What you are writing in is gone from this page. Your text is kept.");
    if (news.timer || !(news.added || news.changed)) return;
    news.timer = setTimeout(() => {
      const parts = [news.added && `${news.added} new`, news.changed && `${news.changed} changed`];
      say(`This page was brought up to date: ${parts.filter(Boolean).join(", ")}.`);
      Object.assign(news, { added: 0, changed: 0, timer: null });
    }, 3000);
  };

  /* Parts of the page that htmx fetches: a part may be older than the rest, or the answer to a form. */

  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.shouldSwap) now.swaps += 1;
  });

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    const path = new URL(detail.xhr.responseURL).pathname;
    const asked = new URL(detail.requestConfig.path, location.href).pathname;
    if (detail.target.id === "page") now.held = detail.requestConfig.verb !== "get" && path === asked;
    const part = Number(detail.xhr.getResponseHeader("Ledger-Version") ?? now.shown);
    if (part < now.shown) now.shown = part;
    now.tag = null;
    if (!detail.target.matches(".summaryslot")) globalThis.merging.forget(); // sums hold no rows
    inserted.above.clear();
    showAbove();
    document.dispatchEvent(new CustomEvent("behind"));
  });

  // Sums that were fetched by themselves are of a later version than the rows.
  document.addEventListener("freshledger:behind", () => {
    now.totals = true;
    again();
  });

  /* Hearing */

  /** Take in an event of the stream, which was received at `received` (performance.now()). */
  const hear = (kind, data, received) => {
    if (kind === "resync" && (data.epoch !== frame().dataset.epoch || data.version < now.shown)) now.shown = -1;
    if (data.version === undefined) now.wanted += 1; // outside of a ledger nothing is counted
    else now.wanted = kind === "resync" ? data.version : Math.max(now.wanted, data.version);
    for (const change of data.changes ?? []) {
      if (change.table !== "transactions" || change.operation !== "I") continue;
      for (const id of change.ids ?? []) inserted.ids.add(String(id));
      if (!change.ids) inserted.unknown = true;
    }
    if (kind === "change" && data.at) {
      now.change = { at: Date.parse(data.at), took: Date.parse(data.sent) - Date.parse(data.at), received };
    }
  };

  /** Whether the answer to a form is shown while the ledger has gone on, but for that form itself. */
  const isOvertaken = (data) => {
    const own = frame().dataset.actor;
    const only = data.changes?.length && data.changes.every(({ actor }) => actor === own);
    if (only && data.version === now.shown + 1) now.shown = data.version;
    return isHeld() && isBehind();
  };

  const abort = () => {
    stop.abort();
    stop = new AbortController();
  };

  globalThis.follow = { now, hear, catchUp, isBehind, isHeld, isOvertaken, abort };
})();
