// The stage: a card per fight. Each keeps its place while it is shown, and a new fight takes one that is free.
// Bots strike faster than anybody can follow, so blows are played one after another, at a pace one can.

import { byId, count, hue, initials, make, say, short } from "./text.js";

const PLAYED_WITHIN_MS = 2000; // all blows that wait in a card
const PACE_MS = [70, 450]; // between two blows, at least and at most
const MOST_WAITING = Math.floor(PLAYED_WITHIN_MS / PACE_MS[0]); // more cannot be played in time

const stage = byId("stage");
const cards = new Map();
const places = [];
let toldOfFall = () => {};

/** Call `listener({by, hero, damage})` when a blow that fells somebody is played. */
export function onFall(listener) {
  toldOfFall = listener;
}

/** Play what is due. */
export function play() {
  const now = performance.now();
  for (const card of cards.values()) card.play(now);
}

/** Take in the fights of a frame. */
export function showFights(fights) {
  byId("no-fights").hidden = fights.length > 0;
  byId("all-fights").hidden = fights.length < 5;
  const present = new Set(fights.map((fight) => fight.game));
  places.forEach((game, at) => {
    if (game !== null && !present.has(game)) {
      cards.delete(game);
      places[at] = null;
    }
  });
  for (const fight of fights) {
    if (!cards.has(fight.game)) {
      cards.set(fight.game, new Card(fight));
      const free = places.indexOf(null);
      places[free < 0 ? places.length : free] = fight.game;
    }
    cards.get(fight.game).hear(fight);
  }
  const wanted = places.filter((game) => game !== null).map((game) => cards.get(game).element);
  wanted.forEach((element, at) => {
    const there = stage.children[at];
    if (there === element) return;
    // A card whose place is taken over goes; the others need not move.
    if (there && !wanted.includes(there)) there.replaceWith(element);
    else stage.insertBefore(element, there ?? null);
  });
  while (stage.children.length > wanted.length) stage.lastChild.remove();
}

class Card {
  constructor(fight) {
    this.turn = make("span", "turn");
    this.rows = make("ul", "fighters");
    this.more = make("p", "more");
    const title = make("h3", "game", make("span", "unseen", "Game "), `#${fight.game.slice(0, 6)}`);
    this.element = make("li", "fight", make("div", "fight-top", title, this.turn), this.rows, this.more);
    this.fighters = new Map();
    this.waiting = [];
    this.heard = 0;
    this.next = 0;
  }

  /** Take in the fight as it is now; what is new of its blows waits to be played. */
  hear(fight) {
    this.fight = fight;
    const blows = fight.blows.filter(([turn]) => turn > this.heard);
    for (const fighter of fight.fighters) {
      if (this.fighters.has(fighter.user)) continue;
      const first = blows.find(([, , on]) => on === fighter.user);
      const row = new Row(fighter, first ? first[3] + first[4] : fighter.health);
      this.fighters.set(fighter.user, row);
      this.rows.append(row.element);
    }
    const users = new Set(fight.fighters.map((fighter) => fighter.user));
    for (const [user, row] of this.fighters) {
      if (users.has(user)) continue;
      row.element.remove();
      this.fighters.delete(user);
    }
    this.waiting.push(...blows);
    for (const late of this.waiting.splice(0, this.waiting.length - MOST_WAITING)) this.land(late, false);
    this.heard = Math.max(this.heard, ...blows.map(([turn]) => turn));
    this.play(performance.now());
  }

  /** Play the next blow if it is due; when none waits, show the fight as it is. */
  play(now) {
    if (this.waiting.length === 0) return this.settle();
    if (now < this.next) return;
    const pace = PLAYED_WITHIN_MS / this.waiting.length;
    this.next = now + Math.min(Math.max(pace, PACE_MS[0]), PACE_MS[1]);
    const blow = this.waiting.shift();
    const [turn, by] = blow;
    say(this.turn, `attack ${count(turn)}`);
    for (const [user, row] of this.fighters) row.strikes(user === by);
    this.land(blow, true);
  }

  /** Let a blow take its effect, and be seen to hit if it is played. */
  land([, by, on, damage, left], played) {
    const [striker, struck] = [this.fighters.get(by), this.fighters.get(on)];
    if (played) struck?.hit(damage, left);
    else struck?.show(left);
    if (left === 0 && striker && struck) toldOfFall({ by: striker.hero, hero: struck.hero, damage });
  }

  settle() {
    const { fight } = this;
    const { over, winner } = fight;
    this.element.classList.toggle("over", over);
    const ending = fight.reason === "abandoned" ? "abandoned" : "over";
    say(this.turn, over ? `${ending} after ${count(fight.turn)} attacks` : `attack ${count(fight.turn)}`);
    say(this.more, fight.size > fight.fighters.length ? `${count(fight.standing)} of ${count(fight.size)} stand` : "");
    for (const fighter of fight.fighters) {
      const row = this.fighters.get(fighter.user);
      row.show(fighter.health);
      row.wins(winner === fighter.user);
      if (over) row.strikes(false);
    }
  }
}

class Row {
  constructor({ user, hero, full }, health) {
    this.hero = hero;
    this.full = full;
    const badge = make("span", "badge", initials(hero));
    badge.setAttribute("aria-hidden", "true");
    badge.style.setProperty("--hue", hue(hero));
    this.mark = make("span", "mark-word");
    this.health = make("span", "health");
    this.fill = make("span", "fill");
    this.ghost = make("span", "ghost");
    this.meter = make("div", "meter", this.ghost, this.fill);
    this.meter.setAttribute("role", "meter");
    this.meter.setAttribute("aria-label", `Health of ${hero}`);
    this.meter.setAttribute("aria-valuemin", "0");
    this.meter.setAttribute("aria-valuemax", String(full));
    this.pop = make("span", "pop");
    this.pop.setAttribute("aria-hidden", "true");
    const name = make("span", "hero", make("b", "", hero), this.mark);
    this.element = make("li", "fighter", badge, name, this.health, this.meter, this.pop);
    this.element.title = `Player ${user}`;
    this.show(health);
  }

  show(health) {
    if (health === this.shown) return;
    this.shown = health;
    const left = this.full > 0 ? Math.min(health / this.full, 1) : 0;
    this.fill.style.transform = this.ghost.style.transform = `scaleX(${left})`;
    this.fill.dataset.level = left > 0.5 ? "good" : left > 0.2 ? "fair" : "low";
    this.meter.setAttribute("aria-valuenow", String(health));
    say(this.health, health > 0 ? short(health) : "down");
    this.element.classList.toggle("down", health === 0);
  }

  hit(damage, health) {
    this.show(health);
    say(this.pop, `−${short(damage)}`);
    this.element.classList.remove("struck");
    void this.element.offsetWidth; // begin the animation anew
    this.element.classList.add("struck");
  }

  strikes(does) {
    this.element.classList.toggle("strikes", does);
  }

  wins(does) {
    this.element.classList.toggle("won", does);
    say(this.mark, does ? "wins" : "");
  }
}
