/* Runs before the first paint: the viewer's theme, and .js for what needs a script. */
(() => {
  "use strict";
  const root = document.documentElement;
  const given = root.dataset.theme || "";
  const stored = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage may be forbidden; then the theme lasts for the page
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
  apply(stored() ?? given);

  document.addEventListener("DOMContentLoaded", () => apply(stored() ?? given));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    try {
      localStorage.setItem("theme", button.dataset.themeChoice);
    } catch {
      // see above
    }
    apply(button.dataset.themeChoice);
  });
  addEventListener("storage", (event) => {
    if (event.key === "theme") apply(event.newValue ?? given);
  });
})();
