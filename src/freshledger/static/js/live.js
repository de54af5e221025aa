/* A visible page holds one stream, which says what version its ledger has. A page that was hidden,
   frozen or cut off is not used before the stream said that it is up to date, or it was brought
   up to date; where that takes too long it is usable, and says since when it is offline.

     #frame data-live     the stream's address; a page without it follows nothing
     #live, #livebar      the indicator, and what must be said aloud
     main data-checking   greyed: its answer takes longer than a blink */
(() => {
  "use strict";
  const BLINK = 150; // milliseconds
  const PATIENCE = 2000;
  const SILENCE = 12_000;
  const TICK = 1000;
  const LONGEST = 5000; // between two attempts
  const { follow } = globalThis;
  const $ = (selector, within = document) => within.querySelector(selector);
  const frame = $("#frame");
  if (!frame?.dataset.live) return;

  let source = null;
  let answered = false; // whether the stream has said where the page stands
  let state = "checking";
  let failures = 0;
  let heard = Date.now();
  let lag = null;
  const timers = {};

  const later = (name, delay, act) => {
    clearTimeout(timers[name]);
    timers[name] = setTimeout(act, delay);
  };

  const forget = (...names) => {
    for (const name of names) clearTimeout(timers[name]);
  };

  /* What is shown */

  const clock = (moment) =>
    new Intl.DateTimeFormat("en-GB", {
      timeZone: frame.dataset.zone, hour: "2-digit", minute: "2-digit", second: "2-digit",
      ...(new Date(moment).toDateString() === new Date().toDateString() ? {} : { day: "numeric", month: "short" }),
    }).format(moment);

  const say = (parts, kind) => {
    const bar = $("#livebar");
    const text = parts.map((part) => part.textContent ?? part).join("");
    bar.hidden = !parts.length;
    bar.dataset.kind = kind ?? "";
    if (bar.textContent !== text) bar.replaceChildren(...parts);
    document.documentElement.style.setProperty("--livebar", `${bar.offsetHeight}px`); // what is sticky stands below
  };

  const link = (text, href) => Object.assign(document.createElement("a"), { textContent: text, href });

  const written = () => globalThis.merging.written(frame).length > 0;

  const HEADS = {
    live: "Live",
    held: "Live; this page waits for you",
    checking: "Checking",
    offline: "Offline",
  };

  const show = (next = state) => {
    state = next;
    const box = $("#live");
    const shown = follow.now.shown > 0 ? `v${follow.now.shown.toLocaleString("en-US")}` : "";
    const took = lag === null ? "" : `${lag.toLocaleString("en-US")} ms`;
    const since = `Offline since ${clock(heard)}`;
    const head = state === "offline" ? since : HEADS[state];
    box.dataset.state = state;
    $(".live__text", box).textContent = state === "offline" ? since : [shown, took].filter(Boolean).join(" · ") || HEADS[state];
    $(".live__state", box).textContent = `${head}${state === "live" ? ": this page follows every change" : ""}`;
    $(".live__heard", box).textContent = clock(heard);
    const version = $(".live__version", box);
    if (version && follow.now.shown > 0) version.textContent = follow.now.shown.toLocaleString("en-US");
    if (took) $(".live__lag", box).textContent = `${clock(follow.now.change.at)}, on screen ${took} after its commit`;
    const name = [head, shown && `version ${shown.slice(1)}`].filter(Boolean).join(", ");
    $("summary", box).setAttribute("aria-label", name);
    $("summary", box).title = `${name}${took ? `; the last change was on screen ${took} after its commit` : ""} (times in ${frame.dataset.zone})`;
  };

  /* Checking */

  let focused = null;

  const lock = () => {
    const main = $("#main");
    focused ??= main.contains(document.activeElement) ? document.activeElement : null;
    main.inert = true;
    later("grey", BLINK, () => main.setAttribute("data-checking", ""));
  };

  const unlock = () => {
    forget("grey");
    const main = $("#main");
    main.inert = false;
    main.removeAttribute("data-checking");
    if (focused?.isConnected && document.activeElement === document.body) focused.focus({ preventScroll: true });
    focused = null;
  };

  const wait = () => {
    if (!timers.patience) later("patience", PATIENCE, offline);
    if (!timers.blink && state !== "offline") later("blink", BLINK, () => show("checking"));
  };

  const settle = () => {
    forget("patience", "blink");
    timers.patience = timers.blink = null;
    unlock();
  };

  const offline = () => {
    settle();
    show("offline");
    say([`Offline since ${clock(heard)} (${frame.dataset.zone}). What you see may be out of date.`], "bad");
  };

  const live = () => {
    settle();
    failures = 0;
    say([]);
    show("live");
    paint();
  };

  /* From the commit to the screen */

  const paint = () => {
    const { change } = follow.now;
    if (!change?.received) return;
    const { received, took } = change;
    change.received = null;
    requestAnimationFrame(() =>
      setTimeout(() => {
        lag = Math.max(1, Math.round(took + performance.now() - received));
        show();
      }),
    );
  };

  /* The answer to a form stays until its user leaves it. */
  const hold = () => {
    settle();
    show("held");
    const present = frame.hasAttribute("data-held") && document.referrer ? document.referrer : location.href;
    say(["The ledger changed meanwhile. This page stays as it is, for it answers what you sent. ", link("Show the present state", present)], "warn");
  };

  /* Nobody may see this page any more, or it is gone. What is typed is not thrown away unsaid. */
  const leave = (status) => {
    close();
    if (!written()) {
      location.reload();
      return;
    }
    settle();
    show("offline");
    const why = status === 401 ? "You are no longer signed in." : status === 403 ? "You may no longer see this page." : "What this page shows is no longer there.";
    say([`${why} What you typed still stands here and is not saved: copy it, then `, link(status === 401 ? "sign in" : "go on", location.href), "."], "bad");
  };

  /* The stream */

  const close = () => {
    source?.close();
    source = null;
    answered = false;
    forget("retry", "tick");
  };

  const retry = (act) => {
    failures += 1;
    later("retry", Math.random() * Math.min(LONGEST, 250 * 2 ** failures), act);
  };

  const lost = () => {
    close();
    wait();
    retry(open);
  };

  const catchUp = async () => {
    const mine = source;
    if (follow.isBehind()) wait();
    try {
      await follow.catchUp();
    } catch (error) {
      if (error.name !== "AbortError") failed(error);
      return;
    }
    if (mine === source && answered && !follow.isBehind() && !follow.isHeld()) live();
  };

  const failed = (error) => {
    if ([401, 403, 404].includes(error.status)) {
      leave(error.status);
      return;
    }
    offline();
    retry(source ? catchUp : open);
  };

  const hear = (event) => {
    const received = performance.now();
    const data = JSON.parse(event.data);
    heard = Date.now();
    answered = true;
    follow.hear(event.type, data, received);
    if (follow.isHeld()) {
      if (follow.isOvertaken(data)) hold();
      else live();
    } else {
      catchUp();
    }
  };

  const beat = (event) => {
    heard = Date.now();
    const { version } = JSON.parse(event.data);
    $(".live__heard").textContent = clock(heard);
    if (version > follow.now.wanted) open(); // an event is missing
  };

  // The stream was refused: the page itself tells whether it may be seen.
  const probe = () => {
    follow.now.forced = true;
    catchUp();
  };

  const open = () => {
    close();
    const { live: address, epoch } = frame.dataset;
    const query = epoch ? `?${new URLSearchParams({ epoch, since: Math.max(follow.now.shown, 0) })}` : "";
    const mine = new EventSource(address + query);
    source = mine;
    for (const kind of ["ready", "change", "resync"]) mine.addEventListener(kind, hear);
    mine.addEventListener("beat", beat);
    mine.addEventListener("closed", lost);
    mine.addEventListener("error", () => {
      if (mine !== source) return;
      const refused = mine.readyState === EventSource.CLOSED;
      lost();
      if (refused && !follow.isHeld()) probe();
    });
    watch(Date.now());
  };

  // A tick that comes late: the machine slept.
  const watch = (opened, ticked = Date.now()) => {
    later("tick", TICK, () => {
      if (Date.now() - ticked > TICK + PATIENCE) check();
      else if (Date.now() - Math.max(heard, opened) > SILENCE) {
        offline();
        lost();
      } else watch(opened);
    });
  };

  /* Coming and going */

  const isAway = () => document.hidden || document.prerendering;

  const check = () => {
    if (isAway()) return;
    lock();
    wait();
    open();
  };

  const come = () => {
    if (!source && !isAway()) check();
  };

  const go = () => {
    close();
    follow.abort();
    settle();
  };

  document.addEventListener("visibilitychange", () => (document.hidden ? go() : come()));
  document.addEventListener("freeze", go);
  document.addEventListener("resume", come);
  document.addEventListener("prerenderingchange", come);
  document.addEventListener("behind", () => isAway() || catchUp());
  addEventListener("pagehide", go);
  addEventListener("pageshow", (event) => event.persisted && come());
  addEventListener("online", check);
  addEventListener("offline", lost);

  const [arrival] = performance.getEntriesByType("navigation");
  if (isAway()) show("checking");
  else if (arrival?.type === "back_forward") check();
  else {
    wait();
    open();
  }
})();
