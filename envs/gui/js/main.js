// Runs in the page before its own scripts. Keeps count of what the page still means to do, so that nobody has to sleep:
// one-shot timers that end soon, short intervals (animations), animation frames and requests. What belongs to a chain that has
// been going on for longer than the bound (a clock, a game) is not waited for.
(() => {
  const now = performance.now.bind(performance);
  const set = window.setTimeout.bind(window), clear = window.clearTimeout.bind(window);
  const every = window.setInterval.bind(window), stop = window.clearInterval.bind(window);
  const frame = window.requestAnimationFrame.bind(window), unframe = window.cancelAnimationFrame.bind(window);
  const pending = new Map();
  const SHORT = 60;
  let chain = null;
  let requests = 0;
  let refused = 0;
  const begun = () => (chain === null ? now() : chain);
  const inside = (born, f) => function (...given) {
    const outer = chain;
    chain = born;
    try { return f.apply(this, given); } finally { chain = outer; }
  };
  window.setTimeout = function setTimeout(f, delay, ...given) {
    if (typeof f !== "function") return set(f, delay, ...given);
    const born = begun();
    const run = inside(born, f);
    const id = set(function (...args) { pending.delete("t" + id); return run.apply(this, args); }, delay, ...given);
    pending.set("t" + id, { born, due: now() + (Number(delay) || 0) });
    return id;
  };
  window.setInterval = function setInterval(f, delay, ...given) {
    if (typeof f !== "function") return every(f, delay, ...given);
    const born = begun();
    const id = every(inside(born, f), delay, ...given);
    if ((Number(delay) || 0) <= SHORT) pending.set("t" + id, { born, due: 0 });
    return id;
  };
  window.clearTimeout = function clearTimeout(id) { pending.delete("t" + id); clear(id); };
  window.clearInterval = function clearInterval(id) { pending.delete("t" + id); stop(id); };
  window.requestAnimationFrame = function requestAnimationFrame(f) {
    const born = begun();
    const run = inside(born, f);
    const id = frame((time) => { pending.delete("f" + id); run(time); });
    pending.set("f" + id, { born, due: 0 });
    return id;
  };
  window.cancelAnimationFrame = function cancelAnimationFrame(id) { pending.delete("f" + id); unframe(id); };
  const fetched = window.fetch && window.fetch.bind(window);
  if (fetched) window.fetch = function fetch(...given) { requests++; return fetched(...given).finally(() => { requests--; }); };
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...given) {
    requests++;
    this.addEventListener("loadend", () => { requests--; }, { once: true });
    return send.apply(this, given);
  };
  const open = window.open;
  window.open = function (...given) { refused++; return open.apply(window, given); };
  const busy = (soon, bound) => {
    if (requests > 0 || document.readyState !== "complete") return true;
    const time = now();
    for (const { born, due } of pending.values()) if (due - time <= soon && time - born < bound) return true;
    return false;
  };
  // Resolves to the number of windows that the page tried to open, once it is quiet or `bound` ms have passed.
  const quiet = (soon, bound) => {
    const end = now() + bound;
    const said = () => { const n = refused; refused = 0; return n; };
    if (!busy(soon, bound)) return said();
    return new Promise((done) => {
      const look = () => (now() >= end || !busy(soon, bound) ? done(said()) : set(look, 4));
      set(look, 4);
    });
  };
  Object.defineProperty(window, "__turnwise_quiet", { value: quiet });
  // The frame of an episode whose document stands alone: host.js sends the document's text, once.
  if (parent !== top || parent === window || !location.href.endsWith(".test/document")) return;
  const take = (event) => {
    if (event.source !== parent) return;
    event.stopImmediatePropagation();
    document.open();  // takes all listeners away; isolated.js puts its own back before the first script runs
    Promise.resolve().then(() => { document.write(event.data); document.close(); });
  };
  window.addEventListener("message", take, true);
})();
