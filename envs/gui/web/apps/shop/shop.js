"use strict";
/* The shop. Tables: products, cart, coupons (used by the cart), orders, returns, wishlist, reviews, addresses, subscriptions.
 * settings: email, today, codes {code: percent}, next_order. Amounts are cents. */
(() => {
  const { h, link, button, rowButton, heading, value, field, select, checkbox, radios, form, submit, facts, table, money, row, route, go, say, fail, ask } = app;
  const PAGE = 6;
  const SHIPPING = { standard: ["Standard, 5 days", 490], express: ["Express, 2 days", 990], pickup: ["Pick up in the store", 0] };
  const SORTS = [["", "Featured"], ["price", "Price, lowest first"], ["price-down", "Price, highest first"], ["rating", "Rating, best first"]];
  const REASONS = ["Wrong size", "Damaged", "Not as described", "No longer needed"];
  const items = (t) => Object.entries(t);
  const stars = (p) => `${p.rating.toFixed(1)} of 5 stars`;

  const subtotal = (s) => items(s.tables.cart).reduce((sum, [, l]) => sum + l.quantity * s.tables.products[l.product].price, 0);
  const coupon = (s) => s.tables.coupons.cart?.code ?? "";
  const discount = (s) => Math.round((subtotal(s) * (s.settings.codes[coupon(s)] ?? 0)) / 100);

  function add(s, id, size, colour, quantity) {
    const key = [id, size, colour].filter(Boolean).join(" ");
    const line = (s.tables.cart[key] ??= { product: id, size, colour, quantity: 0 });
    line.quantity += quantity;
  }

  function searchBox(s, text = "") {
    return form("Search products", () => go(route("/list", { q: value("q", text).trim() })), h("div.row", {},
      field("Search the shop", "q", { initial: text, loose: true }), submit("Search")));
  }

  function home(s) {
    const kinds = [...new Set(Object.values(s.tables.products).map((p) => p.category))];
    return { title: "Welcome to the Corner Shop", body: [searchBox(s), heading("Categories", 2),
      h("ul.cards", {}, kinds.map((k) => h("li", {}, link(k, route("/list", { category: k }))))), heading("Today's picks", 2),
      h("ul.cards", {}, items(s.tables.products).slice(0, 3).map(([id, p]) => card(id, p)))] };
  }

  const card = (id, p) => h("li", {}, link(p.name, `/product/${id}`), h("span", {}, `${money(p.price)}, ${stars(p)}`), h("span.soft", {}, p.stock ? p.brand : `${p.brand}, sold out`));

  function list(s, parts, query) {
    const all = items(s.tables.products);
    const words = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    let found = all.filter(([, p]) => words.every((w) => `${p.name} ${p.brand} ${p.category}`.toLowerCase().includes(w))
      && (!query.category || p.category === query.category) && (!query.brand || p.brand === query.brand)
      && (!query.rating || p.rating >= Number(query.rating)) && (!query.stock || p.stock > 0));
    const by = { price: (a, b) => a[1].price - b[1].price, "price-down": (a, b) => b[1].price - a[1].price, rating: (a, b) => b[1].rating - a[1].rating };
    if (by[query.sort]) found = [...found].sort(by[query.sort]);
    const page = Number(query.page ?? 1);
    const shown = found.slice((page - 1) * PAGE, page * PAGE);
    const set = (name) => (v) => go(route("/list", { ...query, page: "", [name]: v }));
    const options = (name) => [["", "All"], ...[...new Set(all.map(([, p]) => p[name]))].map((v) => [v, v])];
    const to = (n) => route("/list", { ...query, page: n === 1 ? "" : n });
    return { title: query.category || (query.q ? `Results for ${query.q}` : "All products"), body: [searchBox(s, query.q),
      h("div.row", {}, select("Category", "category", options("category"), { initial: query.category, change: set("category") }),
        select("Brand", "brand", options("brand"), { initial: query.brand, change: set("brand") }),
        select("Rating", "rating", [["", "Any"], ["3", "3 stars or more"], ["4", "4 stars or more"]], { initial: query.rating, change: set("rating") }),
        select("Availability", "stock", [["", "All"], ["1", "In stock only"]], { initial: query.stock, change: set("stock") }),
        select("Sort by", "sort", SORTS, { initial: query.sort, change: set("sort") })),
      h("p.soft", { role: "status" }, `${found.length} products, page ${page} of ${Math.max(1, Math.ceil(found.length / PAGE))}`),
      h("ul.cards", {}, shown.map(([id, p]) => card(id, p))),
      h("div.row", {}, page > 1 && link("Previous page", to(page - 1)), page * PAGE < found.length && link("Next page", to(page + 1)))] };
  }

  function product(s, [id]) {
    const p = row(s.tables.products, id);
    if (!p) return null;
    const put = () => {
      if (p.sizes.length && !value("size")) return fail("Choose a size.");
      if (p.colours.length && !value("colour")) return fail("Choose a colour.");
      add(s, id, value("size"), value("colour"), Number(value("quantity", "1")));
      Object.assign(s, { inputs: {}, dirty: false });
      say(`${p.name} was added to the cart.`);
    };
    const wish = () => { s.tables.wishlist[id] = { product: id }; say(`${p.name} is on the wishlist.`); };
    const choose = (all) => [["", "Choose…"], ...all.map((v) => [v, v])];
    const wished = s.tables.wishlist[id];
    return { title: p.name, body: [h("p.price", {}, money(p.price)), h("p", {}, p.text),
      facts([["Brand", p.brand], ["Rating", `${stars(p)} (${p.reviews} reviews)`], ["Category", p.category], ["Article number", id.toUpperCase()],
        ["Availability", p.stock ? `In stock` : "Sold out"]]),
      p.stock ? form("Buy", put, h("div.row", {}, p.sizes.length > 0 && select("Size", "size", choose(p.sizes), { loose: true }),
        p.colours.length > 0 && select("Colour", "colour", choose(p.colours), { loose: true }),
        select("Quantity", "quantity", ["1", "2", "3", "4", "5"], { initial: "1", loose: true }), submit("Add to cart"))) : h("p.notice.bad", {}, "This product is sold out."),
      h("div.row", {}, wished ? h("span.pill", {}, "On the wishlist") : button("Add to wishlist", wish), link("Write a review", `/review/${id}`))] };
  }

  function cart(s) {
    const lines = items(s.tables.cart);
    if (!lines.length) return { title: "Cart", body: [h("p", {}, "The cart is empty."), link("Go on shopping", "/list")] };
    const name = (l) => [s.tables.products[l.product].name, l.size, l.colour].filter(Boolean).join(", ");
    const item = ([key, l]) => h("li", {}, h("span.grow", {}, link(name(l), `/product/${l.product}`)), h("span", {}, `${money(s.tables.products[l.product].price)} each`),
      select(`Quantity of ${name(l)}`, "n-" + key, ["1", "2", "3", "4", "5"], { initial: String(l.quantity), shown: "Quantity", change: (n) => { l.quantity = Number(n); say("The quantity was changed."); } }),
      rowButton("Remove", `Remove ${name(l)}`, () => { delete s.tables.cart[key]; say("The item was removed."); }));
    const use = () => {
      const code = value("code").trim().toUpperCase();
      if (!row(s.settings.codes, code)) return fail(`The code ${code || "that you entered"} is not valid.`);
      s.tables.coupons.cart = { code };
      s.inputs = {};
      say(`The code ${code} gives ${s.settings.codes[code]}% off.`);
    };
    return { title: "Cart", body: [h("ul.list", {}, lines.map(item)),
      form("Coupon", use, h("div.row", {}, field("Coupon code", "code", { loose: true }), h("button", { type: "submit" }, "Apply coupon"))),
      sums(s), h("div.row", {}, link("Go to checkout", "/checkout"), link("Go on shopping", "/list"))] };
  }

  const sums = (s, shipping = null) => facts([["Subtotal", money(subtotal(s))], coupon(s) && [`Coupon ${coupon(s)}`, "-" + money(discount(s))],
    shipping !== null && ["Shipping", money(shipping)], shipping !== null && ["Total", money(subtotal(s) - discount(s) + shipping)]]);

  function checkout(s) {
    if (!items(s.tables.cart).length) return { title: "Checkout", body: [h("p", {}, "The cart is empty.")] };
    const saved = items(s.tables.addresses);
    const first = saved[0]?.[0] ?? "new";
    const place = () => {
      const where = value("address", first);
      const to = where === "new" ? typedAddress() : s.tables.addresses[where];
      const how = value("shipping");
      if (where === "new" && Object.values(to).some((v) => !v)) return fail("Fill in name, street, city and postcode.");
      if (!how) return fail("Choose how the order is to be sent.");
      const number = String(s.settings.next_order++);
      const lines = items(s.tables.cart).map(([, l]) => ({ ...l, name: s.tables.products[l.product].name, price: s.tables.products[l.product].price }));
      s.tables.orders[number] = {
        date: s.settings.today, status: "processing", lines, shipping: how, name: to.name, street: to.street, city: to.city, postcode: to.postcode,
        coupon: coupon(s), gift: value("gift", false), total: subtotal(s) - discount(s) + SHIPPING[how][1],
      };
      s.tables.cart = {};
      s.tables.coupons = {};
      go(`/order/${number}`, { force: true });
      say(`Thank you. Your order has the number ${number}.`);
    };
    const pick = (v) => { s.inputs.address = v; s.dirty = true; };
    const choices = [...saved.map(([id, a]) => [id, `${a.label}: ${a.name}, ${a.street}, ${a.city}`]), ["new", "Another address"]];
    return { title: "Checkout", body: [form("Checkout", place, select("Deliver to", "address", choices, { initial: first, change: pick }),
      value("address", first) === "new" && addressFields({}),
      radios("Shipping", "shipping", items(SHIPPING).map(([k, [text, cost]]) => [k, `${text} (${money(cost)})`])),
      checkbox("Wrap as a gift", "gift"), sums(s), submit("Place order"))] };
  }

  const addressFields = (a) => h("div", {}, field("Name", "name", { initial: a.name }), field("Street and number", "street", { initial: a.street }),
    field("City", "city", { initial: a.city }), field("Postcode", "postcode", { initial: a.postcode }));
  const typedAddress = (a = {}) => Object.fromEntries(["name", "street", "city", "postcode"].map((k) => [k, value(k, a[k] ?? "").trim()]));

  function orders(s) {
    const rows = items(s.tables.orders).sort((a, b) => b[0] - a[0]).map(([n, o]) => [link(`Order ${n}`, `/order/${n}`), o.date, o.lines.map((l) => l.name).join("; "), o.status]);
    return { title: "Your orders", body: [table(["Order", "Date", "Items", "Status"], rows)] };
  }

  function order(s, [n]) {
    const o = row(s.tables.orders, n);
    if (!o) return null;
    const cancel = () => ask(`Cancel order ${n}?`, "This cannot be undone.", "Yes, cancel the order", "No, keep the order", "cancel", n);
    const again = () => { o.lines.forEach((l) => add(s, l.product, l.size, l.colour, l.quantity)); say("The items are in the cart."); };
    const line = (l, i) => h("li", {}, h("span.grow", {}, link([l.name, l.size, l.colour].filter(Boolean).join(", "), `/product/${l.product}`), ` × ${l.quantity}`), h("span", {}, money(l.price)),
      o.status === "delivered" && (s.tables.returns[`${n}-${l.product}`] ? h("span.pill", {}, "Return requested") : o.closed ? h("span.soft", {}, "The time for returns is over") : link(`Return ${l.name}`, `/return/${n}/${i}`)));
    return { title: `Order ${n}`, body: [facts([["Date", o.date], ["Status", o.status], ["Sent to", `${o.name}, ${o.street}, ${o.postcode} ${o.city}`],
      ["Shipping", SHIPPING[o.shipping][0]], o.coupon && ["Coupon", o.coupon], ["Total paid", money(o.total)]]), h("ul.list", {}, o.lines.map(line)),
      h("div.row", {}, o.status === "processing" && button("Cancel order", cancel), button("Buy these items again", again), link("Back to orders", "/orders"))] };
  }

  function giveBack(s, [n, i]) {
    const [o, l] = [row(s.tables.orders, n), row(row(s.tables.orders, n)?.lines ?? [], i)];
    if (!l || o.status !== "delivered" || o.closed) return null;
    const send = () => {
      if (!value("reason") || !value("refund")) return fail("Choose a reason and how the money is to be paid back.");
      s.tables.returns[`${n}-${l.product}`] = { order: n, product: l.product, reason: value("reason"), refund: value("refund") };
      go(`/order/${n}`, { force: true });
      say(`The return of ${l.name} was requested.`);
    };
    return { title: `Return ${l.name}`, body: [h("p", {}, `From order ${n} of ${o.date}, ${money(l.price)}.`), form("Return", send,
      select("Reason", "reason", [["", "Choose…"], ...REASONS.map((r) => [r, r])]),
      radios("Refund", "refund", [["original", "Back to the way you paid"], ["credit", "Store credit"]]), submit("Send return request"))] };
  }

  function review(s, [id]) {
    const p = row(s.tables.products, id);
    if (!p) return null;
    const send = () => {
      if (!value("stars") || !value("text").trim()) return fail("Choose the stars and write a text.");
      s.tables.reviews[id] = { product: id, stars: Number(value("stars")), text: value("text").trim() };
      go(`/product/${id}`, { force: true });
      say("Thank you for your review.");
    };
    return { title: `Review of ${p.name}`, body: [form("Review", send, select("Stars", "stars", [["", "Choose…"], ...["1", "2", "3", "4", "5"].map((n) => [n, n])]),
      field("Your review", "text", { area: true }), submit("Send review"))] };
  }

  function wishlist(s) {
    const item = ([id]) => h("li", {}, h("span.grow", {}, link(s.tables.products[id].name, `/product/${id}`)), h("span", {}, money(s.tables.products[id].price)),
      rowButton("Remove", `Remove ${s.tables.products[id].name}`, () => { delete s.tables.wishlist[id]; say("The product was removed."); }));
    const rows = items(s.tables.wishlist).map(item);
    return { title: "Wishlist", body: [rows.length ? h("ul.list", {}, rows) : h("p", {}, "The wishlist is empty.")] };
  }

  function account(s) {
    const cells = ([id, a]) => [a.label, a.name, a.street, `${a.postcode} ${a.city}`, link(`Edit ${a.label}`, `/address/${id}`)];
    return { title: "Account", body: [facts([["E-mail", s.settings.email]]), heading("Addresses", 2),
      table(["Label", "Name", "Street", "City", "Change"], items(s.tables.addresses).map(cells)), link("Add an address", "/address/new")] };
  }

  function address(s, [id]) {
    const old = id === "new" ? {} : row(s.tables.addresses, id);
    if (!old) return null;
    const keep = () => {
      const a = { label: value("label", old.label ?? "").trim(), ...typedAddress(old) };
      if (Object.values(a).some((v) => !v)) return fail("Fill in all fields.");
      s.tables.addresses[id === "new" ? `a${items(s.tables.addresses).length + 1}` : id] = a;
      go("/account", { force: true });
      say(`The address ${a.label} was saved.`);
    };
    const remove = () => ask(`Delete the address ${old.label}?`, "This cannot be undone.", "Yes, delete the address", "No, keep the address", "forget", id);
    return { title: id === "new" ? "New address" : `Address ${old.label}`, body: [form("Address", keep, field("Label", "label", { initial: old.label }), addressFields(old), submit("Save address")),
      h("div.row", {}, id !== "new" && button("Delete address", remove), link("Back to the account", "/account"))] };
  }

  app.define({
    id: "shop", name: "Corner Shop", home: "/",
    nav: (s) => [["Home", "/"], ["Products", "/list"], [`Cart (${items(s.tables.cart).reduce((n, [, l]) => n + l.quantity, 0)})`, "/cart"], ["Orders", "/orders"], ["Wishlist", "/wishlist"], ["Account", "/account"]],
    views: { home, list, product, cart, checkout, orders, order, return: giveBack, review, wishlist, account, address },
    actions: {
      cancel: (s, n) => { s.tables.orders[n].status = "cancelled"; say(`Order ${n} was cancelled.`); },
      forget: (s, id) => { delete s.tables.addresses[id]; go("/account", { force: true }); say("The address was deleted."); },
    },
  });
})();
