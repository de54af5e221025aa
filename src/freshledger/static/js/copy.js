/* [data-copy="text"] copies exactly that text; a .copy without it the tooltip of what it stands
   in, or else the text before it. */
(() => {
  "use strict";
  const shown = 1200; // milliseconds the button says that it has copied

  // Over plain http from another machine there is no clipboard API.
  const copyOldWay = (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  };

  const copy = async (text) => {
    if (!navigator.clipboard) return copyOldWay(text);
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return copyOldWay(text);
    }
  };

  const textOf = (button) =>
    button.dataset.copy ?? (button.parentElement.title || button.previousElementSibling.textContent);

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy], .copy");
    if (!button) return;
    event.preventDefault();
    const copied = await copy(textOf(button));
    button.focus();
    if (!copied) {
      document.dispatchEvent(
        new CustomEvent("toast", { detail: { text: "The browser did not allow copying.", kind: "bad" } }),
      );
      return;
    }
    const mark = button.querySelector("use");
    const before = mark?.getAttribute("href");
    if (button.hasAttribute("data-copied")) return;
    button.setAttribute("data-copied", "");
    mark?.setAttribute("href", before.replace(/#.*/, "#check"));
    document.dispatchEvent(new CustomEvent("announce", { detail: "Copied" }));
    setTimeout(() => {
      button.removeAttribute("data-copied");
      mark?.setAttribute("href", before);
    }, shown);
  });
})();
