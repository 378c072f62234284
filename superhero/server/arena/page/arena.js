// The Arena's page: one WebSocket, whose messages each stand for themselves; superhero/server/arena/viewers.py.

import { fell, showLeaders, tellFall } from "./boards.js";
import { onFall, play, showFights } from "./fights.js";
import { begin, showPulse } from "./pipeline.js";
import { byId, count, rate, say } from "./text.js";

const SAY_EVERY_MS = 20_000;
const MOST_WAIT_MS = 10_000;
const BEAT_MS = 70;
const FALL_MS = 350;
const STATES = { connecting: "Connecting", live: "Live", paused: "Paused", locked: "Locked", full: "All places taken" };

let socket = null;
let secret = "";
let paused = false;
let waitMs = 500;
let saidAt = 0;
let latest = {};
let drawing = false;

const hear = {
  welcome(message) {
    waitMs = 500;
    begin(message.history);
    say(byId("server"), `Server ${message.server}.`);
    byId("bots").hidden = !message.control;
    byId("flower").hidden = !message.flower;
    if (message.flower) byId("flower").href = message.flower;
    byId("door").hidden = true;
    byId("arena").hidden = false;
    become("live");
    hear.news(message.news);
  },
  news({ type, ...news }) {
    Object.assign(latest, news);
    if (!drawing && !paused) {
      drawing = true;
      requestAnimationFrame(draw);
    }
  },
  locked() {
    if (secret) send({ type: "enter", secret });
    else askForSecret("Whoever knows it may watch. It is sent to this server only, and forgotten with this page.");
  },
  refused(message) {
    if (message.what === "secret") {
      secret = "";
      askForSecret("That is not the secret.");
    } else if (message.what === "place") {
      become("full");
    } else {
      say(byId("bots-word"), message.what === "control" ? "That is not the secret of the controls." : message.why);
    }
  },
  bots(message) {
    say(byId("bots-playing"), count(message.players));
    say(byId("bots-word"), "Done.");
  },
};

const show = {
  frame(frame) {
    showFights(frame.fights);
    say(byId("games-per-minute"), rate(frame.games_per_minute));
    say(byId("attacks-per-s"), rate(frame.attacks_per_s));
  },
  standings(standings) {
    showLeaders(standings.leaders, standings.games);
    say(byId("under-way"), count(standings.under_way));
    say(byId("viewers"), count(standings.viewers));
    say(byId("bots-playing"), count(standings.bots));
  },
  pulse(pulse) {
    showPulse(pulse);
    tellNowAndThen(pulse);
  },
};

function connect() {
  const address = new URL("arena/live", document.baseURI);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  socket.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    hear[message.type]?.(message);
  });
  socket.addEventListener("close", () => {
    socket = null;
    if (document.body.dataset.state === "locked") return;
    if (document.body.dataset.state !== "full") become("connecting");
    // Not all at once, when a server comes back.
    setTimeout(connect, waitMs * (0.5 + Math.random()));
    waitMs = Math.min(waitMs * 2, MOST_WAIT_MS);
  });
}

function draw() {
  drawing = false;
  if (paused) return;
  const news = Object.entries(latest);
  latest = {};
  for (const [what, is] of news) show[what]?.(is);
}

function send(message) {
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(message));
  return true;
}

function become(state) {
  if (state === "live" && paused) state = "paused";
  if (document.body.dataset.state === state) return;
  document.body.dataset.state = state;
  say(byId("state"), STATES[state]);
  say(byId("said"), STATES[state]);
}

function askForSecret(word) {
  become("locked");
  say(byId("door-word"), word);
  byId("door").hidden = false;
  byId("arena").hidden = true;
  byId("door-secret").focus();
}

/** Tell in words, rarely, what the pictures show: for who hears the page. */
function tellNowAndThen(pulse) {
  if (Date.now() - saidAt < SAY_EVERY_MS) return;
  saidAt = Date.now();
  const games = `${byId("games-per-minute").textContent} games a minute.`;
  const records = pulse?.records && ` ${rate(pulse.records.in_per_s)} records a second in, ${rate(pulse.records.out_per_s)} out; ${byId("verdict").textContent}.`;
  say(byId("said"), games + (records || " No pipeline data."));
}

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  say(byId("pause"), paused ? "Go on" : "Pause");
  if (["live", "paused"].includes(document.body.dataset.state)) become(paused ? "paused" : "live");
  draw();
});

byId("all-fights").addEventListener("click", (event) => {
  const all = byId("stage").classList.toggle("all");
  event.target.setAttribute("aria-expanded", String(all));
  say(event.target, all ? "Show fewer" : "Show all");
});

byId("door").addEventListener("submit", (event) => {
  event.preventDefault();
  secret = byId("door-secret").value;
  byId("door-secret").value = "";
  become("connecting");
  if (!send({ type: "enter", secret })) connect();
});

function scale(players) {
  const sent = send({ type: "bots", players, secret: byId("bots-secret").value });
  say(byId("bots-word"), sent ? "One moment …" : "Not connected.");
}

byId("bots-form").addEventListener("submit", (event) => {
  event.preventDefault();
  scale(byId("bots-players").valueAsNumber);
});
byId("bots-stop").addEventListener("click", () => {
  if (byId("bots-secret").reportValidity()) scale(0);
});

onFall(fell);
setInterval(() => paused || play(), BEAT_MS);
setInterval(() => paused || tellFall(), FALL_MS);
connect();
