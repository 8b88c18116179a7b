// Runs in the page around the episodes: makes the frame of each, puts its document in, and keeps the texts that documents share.
(() => {
  const SANDBOX = "allow-scripts allow-forms allow-modals";
  const SHOWN = "position:fixed;left:0;top:0;width:100vw;height:100vh;border:0;background:#fff";
  // Not display:none: what a frame that was not displayed shows is drawn one picture late.
  const HIDDEN = SHOWN + ";visibility:hidden";
  const parts = new Map();
  let spare = null;
  const make = (style, address, more) => {
    const frame = document.createElement("iframe");
    frame.sandbox = SANDBOX + more;
    frame.style = style;
    frame.src = address;
    document.body.append(frame);
    return frame;
  };
  const loaded = (frame) => new Promise((done) => { frame.onload = () => done(true); });
  const clear = (but) => {
    for (const old of document.querySelectorAll("iframe")) if (old !== but) old.remove();
  };
  const whole = (pieces) => pieces.map((piece) => (typeof piece === "string" ? piece : parts.get(piece[0]))).join("");
  const write = (frame, text) => {
    const done = loaded(frame);
    frame.contentWindow.postMessage(text, "*");
    return done;
  };
  // A frame for the next episode: its document is empty or, with `pieces`, already what that episode is expected to show.
  const prepare = (pieces) => {
    if (spare) return;
    const frame = make(HIDDEN, "/document", "");
    spare = { frame, ready: loaded(frame), text: null };
    if (!pieces) return;
    const text = (spare.text = whole(pieces));
    spare.ready = spare.ready.then(() => write(frame, text));
  };
  const drop = () => {
    if (spare) spare.frame.remove();
    spare = null;
  };
  // The document made of `pieces`: texts, and [key] for one of the texts that are kept; `more` adds to those.
  const show = async (pieces, more) => {
    for (const key in more) parts.set(key, more[key]);
    const text = whole(pieces);
    if (spare && spare.text !== null && spare.text !== text) drop();
    prepare();
    const { frame, ready, text: written } = spare;
    spare = null;
    clear(frame);
    await ready;
    frame.style = SHOWN;
    frame.focus();
    if (written === null) await write(frame, text);
    frame.focus();
  };
  // Nothing is left of any episode, shown or prepared.
  const empty = () => {
    clear(null);
    spare = null;
  };
  const open = async (address) => {
    empty();
    const frame = make(SHOWN, address, " allow-same-origin");
    await loaded(frame);
    frame.focus();
  };
  globalThis.episodes = { prepare, drop, show, open, clear: empty };
})();
