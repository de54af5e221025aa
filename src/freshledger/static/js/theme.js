/* Runs before the first paint: the viewer's theme, and .js for what needs a script.
   A choice of this browser holds until the viewer's own setting changes, and is kept as
   "setting|choice". Where storage is forbidden it lasts for the page. */
(() => {
  "use strict";
  const root = document.documentElement;
  const setting = root.dataset.theme || "";

  const read = () => {
    try {
      const [before, choice] = (localStorage.getItem("theme") ?? "").split("|");
      return before === setting ? (choice ?? setting) : setting;
    } catch {
      return setting;
    }
  };

  const keep = (choice) => {
    try {
      localStorage.setItem("theme", `${setting}|${choice}`);
    } catch {
      // see above
    }
  };

  const apply = (choice) => {
    if (choice) root.dataset.theme = choice;
    else delete root.dataset.theme;
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    }
  };

  root.classList.add("js");
  apply(read());

  document.addEventListener("DOMContentLoaded", () => apply(read()));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    keep(button.dataset.themeChoice);
    apply(button.dataset.themeChoice);
  });
  addEventListener("storage", (event) => {
    if (event.key === "theme") apply(read());
  });
})();
