// The page's one script: follows the desk's web socket and keeps every cell true. Money arrives in paise, times in
// UTC nanoseconds; both become text here and nowhere else.

import { CandlestickSeries, LineSeries, createChart, createSeriesMarkers } from "/assets/lightweight-charts-5.2.1.mjs";

const SILENT_MS = 5000;
const RETRY_MS = 1000;
const JOBS_MS = 30_000;
const IST_S = 19800;
const MINUTE_S = 60;
const RECENT_MINUTES = 90;
const SHOWN_DECISIONS = 400;

const state = {
  view: null, store: null, watch: null, link: null, candles: new Map(), decisions: new Map(), trades: new Map(), notices: [],
  heardMs: 0, index: "", span: "recent", follow: true,
};
const dirty = { log: true, trades: true, notices: true, candles: true };
const byId = (id) => document.getElementById(id);

// ---- text ----------------------------------------------------------------------------------------------------

const rupeeFormat = new Intl.NumberFormat("en-IN", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const rupees = (paise) => (paise < 0 ? "−" : "") + rupeeFormat.format(Math.abs(paise) / 100);
const signed = (paise) => (paise > 0 ? "+" : "") + rupees(paise);
const percent = (bps, digits = 1) => `${bps > 0 ? "+" : bps < 0 ? "−" : ""}${(Math.abs(bps) / 100).toFixed(digits)}%`;
const tone = (paise) => (paise > 0 ? "good" : paise < 0 ? "bad" : "");
const two = (n) => String(n).padStart(2, "0");
const istSecond = (ns) => (Math.floor(ns / 1e9) + IST_S) % 86400;
const clock = (ns) => { const s = istSecond(ns); return `${two(Math.floor(s / 3600))}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`; };
const hourMinute = (ns) => clock(ns).slice(0, 5);
const words = (name) => name.replaceAll("_", " ").toLowerCase();
const side = (direction) => (direction > 0 ? "▲ call" : direction < 0 ? "▼ put" : "");

function span(ns) {
  const s = Math.max(0, Math.floor(ns / 1e9));
  if (s < 100) return `${s} s`;
  const m = Math.floor(s / 60);
  return m < 100 ? `${m} min` : `${Math.floor(m / 60)} h ${two(m % 60)} min`;
}

function age(ns) {
  if (!ns || !state.view) return "never";
  const s = Math.max(0, (state.view.at_ns - ns) / 1e9);
  return s < 10 ? `${s.toFixed(1)} s ago` : `${span(s * 1e9)} ago`;
}

// A figure behind a decision says its unit by the end of its name.
function figure(name, value) {
  for (const [end, show] of [
    ["_paise", (v) => `Rs ${rupees(v)}`], ["_bps", (v) => percent(v, 2)], ["_ns", (v) => (v > 1e17 ? clock(v) : span(v))],
    ["_s", (v) => `${v} s`],
  ]) if (name.endsWith(end) && typeof value === "number") return `${words(name.slice(0, -end.length))} ${show(value)}`;
  return `${words(name)} ${typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : value}`;
}

// ---- elements ------------------------------------------------------------------------------------------------

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name === "onclick") node.addEventListener("click", value);
    else if (value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function put(id, text, tones) {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
  if (tones !== undefined && node.className !== tones) node.className = tones;
}

// Builds anew only what reads differently: no flicker, and what a person has selected stays selected.
function fill(node, signature, build) {
  const key = JSON.stringify(signature);
  if (node.dataset.shown === key) return;
  node.dataset.shown = key;
  node.replaceChildren(...build());
}

const pairs = (rows) => rows.filter(Boolean).flatMap(([name, value, small, tones]) => [
  el("dt", { text: name }), el("dd", { class: tones ?? "" }, value, ...(small ? [" ", el("small", { text: small })] : [])),
]);
const chips = (numbers) => Object.entries(numbers).map(([name, value]) => el("span", { class: "chip", text: figure(name, value) }));

// ---- what arrives --------------------------------------------------------------------------------------------

function take(packet) {
  const { link, batch } = packet;
  state.link = link;
  state.heardMs = performance.now();
  if (batch.snapshot) {
    const { view, store, watch, candles, decisions, trades, notices } = batch.snapshot;
    Object.assign(state, { view, store, watch, candles: new Map(), decisions: new Map(), trades: new Map(), notices: [] });
    takeRecords({ candles, decisions, trades, notices });
    chart.loaded = "";
  }
  if (batch.view) {
    if (state.view && state.view.day !== batch.view.day) { state.decisions.clear(); state.trades.clear(); dirty.log = dirty.trades = true; }
    state.view = batch.view;
  }
  if (batch.store) state.store = batch.store;
  if (batch.watch) state.watch = batch.watch;
  takeRecords(batch);
  requestAnimationFrame(render);
}

function takeRecords({ candles = [], decisions = [], trades = [], notices = [] }) {
  for (const candle of candles) {
    const kept = state.candles.get(candle.index) ?? state.candles.set(candle.index, new Map()).get(candle.index);
    const last = [...kept.keys()].at(-1);
    if (last && Math.floor((last / 1e9 + IST_S) / 86400) !== Math.floor((candle.start_ns / 1e9 + IST_S) / 86400)) kept.clear();
    kept.set(candle.start_ns, candle);
  }
  for (const line of decisions) { state.decisions.delete(line.line); state.decisions.set(line.line, line); }
  for (const trade of trades) state.trades.set(trade.id, trade);
  state.notices.push(...notices);
  state.notices.splice(0, Math.max(0, state.notices.length - 200));
  dirty.log ||= decisions.length > 0;
  dirty.trades ||= trades.length > 0;
  dirty.notices ||= notices.length > 0;
  dirty.candles ||= candles.length > 0;
}

let socket = null;

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/stream`);
  socket.onmessage = (message) => take(JSON.parse(message.data));
  socket.onclose = async () => {
    renderLink();
    // A cookie that no longer counts cannot be seen from a closed socket; the page itself will ask for the token.
    const answer = await fetch("/api/status").catch(() => null);
    if (answer?.status === 401) location.reload();
    setTimeout(connect, RETRY_MS);
  };
}

// ---- the top: what, when, alive ------------------------------------------------------------------------------

const PHASES = {
  before_open: "before the open", warming: "warming up", trading: "trading", no_more_entries: "no more entries",
  flat: "flat", closed: "market closed",
};

function renderLink() {
  const deskMs = performance.now() - state.heardMs;
  const deskLost = socket?.readyState !== WebSocket.OPEN || deskMs > SILENT_MS;
  const engine = state.link?.engine;
  const waiting = engine?.state === "waiting";
  const engineLost = !waiting && state.link && (state.link.age_ms < 0 || state.link.age_ms > SILENT_MS);
  const lost = state.view && (deskLost || engineLost);
  document.body.classList.toggle("stale", Boolean(lost));
  byId("lost").hidden = !lost;
  if (lost) {
    const detail = !deskLost && engine ? ` The engine's process is ${engine.state}${engine.detail ? `: ${engine.detail}` : ""}.` : "";
    put("lost", `Connection to the ${deskLost ? "desk" : "engine"} lost since ${clock(state.view.at_ns)}. What you see is as of then.${detail}`);
  }
  if (waiting && !deskLost) {
    const sentence = engine.detail.charAt(0).toUpperCase() + engine.detail.slice(1);
    put("phase", "market closed");
    put("headline", sentence);
  }
  if (lost) put("link", "✕ lost", "pill off");
  else if (waiting) put("link", deskLost ? "connecting" : "market closed", "pill wait");
  else if (!state.view) put("link", deskLost ? "connecting" : "engine starting", "pill wait");
  else put("link", "● live", "pill ok");
}

function banner(id, word, noun) {
  const node = byId(id);
  const shown = word.toLowerCase();
  if (node.dataset.word === shown) return;
  node.dataset.word = shown;
  node.className = `word ${shown}`;
  node.replaceChildren(word, el("small", { text: noun }));
}

function renderTop(view) {
  banner("market", view.market, "market");
  banner("money", view.money, "money");
  document.title = `${view.market} ${view.money} - Algo Scalper`;
  put("day", view.day);
  put("clock", clock(view.at_ns));
  put("phase", PHASES[view.clock.phase] ?? words(view.clock.phase));
  put("headline", view.headline);
  byId("oddities").hidden = !view.clock.oddities.length;
  put("oddities", view.clock.oddities.join(" "));
  const refusal = view.positions.length ? null : lastRefusal();
  fill(byId("refusal"), [refusal?.line, refusal?.count], () => refusal ? [
    `Last refusal, ${refusal.decision.index} at ${clock(refusal.decision.at_ns)}${refusal.count > 1 ? ` (${refusal.count} times since ${hourMinute(refusal.first_ns)})` : ""}: `,
    el("b", { text: words(refusal.decision.reason) }), " ", ...chips(refusal.decision.numbers),
  ] : []);
  renderMoments(view);
}

// Only while it is the newest word on its index: an old refusal explains nothing.
function lastRefusal() {
  const traded = new Set(state.view.indices.filter((index) => index.role === "trade").map((index) => index.name));
  const last = [...state.decisions.values()].filter((line) => traded.has(line.decision.index)).at(-1);
  return last?.decision.kind === "refusal" ? last : null;
}

function renderMoments(view) {
  const { clock: c, at_ns: now } = view;
  const moments = [
    ["Open", c.open_ns], ["First entry", c.first_entry_ns], ["Last entry", c.last_entry_ns], ["Flat by", c.flat_by_ns],
    ["Index freeze", c.index_close_ns], ["Broker square-off", c.square_off_ns],
  ];
  const next = moments.find(([, at]) => at > now)?.[0];
  const rows = moments.map(([name, at]) => [name, at ? hourMinute(at) : "none", !at ? "not today" : at > now ? `in ${span(at - now)}` : "passed",
    !at || at <= now ? "past" : name === next ? "next" : ""]);
  fill(byId("moments"), rows, () => rows.map(([name, at, left, tones]) =>
    el("li", { class: tones }, el("small", { text: name }), el("b", { text: at }), el("small", { text: left }))));
}

// ---- position and day ----------------------------------------------------------------------------------------

function renderPositions(view) {
  put("position-state", view.positions.map((p) => words(p.state)).join(", "));
  const box = byId("positions");
  if (!view.positions.length) {
    const refused = refusalCounts();
    fill(box, ["none", refused, view.indices.map((i) => [i.name, i.role, i.last_reason])], () => [
      el("p", { class: "empty", text: "No open position." }),
      ...view.indices.map((index) => el("div", { class: "held" },
        el("h3", {}, index.name, el("small", { text: index.role === "trade" ? "traded" : "watched only" })),
        el("p", { class: "quiet", text: index.last_reason || "Nothing decided yet." }))),
      refused.length ? el("div", { class: "held" }, el("h3", { text: "Why not, today" }), el("dl", { class: "pairs" }, ...pairs(refused))) : "",
    ]);
    return;
  }
  // What can be pressed is made once: a button replaced between press and release would lose the click.
  fill(box, view.positions.map((p) => p.id), () => view.positions.map((p) => el("div", { class: "held" },
    el("div", { class: "held-body" }), el("div", { class: "buttons" },
      el("button", { type: "button", class: "danger", onclick: () => askClose(p.id) }, "Close this position…")))));
  view.positions.forEach((p, i) => fill(box.children[i].firstChild, [p, Math.floor(view.at_ns / 1e9)], () => positionFacts(view, p)));
}

// How often each reason kept us out, over every index, the commonest first.
function refusalCounts() {
  const counts = {};
  for (const { count, decision: d } of state.decisions.values()) if (d.kind === "refusal") counts[d.reason] = (counts[d.reason] ?? 0) + count;
  return Object.entries(counts).sort((a, b) => b[1] - a[1]).slice(0, 6).map(([reason, count]) => [words(reason), `×${count}`]);
}

function positionFacts(view, p) {
  const floor = view.orders.find((order) => order.id === p.floor_order_id);
  const slip = p.average_paise - p.signal_paise;
  const from = (paise) => (p.average_paise && paise ? `${percent(Math.round((paise - p.average_paise) / p.average_paise * 10000))} of fill` : "");
  const left = p.time_stop_ns ? Math.max(0, p.time_stop_ns - view.at_ns) : 0;
  const opening = !p.held && p.state === "OPENING";
  return [
    el("h3", { text: `${p.contract} ${side(p.direction)}` }),
    el("p", { class: "big" }, el("span", { class: tone(p.exit_now_net_paise), text: opening ? "opening" : `Rs ${signed(p.exit_now_net_paise)}` }),
      el("small", { text: opening ? "the entry is working, nothing is held yet" : "net, if I exit now" })),
    p.frozen ? el("p", { class: "warn", text: `Frozen: ${p.frozen}` }) : null,
    p.exit_reason && p.exit_reason !== "HOLD" ? el("p", { class: "warn", text: `Leaving: ${words(p.exit_reason)}` }) : null,
    opening ? null : ladder(p),
    el("dl", { class: "pairs" }, ...pairs([
      ["Quantity", `${p.held} of ${p.quantity}`, p.lot ? `${p.quantity / p.lot} lot${p.quantity === p.lot ? "" : "s"} of ${p.lot}` : ""],
      ["Fill", rupees(p.average_paise), `signal ${rupees(p.signal_paise)}, slipped ${signed(slip)}`],
      ["Bid", rupees(p.bid_paise), `last ${rupees(p.ltp_paise)}, best ${rupees(p.high_water_paise)}`],
      ["Price age", age(p.price_ns)],
      ["Gross / charges", `${signed(p.open_paise)} / ${rupees(p.charges_paise)}`, "booked so far"],
      ["Stop", rupees(p.stop_paise), from(p.stop_paise)],
      ["Emergency", rupees(p.emergency_paise), from(p.emergency_paise)],
      ["Target", rupees(p.target_paise), from(p.target_paise)],
      ["Next trail step", p.next_trail_paise ? `at bid ${rupees(p.next_trail_paise)}` : "none left", p.next_trail_paise ? from(p.next_trail_paise) : ""],
      ["Floor at broker", p.floor_order_id ? `${p.floor_quantity} ${words(p.floor_state)}, trigger ${rupees(p.floor_trigger_paise)}` : "NOT RESTING",
        p.floor_order_id ? `${p.floor_broker_id || p.floor_order_id}${floor ? `, ${age(floor.created_ns).replace(" ago", " old")}` : ""}` : "", p.floor_order_id || opening ? "" : "bad"],
      ["Time stop", p.time_stop_ns ? `in ${span(left)}` : "none", p.time_stop_ns ? `at ${hourMinute(p.time_stop_ns)}` : ""],
      ["Opened", clock(p.opened_ns), span(view.at_ns - p.opened_ns)],
    ])),
    el("p", { class: "why quiet", text: p.why }),
  ].filter(Boolean);
}

function ladder(p) {
  const low = Math.min(p.emergency_paise || p.stop_paise, p.bid_paise || p.stop_paise);
  const high = Math.max(p.target_paise || p.average_paise, p.bid_paise, p.high_water_paise);
  const at = (paise) => `${Math.min(100, Math.max(0, ((paise - low) / Math.max(1, high - low)) * 100)).toFixed(1)}%`;
  const [a, b] = [p.average_paise, p.bid_paise].sort((x, y) => x - y);
  const mark = (kind, paise) => { const node = el("b", { class: kind, title: `${kind} ${rupees(paise)}` }); node.style.left = at(paise); return node; };
  const rail = el("i"); rail.style.left = "0"; rail.style.width = "100%";
  const run = el("i", { class: `run ${tone(p.bid_paise - p.average_paise)}` });
  run.style.left = at(a); run.style.width = `calc(${at(b)} - ${at(a)})`;
  return el("div", { "aria-hidden": "true" },
    el("div", { class: "ladder" }, rail, run, mark("emergency", p.emergency_paise), mark("stop", p.stop_paise), mark("fill", p.average_paise),
      mark("target", p.target_paise), p.bid_paise ? mark("bid", p.bid_paise) : null),
    el("div", { class: "ladder-text" }, el("span", { text: "emergency · stop" }), el("span", { text: "fill │ ● bid" }), el("span", { text: "target" })));
}

function renderDay({ ledger, halted }) {
  put("net", `Rs ${signed(ledger.net_paise)}`, tone(ledger.net_paise));
  put("trade-count", `${ledger.trades} of ${ledger.trades_limit} trades`);
  const rows = [
    ["Gross, closed", signed(ledger.realised_paise)],
    ["Gross, open", signed(ledger.open_paise)],
    ["Charges", rupees(ledger.charges_paise)],
    ["Won / lost", `${ledger.wins} / ${ledger.losses}`, ledger.losses_in_row > 1 ? `${ledger.losses_in_row} lost in a row` : ""],
    ["Week, net", signed(ledger.week_net_paise)],
    ["Capital", rupees(ledger.capital_paise)],
  ];
  fill(byId("ledger"), rows, () => pairs(rows));
  const part = ledger.day_limit_paise ? Math.max(0, Math.min(1, ledger.budget_left_paise / Math.abs(ledger.day_limit_paise))) : 0;
  byId("budget").style.width = `${(part * 100).toFixed(1)}%`;
  put("budget-text", `Loss budget left: Rs ${rupees(ledger.budget_left_paise)} of ${rupees(Math.abs(ledger.day_limit_paise))}`);
  byId("halted").hidden = !halted;
  put("halted", halted ? `No entries: ${halted}` : "");
  put("halt", halted ? "Resume entries" : "Halt entries");
}

// ---- lists ---------------------------------------------------------------------------------------------------

function renderTrades() {
  if (!dirty.trades) return;
  dirty.trades = false;
  const trades = [...state.trades.values()].reverse();
  const net = trades.reduce((sum, trade) => sum + trade.net_paise, 0);
  put("trades-sum", trades.length ? `${trades.length}, net Rs ${signed(net)}` : "");
  const open = new Set([...document.querySelectorAll("details.trade[open]")].map((node) => node.dataset.id));
  byId("trades").replaceChildren(...(trades.length ? [tradeHead(), ...trades.map((trade) => tradeRow(trade, open.has(trade.id)))]
    : [el("p", { class: "empty", text: "No closed trade yet today." })]));
}

const tradeHead = () => el("div", { class: "trade-head", "aria-hidden": "true" },
  ...[["In", ""], ["Contract", ""], ["Qty", "n"], ["Bought → sold", "n"], ["Why out", ""], ["Gross", "n"], ["Charges", "n"], ["Net Rs", "n"]]
    .map(([text, tones]) => el("span", { class: tones, text })));

function tradeRow(t, open) {
  const charges = t.gross_paise - t.net_paise;
  const node = el("details", { class: "trade", open },
    el("summary", {},
      el("span", { class: "quiet", text: clock(t.opened_ns) }), el("span", { text: `${t.contract} ${side(t.direction)}` }),
      el("span", { class: "n", text: String(t.quantity) }), el("span", { class: "n", text: `${rupees(t.entry_paise)} → ${rupees(t.exit_paise)}` }),
      el("span", { text: words(t.reason) }), el("span", { class: "n", text: signed(t.gross_paise) }), el("span", { class: "n", text: rupees(charges) }),
      el("span", { class: `n net ${tone(t.net_paise)}`, text: signed(t.net_paise) })),
    el("div", { class: "more" },
      el("p", { class: "quiet", text: t.why }),
      el("dl", { class: "pairs" }, ...pairs([
        ["Held", `${clock(t.opened_ns)} to ${clock(t.closed_ns)}`, span(t.closed_ns - t.opened_ns)],
        ["Fill against signal", `${rupees(t.entry_paise)} / ${rupees(t.signal_paise)}`, `slipped ${signed(t.entry_paise - t.signal_paise)}`],
        ["Exit against signal", `${rupees(t.exit_paise)} / ${rupees(t.exit_signal_paise)}`, `slipped ${signed(t.exit_paise - t.exit_signal_paise)}`],
        ["Best / worst bid", `${rupees(t.best_paise)} / ${rupees(t.worst_paise)}`],
      ])),
      el("dl", { class: "pairs" }, ...pairs([
        ["Gross", signed(t.gross_paise)],
        ...Object.entries(t.charges).map(([line, paise]) => [line.toUpperCase() === "STT" || line === "gst" || line === "sebi" || line === "ipft" ? line.toUpperCase() : words(line), rupees(-paise)]),
        ["Net", signed(t.net_paise), "", tone(t.net_paise)],
      ]))));
  node.dataset.id = t.id;
  return node;
}

const TAGS = { entry: "in", exit: "out", refusal: "not" };

function renderDecisions() {
  if (!dirty.log) return;
  dirty.log = false;
  const kind = byId("kind").value;
  const index = byId("of-index").value;
  const lines = [...state.decisions.values()].reverse().filter(({ decision: d }) =>
    (!index || d.index === index) && (!kind || (kind === "other" ? !(d.kind in TAGS) : d.kind === kind))).slice(0, SHOWN_DECISIONS);
  const list = byId("decisions");
  const top = list.scrollTop;
  list.replaceChildren(...(lines.length ? lines.map(({ count, first_ns, decision: d }) => el("li", {},
    el("time", { text: count > 1 ? `${hourMinute(first_ns)}–${hourMinute(d.at_ns)} ×${count}` : clock(d.at_ns) }),
    el("span", { class: `tag ${d.kind}`, text: TAGS[d.kind] ? `WHY ${TAGS[d.kind].toUpperCase()}` : words(d.kind) }),
    el("div", {}, el("p", {}, el("b", { text: d.index }), ` ${d.sentence}`),
      el("p", { class: "numbers" }, ...chips(d.numbers))))) : [el("li", { class: "empty" }, el("span", { text: "Nothing decided yet." }))]));
  list.scrollTop = top;
}

function renderOrders({ orders }) {
  const live = orders.filter((o) => ["INTENDED", "TRANSIT", "PENDING", "PART_TRADED", "UNKNOWN"].includes(o.state)).length;
  put("orders-sum", orders.length ? `${orders.length}, ${live} live` : "");
  fill(byId("orders"), orders, () => orders.length ? [...orders].reverse().map((o) => el("tr", {},
    ...[[clock(o.created_ns)], [`${words(o.side)}, ${words(o.purpose)}, ${words(o.kind)}`], [o.contract], [`${o.filled_quantity} / ${o.quantity}`, "n"], [rupees(o.price_paise), "n"],
      [o.trigger_paise ? rupees(o.trigger_paise) : "", "n"], [o.average_paise ? rupees(o.average_paise) : "", "n"],
      [words(o.state) + (o.reason ? `: ${o.reason}` : ""), o.state === "REJECTED" || o.state === "UNKNOWN" ? "bad reason" : "reason"],
      [o.answered_ms ? `${o.answered_ms.toFixed(0)} ms` : "", "n"], [o.modifications ? String(o.modifications) : "", "n"]]
      .map(([text, tones]) => el("td", { class: tones ?? "", text }))))
    : [el("tr", {}, el("td", { colspan: "10", class: "empty", text: "No order yet today." }))]);
}

const inSession = (view) => view.at_ns >= view.clock.open_ns && view.at_ns < view.clock.close_ns;

function renderLights(view) {
  const { feed } = view;
  const store = state.store;
  const engine = state.link?.engine;
  const mirror = state.link?.mirror;
  const quiet = !inSession(view);
  const rows = [
    ["Market feed", feed.market === "up" || quiet, feed.market || "unknown", feed.last_tick_ns ? `tick ${age(feed.last_tick_ns)}${feed.lag_ms >= 2000 ? `, ${(feed.lag_ms / 1000).toFixed(1)} s behind the exchange` : ""}` : "no tick yet"],
    ["Order feed", feed.orders === "up" || quiet, feed.orders || "unknown", ""],
    ["Broker's book", feed.reconciled, feed.reconciled ? "equals ours" : "not reconciled", `read ${age(feed.book_read_ns)}`],
    ["Unknown orders", !feed.unknown_orders, String(feed.unknown_orders), ""],
    ["Store", store ? store.state === "ok" : true, store ? store.state : "not reported", store?.detail || (store?.committed_ns ? `commit ${age(store.committed_ns)}` : "")],
    ["Engine", engine ? !["failed", "stopped"].includes(engine.state) : false, engine?.state ?? "unknown", engine?.restarts ? `${engine.restarts} restarts` : ""],
    ["Rules", true, `version ${view.rules_version}`, ""],
    ...(mirror && mirror.state !== "off" ? [["Redis mirror", mirror.state === "up", mirror.state, mirror.detail || (mirror.state === "up" ? `write ${mirror.write_ms} ms` : "")]] : []),
  ];
  fill(byId("lights"), rows, () => rows.map(([name, fine, value, small]) => el("li", {},
    el("i", { class: fine ? "good" : "bad", text: fine ? "✓" : "!" }), el("span", { text: name }),
    el("span", { class: fine ? "" : "bad" }, value, ...(small ? [" ", el("small", { class: "quiet", text: small })] : [])))));
}

const JOB_FINE = { done: "✓", running: "…", skipped: "–" };

// Asked for, not sent along: jobs change by the minute at most, and run while no engine does.
async function renderJobs() {
  const answer = await fetch("/api/jobs").catch(() => null);
  const jobs = answer?.ok ? await answer.json() : null;
  if (!jobs) return;
  byId("jobs-title").hidden = !jobs.length;
  const rows = jobs.map(({ name, what, when, next, last, last_at }) => [name, what, next ? `next ${next}` : when, last?.outcome ?? "", last?.message ?? "", last_at]);
  fill(byId("jobs"), rows, () => rows.map(([name, what, next, outcome, message, lastAt]) => {
    const fine = !outcome || outcome in JOB_FINE;
    return el("li", { title: `${what} ${message}` }, el("i", { class: fine ? "good" : "bad", text: outcome ? JOB_FINE[outcome] ?? "!" : "" }), el("span", { text: name }),
      el("span", { class: fine ? "" : "bad" }, outcome ? `${outcome} ${lastAt}` : "not yet", " ", el("small", { class: "quiet", text: next })));
  }));
}

function renderNotices() {
  if (!dirty.notices) return;
  dirty.notices = false;
  byId("notices").replaceChildren(...(state.notices.length ? [...state.notices].reverse().map((n) => el("li", {},
    el("span", { class: "quiet", text: `${clock(n.at_ns)} ` }), n.level === "info" ? null : el("b", { class: n.level === "alarm" ? "bad" : "", text: `${n.level.toUpperCase()} ` }), n.text))
    : [el("li", { class: "empty", text: "Nothing to tell." })]));
}

// ---- chart ---------------------------------------------------------------------------------------------------

const chart = makeChart();

function makeChart() {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colours = () => ({
    layout: { background: { color: "transparent" }, textColor: css("--quiet"), fontFamily: "system-ui, sans-serif", attributionLogo: true },
    grid: { vertLines: { color: css("--grey-bg") }, horzLines: { color: css("--grey-bg") } },
    rightPriceScale: { borderColor: css("--line"), scaleMargins: { top: 0.12, bottom: 0.12 } },
    timeScale: { borderColor: css("--line"), timeVisible: true, secondsVisible: false, minBarSpacing: 0.5 },
  });
  const bars = () => ({ upColor: css("--up"), borderUpColor: css("--up"), wickUpColor: css("--up"), downColor: css("--down"), borderDownColor: css("--down"), wickDownColor: css("--down") });
  const api = createChart(byId("chart"), { autoSize: true, handleScroll: { mouseWheel: false, vertTouchDrag: false }, handleScale: { mouseWheel: false }, ...colours() });
  const series = api.addSeries(CandlestickSeries, { ...bars(), priceFormat: { type: "price", precision: 2, minMove: 0.05 } });
  // Empty minutes from open to close: the time axis is the whole session from the start and does not move.
  const frame = api.addSeries(LineSeries, { lastValueVisible: false, priceLineVisible: false });
  const markers = createSeriesMarkers(series, []);
  const trend = series.createPriceLine({ price: 0, lineStyle: 2, lineWidth: 1, color: css("--quiet"), axisLabelVisible: false, lineVisible: false, title: "" });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { api.applyOptions(colours()); series.applyOptions(bars()); made.loaded = ""; requestAnimationFrame(render); });
  for (const action of ["pointerdown", "touchstart"]) byId("chart").addEventListener(action, () => { state.follow = false; }, { passive: true });
  const made = { api, series, frame, markers, trend, css, loaded: "", shownMarkers: "", barCount: 0 };
  return made;
}

const chartTime = (ns) => Math.floor(ns / 1e9 / MINUTE_S) * MINUTE_S + IST_S;
const bar = (start, open, high, low, close) => ({ time: chartTime(start), open: open / 100, high: high / 100, low: low / 100, close: close / 100 });

function renderChart(view) {
  if (!view.indices.some((index) => index.name === state.index))
    state.index = (view.indices.find((index) => index.role === "trade") ?? view.indices[0])?.name ?? "";
  renderTabs(view);
  const shown = view.indices.find((index) => index.name === state.index);
  if (!shown) return;
  const kept = [...(state.candles.get(shown.name)?.values() ?? [])].sort((a, b) => a.start_ns - b.start_ns);
  const key = `${shown.name} ${view.day}`;
  const forming = shown.forming ? bar(...shown.forming) : null;
  if (chart.loaded !== key || (dirty.candles && kept.length < chart.barCount)) {
    chart.series.setData(kept.map((c) => bar(c.start_ns, c.open, c.high, c.low, c.close)));
    const minutes = [];
    for (let at = view.clock.open_ns; at && at < view.clock.close_ns; at += MINUTE_S * 1e9) minutes.push({ time: chartTime(at) });
    chart.frame.setData(minutes);
    chart.loaded = key;
    chart.shownMarkers = "";
    showSpan(view);
  } else if (dirty.candles) {
    const newest = chart.series.data().at(-1)?.time ?? 0;
    for (const c of kept) if (chartTime(c.start_ns) >= newest) chart.series.update(bar(c.start_ns, c.open, c.high, c.low, c.close));
    if (state.follow) showSpan(view);
  }
  if (forming && forming.time >= (chart.series.data().at(-1)?.time ?? 0)) chart.series.update(forming);
  chart.barCount = kept.length;
  dirty.candles = false;
  chart.trend.applyOptions({ price: shown.supertrend_paise / 100, lineVisible: Boolean(shown.supertrend_paise), color: shown.trend > 0 ? chart.css("--up") : chart.css("--down"), axisLabelVisible: Boolean(shown.supertrend_paise) });
  renderMarkers(view, shown.name);
  const readings = `${shown.role === "trade" ? "traded" : "watched only"} · Supertrend ${shown.supertrend_paise ? `${rupees(shown.supertrend_paise)} (${shown.trend > 0 ? "up" : shown.trend < 0 ? "down" : "none"})` : "warming"} · ADX 1 min ${shown.adx_m1.toFixed(1)}, 5 min ${shown.adx_m5.toFixed(1)} · tick ${age(shown.tick_ns)}`;
  put("readings", readings);
  byId("chart").setAttribute("aria-label", `${shown.name} one-minute candles of today, ${kept.length} closed, now ${rupees(shown.ltp_paise)}`);
}

function renderTabs(view) {
  const box = byId("indices");
  fill(box, view.indices.map((index) => index.name), () => view.indices.map(({ name }) => el("button",
    { type: "button", onclick: () => { state.index = name; chart.loaded = ""; state.follow = true; render(); } }, el("b", { text: name }), el("small"))));
  view.indices.forEach((index, i) => {
    const button = box.children[i];
    button.setAttribute("aria-pressed", String(index.name === state.index));
    const [price, change] = [rupees(index.ltp_paise), percent(index.change_bps, 2)];
    fill(button.lastChild, [price, change], () => [`${price} `, el("span", { class: tone(index.change_bps), text: change })]);
  });
  fill(byId("of-index"), view.indices.map((i) => i.name), () => [el("option", { value: "", text: "every index" }), ...view.indices.map((i) => el("option", { value: i.name, text: i.name }))]);
}

function showSpan(view) {
  const now = Math.floor((view.at_ns - view.clock.open_ns) / 60e9);
  const day = Math.ceil((view.clock.close_ns - view.clock.open_ns) / 60e9);
  const range = state.span === "day" ? { from: -2, to: day + 2 } : { from: Math.max(-2, now - RECENT_MINUTES + 8), to: Math.max(RECENT_MINUTES - 2, now + 8) };
  chart.api.timeScale().setVisibleLogicalRange(range);
}

function renderMarkers(view, name) {
  const [into, out] = [chart.css("--blue"), chart.css("--exit")];
  const entry = (t, price) => ({ time: chartTime(t.opened_ns), position: t.direction > 0 ? "belowBar" : "aboveBar", shape: t.direction > 0 ? "arrowUp" : "arrowDown", color: into, text: rupees(price) });
  const marks = [];
  for (const t of state.trades.values()) if (t.index === name) marks.push(entry(t, t.entry_paise),
    { time: chartTime(t.closed_ns), position: t.direction > 0 ? "aboveBar" : "belowBar", shape: "circle", color: out, text: signed(t.net_paise) });
  for (const p of view.positions) if (p.index === name && p.held) marks.push(entry(p, p.average_paise));
  const key = JSON.stringify(marks);
  if (key === chart.shownMarkers) return;
  chart.shownMarkers = key;
  chart.markers.setMarkers(marks.sort((a, b) => a.time - b.time));
}

// ---- words to the engine -------------------------------------------------------------------------------------

async function say(path, body, done, where = "said") {
  put(where, "sending …");
  const answer = await fetch(path, { method: "POST", headers: { "X-Algo-Scalper": "1", "Content-Type": "application/json" }, body: body ? JSON.stringify(body) : undefined }).catch(() => null);
  const told = answer ? await answer.json().catch(() => ({})) : {};
  if (answer?.ok) return put(where, done || told.kept, "good");
  put(where, `NOT sent: ${told.detail || "the desk does not answer."}`, "bad");
}

function ask(title, text, yes, typed, act) {
  put("ask-title", title);
  put("ask-text", text);
  put("ask-yes", yes);
  const [input, button, dialog] = [byId("ask-input"), byId("ask-yes"), byId("ask")];
  byId("ask-typed").hidden = !typed;
  input.value = "";
  button.disabled = typed;
  input.oninput = () => { button.disabled = input.value !== "KILL"; };
  dialog.returnValue = "";
  dialog.onclose = () => { if (dialog.returnValue === "yes" && (!typed || input.value === "KILL")) act(); };
  dialog.showModal();
}

function askClose(id) {
  const p = state.view.positions.find((position) => position.id === id);
  if (p) ask(`Close ${p.contract}?`, `Sells ${p.held} at the market's bid now. Net after all charges about Rs ${signed(p.exit_now_net_paise)}.`, "Close it", false,
  () => say(`/api/close/${encodeURIComponent(p.id)}`, null, `Close of ${p.contract} sent.`));
}

byId("halt").onclick = () => (state.view?.halted ? say("/api/resume", null, "Resume sent: entries are taken again.") : say("/api/halt", null, "Halt sent: no new entries; exits go on."));
byId("kill").onclick = () => ask("Kill: close everything of ours?", "Halts for the day, cancels our orders and sells every position of ours. Positions and orders that are not ours stay.", "Kill", true,
  () => say("/api/kill", { confirm: "KILL" }, "Kill sent."));
byId("broker-token")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const field = byId("broker-token-text");
  say("/api/broker-token", { access_token: field.value }, "", "broker-token-said");
  field.value = "";
});

// ---- rules ---------------------------------------------------------------------------------------------------

const rules = { rows: [], seen: 0 };

async function loadRules() {
  const answer = await fetch("/api/rules").catch(() => null);
  if (!answer?.ok) return;
  const { day, rules: rows } = await answer.json();
  rules.rows = rows;
  put("rules-version", day ? `of ${day}` : "");
  const picked = byId("rule-key").value || "limits.day_loss";
  fill(byId("rule-key"), rows.map((row) => row.key), () => rows.map((row) => el("option", { value: row.key, text: row.key })));
  byId("rule-key").value = picked;
  showRule();
}

const pickedRule = () => rules.rows.find((row) => row.key === byId("rule-key").value);

function showRule() {
  const row = pickedRule();
  if (!row) return;
  const waits = row.in_force && row.in_force !== row.written;
  byId("rule-value").value = row.written;
  byId("rule-back").hidden = row.source !== "changed at run time";
  put("rule-now", `${waits ? `${row.in_force} now, ${row.written} later` : row.written}, ${row.source}${row.by ? ` by ${row.by}` : ""}. ${row.meaning}`);
}

async function changeRule(row, value) {
  await say(`/api/rules/${encodeURIComponent(row.key)}`, { value }, "", "rule-said");
  await loadRules();
}

byId("rule")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const [row, value] = [pickedRule(), byId("rule-value").value];
  if (row) ask(`Change ${row.key}?`, `${row.written} becomes ${value}, until it is taken back. ${row.meaning}`, "Change it", false, () => changeRule(row, value));
});
if (byId("rule")) {
  byId("rule-key").onchange = showRule;
  byId("rule-back").onclick = () => {
    const row = pickedRule();
    if (row) ask(`Take ${row.key} back?`, "What algo.yml says counts again; a looser limit with the next session.", "Take it back", false, () => changeRule(row, null));
  };
  loadRules();
}

function renderWatched() {
  const { watch } = state;
  if (!byId("watched")) return;
  byId("watched").hidden = !watch?.lines.length;
  if (!watch) return;
  put("watched-source", watch.source);
  fill(byId("watch-lines"), watch.lines, () => pairs(watch.lines.map((line) => [line.name, line.at_ns ? rupees(line.ltp_paise) : "no price yet"])));
}

for (const id of ["kind", "of-index"]) byId(id).onchange = () => { dirty.log = true; renderDecisions(); };
for (const span of ["recent", "day"]) byId(`span-${span}`).onclick = () => {
  state.span = span;
  state.follow = true;
  for (const other of ["recent", "day"]) byId(`span-${other}`).setAttribute("aria-pressed", String(other === span));
  if (state.view) showSpan(state.view);
};

function render() {
  renderLink();
  const { view } = state;
  if (!view) return;
  renderTop(view);
  renderPositions(view);
  renderDay(view);
  renderChart(view);
  renderTrades();
  renderDecisions();
  renderOrders(view);
  renderLights(view);
  renderNotices();
  renderWatched();
  if (byId("rule") && view.rules_version !== rules.seen) {
    rules.seen = view.rules_version;
    loadRules();
  }
}

setInterval(renderLink, 1000);
setInterval(renderJobs, JOBS_MS);
renderJobs();
connect();
