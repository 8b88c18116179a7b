// Runs beside the page in a world of its own: same document, other globals, so that nothing a page redefines changes what is done here.
(() => {
  let clipboard = "";
  const typeOf = (el) => (el.tagName === "INPUT" ? el.type : el.tagName.toLowerCase());
  const WRITTEN = new Set(["text", "search", "url", "tel", "email", "password", "number", "textarea"]);
  const SET = new Set(["date", "time", "datetime-local", "month", "week", "color", "range"]);
  const named = (el) => {
    const text = (el.getAttribute("aria-label") || el.innerText || el.value || el.id || "").trim().replace(/\s+/g, " ").slice(0, 40);
    return `<${el.tagName.toLowerCase()}>${text ? " " + JSON.stringify(text) : ""}`;
  };
  const gone = (el) => !el.isConnected;
  const off = (el) => el.closest("[inert]") || (el.matches && el.matches(":disabled")) || el.getAttribute("aria-disabled") === "true";
  const box = (el) => {
    const wide = document.documentElement.clientWidth, high = document.documentElement.clientHeight;
    for (const r of el.getClientRects()) {
      const left = Math.max(0, r.left), top = Math.max(0, r.top), right = Math.min(wide, r.right), bottom = Math.min(high, r.bottom);
      if (right - left >= 1 && bottom - top >= 1) return { left, top, right, bottom };
    }
    return null;
  };
  const shown = (el) => {
    const style = getComputedStyle(el);
    return style.visibility === "visible" && style.display !== "none";
  };
  const hit = (el, x, y) => {
    let found = document.elementFromPoint(x, y);
    while (found && found.shadowRoot) {
      const inner = found.shadowRoot.elementFromPoint(x, y);
      if (!inner || inner === found) break;
      found = inner;
    }
    return found;
  };
  const reaches = (el, found) => {
    for (let node = found; node; node = node.parentNode || node.host) if (node === el) return true;
    const label = found && found.closest && found.closest("label");
    return !!label && label.control === el;
  };
  const problem = (text) => ({ problem: text });
  // Where to put the mouse to meet `el`; scrolls it into view first. `free`: whether something else may lie over it.
  const point = (el, free) => {
    if (gone(el)) return problem("is no longer on the page");
    if (el.tagName === "OPTION" && !(el.parentElement && el.closest("select[size],select[multiple]")))
      return problem("is an option of a closed list; use select_option on the list");
    if (!shown(el)) return problem("is hidden");
    let where = box(el);
    let x, y, found;
    const middle = () => {
      x = (where.left + where.right) / 2;
      y = (where.top + where.bottom) / 2;
      found = hit(el, x, y);
    };
    if (where) middle();
    if (!where || !reaches(el, found)) {
      el.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
      where = box(el);
      if (!where) return problem("has no area on the screen");
      middle();
    }
    if (!free && !reaches(el, found)) return problem(found ? `is covered by ${named(found)}` : "is outside the screen");
    return { x, y, tag: el.tagName };
  };
  // What the next press of a button is meant for, and whether it met that; one that meets something else is kept from the page.
  let aim = null;
  const aimed = (el, where) => {
    aim = where.problem ? null : { el, met: null };
    return where;
  };
  const pressed = (event) => {
    if (aim === null || !event.isTrusted) return;
    aim.met ??= reaches(aim.el, event.composedPath()[0]);
    if (aim.met) return;
    event.stopImmediatePropagation();
    event.preventDefault();
  };
  const missed = () => {
    const said = { missed: aim !== null && aim.met === false };
    aim = null;
    return said;
  };
  const click = (el) => (off(el) ? problem("is disabled") : aimed(el, point(el, false)));
  const focus = (el) => {
    if (gone(el)) return problem("is no longer on the page");
    if (off(el)) return problem("is disabled");
    el.focus();
    return document.activeElement === el || el.contains(document.activeElement) ? {} : problem("cannot take the focus");
  };
  const tell = (el) => {
    el.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
    el.dispatchEvent(new Event("change", { bubbles: true }));
  };
  // Makes ready for text to be inserted; {set: true} when the value was given at once.
  const fill = (el, value) => {
    if (gone(el)) return problem("is no longer on the page");
    if (el.tagName === "LABEL" && el.control) el = el.control;
    const type = typeOf(el);
    if (off(el)) return problem("is disabled");
    if (el.readOnly) return problem("is read-only");
    if (!shown(el)) return problem("is hidden");
    if (SET.has(type)) {
      const before = el.value;
      el.focus();
      el.value = value.trim();
      if (type === "range" ? Number(el.value) !== Number(value) : el.value.toLowerCase() !== value.trim().toLowerCase()) {
        el.value = before;
        return problem(`of type ${type} does not take ${JSON.stringify(value.slice(0, 40))}`);
      }
      tell(el);
      return { set: true };
    }
    if (WRITTEN.has(type)) {
      if (type === "number" && value.trim() !== "" && !Number.isFinite(Number(value))) return problem(`takes numbers, not ${JSON.stringify(value.slice(0, 40))}`);
      el.focus();
      el.select();
      return {};
    }
    if (el.isContentEditable) {
      el.focus();
      getSelection().selectAllChildren(el);
      return {};
    }
    return problem(`is no field for text but ${named(el)}`);
  };
  const select = (el, wanted) => {
    if (gone(el)) return problem("is no longer on the page");
    if (el.tagName === "LABEL" && el.control) el = el.control;
    if (el.tagName !== "SELECT") return problem(`is no list of options but ${named(el)}`);
    if (off(el)) return problem("is disabled");
    if (wanted.length > 1 && !el.multiple) return problem(`takes one option, not ${wanted.length}`);
    const options = Array.from(el.options);
    const text = (o) => o.label.trim().replace(/\s+/g, " ");
    const chosen = [];
    for (const one of wanted) {
      const found = options.find((o) => o.value === one) || options.find((o) => text(o) === one.trim().replace(/\s+/g, " "));
      if (!found) return problem(`has no option ${JSON.stringify(one.slice(0, 40))}; its options: ${options.slice(0, 40).map((o) => JSON.stringify(text(o))).join(", ")}`);
      if (found.disabled) return problem(`has the option ${JSON.stringify(one.slice(0, 40))}, but it is disabled`);
      chosen.push(found);
    }
    el.focus();
    for (const o of options) o.selected = chosen.includes(o);
    tell(el);
    return {};
  };
  const checkable = (el) => {
    if (el.tagName === "LABEL" && el.control) el = el.control;
    const role = el.getAttribute("role");
    if (el.type === "checkbox" || el.type === "radio") return [el, el.checked];
    if (["checkbox", "radio", "switch", "menuitemcheckbox", "menuitemradio"].includes(role)) return [el, el.getAttribute("aria-checked") === "true"];
    return null;
  };
  const checked = (el, want) => {
    if (gone(el)) return problem("is no longer on the page");
    const found = checkable(el);
    if (!found) return problem(`is neither checkbox nor radio button but ${named(el)}`);
    const [target, is] = found;
    if (is === want) return { already: true };
    if (!want && target.type === "radio") return problem("is a radio button; choose another one of its group instead");
    if (off(target)) return problem("is disabled");
    let where = point(target, false);
    // Styled boxes hide the input itself; its label then takes the click.
    if (where.problem && target.labels && target.labels.length) where = point(target.labels[0], false);
    return aimed(target, where);
  };
  const picked = () => {
    const el = document.activeElement;
    if (el && typeof el.selectionStart === "number" && "value" in el) return el.value.slice(el.selectionStart, el.selectionEnd);
    return String(getSelection());
  };
  // All pages of a browser share one clipboard; an episode gets one of its own.
  const copy = (event) => {
    const text = picked();
    if (text && !(document.activeElement && document.activeElement.type === "password")) {
      clipboard = text;
      if (event.type === "cut") document.execCommand("delete");
    }
    event.preventDefault();
  };
  const paste = (event) => {
    event.preventDefault();
    if (clipboard) document.execCommand("insertText", false, clipboard);
  };
  const listen = () => {
    for (const name of ["pointerdown", "mousedown", "pointerup", "mouseup", "click", "auxclick", "dblclick", "contextmenu"])
      window.addEventListener(name, pressed, true);
    document.addEventListener("copy", copy, true);
    document.addEventListener("cut", copy, true);
    document.addEventListener("paste", paste, true);
  };
  listen();
  // A document that is opened anew loses its listeners and its root; this comes before what is then written into it.
  new MutationObserver(listen).observe(document, { childList: true });
  globalThis.turnwise = { click, missed, point, focus, fill, select, checked, activeIs: (el) => document.activeElement === el };
})();
